"""The loss: what it is given, what it is made of, where it pulls."""
