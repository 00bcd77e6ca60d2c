"""Bytes of one checkpoint times those kept, against the disk; never accused where the configuration leaves it open."""

import shutil
from collections import namedtuple
from dataclasses import replace

import pytest
import torch

from gonogo.checks.sizing.storage import storage
from gonogo.errors import NotApplicable
from gonogo.instruments.configuration.kept_checkpoints import kept, place
from gonogo.testing.toys import TOYS
from gonogo.training.session import Session
from gonogo.training.settings import settings

Disk = namedtuple("Disk", "total used free")


def measured(config, **parts):
    subject = replace(TOYS["classifier"](), config=config, **parts)
    return storage(Session(subject)).measurements


def save_weights(path, model, optimizer):
    path.mkdir()
    torch.save(model.state_dict(), path / "weights.pt")


def load_weights(path, model, optimizer):
    model.load_state_dict(torch.load(path / "weights.pt"))


def save_elsewhere(path, model, optimizer):
    """Writes to a place of its own."""


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"save_total_limit": 3}, (3, 4)),
        ({"save_total_limit": 3, "save_steps": 10, "max_steps": 20}, (2, 2)),
        ({"save_total_limit": None, "save_steps": 10, "max_steps": 95}, (10, 10)),
        ({"save_top_k": 3, "save_every_n_epochs": 2, "epochs": 10}, (3, 4)),
        ({"save_top_k": -1, "save_every_n_epochs": 2, "epochs": 10}, (5, 5)),
        ({"save_every": 100, "total_steps": 1000}, (1, 10)),
        ({"training": {"checkpoint_every": 500, "keep": 2}}, (2, 3)),
    ],
)
def test_what_is_kept_follows_from_the_configuration(config, expected):
    assert kept(settings(config), None) == expected


@pytest.mark.parametrize(
    "config",
    [
        {"lr": 0.1},
        {"save_every": 10},
        {"save_every": 10, "max_steps": 100, "epochs": 3},  # of steps or of epochs?
        {"keep": 0.9, "epochs": 3},
        {"save_total_limit": "all"},
    ],
)
def test_a_number_that_is_not_stated_is_not_guessed(config):
    with pytest.raises(NotApplicable):
        kept(settings(config), None)


def test_claimed_steps_are_the_length_of_the_run():
    assert kept(settings({"save_steps": 10}), 100) == (1, 10)


def test_the_run_writes_to_the_nearest_folder_that_exists(tmp_path):
    assert place(settings({"output_dir": str(tmp_path / "new" / "run")})) == (tmp_path, True)


@pytest.mark.parametrize("text", ["s3://bucket/run", "${oc.env:OUT}/run", ""])
def test_a_place_that_is_no_folder_here_is_not_taken_for_one(text):
    assert not place(settings({"output_dir": text}))[1]


def test_the_runs_own_save_is_what_is_measured():
    whole = measured({"save_total_limit": 1})["checkpoint"].value
    weights = measured({"save_total_limit": 1}, save=save_weights, load=load_weights)["checkpoint"].value
    assert 0 < weights < 0.6 * whole


def test_a_save_that_writes_elsewhere_is_not_measured():
    with pytest.raises(NotApplicable, match="elsewhere"):
        measured({"save_total_limit": 1}, save=save_elsewhere, load=save_elsewhere)


def test_an_unknown_place_is_never_more_than_a_warning(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Disk(10**6, 0, 10**6))
    share = measured({"save_total_limit": 1000})["share_of_free"]
    assert (share.low, share.high > 1) == (0, True)


def test_a_limit_that_fits_but_for_the_one_being_written_is_inconclusive(monkeypatch):
    size = measured({"save_total_limit": 1})["checkpoint"].value
    free = int(2.5 * size)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Disk(free, 0, free))
    share = measured({"save_total_limit": 2, "output_dir": "."})["share_of_free"]
    assert share.low < 1 < share.high
