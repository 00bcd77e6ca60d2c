"""The first dial: what each size changes."""

from typing import Any

DEFAULT = "small"

# tiny: a preflight on a laptop. small: a training on one CPU thread. base: the origin's dimensions.
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "tiny": {
        "model": {"hidden_dim": 16, "num_heads": 2, "fusion_layers": 2, "bottlenecks": 2, "vocab_size": 64},
        "training": {"batch_size": 16},
        "data": {
            "samples": 512,
            "valid_samples": 128,
            "test_samples": 128,
            "text_length": 8,
            "audio_length": 12,
            "visual_length": 10,
        },
    },
    "small": {},
    "base": {
        "model": {
            "hidden_dim": 768,
            "num_heads": 12,
            "num_layers": 2,
            "bottlenecks": 8,
            "vocab_size": 30_522,
            "dropout": 0.1,
        },
        "training": {"batch_size": 8, "learning_rate": 1e-4},
        "data": {
            "samples": 16_326,
            "valid_samples": 1_871,
            "test_samples": 4_659,
            "text_length": 50,
            "audio_length": 500,
            "visual_length": 500,
        },
    },
}
