"""What `gonogo study` needs beside the command line: the study itself, its comparison, the page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gonogo.adapters import locate
from gonogo.errors import SubjectError
from gonogo.reports.document import Document
from gonogo.reports.wording import count
from gonogo.study import tables, trials
from gonogo.study.comparison import Comparison
from gonogo.study.design import Study


def found(subject: str, settings: tuple[tuple[str, Any], ...]) -> Study:
    """The study that SUBJECT names. Called again in the process of every trial.

    Raises:
        SubjectError: Nothing usable is there.
    """
    target = locate.find(subject, "study")
    if not isinstance(target, Study):
        if not callable(target):
            raise SubjectError(f"{subject} is {type(target).__name__}; expected a Study or a function that returns one")
        target = locate.built(target, dict(settings), subject)
    elif settings:
        raise SubjectError(f"{subject} is a Study, not a function: it takes no {settings[0][0]!r}")
    if not isinstance(target, Study):
        raise SubjectError(f"{subject}() returned {type(target).__name__}; expected a Study")
    return target


def compared(load: trials.Load, folder: Path, **how: Any) -> Comparison:
    """The trials of a study, run or resumed, as a comparison."""
    return Comparison(*trials.run(load, folder, **how))


def described(comparison: Comparison, facts: Mapping[str, Any]) -> Document:
    """The comparison as a page."""
    flags = comparison.flags()
    reference, others = comparison.study.reference, len(comparison.contrasts())
    ahead = sum(contrast.standing == "ahead" for contrast in comparison.contrasts())
    answer = f"{reference} is ahead of {ahead} of {others} variants beyond noise in {comparison.study.metrics[0].name}."
    notes = ["Every interval is at 95 % for itself; they are not corrected for how many are read together."]
    if worse := len(tables.worse_than_constant(comparison).rows):
        told = f"{count(worse, 'result')} worse than that of {comparison.study.constant}, beyond noise"
        notes.append(f"{told}: see the table.")
    return Document(
        title=comparison.study.name,
        answer=answer,
        tables=tuple(tables.all_tables(comparison)),
        numbers=tables.numbers(comparison),
        flags=tuple(flags),
        notes=tuple(notes),
        facts={**facts, **comparison.study.identity},
        proxy=comparison.study.proxy,
    )
