"""What a subject can provide and a check can need."""

from enum import StrEnum


class Capability(StrEnum):
    """One thing a subject may provide; `advice` tells how to provide it."""

    CONFIG = "config"
    TRAIN = "train-split"
    VALID = "valid-split"
    GROUPS = "groups"
    MODEL = "model"
    LOSS = "loss"
    OPTIMIZER = "optimizer"
    STEP = "step"
    EVALUATE = "evaluate"
    SCHEDULE = "schedule"
    SAVE = "save"
    PARAMETER_CLAIM = "parameter-claim"
    CAUSAL_CLAIM = "causal-claim"
    MODALITY_CLAIM = "modality-claim"
    PADDING_CLAIM = "padding-claim"
    RECORDING = "recording"

    @property
    def advice(self) -> str:
        """What to give so that checks with this need can run."""
        return _ADVICE[self]


_ADVICE = {
    Capability.CONFIG: "give Subject(config=...): a mapping, or the path of a YAML file",
    Capability.TRAIN: "give Subject(splits={'train': make_train_loader})",
    Capability.VALID: "give a held-out split: Subject(splits={'valid': make_loader}), val_dataloader or eval_dataset",
    Capability.GROUPS: "give Claims(group_key=...) or Split(..., groups=...)",
    Capability.MODEL: "give Subject(model=...): a function that builds the model",
    Capability.LOSS: "give Subject(loss=...): a function of (model, batch) that returns the loss",
    Capability.OPTIMIZER: "give Subject(optimizer=...): a function from model to optimizer",
    Capability.STEP: "give Subject(step=...): your own (model, optimizer, batch) -> loss",
    Capability.EVALUATE: "give Subject(evaluate=...): your own (model, loader) -> metrics",
    Capability.SCHEDULE: "give Subject(schedule=...): a function from optimizer to scheduler",
    Capability.SAVE: "give Subject(save=..., load=...): your own functions of (path, model, optimizer)",
    Capability.CAUSAL_CLAIM: "give Claims(causal=True) if no output may depend on later positions",
    Capability.MODALITY_CLAIM: "give Claims(modalities=...): the fields that the answer must depend on",
    Capability.PADDING_CLAIM: "give Claims(pad_id=...): the token id of padding",
    Capability.RECORDING: "give a recording: `gonogo watch -- python train.py`",
    Capability.PARAMETER_CLAIM: "give Claims(parameters=...): the count that you publish",
}
