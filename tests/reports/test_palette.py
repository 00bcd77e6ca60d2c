"""WCAG AA: 4.5 to 1 for text, 3 to 1 for graphics, by day and by night."""

import re
from pathlib import Path

import pytest

import gonogo.reports
from gonogo.reports.chart_heat import luminance

CSS = Path(gonogo.reports.__file__).with_name("report.css").read_text(encoding="utf-8")
STATES = ("pass", "warn", "fail", "error", "skip", "waived")


def variables(block):
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


LIGHT = variables(CSS[: CSS.index("@media")])
DARK = {**LIGHT, **variables(CSS[CSS.index("prefers-color-scheme: dark") : CSS.index("box-sizing")])}
PLANES = ("paper", "card", "soft")
TEXT = [(ink, plane) for ink in ("ink", "muted", "link", *STATES) for plane in PLANES]
TEXT += [(state, f"{state}-soft") for state in STATES] + [(f"{v}-ink", v) for v in ("go", "no-go", "hold", "proxy")]
GRAPHICS = [(line, "card") for line in (*(f"s{i}" for i in range(8)), "zone-pass", "zone-warn", "zone-fail")]


def contrast(a, b):
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "plane"), TEXT)
def test_text_can_be_read(palette, ink, plane):
    assert contrast(palette[ink], palette[plane]) >= 4.5


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("line", "plane"), GRAPHICS)
def test_graphics_can_be_told_from_the_background(palette, line, plane):
    assert contrast(palette[line], palette[plane]) >= 3


def test_no_colour_is_named_outside_the_palette():
    rules = CSS[CSS.index("box-sizing") : CSS.index("@media print")]
    assert not re.findall(r"#[0-9a-f]{3,6}\b", rules)
