"""One call of the model, recorded while the loss runs, to be replayed with other content."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.errors import NotApplicable
from gonogo.instruments.memo import instrument
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.entry import entry, plain
from gonogo.training.session import Session, evaluating

_FLOAT32_FLOOR = 1e-5  # relative; below it a change in float32 is rounding


@dataclass(frozen=True)
class Probe:
    """A recorded call of a model: replay it with other inputs.

    Attributes:
        model: A private copy in evaluation mode.
        inputs: Arguments of the recorded call, any nesting.
        call: Inputs to everything that came out.
        dtype: float64, or None where the model insists on its own precision.
        streams: Tensors of the inputs with a row and a position axis, by path: tokens, or features per step.
        seed: For models that draw random numbers.
        cache: The outputs of the unchanged call.
    """

    model: nn.Module
    inputs: Any
    call: Callable[[Any], dict[str, Tensor]]
    dtype: torch.dtype | None
    streams: dict[str, Tensor]
    seed: int
    cache: dict[str, Tensor] = field(default_factory=dict)

    def replay(self, changed: dict[str, Tensor]) -> dict[str, Tensor]:
        """The floating-point outputs with some streams replaced."""
        inputs = nested.map_leaves(lambda path, leaf: changed.get(path, leaf), nested.clone(self.inputs))
        with torch.no_grad(), seeding.seeded(self.seed):
            return self.call(inputs)

    @property
    def outputs(self) -> dict[str, Tensor]:
        """The floating-point outputs of the recorded call."""
        if not self.cache:
            self.cache.update(self.replay({}))
        return self.cache

    @property
    def floor(self) -> float:
        """The largest relative change that is rounding."""
        return 0.0 if self.dtype is torch.float64 else _FLOAT32_FLOOR


@instrument
def recorded(session: Session) -> Probe:
    """The first call of the model on the first training batch, in float64 where the model allows it.

    Raises:
        NotApplicable: The loss never calls the model and there is no predict, or no input has positions.
    """
    try:
        return _recorded_in(session, torch.float64)
    except (RuntimeError, TypeError):  # the model insists on a precision of its own
        return _recorded_in(session, None)


def _recorded_in(session: Session, dtype: torch.dtype | None) -> Probe:
    [batch] = session.batches("train", limit=1)
    batch = nested.to(batch, dtype=dtype)
    model = session.copy_model(dtype).eval()
    wake(model, session.seed)
    inputs, call = _first_call(session, model, batch)
    streams = {path: leaf for path, leaf in nested.tensors(inputs).items() if _is_stream(leaf)}
    if not streams:
        raise NotApplicable("no input of the model has a row and a position axis")
    probe = Probe(model, inputs, call, dtype, streams, session.seed)
    assert probe.outputs is not None  # a model that insists on its precision says so here
    return probe


def _first_call(session: Session, model: nn.Module, batch: Any) -> tuple[Any, Callable[[Any], dict[str, Tensor]]]:
    calls: list[Any] = []

    def note(module: nn.Module, args: Any, kwargs: Any) -> None:
        calls.append(nested.clone({"args": list(args), "kwargs": dict(kwargs)}))

    handle = entry(model).register_forward_pre_hook(note, with_kwargs=True)
    try:
        with torch.no_grad(), evaluating(model), seeding.seeded(session.seed):
            session.loss(nested.clone(batch), model)
    finally:
        handle.remove()
    if calls:
        return calls[0], lambda inputs: floats(entry(model)(*inputs["args"], **inputs["kwargs"]))
    predict = session.subject.predict
    if predict is None:
        raise NotApplicable("the loss does not call the model's forward; give Subject(predict=...)")
    return batch, lambda inputs: floats(predict(model, inputs))


def floats(output: Any) -> dict[str, Tensor]:
    """The floating-point tensors of an output, by path."""
    named = output if isinstance(output, dict) else plain(output)
    return {path: leaf for path, leaf in nested.tensors(named).items() if leaf.is_floating_point()}


def wake(model: nn.Module, seed: int) -> None:
    """Weights that are all zero get small values: behind a zero-initialised layer nothing can be seen."""
    generator = torch.Generator().manual_seed(seeding.derive(seed, "wake"))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.is_floating_point() and not parameter.any():
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.copy_(0.05 * noise.to(parameter))


def _is_stream(leaf: Tensor) -> bool:
    if leaf.layout is not torch.strided or leaf.dtype is torch.bool or leaf.is_complex() or leaf.dim() < 2:
        return False
    return leaf.numel() > 1 and (leaf.dim() >= 3) == leaf.is_floating_point()
