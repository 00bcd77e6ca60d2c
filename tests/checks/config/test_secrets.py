"""Secrets, and texts that only have such a name; no report shows one."""

from typing import Any

import pytest

from gonogo.checks.config.secrets import secrets
from gonogo.core.measurement import Observation
from gonogo.training.session import Session
from gonogo.training.subject import Subject


def ask(config: dict[str, Any]) -> Observation:
    return secrets(Session(Subject("s", config=config)))


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"key": "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2"}, "keys"),
        ({"uri": "postgres://me:" + "s3cr3tWord@host/db"}, "keys"),
        ({"api_key": "9f8e7d6c5b4a3210"}, "likely"),
    ],
)
def test_a_secret_is_counted_and_not_shown(config: dict[str, Any], name: str) -> None:
    observation = ask(config)
    assert observation.measurements[name].value == 1
    assert not any(value in str(observation) for value in config.values())


@pytest.mark.parametrize(
    "config",
    [
        {"unk_token": "UNKNOWN_TOKEN", "eos_token": "<|endoftext|>", "max_tokens": 4096, "pad_token": "[PAD]"},
        {"password": "changeme", "api_key": "your-key-here", "hf_token": "", "secret": None},
        {"api_key": "${oc.env:API_KEY}", "wandb_api_key": "$WANDB_API_KEY"},
        {"url": "https://example.org/a:b", "token": "word_piece_tokens"},
    ],
)
def test_names_of_tokens_and_dummies_are_left_alone(config: dict[str, Any]) -> None:
    assert ask(config).tables[0].rows == ()
