"""Each loss function wants its own kind of numbers, and none of them complains about another."""

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.recording import Event, Recording
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch.evidence import evaluations, lines, observed
from gonogo.watch.recorded import altered, recorded

LEAST = 2
SQUASHED = ("Softmax", "Sigmoid")
LOGARITHMS = ("nll_loss", "kl_div", "ctc_loss")


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[
        at_most("probabilities", fail=0.5, warn=0.0, source="exact: rows that are not negative and add up to 1"),
        at_most("not_log", fail=0.5, warn=0.0, source="exact: a logarithm of a probability is never above 0"),
        at_most(
            "squashed", fail=0.5, warn=0.0, source="exact: the sigmoid is in the graph; it is applied a second time"
        ),
        at_most("beyond", fail=0.5, warn=0.0, source="exact: no probability is above 1.5 or below -0.5"),
        at_most("broadcast", fail=0.0, source="exact: every prediction is compared with the targets of all others"),
        at_most("copied", warn=0.5, source="exact, but an autoencoder may mean it: equal in every place"),
        at_most("negated", fail=0.5, source="exact: minus is the last operation of the only loss"),
    ],
    explains=("watch.trend",),
    since="0.6",
)
def loss_inputs(session: Session) -> Observation:
    """Loss functions get what they expect | A loss function gets the wrong kind of numbers

    What: looks at what loss functions of torch were given in training, in sampled steps, each as a share of the calls
        of that function. `probabilities`: cross_entropy got rows that are distributions already, or any function of
        classes got the log_softmax of a softmax. `not_log`: nll_loss, kl_div or ctc_loss got numbers above zero,
        or ctc_loss rows none of which is a log_softmax.
        `squashed`: binary_cross_entropy_with_logits got what a sigmoid made; `beyond`: it got targets that are no
        probabilities, 255 or -1 say. `broadcast`: the shapes of predictions and targets differ so that each is compared
        with all. `copied`: the target classes are the tokens that went in, place by place. `negated`: where one
        optimizer steps, the share of backward passes of minus a loss function.
    Why: softmax of softmax has small gradients and a loss that cannot fall below a floor; the mean over all pairs has
        its best answer at the mean of the targets; a token that is in the input is copied; minus the loss is maximised.
    Fix: give cross_entropy and binary_cross_entropy_with_logits the raw scores, nll_loss, kl_div and ctc_loss
        log_softmax of them; make shapes equal with squeeze(-1) or view_as; shift the targets by one token.
    Shapes: (batch, class) or (batch, class, position); any for the others.
    Units: all: 1.
    Source: pytorch.org, CrossEntropyLoss, NLLLoss, KLDivLoss, CTCLoss, BCEWithLogitsLoss; pytorch issue 16045.
    """
    recording = recorded(session.subject)
    apart = {one.number for one in evaluations(recording)}  # some run under gradient
    calls = [event for event in recording.of("loss") if event["grad"] and event.get("pass") not in apart]
    if len(calls) < LEAST:
        raise NotApplicable("no loss function of torch was seen with gradients")
    groups = {name: [event for event in calls if event["loss"] == name] for name in {e["loss"] for e in calls}}
    shares = {
        "probabilities": max(_share(found, _softmax_comes_twice) for found in groups.values()),
        "not_log": max(_share(groups.get(name, []), _is_no_logarithm) for name in LOGARITHMS),
        "squashed": _share(
            groups.get("binary_cross_entropy_with_logits", []),
            lambda e: e["made_by"].startswith(SQUASHED) and e.get("in_unit", False),
        ),
        "beyond": _share([e for e in calls if "beyond" in e], lambda e: e["beyond"]),
        "broadcast": _share([e for e in calls if "grown" in e], lambda e: e["grown"]),
        "copied": _share([e for e in calls if "copied" in e], lambda e: e["copied"]),
        "negated": _negated(recording),
    }
    rows = [(name, len(found), found[0]["made_by"], lines(found)) for name, found in groups.items()]
    table = Table("Loss functions", ("function", "calls", "input made by", "line"), tuple(rows))
    return observed({name: Measurement(share, n=len(calls)) for name, share in shares.items()}, [table])


def _softmax_comes_twice(event: Event) -> bool:
    whole = event["loss"] == "cross_entropy" and event.get("simplex", False) and event["classes"] > 1
    return whole or event.get("log_of", "").startswith("Softmax")


def _is_no_logarithm(event: Event) -> bool:
    unlike = event["loss"] == "ctc_loss" and not event.get("normalised", True)
    return unlike or event.get("positive", False) or event.get("simplex", False)


def _share(events: list[Event], is_wrong: object) -> float:
    return sum(map(is_wrong, events)) / len(events) if len(events) >= LEAST else 0.0  # type: ignore[call-overload]


def _negated(recording: Recording) -> float:
    """Of several optimizers one may well maximise."""
    if len({event["optimizer"] for event in recording.of("step")}) != 1:
        return 0.0
    return _share([event for event in recording.of("backward") if "value" in event], lambda e: e["negated"])


@fault(toy="watched")
def softmax_before_cross_entropy(subject: Subject) -> Subject:
    """The model ends in a softmax."""
    return altered(subject, "loss", simplex=True)


@fault(toy="watched")
def scores_into_nll_loss(subject: Subject) -> Subject:
    """nll_loss gets scores."""
    return altered(subject, "loss", loss="nll_loss", positive=True)


@fault(toy="watched")
def sigmoid_before_logits(subject: Subject) -> Subject:
    """The sigmoid is applied twice."""
    name = "binary_cross_entropy_with_logits"
    return altered(subject, "loss", loss=name, made_by="SigmoidBackward0", in_unit=True)


@fault(toy="watched")
def softmax_before_log_softmax(subject: Subject) -> Subject:
    """log_softmax gets what a softmax made."""
    return altered(subject, "loss", log_of="SoftmaxBackward0")


@fault(toy="watched", expect=Status.WARN)
def targets_are_not_shifted(subject: Subject) -> Subject:
    """The model is asked for the token that it is given."""
    return altered(subject, "loss", copied=True)


@fault(toy="watched")
def compared_with_all(subject: Subject) -> Subject:
    """Predictions are (batch, 1), targets (batch,)."""
    return altered(subject, "loss", loss="mse_loss", grown=True)


@fault(toy="watched")
def maximised(subject: Subject) -> Subject:
    """The loss has the wrong sign."""
    return altered(subject, "backward", negated=True)
