"""Does a model of sequences see what it may see, and is it asked for what it should say?"""
