"""One call of the model: recorded, replayed with other content, compared."""
