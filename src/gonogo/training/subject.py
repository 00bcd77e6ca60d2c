"""The training run under test, described by functions that build its parts."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import wraps
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn
from torch.optim import Optimizer

from gonogo.core.capability import Capability
from gonogo.errors import SubjectError, did_you_mean
from gonogo.training.claims import Claims
from gonogo.training.recording import Recording

Batch = Any  # tensors, arrays, strings and numbers in any nesting of mappings, sequences and dataclasses

_SPLIT_NAMES = {"val": "valid", "validation": "valid", "dev": "valid", "training": "train", "eval": "valid"}


@dataclass(frozen=True, slots=True)
class Split:
    """One part of the data.

    Attributes:
        batches: Builds an iterable of batches (a DataLoader, usually); called anew for each pass.
        groups: Gives one group name per sample, in the order of the data set.
    """

    batches: Callable[[], Iterable[Batch]]
    groups: Callable[[], Sequence[Hashable]] | None = None

    def map(self, change: Callable[[Iterable[Batch]], Iterable[Batch]]) -> "Split":
        """A copy whose iterable of batches went through `change`."""
        return replace(self, batches=lambda: change(self.batches()))


@dataclass(frozen=True)
class Subject:
    """The training run under test. Each part is optional; checks that need a missing part are skipped, with advice.

    Attributes:
        name: What reports call it.
        model: Builds the model, a new one at each call.
        loss: (model, batch) -> the scalar loss that is minimised; runs the model itself.
        optimizer: Builds the optimizer of a model.
        splits: "train", "valid", "test": each a function that builds a loader, or a Split.
        predict: (model, batch) -> outputs; without it the outputs of the model's forward are taken.
        step: (model, optimizer, batch) -> loss: the run's own optimizer step; without it the textbook step is used.
        evaluate: (model, loader) -> metrics: the run's own evaluation.
        schedule: Builds the learning-rate scheduler of an optimizer.
        save, load: (path, model, optimizer): the run's own checkpoint.
        config: The configuration: a mapping, or the path of a YAML file.
        config_file: The YAML file (or its content) from which `config` is said to come, if code stands between them.
        overrides: Keys that were given on purpose, on the command line say: there `config` may differ from the file.
        requirements: Pinned requirements of the run: lines such as "torch==2.13.0", or the path of such a file.
        claims: What is said to be true.
        parts: (model) -> what else was built together with that model: "scheduler", "scaler", "ema", "best", ...
        with_config: (configuration) -> the subject of another configuration.
        recording: What was seen of the run when it trained under `gonogo watch`.
        proxy: What this is a stand-in for, if it is one: reports then call every result a proxy.
    """

    name: str
    model: Callable[[], nn.Module] | None = None
    loss: Callable[[nn.Module, Batch], Tensor] | None = None
    optimizer: Callable[[nn.Module], Optimizer] | None = None
    splits: Mapping[str, Any] = field(default_factory=dict)
    predict: Callable[[nn.Module, Batch], Any] | None = None
    step: Callable[[nn.Module, Optimizer, Batch], float] | None = None
    evaluate: Callable[[nn.Module, Iterable[Batch]], Mapping[str, float]] | None = None
    schedule: Callable[[Optimizer], Any] | None = None
    save: Callable[[Path, nn.Module, Optimizer], None] | None = None
    load: Callable[[Path, nn.Module, Optimizer], None] | None = None
    config: Mapping[str, Any] | str | Path | None = None
    config_file: Mapping[str, Any] | str | Path | None = None
    overrides: Sequence[str] = ()
    requirements: Sequence[str] | str | Path = ()
    claims: Claims = field(default_factory=Claims)
    parts: Callable[[nn.Module], Mapping[str, Any]] | None = None
    with_config: Callable[[Mapping[str, Any]], "Subject"] | None = None
    recording: Recording | None = None
    proxy: str = ""

    def __post_init__(self) -> None:
        for name, kind, expected in _PLAIN_FIELDS:
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise SubjectError(f"{name}: {type(value).__name__} was given; expected {expected}")
        for name in ("model", "loss", "optimizer", "predict", "step", "evaluate", "schedule", "save", "load"):
            _refuse_live_object(name, getattr(self, name))
        splits = {_split_name(name): _as_split(name, given) for name, given in self.splits.items()}
        object.__setattr__(self, "splits", splits)

    def provides(self) -> frozenset[Capability]:
        """What checks may ask of this subject."""
        has_groups = self.claims.group_key or any(split.groups for split in self.splits.values())
        present = {
            Capability.CONFIG: self.config,
            Capability.TRAIN: "train" in self.splits,
            Capability.VALID: "valid" in self.splits,
            Capability.GROUPS: has_groups,
            Capability.MODEL: self.model,
            Capability.LOSS: self.loss,
            Capability.OPTIMIZER: self.optimizer,
            Capability.STEP: self.step,
            Capability.EVALUATE: self.evaluate,
            Capability.SCHEDULE: self.schedule,
            Capability.SAVE: self.save and self.load,
            Capability.PARAMETER_CLAIM: self.claims.parameters,
            Capability.CAUSAL_CLAIM: self.claims.causal,
            Capability.MODALITY_CLAIM: self.claims.modalities,
            Capability.PADDING_CLAIM: self.claims.pad_id is not None,
            Capability.RECORDING: self.recording is not None,
        }
        return frozenset(capability for capability, value in present.items() if value)

    def map_model(self, change: Callable[[nn.Module], nn.Module]) -> "Subject":
        """A copy whose built models went through `change`."""
        build = self._given("model")
        return replace(self, model=lambda: change(build()))

    def map_outputs(self, change: Callable[[Tensor], Tensor]) -> "Subject":
        """A copy whose models' forward returns went through `change`."""

        def hooked(model: nn.Module) -> nn.Module:
            model.register_forward_hook(lambda module, inputs, output: change(output))  # type: ignore[arg-type]
            return model

        return self.map_model(hooked)

    def map_loss(self, change: Callable[[Callable[[nn.Module, Batch], Tensor]], Any]) -> "Subject":
        """A copy whose loss function is `change(loss)`."""
        return replace(self, loss=change(self._given("loss")))

    def map_optimizer(self, change: Callable[[Callable[[nn.Module], Optimizer]], Any]) -> "Subject":
        """A copy whose optimizer factory is `change(factory)`."""
        return replace(self, optimizer=change(self._given("optimizer")))

    def map_split(self, name: str, change: Callable[[Split], Split]) -> "Subject":
        """A copy in which one split went through `change`."""
        if name not in self.splits:
            raise SubjectError(f"{self.name} has no split {name!r}; it has: {', '.join(self.splits) or 'none'}")
        return replace(self, splits={**self.splits, name: change(self.splits[name])})

    def with_claims(self, **claims: Any) -> "Subject":
        """A copy with other claims."""
        return replace(self, claims=replace(self.claims, **claims))

    def _given(self, name: str) -> Callable[..., Any]:
        value = getattr(self, name)
        if value is None:
            raise SubjectError(f"{self.name} has no {name}")
        return value


_PLAIN_FIELDS: tuple[tuple[str, Any, str], ...] = (
    ("name", str, "a text"),
    ("splits", Mapping, "a mapping such as {'train': make_train_loader, 'valid': make_valid_loader}"),
    ("config", Mapping | str | Path | None, "a mapping (vars(args), asdict(config)) or the path of a YAML file"),
    ("claims", Claims, "Claims(classes=10, ...)"),
    ("proxy", str, "a text"),
)


def _split_name(name: str) -> str:
    return _SPLIT_NAMES.get(name, name)


def _as_split(name: str, given: Any) -> Split:
    if isinstance(given, Split):
        return given
    # A class of loaders is a function that builds one.
    if hasattr(given, "__iter__") and not hasattr(given, "__next__") and not isinstance(given, type):
        return Split(lambda: cast("Iterable[Batch]", given))
    if callable(given):
        return Split(cast("Callable[[], Iterable[Batch]]", given))
    raise SubjectError(
        f"splits[{name!r}]: {type(given).__name__} was found; expected a function that builds a loader, or a Split"
    )


def _refuse_live_object(name: str, value: Any) -> None:
    if isinstance(value, nn.Module) and name in ("model", "predict"):
        raise SubjectError(
            f"{name}: a live {type(value).__name__} was given; expected a function that builds a new one, "
            "because checks train and damage their own copies: `model=lambda: Net()`"
        )
    if value is not None and not callable(value):
        raise SubjectError(f"{name}: {type(value).__name__} was given; expected a function")


def refuse_unknown(given: Iterable[str]) -> None:
    """Refuse keywords that Subject does not know, with the nearest one that it does."""
    known = [item.name for item in fields(Subject)]
    for name in given:
        if name not in known:
            raise SubjectError(f"Subject has no field {name!r}. It has: {', '.join(known)}.{did_you_mean(name, known)}")


def _with_known_names(init: Callable[..., None]) -> Callable[..., None]:
    """`init`, with the nearest name in the error about an unknown one; its signature stays."""

    @wraps(init)
    def checked(self: Subject, *parts: Any, **given: Any) -> None:
        refuse_unknown(given)
        init(self, *parts, **given)

    return checked


Subject.__init__ = _with_known_names(Subject.__init__)  # type: ignore[method-assign]
