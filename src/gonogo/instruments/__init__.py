"""Measuring functions, each memoised per session and tested against a slow twin."""
