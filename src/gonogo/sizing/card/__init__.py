"""An accelerator that is not there: its tensors, its allocator, and the history of a step on it."""
