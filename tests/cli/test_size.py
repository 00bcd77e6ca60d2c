import json
import subprocess
import sys

import pytest

SMALL = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "vocab_size": 100,
    "max_position_embeddings": 64,
}


@pytest.fixture
def size(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(SMALL))

    def run(*arguments):
        command = [sys.executable, "-m", "gonogo", "size", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    return run


def test_a_small_model_fits_a_small_card(size):
    done = size("config.json", "--gpu", "T4")
    assert done.returncode == 0, done.stderr
    assert "GO: ready to launch" in done.stdout
    assert "seconds per step" in done.stdout


def test_a_price_of_ones_own_takes_the_place_of_the_table(size, tmp_path):
    (tmp_path / "plan.json").write_text(json.dumps({"model": SMALL, "training": {"tokens": 1_000_000}}))
    assert "7.50 USD per device and hour, as given" in size("plan.json", "--gpu", "T4", "--price", "7.5").stdout


def test_a_batch_beyond_the_card_is_a_no_go_with_what_would_do(size):
    done = size("config.json", "--gpu", "T4", "--seq", "16384", "--batch", "2048")
    assert done.returncode == 1, done.stderr
    assert "out of memory at" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("config.json", "--gpu", "A50000"), "A5000"),
        (("config.json",), "no device was given"),
        (("config.json", "--gpu", "T4", "--strategy", "checkpoint"), "Did you mean 'checkpointing'"),
        (("config.json", "--gpu", "T4", "--strategy", "fsdp"), "several GPUs"),
        (("missing.yaml", "--gpu", "T4"), "missing.yaml"),
    ],
)
def test_what_cannot_be_asked_is_told_in_words(size, arguments, message):
    done = size(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_training_program_is_sized_as_it_is(size):
    done = size("gonogo.testing.toys:classifier", "--gpu", "T4")
    assert done.returncode == 0, done.stderr
    assert "optimizer states" in done.stdout


def test_a_plan_on_paper_is_worked_out_again_line_by_line(size, tmp_path):
    (tmp_path / "paper.yaml").write_text(
        "memory_plan: {parameters: 1e9, devices: 2xA5000, unit: GB, available_per_device: 48, optimizer: adamw,"
        " stages: [{name: fp32, remedies: [fp32], lines: {weights: 4, gradients: 4, optimizer: 8}}]}"
    )
    done = size("paper.yaml")
    assert done.returncode == 1, done.stderr
    assert "available per device" in done.stdout
