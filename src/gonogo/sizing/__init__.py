"""Memory, time and cost of a training run before anything is allocated."""
