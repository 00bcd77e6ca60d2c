from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gonogo.errors import ProfileError, SubjectError
from gonogo_recipes.maft.batch import STREAMS
from gonogo_recipes.maft.losses import loss
from gonogo_recipes.maft.model import build_model
from gonogo_recipes.maft.settings import CONFIG, Settings, load
from gonogo_recipes.maft.settings_fields import SECTIONS, Size
from gonogo_recipes.maft.settings_rules import divisors_near, listed
from gonogo_recipes.maft.settings_summary import Machine, activation_bytes, advices, parameters, summary

LARGE = Machine(memory=10**15, cpus=1_000)
FIELDS = [f"{section}.{name}" for section, kind in SECTIONS.items() for name in kind.model_fields]


def refusal(overrides: Mapping[str, Any], source: Any = None) -> str:
    with pytest.raises((SubjectError, ProfileError)) as found:
        load(source, overrides)
    return str(found.value)


@pytest.mark.requirement("MAFT-4.1")
def test_a_yaml_file_is_read_into_its_three_sections(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("model: {hidden_dim: 64}\ntraining: {epochs: 5}\ndata: {seed: 3}\n")
    settings = load(file)
    assert (settings.model.hidden_dim, settings.training.epochs, settings.data.seed) == (64, 5, 3)


@pytest.mark.requirement("MAFT-4.1")
def test_the_documented_configuration_is_the_default() -> None:
    assert load(CONFIG) == load()


@pytest.mark.requirement("MAFT-4.1", "MAFT-10.6")
def test_every_setting_is_documented_with_its_default() -> None:
    lines = [line.replace("# ", "", 1) if line.startswith("  # ") else line for line in CONFIG.read_text().splitlines()]
    prose = [line for line in lines if line.startswith("  ") and not line.partition(":")[1]]
    documented = yaml.safe_load("\n".join(line for line in lines if line not in prose and "expects;" not in line))
    assert documented == load().model_dump(mode="json")


@pytest.mark.parametrize("size", get_args(Size))
def test_every_size_loads_and_is_small_enough_to_describe(size: str) -> None:
    settings = load({"size": size})
    assert settings.size == size
    assert parameters(settings) > 0


def test_what_is_given_wins_over_the_size_and_an_override_over_both() -> None:
    settings = load({"size": "base", "model": {"num_heads": 8}}, {"model.num_heads": 16})
    assert (settings.model.hidden_dim, settings.model.num_heads) == (768, 16)


def test_the_data_follow_the_model_where_they_are_silent() -> None:
    assert load(overrides={"model.audio_dim": 5, "model.num_classes": 7}).data.audio_dim == 5


@pytest.mark.requirement("MAFT-4.2")
def test_heads_that_do_not_divide_are_refused_with_those_that_do() -> None:
    message = refusal({"size": "base", "model.num_heads": 7})
    assert "model.num_heads: hidden_dim 768 is not divisible by num_heads 7; 6, 8 or 12 would do" in message


@pytest.mark.requirement("MAFT-4.2", "MAFT-4.3", "MAFT-4.4")
@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        ("model.hidden_dim", 0, "positive whole number"),
        ("model.hidden_dim", 1e15, "below 2**31"),
        ("model.num_layers", -1, "positive whole number"),
        ("model.fusion_layers", 1.5, "positive whole number"),
        ("model.num_classes", 0, "positive whole number"),
        ("model.num_heads", True, "positive whole number"),
        ("model.text_dim", -1, "0 or a positive whole number"),
        ("model.dropout", 1.01, "from 0 to 1"),
        ("model.modality_dropout", -0.1, "from 0 to 1"),
        ("model.temperature", 0, "above 0"),
        ("model.encoder", "gru", "transformer or lstm"),
        ("model.freeze_text", "perhaps", "true or false"),
        ("training.epochs", 0, "positive whole number"),
        ("training.batch_size", 0, "positive whole number"),
        ("training.learning_rate", 0, "above 0 and below 1"),
        ("training.learning_rate", 1, "above 0 and below 1"),
        ("training.learning_rate", float("nan"), "above 0 and below 1"),
        ("training.text_learning_rate", 1, "below 1"),
        ("training.weight_decay", -0.1, "at least 0"),
        ("training.weight_decay", float("inf"), "at least 0"),
        ("training.consistency_weight", -1, "at least 0"),
        ("training.warmup_ratio", 1.1, "from 0 to 1"),
        ("training.max_norm", "much", "above 0"),
        ("data.text_length", 0, "positive whole number"),
        ("data.num_workers", -1, "0 or a positive whole number"),
        ("data.task", "mosei", "one of correlated, stressed-word"),
        ("data.path", 3, "path of a file"),
    ],
)
def test_a_wrong_value_is_refused_with_its_path_its_rule_and_what_would_do(path: str, value: Any, rule: str) -> None:
    [line] = refusal({path: value}).splitlines()[1:]
    assert line.startswith(f"  {path}: {value!r} was found")
    assert rule in line
    assert line.endswith("would do")


@pytest.mark.requirement("MAFT-4.2", "MAFT-4.3", "MAFT-4.4")
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model.dropout", 0),
        ("model.dropout", 1),
        ("model.modality_dropout", 1),
        ("model.num_heads", 32),
        ("model.num_classes", 1),
        ("training.learning_rate", 0.999),
        ("training.learning_rate", 1e-12),
        ("training.weight_decay", 0),
        ("training.consistency_weight", 0),
        ("training.warmup_ratio", 0),
        ("training.warmup_ratio", 1),
        ("training.batch_size", 1),
        ("data.num_workers", 0),
        ("data.text_length", 1),
        ("data.correlation", 1),
    ],
)
def test_the_edges_of_what_is_legal_are_legal(path: str, value: float) -> None:
    section, name = path.split(".")
    assert getattr(getattr(load(overrides={path: value}), section), name) == value


@pytest.mark.requirement("MAFT-4.3")
@pytest.mark.parametrize("text", ["3e-4", "3E-4", "0.0003", ".3e-3"])
def test_numbers_that_yaml_reads_as_texts_are_numbers(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"training: {{learning_rate: {text}, batch_size: '1e1'}}\n")
    settings = load(file)
    assert (settings.training.learning_rate, settings.training.batch_size) == (0.0003, 10)
    assert load({"training": {"learning_rate": text}}).training.learning_rate == 0.0003


@pytest.mark.requirement("MAFT-4.3")
def test_a_learning_rate_of_zero_is_legal_only_where_the_weights_are_frozen() -> None:
    frozen = load(overrides={"training.text_learning_rate": 0, "model.freeze_text": True})
    assert frozen.training.text_learning_rate == 0
    assert "training.text_learning_rate: 0 trains nothing" in refusal({"training.text_learning_rate": 0})


@pytest.mark.requirement("MAFT-4.4")
def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    gone = tmp_path / "gone.pkl"
    assert f"data.path: there is no {str(gone)!r}" in refusal({"data.path": str(gone), "data.task": "mmsa"})


@pytest.mark.requirement("MAFT-4.4")
def test_a_corpus_needs_a_path() -> None:
    assert "data.path: none is given, but task csd reads one" in refusal({"data.task": "csd"})


@pytest.mark.requirement("MAFT-4.5")
def test_data_that_do_not_fit_the_encoders_are_refused() -> None:
    message = refusal({"data.audio_dim": 5, "data.num_classes": 7})
    assert "data.audio_dim: 5 comes out of the data, but model.audio_dim 74 goes in" in message
    assert "model.num_classes: 7, would do" in message


@pytest.mark.requirement("MAFT-4.5")
def test_an_odd_width_fits_neither_the_time_code_nor_two_directions() -> None:
    assert "model.hidden_dim: 31 is odd" in refusal({"model.hidden_dim": 31, "model.num_heads": 1})


@pytest.mark.requirement("MAFT-4.5")
def test_a_batch_that_does_not_fit_the_memory_is_warned_of_with_one_that_does() -> None:
    settings = load(overrides={"training.batch_size": 10_000})
    [advice] = advices(settings, Machine(memory=2**30, cpus=8))
    assert advice.warning.startswith("training.batch_size 10000 takes about 4.9 GiB")
    fitting = load(overrides={"training.batch_size": int(advice.recommendation.split()[1].rstrip(","))})
    assert not list(advices(fitting, Machine(memory=2**30, cpus=8)))


@pytest.mark.requirement("MAFT-4.5")
def test_more_workers_than_cpus_are_warned_of() -> None:
    settings = load(overrides={"data.num_workers": 9})
    [advice] = advices(settings, Machine(memory=10**15, cpus=4))
    assert advice == (
        "data.num_workers 9 is more than the 4 CPUs of this machine",
        "data.num_workers 3 leaves one to the training",
    )


def test_a_machine_without_room_for_one_sample_is_told_to_take_a_smaller_model() -> None:
    [advice] = advices(load(), Machine(memory=1, cpus=8))
    assert "not even one sample fits" in advice.recommendation


@pytest.mark.parametrize(
    ("path", "value"), [("model.modality_dropout", 0.8), ("model.fusion_layers", 1), ("model.variant", "legacy")]
)
def test_what_is_legal_but_hardly_meant_is_warned_of(path: str, value: Any) -> None:
    [advice] = advices(load(overrides={path: value}), LARGE)
    assert path in advice.warning.replace("variant legacy", "variant")


@pytest.mark.requirement("MAFT-4.6")
def test_the_summary_has_every_value_the_changes_warnings_and_recommendations() -> None:
    settings = load(overrides={"data.num_workers": 9, "training.learning_rate": 0.01})
    text = summary(settings, Machine(memory=2**34, cpus=4))
    assert all(f"  {path.partition('.')[2]:<22}" in text for path in FIELDS)
    assert "  learning_rate         0.01 *" in text
    assert "warnings\n  - data.num_workers 9" in text
    assert "recommendations\n  - data.num_workers 3" in text
    assert "16.0 GiB free, 4 CPUs" in text


@pytest.mark.requirement("MAFT-4.6")
def test_a_summary_without_advice_says_so() -> None:
    assert summary(load(), LARGE).endswith("warnings\n  none\n\nrecommendations\n  none")


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"model.encoder": "lstm"},
        {"model.dropout": 0.1},
        {"model.variant": "legacy"},
        {"model.hidden_dim": 64, "data.audio_length": 200, "model.num_layers": 2},
    ],
)
def test_the_memory_estimate_is_within_a_fifth_of_what_autograd_keeps(overrides: dict[str, Any]) -> None:
    settings = load(overrides=overrides)
    torch.manual_seed(0)
    model, batch, kept = build_model(settings), full_batch(settings, size=8), {}
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = (tensor, storage.nbytes())  # held, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss(model, batch, settings)
    assert activation_bytes(settings) == pytest.approx(sum(size for _, size in kept.values()) / 8, rel=0.2)


def full_batch(settings: Settings, size: int) -> dict[str, Any]:
    batch: dict[str, Any] = {"label": torch.zeros(size, dtype=torch.long), "score": torch.zeros(size)}
    for stream in STREAMS:
        length, width = getattr(settings.data, f"{stream}_length"), getattr(settings.model, f"{stream}_dim")
        batch[stream] = torch.randn(size, length, width) if width else torch.ones(size, length, dtype=torch.long)
        batch[f"{stream}_mask"] = torch.ones(size, length, dtype=torch.bool)
        batch[f"{stream}_time"] = torch.linspace(0, 1, length).expand(size, -1)
    return batch


def test_all_that_is_wrong_is_said_at_once() -> None:
    message = refusal({"model.dropout": 2, "training.epochs": "many", "data.seed": -1, "data.audio_dim": 5})
    assert message.startswith("4 settings cannot be used:")
    assert all(path in message for path in ("model.dropout", "training.epochs", "data.seed", "data.audio_dim"))


def test_a_rule_of_two_values_is_silent_where_one_is_wrong_by_itself() -> None:
    assert len(refusal({"model.hidden_dim": 0, "model.num_heads": 7}).splitlines()) == 2


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"model.num_head": 8}, "model.num_head: unknown key"),
        ({"model.num_head": 8}, "Did you mean 'num_heads'?"),
        ({"num_heads": 8}, "Did you mean 'model.num_heads'?"),
        ({"model.epochs": 8}, "Did you mean 'training.epochs'?"),
        ({"modle": {}}, "Did you mean 'model'?"),
        ({"size": "smal"}, "size: 'smal' was found; tiny, small or base would do"),
        ({"size": ["small"]}, "size: ['small'] was found"),
        ({"model": 3}, "model: 3 was found; a mapping"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(overrides: dict[str, Any], expected: str) -> None:
    assert expected in refusal(overrides)


@pytest.mark.parametrize("content", ["- a list", "model: {hidden_dim: [", "just text"])
def test_a_file_that_is_no_mapping_is_refused_in_words(tmp_path: Path, content: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    assert "mine.yaml" in refusal({}, file)


@pytest.mark.parametrize("name", ["gone.yaml", ""])
def test_a_file_that_cannot_be_read_is_refused_in_words(tmp_path: Path, name: str) -> None:
    assert "cannot be read" in refusal({}, tmp_path / name)


def test_a_file_that_is_no_text_is_refused_in_words(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in refusal({}, file)


def test_an_empty_section_is_one_with_nothing_changed(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("model:\ntraining:\n")
    assert load(file) == load()


VALUES = st.one_of(
    st.integers(-3, 10**6),
    st.floats(),
    st.text(max_size=6),
    st.booleans(),
    st.none(),
    st.lists(st.integers(), max_size=2),
)


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES, min_size=1, max_size=4))
def test_any_change_loads_or_names_a_field_that_was_changed_or_belongs_to_it(overrides: dict[str, Any]) -> None:
    try:
        settings = load(overrides=overrides)
    except SubjectError as error:
        first, *lines = str(error).splitlines()
        assert first.endswith("cannot be used:")
        names = [path.partition(".")[2] for path in overrides]
        assert all(any(name in line for name in names) for line in lines)
    else:
        assert settings.model.hidden_dim % settings.model.num_heads == 0


@given(st.text(max_size=12), VALUES)
def test_any_key_loads_or_is_refused_in_words(key: str, value: Any) -> None:
    with suppress(SubjectError):
        load(overrides={key: value})


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_what_is_suggested_divides(number: int, near: int) -> None:
    assert all(number % divisor == 0 for divisor in divisors_near(number, near))


def test_lists_read_as_sentences() -> None:
    assert [listed(values) for values in ([6], [6, 8], [6, 8, 12])] == ["6", "6 or 8", "6, 8 or 12"]
