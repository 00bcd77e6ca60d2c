"""Other ways to train the same program: each a transformation of it."""
