"""Checks of the data, before any forward pass."""
