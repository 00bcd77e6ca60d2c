"""The streams of a multimodal batch: where they are, and what the model does without them."""
