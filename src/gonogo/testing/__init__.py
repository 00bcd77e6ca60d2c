"""Toys, the contract of a check, golden files: shipped, because authors of plug-ins need them."""
