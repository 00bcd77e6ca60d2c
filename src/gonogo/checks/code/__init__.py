"""Checks of the source code: what running it cannot show."""
