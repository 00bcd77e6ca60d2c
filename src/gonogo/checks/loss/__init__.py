"""Does the loss say what is meant?"""
