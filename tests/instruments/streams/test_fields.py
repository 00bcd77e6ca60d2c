"""Streams and their masks, found by name, by content and by claim."""

import pytest
import torch

from gonogo.errors import NotApplicable, SubjectError
from gonogo.instruments.streams.fields import Mark, fields_of, streams
from gonogo.training.claims import Claims
from gonogo.training.session import Session
from gonogo.training.subject import Subject

MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]], dtype=torch.bool)
SOUND = torch.arange(24.0).reshape(3, 4, 2).add(1) * MASK.unsqueeze(-1)


def found(batch, *names, **claims):
    subject = Subject("by hand", splits={"train": lambda: [batch]}, claims=Claims(modalities=names, **claims))
    return streams(Session(subject))


def test_a_mask_of_the_streams_name_is_read_as_its_content_says():
    for mask, there in ((MASK, True), (~MASK, False)):
        [one] = found({"sound": SOUND, "sound_mask": mask}, "sound")
        assert one.mark == Mark("sound_mask", there)
        assert one.there({"sound": SOUND, "sound_mask": mask}).equal(MASK)


def test_a_mask_of_another_name_is_proven_by_content():
    [one] = found({"sound": SOUND, "ok": MASK.long(), "noise": ~MASK[:, [0, 2, 1, 3]]}, "sound")
    assert one.mark == Mark("ok", True)


def test_what_no_content_proves_is_no_mask():
    batch = {"sound": torch.randn(3, 4, 2), "sound_mask": torch.rand(3, 4) > 0.5}
    batch["sound_mask"][0] = torch.tensor([True, False, True, False])
    [one] = found(batch, "sound")
    assert one.mark is None


def test_a_mask_that_never_changes_says_that_all_is_there():
    for value in (True, False):
        [one] = found({"sound": torch.randn(3, 4, 2), "sound_mask": torch.full((3, 4), value)}, "sound")
        assert one.mark == Mark("sound_mask", value)


def test_a_claim_decides_and_a_tilde_turns_it_round():
    batch = {"sound": torch.randn(3, 4, 2), "hidden": ~MASK}
    [one] = found(batch, "sound", masks={"sound": "~hidden"})
    assert one.mark == Mark("hidden", False, declared=True)
    assert one.there(batch).equal(MASK)


def test_a_claimed_mask_that_does_not_exist_is_refused_with_the_nearest_name():
    with pytest.raises(SubjectError, match="Did you mean 'sound_mask'"):
        found({"sound": SOUND, "sound_mask": MASK}, "sound", masks={"sound": "sound_maks"})


def test_one_flag_for_each_sample_speaks_of_all_its_steps():
    batch = {"sound": SOUND, "sound_present": torch.tensor([True, False, True])}
    [one] = found(batch, "sound")
    assert one.of_samples
    assert one.there(batch).all(1).tolist() == [True, False, True]
    assert one.with_there(batch, torch.zeros(3, 4, dtype=torch.bool))["sound_present"].tolist() == [False] * 3


def test_times_and_qualities_stand_beside_the_features():
    batch = {"in": {"sound": {"x": SOUND, "time": torch.rand(3, 4), "mask": MASK}}}
    [one] = found(batch, "sound")
    assert (one.content, one.beside, one.mark) == (("in.sound.x",), ("in.sound.time",), Mark("in.sound.mask", True))


def test_only_the_steps_asked_for_get_other_content():
    batch = {"sound": SOUND, "sound_mask": MASK}
    [one] = found(batch, "sound")
    for other in (one.with_other(batch, ~MASK, 0), one.with_value(batch, ~MASK, float("nan"))):
        assert other["sound"][MASK].equal(SOUND[MASK])
        assert not (other["sound"][~MASK] == SOUND[~MASK]).any()


def test_a_longer_stream_is_filled_as_its_padding_is_and_hidden():
    batch = {"sound": SOUND.where(MASK.unsqueeze(-1), -1.0), "sound_mask": MASK, "sound_time": torch.rand(3, 4)}
    [one] = found(batch, "sound")
    longer = one.longer(batch, 2)
    assert longer["sound"][:, 4:].eq(-1.0).all()
    assert not longer["sound_mask"][:, 4:].any()
    assert longer["sound_time"].shape == (3, 6)


def test_names_that_are_nowhere_are_not_applicable():
    with pytest.raises(NotApplicable):
        found({"sound": SOUND}, "smell")


def test_fields_of_a_modality_leave_out_its_masks_and_lengths():
    assert fields_of("audio", ["audio", "audio_mask"]) == ["audio"]
    assert fields_of("audio", ["audio_low", "audio_high", "audio_len"]) == ["audio_low", "audio_high"]
