"""Variants x seeds under one procedure -> a comparison with its uncertainty."""
