"""The smallest changes that make a program fit: what costs least time first.

Most candidates are ruled out by what is always there (weights, gradients, optimizer states), which takes no trace of a
step; what is left is traced, in order of its price in time, until something fits.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gonogo.errors import SubjectError
from gonogo.sizing.answer import HEADROOM, Sizing, size
from gonogo.sizing.card.step import Untraceable
from gonogo.sizing.costs.devices import Device
from gonogo.sizing.programs.program import Program
from gonogo.sizing.strategies import named as strategies
from gonogo.sizing.strategies.named import Strategy

# Remedies in order of their price in time. What changes the experiment comes last.
REMEDIES = (
    ("checkpointing",),
    ("adamw8bit",),
    ("bf16",),
    ("bf16", "checkpointing"),
    ("bf16", "adamw8bit"),
    ("bf16", "adamw8bit", "checkpointing"),
    ("offload-states", "bf16", "checkpointing"),
    ("offload-parameters", "bf16", "checkpointing"),
    ("lora=16", "bf16", "checkpointing"),
)
COUNTS = (2, 4, 8, 16)
MOST = 2  # traces for each number of devices
FOUND = 2  # ways, each with another number of devices


@dataclass(frozen=True, slots=True)
class Change:
    """What to change, and what the answer would be."""

    what: str
    sizing: Sizing


def smallest(
    program: Program,
    device: Device,
    count: int,
    chosen: Sequence[Strategy],
    tell: Callable[[str], None] = lambda text: None,
) -> list[Change]:
    """Changes that make it go, best first: on the devices given, and on more of them; empty if none was found.

    `tell` hears of each one that is traced, which may take a while.
    """
    found: list[Change] = []
    traces: Counter[int] = Counter()
    for names, number in _candidates(chosen, count):
        if traces[number] == MOST or any(change.sizing.count == number for change in found) or len(found) == FOUND:
            continue
        try:
            wanted = strategies.parse(",".join(names), number)
            if _static(program, wanted) > device.memory_bytes * (1 - HEADROOM):
                continue
            traces[number] += 1
            tell(f"  trying: {_words(names, number, chosen, count, device) or 'as it is'}")
            sizing = size(program, device, number, wanted, steps=2, stop=True)
        except SubjectError:
            continue  # these contradict each other, or what the program is
        if sizing.go:
            found.append(Change(_words(names, number, chosen, count, device), sizing))
    return found


def _candidates(chosen: Sequence[Strategy], count: int) -> Iterator[tuple[tuple[str, ...], int]]:
    have, seen = tuple(one.name for one in chosen), {(frozenset(one.name for one in chosen), count)}
    for number in (count, *(more for more in COUNTS if more > count)):
        sharded = ("fsdp",) if number > 1 else ()
        for remedy in ((), *REMEDIES):
            kept = tuple(name for name in have if not _replaced(name, (*remedy, *sharded)))
            names = tuple(dict.fromkeys((*kept, *remedy, *sharded)))
            if (frozenset(names), number) not in seen:
                seen.add((frozenset(names), number))
                yield names, number


def _replaced(name: str, by: Sequence[str]) -> bool:
    """Does a remedy take the place of this strategy?"""
    groups = (
        ("ddp", "zero1", "zero2", "fsdp"),
        ("bf16", "fp16", "fp32", "amp", "master"),
        ("offload-states", "offload-parameters"),
    )
    return any(name in group and any(other in group for other in by) for group in groups)


def _static(program: Program, wanted: Sequence[Strategy]) -> int:
    """Bytes of weights, gradients and optimizer states under strategies; 0 where that cannot be said."""
    try:
        return strategies.apply(program, wanted).static_bytes()
    except Untraceable:
        return 0


def _words(names: Sequence[str], number: int, chosen: Sequence[Strategy], count: int, device: Device) -> str:
    have = [one.name for one in chosen]
    added = [name for name in names if name not in have]
    dropped = [name for name in have if name not in names]
    parts = [f"{number}x{device.name} instead of {count}"] if number != count else []
    parts += [f"with {', '.join(added)}"] if added else []
    parts += [f"without {', '.join(dropped)}"] if dropped else []
    return ", ".join(parts)
