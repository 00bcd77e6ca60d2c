"""Checks of the company Acme."""
