"""Attention as it is called: its weights, its masks, and who reads whom."""
