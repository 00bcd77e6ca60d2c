"""Workers that draw the same random numbers make the same augmentations."""

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch.evidence import observed
from gonogo.watch.recorded import followed, recorded

LEAST = 6  # six coins fall alike once in four thousand times, two in a row


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[
        at_most("identical_draws", warn=0.5, fail=0.99, source="exact: two generators do not draw alike; flips may")
    ],
    since="0.6",
)
def workers(session: Session) -> Observation:
    """Workers draw different random numbers | Workers, or epochs, draw the same random numbers

    What: a copy of the watched process reads some samples of its training data in two workers, set up as the script
        sets them up, each twice in each worker. Only samples that change within one worker are random;
        `identical_draws` is the share of these that both workers gave alike, both times. A script with one worker,
        which begins anew in each epoch, is asked too: what two workers draw alike, two epochs draw alike. All is done
        twice, the second time with equal seeds for the generators of torch, numpy and random, which leaves those of the
        data set's own; the larger share counts.
    Why: a generator that the data set owns is copied into each worker: all of them apply the same crops and the same
        noise, and in every epoch again.
    Fix: draw from torch's generator, which each worker has anew; or seed your own in worker_init_fn from
        torch.initial_seed().
    Shapes: one sample per index.
    Units: identical_draws: 1 (n: samples that are random).
    Source: CenterNet issue 233; yolov5 issue 2761.
    """
    found = recorded(session.subject).last("workers")
    if found is None:
        raise NotApplicable("no training loader with workers and samples by index was seen")
    drawn = [(found["same"], found["random"]), (found.get("own_same", 0), found.get("own_random", 0))]
    drawn = [(same, random) for same, random in drawn if random >= LEAST]
    if not drawn:
        raise NotApplicable("reading a sample twice in one worker gives the same sample")
    same, random = max(drawn, key=lambda pair: pair[0] / pair[1])
    rows = (("samples", found["asked"]), ("random", random), ("of these alike", same))
    return observed(
        {"identical_draws": Measurement(same / random, n=random)},
        [Table("Samples read in two workers", ("", "count"), rows)],
    )


@fault(toy="watched")
def the_data_set_owns_its_generator(subject: Subject) -> Subject:
    """Each worker has a copy of one generator."""
    event = {"kind": "workers", "step": 3, "random": 12, "same": 12, "asked": 12}
    return followed(subject, event)
