import textwrap
from pathlib import Path

import pytest

from gonogo.core.profile import load_profile
from gonogo.execution.supervisor import Request, execute

SUBJECTS = Path(__file__).with_name("subjects.py")


@pytest.fixture
def profile(tmp_path):
    """A profile with a few quick checks; keyword arguments become further lines."""

    def make(**more):
        text = """
            extends: standard
            select: [model.nonfinite-values, model.initial-loss, model.batch-mixing, evaluation.repeat]
            required: [model.initial-loss]
        """
        path = tmp_path / "profile.yaml"
        path.write_text(textwrap.dedent(text) + "".join(f"{key}: {value}\n" for key, value in more.items()))
        return load_profile(str(path))

    return make


@pytest.fixture
def run(tmp_path, profile):
    """Run one of the subjects; returns the report."""

    def start(name, *, resume=False, listen=lambda step, result: None, **more):
        request = Request(f"{SUBJECTS}:{name}", profile(**more), device="cpu", resume=resume)
        return execute(request, tmp_path, listen)

    return start
