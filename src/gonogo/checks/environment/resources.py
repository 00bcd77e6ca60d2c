"""A machine that is too small ends the run at its first large batch, or at its first checkpoint."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.criterion import number as words
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.instruments.configuration.kept_checkpoints import place
from gonogo.training.machine import Machine, machine
from gonogo.training.session import Session
from gonogo.training.settings import read, settings
from gonogo.training.subject import Subject

GIGA = 1e9


@check(
    needs={C.MODEL},
    effort=Effort.READ,
    criteria=[
        at_most("missing_memory", warn=0, source="MAFT-5.3: the least that is asked for, a parameter"),
        at_most("missing_disk", warn=0, source="MAFT-5.3: the least that is asked for, a parameter"),
        at_most("missing_cores", warn=0, source="the least that is asked for, a parameter"),
        at_most("weights_over_free", fail=1, source="arithmetic: a checkpoint holds the weights at least"),
    ],
    since="0.5",
)
def resources(
    session: Session, *, min_memory_gb: float = 2.0, min_disk_gb: float = 5.0, min_cores: float = 1.0
) -> Observation:
    """The machine has what the run asks for | The machine lacks what the run asks for

    What: reads what this process may use: processors (affinity and quota), memory (also of its container), free disk
        where the run writes, accelerators and their memory. `missing_...` is what is free below the thresholds
        `min_memory_gb`, `min_disk_gb`, `min_cores`; `weights_over_free` is the bytes of the model's weights over the
        free disk, a warning where no folder of the run is configured.
    Why: inside a container the host's numbers are not one's own: a run that sees 256 GB may be killed at 4.
    Fix: ask the scheduler or the container for more, remove old checkpoints, or set lower thresholds in the profile.
    Shapes: any.
    Units: missing_memory, missing_disk, memory, disk, gpu_memory: By; missing_cores, cores: {core};
        weights_over_free: 1.
    Source: kernel.org, Control Group v2, memory.max and cpu.max.
    """
    config = session.subject.config
    folder, configured = (Path.cwd(), False) if config is None else place(settings(read(config)))
    here = machine(folder)
    over = sum(value.nbytes for value in _saved(session.model)) / max(here.disk_free, 1)
    free = {"memory": here.available, "disk": here.disk_free}
    asked = {"memory": min_memory_gb * GIGA, "disk": min_disk_gb * GIGA}
    found = {f"missing_{name}": Measurement(max(0.0, asked[name] - free[name]), "By") for name in free}
    found |= {name: Measurement(value, "By") for name, value in free.items()}
    found["missing_cores"] = Measurement(max(0.0, min_cores - here.cores), "{core}")
    found["cores"] = Measurement(here.cores, "{core}")
    found["weights_over_free"] = Measurement(over, low=over if configured else min(over, 1.0), high=over)
    if here.gpus:
        found["gpu_memory"] = Measurement(here.gpus[0].free, "By")
    return Observation(found, (Table("This machine", ("what", "is"), _rows(here, configured)),))


def _saved(model: nn.Module) -> list[Tensor]:
    return [value for value in model.state_dict().values() if isinstance(value, Tensor)]


def _rows(here: Machine, configured: bool) -> tuple[tuple[str, str], ...]:
    rows = [
        ("cores for this process", f"{here.cores:g}"),
        ("memory for this process", words(here.memory, "By")),
        ("of which free", words(here.available, "By")),
        ("disk where the run writes" if configured else "disk of the working directory", words(here.disk, "By")),
        ("free on it", words(here.disk_free, "By")),
    ]
    rows += [
        (f"GPU {i}", f"{g.name}, {words(g.memory, 'By')}, {words(g.free, 'By')} free") for i, g in enumerate(here.gpus)
    ]
    return tuple(rows if here.gpus else [*rows, ("GPU", "none that torch sees")])


def _huge(model: nn.Module) -> nn.Module:
    """The model with a checkpoint of four petabytes, which take no memory here."""

    def add(module: nn.Module, state: dict[str, Tensor], prefix: str, local: object) -> None:
        state["table"] = torch.empty(10**15, device="meta")

    model.register_state_dict_post_hook(add)
    return model


@fault()
def weights_beyond_the_disk(subject: Subject) -> Subject:
    """The weights are larger than the disk to which the run writes."""
    return replace(subject.map_model(_huge), config={**read(subject.config), "output_dir": "."})


@fault(expect=Status.WARN, toy="regressor")
def weights_beyond_some_disk(subject: Subject) -> Subject:
    """The weights are larger than the disk here, and the run may write elsewhere."""
    return subject.map_model(_huge)
