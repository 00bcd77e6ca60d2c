"""What the optimizer does not hold, it does not train."""

from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.instruments.loss.graph import leaves
from gonogo.training.session import Session, all_of
from gonogo.training.subject import Subject

_OURS = "ours: identity of tensors is a fact, not a statistic"


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    criteria=[
        at_most("born_in_forward", fail=0, source=_OURS),
        at_most("born_in_loss", fail=0, source=_OURS),
        at_most("outside_optimizer", fail=0, source=_OURS),
        at_most("stale", fail=0, source=_OURS),
    ],
    since="0.1",
)
def late_parameters(session: Session) -> Observation:
    """The optimizer holds exactly the trainable parameters | The optimizer does not hold the trainable parameters

    What: builds model and optimizer, runs one forward pass and loss, and counts parameters that appeared during
        forward (`born_in_forward`), parameters in the graph of the loss that no module owns (`born_in_loss`), trainable
        parameters that the optimizer lacks (`outside_optimizer`), and parameters of the optimizer that the model no
        longer has (`stale`).
    Why: such a parameter stays at its random value, or is drawn anew at every step, and is missing from checkpoints;
        the loss falls on the rest, so nobody notices.
    Fix: create all layers in __init__; build the optimizer after the last change of the model (a new head, a wrap,
        a move by FSDP); set requires_grad=False for what you freeze, or name it in Claims(frozen=...).
    Shapes: any.
    Units: all counts: parameters (tensors).
    Source: ours; accelerate issue 2665 (optimizer built before the wrap), torch.nn lazy modules are materialised first.
    """
    model, optimizer = session.model, session.optimizer
    before = {id(parameter) for parameter in model.parameters()}
    [batch] = session.batches("train", limit=1)
    loss = session.loss(batch)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    held = {id(p): tuple(p.shape) for one in all_of(optimizer) for group in one.param_groups for p in group["params"]}
    trainable = {id(p) for n, p in model.named_parameters() if p.requires_grad and not _claimed_frozen(session, n)}
    owned = [leaf for leaf in leaves(loss) if isinstance(leaf, nn.Parameter)]
    found = {
        "born_in_forward": [names[i] for i in names if i not in before and i not in held],
        "born_in_loss": [str(tuple(leaf.shape)) for leaf in owned if id(leaf) not in names | held],
        "outside_optimizer": [names[i] for i in names if i in trainable and i in before and i not in held],
        "stale": [str(shape) for i, shape in held.items() if i not in names and not _used_by(loss, i)],
    }
    rows = [(name, kind) for kind, group in found.items() for name in group]
    return Observation(
        {kind: Measurement(len(group), "{parameter}") for kind, group in found.items()},
        (Table("Parameters outside their place", ("parameter or shape", "kind"), tuple(rows)),),
    )


def _claimed_frozen(session: Session, name: str) -> bool:
    return any(name.startswith(prefix) for prefix in session.claims.frozen)


def _used_by(loss: Tensor, parameter: int) -> bool:
    """Losses with weights of their own (uncertainty weighting) are trained although the model does not own them."""
    return any(id(leaf) == parameter for leaf in leaves(loss))


@fault()
def layer_born_in_forward(subject: Subject) -> Subject:
    """A layer is created in forward."""

    def grow(model: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        if not hasattr(model, "late"):
            model.add_module("late", nn.Linear(output.shape[-1], output.shape[-1]))
        return model.get_submodule("late")(output)

    def change(model: nn.Module) -> nn.Module:
        model.register_forward_hook(grow)
        return model

    return subject.map_model(change)


@fault()
def layer_born_in_loss(subject: Subject) -> Subject:
    """The loss creates a new layer at every call."""

    def change(loss: Any) -> Any:
        return lambda model, batch: loss(model, batch) + nn.Linear(1, 1)(loss(model, batch).reshape(1, 1)).mean()

    return subject.map_loss(change)


@fault()
def head_replaced_late(subject: Subject) -> Subject:
    """The last layer is replaced after the optimizer was built."""

    def change(factory: Any) -> Any:
        def build(model: nn.Module) -> Optimizer:
            optimizer = factory(model)
            owner, name = _last_linear(model)
            old = getattr(owner, name)
            setattr(owner, name, nn.Linear(old.in_features, old.out_features))
            return optimizer

        return build

    return subject.map_optimizer(change)


def _last_linear(model: nn.Module) -> tuple[nn.Module, str]:
    places = [(o, n) for o in model.modules() for n, child in o.named_children() if isinstance(child, nn.Linear)]
    return places[-1]
