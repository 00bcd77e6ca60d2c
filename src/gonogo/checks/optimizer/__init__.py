"""What the optimizer, its schedule and its companions do with it."""
