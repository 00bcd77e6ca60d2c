"""What loaders hand out, and what its fields are."""
