"""MAFT: sentiment from text, audio and visual streams by a fusion transformer with attention bottlenecks."""
