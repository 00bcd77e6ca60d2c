"""A right plan is never accused, each planted mistake is, and the mistakes of a published plan are named."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from gonogo.core.profile import parse_yaml
from gonogo.errors import SubjectError
from gonogo.sizing.stated import audit as stated
from gonogo.sizing.stated import plan as stated_plan

ROOT = Path(__file__).parent.parent.parent.parent
# Bytes per parameter of weights, gradients, optimizer states (with the fp32 copy), by what has been done so far.
FP32, AUTOCAST, MASTER, PURE, LOW_BIT = (4, 4, 8), (4, 4, 8), (2, 2, 12), (2, 2, 4), (2, 2, 2)
PRECISION = {"fp32": FP32, "mixed-precision": MASTER, "autocast": AUTOCAST, "no-master": PURE}
CARDS = {"2xA5000": 2, "8xH100": 8, "1xH200": 1}


def wrong(plan):
    return [(one.stage, one.line) for one in stated.audit(stated_plan.read(plan)).wrong]


@some.composite
def right_plans(draw):
    """Plans in which each figure is worked out from the parameters and rounded to two decimals."""
    count, cards = draw(some.integers(10**9, 10**11)) | 1, draw(some.sampled_from(sorted(CARDS)))
    unit = draw(some.sampled_from([("GB", 1e9), ("GiB", 2.0**30)]))
    precision = draw(some.sampled_from(sorted(PRECISION)))
    later = draw(some.permutations(["adamw8bit", "checkpointing", "accumulation", "fsdp"]))
    later = later[: draw(some.integers(0, 4))]
    offload = draw(some.booleans())
    each, activations = list(FP32), draw(some.floats(1, 200))
    rows = [row(["fp32"], each, activations, count / unit[1], None, 1, draw)]
    for remedy in [precision, *later, *(["offload-states"] if offload else [])]:
        before = each
        each, activations = after(remedy, each, activations, precision)
        shards = CARDS[cards] if "fsdp" in [*rows[-1]["remedies"], *in_force(rows), remedy] else 1
        made = row([remedy], each, activations, count / unit[1], rows[-1], shards, draw)
        if remedy == "offload-states":
            made["host"] = round((before[2] - each[2]) * count / unit[1], 2)
        rows.append(made)
    return {"parameters": count, "devices": cards, "unit": unit[0], "stages": rows}


def in_force(rows):
    return [remedy for one in rows for remedy in one["remedies"]]


def after(remedy, each, activations, precision):
    """Bytes per parameter and activations once a remedy is added."""
    if remedy in PRECISION:
        return list(PRECISION[remedy]), activations / (1 if remedy == "fp32" else 2)
    if remedy == "adamw8bit":
        return [*each[:2], 6 if precision == "mixed-precision" else 2], activations
    if remedy == "offload-states":
        return [*each[:2], 0], activations
    return each, activations / (5 if remedy == "checkpointing" else 1)


def row(remedies, each, activations, scale, last, shards, draw):
    names = ("weights", "gradients", "optimizer")
    exact = {name: scale * bytes for name, bytes in zip(names, each, strict=True)} | {"activations": activations}
    total = sum(exact.values())
    lines = {name: round(value, 2) for name, value in exact.items()} | {"total": round(total, 2)}
    made = {"name": remedies[0], "remedies": remedies, "lines": lines}
    if last is not None and draw(some.booleans()):
        made["saves"] = f"{max(0, 100 * (1 - total / last['lines']['total'])):.1f} %"
    if draw(some.booleans()):
        made["per_device"] = round((total - activations) / shards + activations, 2)
    return made


@given(right_plans())
def test_a_right_plan_is_never_accused(plan):
    assert wrong(plan) == []


@given(right_plans(), some.data())
def test_a_line_off_by_a_tenth_is_named(plan, data):
    plan = copy.deepcopy(plan)
    row = data.draw(some.sampled_from(plan["stages"]))
    line = data.draw(some.sampled_from(["weights", "gradients", "total"]))
    row["lines"][line] = round(row["lines"][line] * 1.1 + 0.2, 2)
    assert (row["name"], line) in wrong(plan)


@given(right_plans(), some.sampled_from([0.5, 2.0]))
def test_states_of_another_width_are_named(plan, factor):
    first = plan["stages"][0]
    first["lines"]["optimizer"] = round(first["lines"]["optimizer"] * factor, 2)
    assert (first["name"], "optimizer") in wrong(plan)


@given(right_plans(), some.integers(11, 60))
def test_a_saving_that_no_line_shows_is_named(plan, more):
    row = plan["stages"][-1]
    if len(plan["stages"]) > 1:
        saved = [1 - row["lines"]["total"] / one["lines"]["total"] for one in (plan["stages"][-2], plan["stages"][0])]
        row["saves"] = f"{100 * max(saved) + more:.1f} %"
        assert (row["name"], "saves (total)") in wrong(plan)


SHARDS = {"ddp": (), "zero1": (2,), "zero2": (1, 2), "fsdp": (0, 1, 2)}  # of weights, gradients, states


@given(
    some.integers(10**9, 10**11),
    some.sampled_from(sorted(PRECISION)),
    some.sampled_from(sorted(SHARDS)),
    some.sampled_from([2, 4, 8]),
    some.floats(0.5, 50),
)
def test_what_one_device_holds_is_accepted_in_either_way_of_counting(count, precision, sharding, number, activations):
    whole = [bytes * (count | 1) / 1e9 for bytes in PRECISION[precision]]
    parts = [value / (number if place in SHARDS[sharding] else 1) for place, value in enumerate(whole)]
    held = round(sum(parts) + activations, 2)
    for counted, each in (("replica", whole), ("device", parts)):
        lines = dict(zip(("weights", "gradients", "optimizer"), (round(value, 2) for value in each), strict=True))
        lines |= {"activations": round(activations, 2), "total": round(sum(each) + activations, 2)}
        only = stage("a", [precision, sharding], lines=lines, per_device=held)
        plan = {"parameters": count | 1, "devices": f"{number}xA5000", "counted": counted, "stages": [only]}
        assert wrong(plan) == []
        only["per_device"] = round(held * (1.3 if counted == "device" else number * 1.3), 2)
        assert wrong(plan) == [("a", "per device")]


def plan_of(*stages, **facts):
    return {"parameters": "13.14B", "devices": "2xA5000", "stages": list(stages), **facts}


def stage(name, remedies, **facts):
    return {"name": name, "remedies": remedies, **facts}


FULL = {"weights": 52.56, "gradients": 52.56, "optimizer": 105.12, "activations": 20, "total": 230.24}


def test_accumulation_lowers_no_static_memory():
    found = wrong(plan_of(stage("a", ["fp32"], lines=FULL), stage("b", "accumulation=32", lines={"total": 150})))
    assert found == [("b", "total")]


def test_without_sharding_each_device_holds_the_whole():
    assert wrong(plan_of(stage("a", ["ddp"], lines=FULL, per_device=115.12))) == [("a", "per device")]


def test_sharding_of_states_divides_nothing_else():
    right = 52.56 * 2 + 52.56 + 20
    assert wrong(plan_of(stage("a", ["zero1"], lines=FULL, per_device=right))) == []
    assert wrong(plan_of(stage("a", ["zero1"], lines=FULL, per_device=115.12))) == [("a", "per device")]


def test_lines_of_one_device_are_divided_only_where_they_are_sharded():
    lines = {"weights": 26.28, "gradients": 26.28, "optimizer": 52.56}
    assert wrong(plan_of(stage("a", ["fsdp"], lines=lines), counted="device")) == []
    assert len(wrong(plan_of(stage("a", ["ddp"], lines=lines), counted="device"))) == 3


@pytest.mark.parametrize(
    ("remedies", "lines"),
    [
        (["autocast"], {"weights": 52.56, "gradients": 52.56, "optimizer": 105.12}),
        (["mixed-precision"], {"weights": 52.56, "gradients": 52.56, "optimizer": 105.12}),
        (["mixed-precision"], {"weights": 26.28, "gradients": 26.28, "optimizer": 157.68}),
        (["mixed-precision"], {"weights": 26.28, "gradients": 26.28, "master": 52.56, "optimizer": 105.12}),
        (["mixed-precision"], {"weights": 26.28, "gradients": 26.28, "fp32 copy": 52.56, "optimizer": 105.12}),
        (["mixed-precision"], {"weights": 78.84, "gradients": 52.56, "optimizer": 105.12}),
        (["bf16"], {"params": 26.28, "grads": 26.28, "optimizer_states": 52.56}),
        (["bf16", "adamw8bit"], {"weights": 26.28, "gradients": 26.28, "optimizer": 26.7}),
        (["lora=16", "bf16"], {"weights": 26.3, "gradients": 0.2, "optimizer": 0.8}),
        (["fsdp", "offload-parameters"], {"weights": 1.3, "gradients": 0, "optimizer": 0}),
    ],
)
def test_every_right_layout_is_accepted(remedies, lines):
    assert wrong(plan_of(stage("a", remedies, lines=lines, host=210.24))) == []


def test_half_precision_weights_need_their_master_copy_under_mixed_precision():
    lines = {"weights": 26.28, "gradients": 26.28, "optimizer": 105.12}
    assert wrong(plan_of(stage("a", ["mixed-precision"], lines=lines))) == [("a", "optimizer")]


def test_what_is_offloaded_lies_in_host_memory():
    assert wrong(plan_of(stage("a", ["offload-parameters"], host=26))) == [("a", "host")]
    assert wrong(plan_of(stage("a", ["offload-parameters"], host=211))) == []


def test_a_total_alone_must_hold_the_least_layout():
    assert wrong(plan_of(stage("a", ["fp32"], lines={"total": 105}))) == [("a", "total")]


def test_a_figure_in_the_other_gigabyte_is_said_to_be_one():
    found = stated.audit(stated_plan.read(plan_of(stage("a", ["fp32"], lines={"weights": 48.95})))).wrong
    assert "other unit" in found[0].why


def test_the_published_plan_is_audited_line_by_line():
    plan = parse_yaml((ROOT / "examples/astro_memory_plan.yaml").read_text(encoding="utf-8"), "plan")["memory_plan"]
    assert wrong(plan) == [
        ("devices", "available per device"),
        ("devices", "target per device"),
        ("1 mixed precision", "saves (total)"),
        ("3 8-bit AdamW", "weights"),
        ("3 8-bit AdamW", "gradients"),
        ("4 optimizer states on the host", "host"),
        ("5 gradient accumulation", "total"),
        ("5 gradient accumulation", "fits"),
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stagez": []}, "Did you mean 'stages'"),
        ({"parameters": "many"}, "a count such as"),
        ({"stages": []}, "a list of stages"),
        ({"unit": "Gb"}, "known are GB"),
        ({"stages": [{"remedies": ["chekpointing"]}]}, "Did you mean 'checkpointing'"),
        ({"stages": [{"lines": {"wieghts": 1}}]}, "Did you mean 'weights'"),
        ({"stages": [{"lines": {"weights": -1}}]}, "not negative"),
        ({"stages": [{"fits": "yes"}]}, "true or false"),
        ({"devices": "2xA500O"}, "nearest"),
    ],
)
def test_a_plan_that_cannot_be_read_says_where(change, said):
    with pytest.raises(SubjectError, match=said):
        stated_plan.read({"parameters": 1e9, "stages": [{"name": "a"}], **change})


def test_the_audit_needs_no_torch():
    code = "import sys; import gonogo.sizing.stated.audit; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
