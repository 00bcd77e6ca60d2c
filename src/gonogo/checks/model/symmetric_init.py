"""Units that start alike and learn alike are one unit."""

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_LAYERS = (nn.Linear, nn.Bilinear, nn.modules.conv._ConvNd, nn.RNNBase)


@check(
    needs={C.MODEL},
    effort=Effort.READ,
    criteria=[
        at_most("symmetric", warn=0, source="ours: drawn rows are never equal; zeros are a usual start, left out")
    ],
    explains=("learning.",),
    since="0.1",
)
def symmetric_init(session: Session) -> Observation:
    """The units of a layer differ | The units of a layer are copies of each other

    What: looks at the initial weights of linear, convolutional and recurrent layers. `symmetric` counts trainable
        matrices whose rows are all equal and not zero.
    Why: weights that start at one constant get equal gradients and stay (nearly) equal: a layer of 512 units computes
        one feature. The loss falls a little and stops early.
    Fix: draw the weights (nn.init.kaiming_normal_, xavier_uniform_); constants are for biases and scales.
    Shapes: weights (units, inputs, ...), at least two units.
    Units: symmetric: parameters.
    Source: NeuraLint (Nikanjam et al., 2021) and DeepCrime (Humbatova et al., 2021), constant initialisation.
    """
    owners = {name: module for name, module in session.model.named_modules() if isinstance(module, _LAYERS)}
    found = {f"{n}.{k}": p for n, m in owners.items() for k, p in m.named_parameters(recurse=False)}
    matrices = {name: p.detach() for name, p in found.items() if p.requires_grad and p.dim() > 1 and len(p) > 1}
    if not matrices:
        raise NotApplicable("the model has no trainable weight matrix in a usual layer")
    alike = [name for name, p in matrices.items() if bool(p.any()) and _all_rows_equal(p)]
    rows = tuple((name, str(tuple(matrices[name].shape)), float(matrices[name].flatten()[0])) for name in alike)
    return Observation(
        {"symmetric": Measurement(len(alike), "{parameter}", n=len(matrices))},
        (Table("Weights whose units are all equal", ("parameter", "shape", "first value"), rows),),
    )


def _all_rows_equal(weight: Tensor) -> bool:
    return torch.equal(weight, weight[:1].expand_as(weight))


@fault(expect=Status.WARN)
def constant_weights(subject: Subject) -> Subject:
    """All weight matrices start at 0.1."""

    def change(model: nn.Module) -> nn.Module:
        for parameter in model.parameters():
            if parameter.dim() > 1:
                nn.init.constant_(parameter, 0.1)
        return model

    return subject.map_model(change)
