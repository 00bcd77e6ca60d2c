"""Is the model wired as it should be?"""
