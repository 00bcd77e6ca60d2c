"""How many checkpoints a configuration leaves on the disk at once, and where."""

from collections.abc import Sequence
from pathlib import Path

from gonogo.errors import NotApplicable
from gonogo.training.settings import Setting, number

_WORDS = {
    "limit": "save_total_limit total_limit checkpoints_total_limit keep_checkpoints keep_last keep_last_n max_to_keep "
    "max_checkpoints keep_n_checkpoints num_checkpoints_to_keep save_top_k keep_top_k",
    "every_steps": "save_steps checkpoint_every_steps every_n_train_steps save_every_n_steps ckpt_steps",
    "every_epochs": "save_epochs checkpoint_every_epochs every_n_epochs save_every_n_epochs",
    "every": "checkpoint_every save_every save_interval checkpoint_interval ckpt_every save_freq",
    "place": "output_dir out_dir save_dir checkpoint_dir ckpt_dir checkpoints_dir save_path",
}
_KIND = {name: kind for kind, names in _WORDS.items() for name in names.split()}


def kept(found: Sequence[Setting], total_steps: int | None) -> tuple[int, int]:
    """The least and most checkpoints that lie on the disk at once.

    A limit still takes one more while it is written. Without a limit, each may replace the last, or all may stay.

    Raises:
        NotApplicable: The configuration does not say.
    """
    written, limits = _written(found, total_steps), _limits(found)
    limit = _one(limits)
    if limit is not None:
        most = limit + 1 if written is None else min(limit + 1, written)
        return min(limit, most), most
    if written is None:
        raise NotApplicable("the configuration does not say how many checkpoints are kept, or how often over how long")
    everything = any(one.value is None or number(one.value) == -1 for one in limits)  # a limit that is switched off
    return (written if everything else min(1, written)), written


def place(found: Sequence[Setting]) -> tuple[Path, bool]:
    """The nearest folder that exists to where the run writes, and whether that is configured."""
    texts = {one.value for one in _of(found, "place") if isinstance(one.value, str) and one.value.strip()}
    local = {text for text in texts if not any(sign in text for sign in ("://", "$", "{"))}
    if len(texts) != 1 or not local:
        return Path.cwd(), False
    wanted = Path(local.pop()).expanduser().absolute()
    return next(folder for folder in (wanted, *wanted.parents) if folder.is_dir()), True


def _written(found: Sequence[Setting], total_steps: int | None) -> int | None:
    """Checkpoints over the whole run; None where it is not known, or the interval could be of steps or of epochs."""
    meant = {name: _one([one for one in found if one.meaning == name]) for name in ("steps", "epochs")}
    steps, epochs = total_steps or meant["steps"], meant["epochs"]
    loose = _one(_of(found, "every")) if (steps is None) != (epochs is None) else None
    of_steps, of_epochs = _one(_of(found, "every_steps")) or loose, _one(_of(found, "every_epochs")) or loose
    if steps is not None and of_steps:
        return -(-steps // of_steps)
    if epochs is not None and of_epochs:
        return -(-epochs // of_epochs)
    return None


def _limits(found: Sequence[Setting]) -> list[Setting]:
    """Limits by name; a bare `keep` is one beside an interval of checkpoints."""
    beside = {one.section for one in found if _KIND.get(one.name, "").startswith("every")}
    return _of(found, "limit") + [one for one in found if one.name == "keep" and one.section in beside]


def _of(found: Sequence[Setting], kind: str) -> list[Setting]:
    return [one for one in found if _KIND.get(one.name) == kind]


def _one(found: Sequence[Setting]) -> int | None:
    """The one positive whole number that these settings hold."""
    values = {number(one.value) for one in found}
    value = values.pop() if len(values) == 1 else None
    return int(value) if value is not None and 1 <= value <= 1e18 and value == int(value) else None
