import pytest
import torch

from gonogo.errors import SubjectError
from gonogo.execution.provenance import of_training
from gonogo.training.subject import Subject

CPU = torch.device("cpu")


@pytest.mark.parametrize("config", [{("a", 1): 2}, {"b": object}, {"c": float("nan")}])
def test_any_configuration_has_a_digest(config):
    assert of_training(Subject("x", config=config), CPU)["configuration digest"]


def test_a_configuration_that_contains_itself_has_a_digest():
    config = {}
    config["self"] = config
    assert of_training(Subject("x", config=config), CPU)["configuration digest"]


def test_a_configuration_file_that_is_not_there_or_no_text_is_refused(tmp_path):
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xc4\x00\xff")
    for path, why in ((tmp_path / "none.yaml", "No such file"), (binary, "not UTF-8")):
        with pytest.raises(SubjectError, match=rf"config: .* cannot be read \(.*{why}"):
            of_training(Subject("x", config=path), CPU)
