"""A compiled model must compute what its code says."""

from typing import Any

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.answers import equivalence
from gonogo.instruments.loss.gradient import differing, loss_gradient, noise, vector
from gonogo.training.session import Session
from gonogo.training.subject import Subject

LIMIT = 0.1


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    criteria=[
        at_most("error", warn=1e-2, fail=LIMIT, source="ours: fused kernels 1e-6; noise by perturbation is taken off")
    ],
    explains=("model.unused-parameters", "gradient.", "learning."),
    since="0.2",
)
def compiled(session: Session) -> Observation:
    """The compiled model has the gradients of its code | The compiled model has other gradients than its code

    What: where a part of the model went through torch.compile, computes the gradient of the loss with the subject's own
        backend and with the same code run eagerly, from equal weights in evaluation mode (compiled dropout draws
        otherwise). `error` is the norm of the difference over the norm of the eager gradient; what rounding and
        unseeded chance do is measured, and is not counted. Models that are not compiled are not compiled here.
    Why: a graph that was specialised to a value of the first call, or a backend with a wrong kernel, trains another
        model than the one that was read and tested.
    Fix: find the part by compiling less of the model; torch._dynamo.config and TORCH_LOGS=recompiles tell what was
        taken as constant; report the smallest program that differs.
    Shapes: any.
    Units: error: 1.
    Source: pytorch issue 115607 and others like it; pytorch.org, torch.compile, set_stance.
    """
    if not any(_is_compiled(module) for module in session.model.modules()):
        raise NotApplicable("no part of the model is compiled")
    [batch] = session.batches("train", limit=1)
    eager, fast = session.copy_model().eval(), session.build_model().eval()
    fast.load_state_dict(session.model.state_dict())  # copies of modules that were compiled in place are not
    with torch.compiler.set_stance("force_eager"):
        wanted, floor = loss_gradient(session, eager, batch), noise(session, batch, training=False)
    torch.compiler.reset()  # past its limit of recompilations it would run eagerly, and be right
    try:
        seen = loss_gradient(session, fast, batch)
    except Exception as error:  # no compiler on this machine, or code that the compiler refuses
        if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        raise NotApplicable(f"the model cannot be compiled here: {type(error).__name__}") from None
    if not vector(wanted, eager).any():
        raise NotApplicable("the loss has no gradient in evaluation mode")
    found = equivalence.compare(vector(seen, fast), vector(wanted, eager), noise=floor)
    rows = tuple(differing(seen, wanted, max(1e-3, equivalence.SPREAD * floor)))
    return Observation(
        {"error": found.measured(LIMIT)},
        (
            found.table("Compiled gradient against eager", {}),
            Table("Parameters with another gradient", ("parameter", "relative error"), rows),
        ),
    )


def _is_compiled(module: nn.Module) -> bool:
    own = [*vars(module).values(), getattr(module, "_compiled_call_impl", None)]
    return any(hasattr(one, "_torchdynamo_orig_callable") for one in own) or "OptimizedModule" in type(module).__name__


def _wrong(graph: Any, inputs: Any) -> Any:
    """A backend that forgets a factor."""

    def run(*given: Any) -> Any:
        out = graph(*given)
        return tuple(each * 0.5 if isinstance(each, Tensor) and each.is_floating_point() else each for each in out)

    return run


@fault(toy="regressor")
def backend_forgets_a_factor(subject: Subject) -> Subject:
    """The backend's kernel gives half of what it should."""
    return subject.map_model(lambda model: torch.compile(model, backend=_wrong))  # type: ignore[return-value]
