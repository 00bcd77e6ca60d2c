"""Evaluation in training mode measures another model: with dropout, and with statistics of its own batch."""

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.recording import Event, Recording
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch import evidence
from gonogo.watch.evidence import Pass
from gonogo.watch.recorded import edited, recorded

ROW = 5  # forward passes of an evaluation, and steps for each of them


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[
        at_most("in_training_mode", fail=0, source="exact: dropout or batch normalisation were in training mode"),
        at_most("dropped", warn=0, source="exact: dropout is at work in evaluation mode; some sample with it"),
        at_most("apart", warn=0, source="ours: exact as to the mode; sampling with dropout may be meant"),
        at_most("under_gradient", warn=0, source="ours: right numbers, but up to three times the memory"),
    ],
    since="0.6",
)
def evaluation_mode(session: Session) -> Observation:
    """Evaluation runs in evaluation mode | Evaluation runs as training does

    What: an evaluation is a pass over a loader of other data than those trained on, in which a trained model, or a copy
        of one, ran and nothing was differentiated. `in_training_mode` counts those in which modules with dropout or
        batch normalisation were in training mode; `under_gradient` those that recorded a graph for nothing. `apart`
        counts, where no loader tells, what looks like an evaluation in training mode: five forward passes in a row
        without gradient, now and then, not at every step as those of a teacher are; and passes in training mode over
        data of their own, where other data is evaluated in evaluation mode. `dropped` counts calls of torch's dropout
        functions that were at work in evaluation mode, without gradient: their `training` is True where it is not
        given.
    Why: the score is that of a random, thinned-out model, and batch normalisation learns the held-out data.
    Fix: model.eval() and torch.no_grad() before the loop, model.train() after it; F.dropout(x, p, self.training).
    Shapes: any.
    Units: dropped: {call}; all others: {evaluation} (n: evaluations that were seen).
    Source: pytorch.org, "Autograd mechanics", evaluation mode; 3d-unet issue 53.
    """
    recording = recorded(session.subject)
    trained = evidence.trained(recording)
    copies = _copies(recording, trained)
    found = [one for one in evidence.evaluations(recording) if any(call["model"] in copies for call in one.calls)]
    apart = _apart(recording, trained, {one.number for one in found})
    dropped = recording.of("dropped")
    if not found and not apart and not dropped:
        raise NotApplicable("no evaluation over a loader of its own was seen; give more --steps if there is one")
    wrong = [one for one in found if _varies(one, copies)]
    meant = _on_data_of_their_own(recording, found, wrong)
    asked = {one.number: [call["grad"] for call in one.calls if call["model"] in trained] for one in found}
    graphs = [one for one in found if asked[one.number] and all(asked[one.number])]
    measured = {
        "in_training_mode": Measurement(len(wrong) - len(meant), "{evaluation}", n=len(found)),
        "dropped": Measurement(len(dropped), "{call}"),
        "apart": Measurement(len(apart) + len(meant), "{evaluation}", n=len(apart) + len(found)),
        "under_gradient": Measurement(len(graphs), "{evaluation}", n=len(found)),
    }
    shown = sorted(found, key=lambda one: one not in wrong and one not in graphs)  # the findings first
    rows = [
        (one.number, one.batches, "training" if one in wrong else "evaluation", evidence.lines(one.calls))
        for one in shown
    ]
    rows += [("", len(calls), "training", evidence.lines(calls)) for calls in apart]
    rows += [("", len(dropped), "evaluation, with dropout", evidence.lines(dropped))] * bool(dropped)
    return evidence.observed(measured, [Table("Evaluations", ("pass", "batches", "mode", "line"), tuple(rows))])


def _copies(recording: Recording, trained: set[int]) -> set[int]:
    """The trained models and those of the same parameters, by name and size: averages of them, say."""
    form = {n: [(row.name, row.elements) for row in rows] for n, rows in evidence.parameters(recording).items()}
    return {number for number in form if any(form[number] == form[one] for one in trained)}


def _varies(one: Pass, trained: set[int]) -> bool:
    told = [call for call in one.calls if call["model"] in trained and call["training"] and "varying" in call]
    return any(call["varying"][0] for call in told)


def _on_data_of_their_own(recording: Recording, found: list[Pass], wrong: list[Pass]) -> list[Pass]:
    """Those of the wrong ones whose data is not what is evaluated rightly, if any is: they may mean to be random."""
    data = {number: loader["dataset"] for number, loader in evidence.loaders(recording).items()}
    rightly = {data[one.loader] for one in found if not any(call["training"] for call in one.calls)}
    return [one for one in wrong if rightly and data[one.loader] not in rightly]


def _apart(recording: Recording, trained: set[int], known: set[int]) -> list[list[Event]]:
    """Runs of forward passes without gradient in training mode, if they are seldom and no evaluation of a loader."""
    runs: list[list[Event]] = [[]]
    for event in recording.of("call", "backward", "step"):
        blind = event["kind"] == "call" and not event["grad"]
        if not blind:
            runs += [[]] if runs[-1] else []
        elif event["model"] in trained and event["training"] and event.get("pass") not in known:
            runs[-1].append(event)
    found = [run for run in runs if len(run) >= ROW and any(call.get("varying", (0,))[0] for call in run)]
    return found if len(found) <= recording.steps / ROW else []


@fault(toy="watched")
def eval_is_missing(subject: Subject) -> Subject:
    """model.eval() is missing."""

    def change(event: dict) -> dict:
        return {**event, "training": True, "varying": [1, 1]} if event["kind"] == "call" else event

    return edited(subject, change)
