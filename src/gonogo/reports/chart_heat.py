"""Heat maps: the first column names the rows, the other columns are the columns."""

from xml.etree import ElementTree as ET

from gonogo.core.measurement import Table
from gonogo.reports import svg
from gonogo.reports.svg import CHARACTER, WIDTH, Scale
from gonogo.reports.wording import cell, shorten

_CELLS = 1500  # more are neither readable nor light
_NARROW = 5.0
# From pale to deep; both ends of the second one are as deep, so that the sign is told by hue and the size by depth.
SEQUENTIAL = ((0.0, "#e9f2f8"), (0.4, "#7cc0ea"), (0.75, "#0072b2"), (1.0, "#062f4d"))
DIVERGING = ((0.0, "#6b2f00"), (0.25, "#d55e00"), (0.5, "#f5f2ee"), (0.75, "#3d9bd8"), (1.0, "#062f4d"))


def most_columns(table: Table) -> int:
    """How many columns are drawn."""
    return int(min(_CELLS // max(1, len(table.rows)), (WIDTH - 230) // _NARROW))


def draw(table: Table, id: str, finding: str) -> ET.Element:
    """Cells from pale (low) to deep (high), with their numbers where there is room; negative ones in another hue."""
    names = table.columns[1 : 1 + most_columns(table)]
    labels = [shorten(cell(row[0] if row else None), 28) for row in table.rows]
    left = 12 + CHARACTER * max(len(label) for label in labels)
    width = min(84.0, (WIDTH - left) / len(names))
    height = 28.0 if len(labels) <= 20 else 17.0
    top = _head_height(names, width)
    picture = svg.canvas(top + height * len(labels) + 44, id, table.title, finding)
    _heads(picture, names, left, top, width)
    rows = [[svg.as_number(value) for value in row[1 : 1 + len(names)]] for row in table.rows]
    colours = _colours([value for row in rows for value in row if value is not None])
    for index, (label, row) in enumerate(zip(labels, rows, strict=True)):
        y = top + height * index
        svg.write(picture, left - 10, y + height / 2 + 4, label, "label", text_anchor="end")
        for column, value in enumerate(row):
            _cell(picture, value, colours, (left + width * column, y, width, height))
    _key(picture, colours, left, top + height * len(labels) + 18)
    return picture


def _cell(picture: ET.Element, value: float | None, colours: Scale, box: tuple[float, float, float, float]) -> None:
    x, y, width, height = box
    gap = 1.0 if width > 10 else 0.0
    corner = {"x": x, "y": y, "width": width - gap, "height": height - gap}
    if value is None:
        svg.shape(picture, "rect", "empty", **corner)
    else:
        svg.shape(picture, "rect", "heat", **corner, fill=colour(colours, value))
    text = cell(value) if value is None else f"{value:.2g}"  # the exact number is in the data table
    if CHARACTER * len(text) < width - 4 and height > 20:
        fill = "currentColor" if value is None else ink_on(colour(colours, value))
        svg.write(picture, x + width / 2, y + height / 2 + 4, text, "number", text_anchor="middle", fill=fill)


def _head_height(names: tuple[str, ...], width: float) -> float:
    longest = max(len(name) for name in names)
    return 24.0 if CHARACTER * longest < width else 18 + 0.72 * CHARACTER * min(16, longest)


def _heads(picture: ET.Element, names: tuple[str, ...], left: float, top: float, width: float) -> None:
    stride = max(1, -(-13 // int(width)))
    for column, name in enumerate(names[::stride]):
        x, y = left + width * (column * stride + 0.5), top - 8
        turned = (
            {"transform": f"rotate(-45 {svg.place(x)} {svg.place(y)})"} if top > 24.0 else {"text_anchor": "middle"}
        )
        svg.write(picture, x, y, shorten(name, 16), "label", 16, **turned)


def _colours(values: list[float]) -> Scale:
    lo, hi = min(values), max(values)
    if lo < 0 < hi:
        reach = max(-lo, hi)
        return Scale(-reach, reach, 0.0, 1.0)
    return svg.scale(values, 0.0, 1.0)


def colour(scale: Scale, value: float) -> str:
    """The colour of a value, the same in light and dark mode: a number must not change its meaning at night."""
    stops = DIVERGING if scale.lo < 0 and scale.hi == -scale.lo else SEQUENTIAL
    at = scale(value)
    upper = next(index for index in range(1, len(stops)) if at <= stops[index][0] or index == len(stops) - 1)
    (from_at, start), (to_at, end) = stops[upper - 1], stops[upper]
    share = (at - from_at) / (to_at - from_at)
    mixed = (round(a + (b - a) * share) for a, b in zip(_rgb(start), _rgb(end), strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def ink_on(background: str) -> str:
    """Black or white, whichever is read better on this colour."""
    light = luminance(background)
    return "#000000" if (light + 0.05) / 0.05 >= 1.05 / (light + 0.05) else "#ffffff"


def luminance(colour: str) -> float:
    """Relative luminance of '#rrggbb' as WCAG defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in _rgb(colour))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _key(picture: ET.Element, colours: Scale, left: float, y: float) -> None:
    for step in range(24):
        value = colours.lo + (colours.hi - colours.lo) * (step + 0.5) / 24
        svg.shape(picture, "rect", "heat", x=left + 6 * step, y=y, width=6.3, height=9, fill=colour(colours, value))
    svg.write(picture, left, y + 23, cell(colours.lo))
    svg.write(picture, left + 144, y + 23, cell(colours.hi), text_anchor="end")
