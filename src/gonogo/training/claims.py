"""What the author of a training run says is true, so that it can be tested."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Claims:
    """Statements about a run; None or empty means that nothing is claimed.

    Attributes:
        classes: Number of classes that the model tells apart.
        parameters: Published parameter count: an int, or a string such as "13.1B" with its own precision.
        group_key: Field of a sample that names its group (speaker, patient, stem): no group may be in two splits.
        target: Field of a sample (key, or position in a tuple) that holds the target; guessed where not given.
        frozen: Name prefixes of parameters that are meant to stay as they are.
        missing: Name prefixes of batch fields where NaN marks a missing value that the loss masks.
        couples_batch: The output of a sample may depend on the others in its batch (contrastive heads, set models).
        stochastic: The model draws random numbers in evaluation on purpose (sampling decoders).
        resume: "exact" if a resumed run must continue bit for bit.
        causal: The output at a position depends on no later position.
        packing: "isolated" if the documents packed into one row must not see each other.
        modalities: Fields of a batch that the answer must depend on.
        masks: For each modality the field of its mask, True where there is content ("~name" where True is padding);
            what it hides may be anything, even NaN.
        bottleneck: Name of the first module, or of several by their common beginning, within which modalities meet only
            through tokens that belong to none of them.
        pad_id, eos_id, bos_id: Token ids of padding, end and begin of a sequence.
        accumulation: Calls of the step function for one update of the weights.
        final_lr, total_steps: Learning rate after the last of so many optimizer steps.
        max_norm: The norm to which gradients are clipped.
        devices: What the run is to be launched on: "2xA5000".
        days: Time that there is for total_steps.
        strategies: How, where the program itself does not say it: "fsdp,checkpointing".
        memory_plan: A plan of memory as written down, for its arithmetic; see `sizing.claims`.
        precision: "bf16" or "fp16" if matrix products are meant to run in it.
    """

    classes: int | None = None
    parameters: int | str | None = None
    group_key: str | None = None
    target: str | int | None = None
    frozen: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    couples_batch: bool = False
    stochastic: bool = False
    resume: str | None = None
    causal: bool | None = None
    packing: str | None = None
    modalities: tuple[str, ...] = ()
    masks: Mapping[str, str] = field(default_factory=dict)
    bottleneck: str = ""
    pad_id: int | None = None
    eos_id: int | None = None
    bos_id: int | None = None
    accumulation: int = 1
    final_lr: float | None = None
    total_steps: int | None = None
    max_norm: float | None = None
    precision: str | None = None
    devices: str = ""
    strategies: str = ""
    days: float | None = None
    memory_plan: Mapping[str, Any] | None = None
