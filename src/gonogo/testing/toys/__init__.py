"""Tiny healthy training runs on synthetic data: what every check must pass, and what faults are injected into.

Each toy is its own subject, not a stand-in for another run, so none of them has a `proxy`.
"""

from collections.abc import Callable

from gonogo.testing.toys.adapter import adapter
from gonogo.testing.toys.adversarial import adversarial
from gonogo.testing.toys.causal_lm import causal_lm
from gonogo.testing.toys.classifier import classifier
from gonogo.testing.toys.configured import configured
from gonogo.testing.toys.contrastive import contrastive
from gonogo.testing.toys.eight_bit import eight_bit
from gonogo.testing.toys.graph import graph
from gonogo.testing.toys.imbalanced import imbalanced
from gonogo.testing.toys.left_padded import left_padded
from gonogo.testing.toys.loss_scale import loss_scale
from gonogo.testing.toys.mixture import mixture
from gonogo.testing.toys.multimodal import multimodal
from gonogo.testing.toys.multimodal_attention import multimodal_attention
from gonogo.testing.toys.packed import packed
from gonogo.testing.toys.padded_lm import padded_lm
from gonogo.testing.toys.rare import rare
from gonogo.testing.toys.recipe import recipe
from gonogo.testing.toys.regressor import regressor
from gonogo.testing.toys.seq2seq import seq2seq
from gonogo.testing.toys.smoothed import smoothed
from gonogo.testing.toys.stochastic_depth import stochastic_depth
from gonogo.testing.toys.stream import stream
from gonogo.testing.toys.vae import vae
from gonogo.testing.toys.watched import watched
from gonogo.training.subject import Subject

TOYS: dict[str, Callable[[], Subject]] = {
    "classifier": classifier,
    "regressor": regressor,
    "causal_lm": causal_lm,
    "seq2seq": seq2seq,
    "multimodal": multimodal,
    "multimodal_attention": multimodal_attention,
    "adapter": adapter,
    "vae": vae,
    "graph": graph,
    "padded_lm": padded_lm,
    "left_padded": left_padded,
    "packed": packed,
    "recipe": recipe,
    "adversarial": adversarial,
    "configured": configured,
    "stream": stream,
    "imbalanced": imbalanced,
    "contrastive": contrastive,
    "mixture": mixture,
    "stochastic_depth": stochastic_depth,
    "smoothed": smoothed,
    "rare": rare,
    "loss_scale": loss_scale,
    "eight_bit": eight_bit,
    "watched": watched,
}

__all__ = ["TOYS"]
