"""Models of the library Transformers, as small as they get: seen in both implementations, unchanged, not accused."""

import pytest
import torch

from gonogo.checks.attention.degenerate import degenerate
from gonogo.checks.attention.rows import rows
from gonogo.core.criterion import Status
from gonogo.instruments.attention.capture import capturing
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SMALL = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
QFORMER = SMALL | {"encoder_hidden_size": 24, "cross_attention_frequency": 1}
VISION = {
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 8,
}
OPT = {
    "model_type": "opt",
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "ffn_dim": 64,
    "word_embed_proj_dim": 32,
}


def ids():
    return torch.randint(3, 50, (4, 9), generator=torch.Generator().manual_seed(0))


def features(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def words():
    mask = torch.ones(4, 9, dtype=torch.long)
    mask[1, 6:] = 0
    return {"input_ids": ids(), "attention_mask": mask}


def queries():
    return {"query_embeds": features(4, 5, 32), "encoder_hidden_states": features(4, 9, 24)}


def picture_and_words():
    asked = torch.cat([torch.full((4, 5), 55), ids()], 1)
    return {"pixel_values": features(4, 3, 16, 16), "input_ids": asked, "attention_mask": torch.ones_like(asked)}


def blip2():
    return {"vision_config": VISION, "qformer_config": QFORMER, "text_config": OPT}


# name: (config, its fields, model, inputs, calls of attention in one forward)
MODELS = {
    "bert": ("BertConfig", SMALL, "BertModel", words, 2),
    "gpt2": ("GPT2Config", {"vocab_size": 50, "n_embd": 32, "n_layer": 2, "n_head": 4}, "GPT2Model", words, 2),
    "llama": ("LlamaConfig", SMALL | {"num_key_value_heads": 2}, "LlamaModel", words, 2),
    "qformer": ("Blip2QFormerConfig", QFORMER, "Blip2QFormerModel", queries, 4),
    "blip2": ("Blip2Config", blip2(), "Blip2ForConditionalGeneration", picture_and_words, 6),
}


def build(name, implementation):
    import transformers

    config, fields, model, _, _ = MODELS[name]
    extra = {"num_query_tokens": 5, "image_token_index": 55} if name == "blip2" else {}
    made = getattr(transformers, config)(**fields, **extra)
    return getattr(transformers, model)._from_config(made, attn_implementation=implementation)


def first(output):
    return output.logits if "logits" in output else output.last_hidden_state


def subject(name, implementation):
    return Subject(
        name,
        model=lambda: build(name, implementation),
        loss=lambda model, batch: first(model(**batch)).square().mean(),
        optimizer=lambda model: torch.optim.AdamW(model.parameters(), 1e-4),
        splits={"train": lambda: [MODELS[name][3]()]},
    )


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("name", MODELS)
def test_every_call_is_seen_and_no_bit_changes(name, implementation):
    model, inputs = build(name, implementation).eval(), MODELS[name][3]()
    with torch.no_grad():
        plain = first(model(**inputs))
        with capturing(model) as captured:
            watched = first(model(**inputs))
    assert torch.equal(plain, watched)
    assert len(captured.maps) == MODELS[name][4]
    assert not captured.unseen
    assert all(one.where and one.over_keys < 1e-6 for one in captured.maps)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("check", [rows.check, degenerate.check], ids=lambda check: check.id)
def test_a_fresh_model_passes(check, name):
    result = answer(check, subject(name, "sdpa"))
    assert result.status is Status.PASS, result.reason


def test_both_implementations_give_the_same_weights():
    maps = []
    for implementation in ("eager", "sdpa"):
        torch.manual_seed(0)
        model = build("llama", implementation).eval()
        with torch.no_grad(), capturing(model) as captured:
            model(**words())
        maps.append([one.weights for one in captured.maps])
    assert all(torch.allclose(one, two, atol=1e-6) for one, two in zip(*maps, strict=True))


def test_flexible_attention_is_no_pass():
    result = answer(rows.check, subject("llama", "flex_attention"))
    assert result.status is Status.SKIP
    assert "flex_attention" in result.reason
