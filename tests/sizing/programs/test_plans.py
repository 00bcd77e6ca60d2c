import json

import pytest

from gonogo.errors import SubjectError
from gonogo.sizing.programs import decoder, plans

SMALL = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "vocab_size": 100,
}
LARGE = {
    **SMALL,
    "hidden_size": 5120,
    "num_hidden_layers": 40,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 15104,
    "vocab_size": 131072,
}
# Published counts; the sizes are those of their config.json files.
LLAMA_2_13B = {**LARGE, "num_key_value_heads": 40, "intermediate_size": 13824, "vocab_size": 32000}
LLAMA_3_8B = {**LARGE, "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32}
LLAMA_3_8B |= {"intermediate_size": 14336, "vocab_size": 128256}


@pytest.mark.parametrize(
    ("config", "count"),
    [(LARGE, 13_139_072_000), (LLAMA_2_13B, 13_015_864_320), (LLAMA_3_8B, 8_030_261_248)],
)
def test_parameter_counts_are_those_published(config, count):
    assert decoder.shape_of(config, "x").parameters == count


def test_the_decoder_has_the_parameters_that_its_shape_says():
    shape = decoder.shape_of(SMALL, "x")
    assert sum(p.numel() for p in decoder.Decoder(shape, 8).parameters()) == shape.parameters


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_attention_heads": 7}, "not divisible by num_attention_heads 7; 4, 8 or 16|4, 8"),
        ({"num_key_value_heads": 3}, "not divisible by num_key_value_heads 3"),
        ({"hidden_size": 0}, "hidden_size is 0; expected a whole number of at least 1"),
        ({"vocab_size": "many"}, "vocab_size is 'many'"),
        ({"intermediate_size": None}, "intermediate_size is missing"),
    ],
)
def test_impossible_sizes_are_refused_with_what_would_do(change, message):
    with pytest.raises(SubjectError, match=message):
        decoder.shape_of({**SMALL, **change}, "config.json")


def test_a_config_json_is_a_plan(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**SMALL, "max_position_embeddings": 64}))
    plan = plans.read(path, batch=3)
    assert plan.program.tokens == 3 * 64
    assert plan.program.trace().parameters == decoder.shape_of(SMALL, "x").parameters


def test_an_unknown_key_names_the_nearest(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(f"model: {json.dumps(SMALL)}\ntraining: {{sequense: 8}}\n")
    with pytest.raises(SubjectError, match="Did you mean 'sequence'"):
        plans.read(path)


@pytest.mark.parametrize("value", ["-1", "0", "1.5", "many", "99999999999999"])
def test_sizes_that_no_run_has_are_refused(tmp_path, value):
    path = tmp_path / "plan.yaml"
    path.write_text(f"model: {json.dumps(SMALL)}\ntraining: {{micro_batch: {value}}}\n")
    with pytest.raises(SubjectError, match="micro_batch is"):
        plans.read(path)


def test_another_architecture_needs_the_library_that_has_it():
    if plans.importlib.util.find_spec("transformers"):
        pytest.skip("transformers is installed")
    with pytest.raises(SubjectError, match="pip install transformers"):
        plans.of_config({"model_type": "t5"}, {}, "x", "config.json")


def test_a_missing_file_is_told_in_words(tmp_path):
    with pytest.raises(SubjectError, match="cannot be read"):
        plans.read(tmp_path / "none.yaml")
