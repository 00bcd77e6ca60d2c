"""The watch that stays on during training."""
