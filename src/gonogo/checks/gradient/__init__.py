"""What arrives at the optimizer."""
