"""What a configuration does, and what of it is live."""
