"""Is the training loop of a script sound, as far as it was seen to run?"""
