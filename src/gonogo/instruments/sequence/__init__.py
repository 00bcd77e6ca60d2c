"""Positions and padding: which depend on which, which are asked for what."""
