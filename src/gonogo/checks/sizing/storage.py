"""A run that fills its disk ends at a checkpoint, and often leaves half of one."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.configuration.kept_checkpoints import kept, place
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, all_of
from gonogo.training.settings import read, settings
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN, C.CONFIG},
    effort=Effort.FIT,
    criteria=[at_most("share_of_free", warn=0.9, fail=1, source="arithmetic: what is kept must fit on the disk")],
    since="0.1",
)
def storage(session: Session, *, steps: int = 3) -> Observation:
    """The checkpoints of the run fit on its disk | The checkpoints of the run fill the disk

    What: trains some steps, so that the optimizer has its states, saves by the run's own function (else the state
        dicts) and multiplies the bytes with the checkpoints that the configuration keeps at once: the limit and one
        that is being written, or one to all of those that the interval makes over the run. `share_of_free` is that over
        the free space where the run writes; where no folder is configured, the working directory stands in, and a disk
        that is too small is a warning.
    Why: weights with AdamW's states take three times the weights. A full disk ends the run while it saves, days after
        its start, and the file that it was writing cannot be loaded.
    Fix: keep fewer checkpoints, save the optimizer with the last one alone, save less often, or write to a larger disk.
    Shapes: any.
    Units: share_of_free: 1; checkpoint, needed, free: By.
    Source: ours; huggingface.co, TrainingArguments, save_total_limit.
    """
    found = settings(read(session.subject.config))
    least, most = kept(found, session.claims.total_steps)
    folder, configured = place(found)
    size, free = _checkpoint(session, steps), shutil.disk_usage(folder).free
    low, high = (count * size / max(free, 1) for count in (least, most))
    share = Measurement(high, low=low if configured else 0.0, high=high)
    counts = f"{most:,}" if least == most else f"{least:,} to {most:,}"
    rows = (("checkpoints at once", counts), ("where the run writes", "configured" if configured else "not given"))
    sizes = {"checkpoint": size, "needed": most * size, "free": free}
    return Observation(
        {"share_of_free": share, **{name: Measurement(value, "By") for name, value in sizes.items()}},
        (Table("What is kept", ("what", "is"), rows),),
    )


def _checkpoint(session: Session, steps: int) -> int:
    """Bytes of all files that one save writes."""
    model, optimizer = session.model, session.optimizer
    batches = session.batches("train", limit=steps)
    for index in range(steps * max(1, session.claims.accumulation)):
        with seeding.seeded(seeding.derive(session.seed, "step", index)):
            session.step(nested.clone(batches[index % len(batches)]), model, optimizer)
    with tempfile.TemporaryDirectory(prefix="gonogo-") as folder:
        if shutil.disk_usage(folder).free < 2 * _bytes(model, optimizer):
            raise NotApplicable("the disk of temporary files has no room for one checkpoint")
        session.save(model, optimizer, Path(folder))
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    if not size:
        raise NotApplicable("the run's own save writes elsewhere than to the path that it is given")
    return size


def _bytes(model: nn.Module, optimizer: Any) -> int:
    states = [state for one in all_of(optimizer) for state in one.state.values()]
    held = [*model.state_dict().values(), *(value for state in states for value in state.values())]
    return sum(value.nbytes for value in held if isinstance(value, Tensor))


def _saving(subject: Subject, **keys: Any) -> Subject:
    return replace(subject.with_claims(total_steps=None), config={"output_dir": ".", **keys})


@fault()
def all_steps_are_kept(subject: Subject) -> Subject:
    """Each of ten trillion steps leaves a checkpoint, and no limit removes one."""
    return _saving(subject, save_steps=1, max_steps=10**13, save_total_limit=None)


@fault()
def limit_beyond_the_disk(subject: Subject) -> Subject:
    """The limit of checkpoints is larger than the disk."""
    return _saving(subject, save_total_limit=10**13)


@fault(expect=Status.WARN)
def no_limit_is_configured(subject: Subject) -> Subject:
    """Checkpoints may replace each other, or fill the disk."""
    return _saving(subject, save_steps=1, max_steps=10**13)
