"""What can be set, in three sections, and what each value must be on its own."""

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gonogo.training.settings import number


class Says(NamedTuple):
    """The rule of a field, in words for an error message."""

    rule: str


def _as_number(value: Any) -> Any:
    """1e-3 as the number it is (YAML 1.1 reads a text); true is no number."""
    if isinstance(value, bool):
        raise ValueError("a truth value is no number")
    return number(value) if isinstance(value, str) else value


_Number = BeforeValidator(_as_number)
Count = Annotated[int, _Number, Field(ge=1, lt=2**31), Says("a positive whole number below 2**31")]
Natural = Annotated[int, _Number, Field(ge=0, lt=2**31), Says("0 or a positive whole number below 2**31")]
Share = Annotated[float, _Number, Field(ge=0, le=1), Says("a number from 0 to 1")]
Weight = Annotated[float, _Number, Field(ge=0), Says("a number of at least 0")]
Positive = Annotated[float, _Number, Field(gt=0), Says("a number above 0")]
Rate = Annotated[float, _Number, Field(gt=0, lt=1), Says("a number above 0 and below 1")]
FrozenRate = Annotated[float, _Number, Field(ge=0, lt=1), Says("a number from 0, and below 1")]
Flag = Annotated[bool, Says("true or false")]

Size = Literal["tiny", "small", "base"]
Task = Literal["correlated", "stressed-word", "mmsa", "csd", "mult", "multibench"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelSettings(_Section):
    """The model.

    Attributes:
        text_dim: 0: text is token ids of `vocab_size`; above 0: features of so many dimensions.
        modality_dropout: Rate of each modality, up to the 2/3 at which one remains.
        quality_weight: Times the logarithm of the quality, added to attention scores.
    """

    variant: Annotated[Literal["maft", "legacy"], Says("maft or legacy")] = "maft"
    hidden_dim: Count = 32
    num_heads: Count = 4
    num_layers: Count = 1
    fusion_layers: Count = 3
    bottlenecks: Count = 4
    encoder: Annotated[Literal["transformer", "lstm"], Says("transformer or lstm")] = "transformer"
    vocab_size: Count = 256
    text_dim: Natural = 0
    audio_dim: Count = 74
    visual_dim: Count = 35
    num_classes: Count = 2
    dropout: Share = 0.0
    modality_dropout: Share = 0.1
    temperature: Positive = 1.0
    quality_weight: Weight = 1.0
    freeze_text: Flag = False


class TrainingSettings(_Section):
    """The training. `text_learning_rate` null: as `learning_rate`; 0 only where model.freeze_text is true."""

    epochs: Count = 3
    batch_size: Count = 64
    learning_rate: Rate = 3e-3
    text_learning_rate: Annotated[FrozenRate | None, Says("null, or a number from 0, and below 1")] = None
    weight_decay: Weight = 0.01
    warmup_ratio: Share = 0.1
    max_norm: Positive = 1.0
    seed: Natural = 0
    classification_weight: Weight = 1.0
    regression_weight: Weight = 0.5
    consistency_weight: Weight = 0.1
    reconstruction_weight: Weight = 0.1


class DataSettings(_Section):
    """The data. The widths and classes follow the model's where they are not given."""

    task: Annotated[Task, Says("one of correlated, stressed-word, mmsa, csd, mult, multibench")] = "stressed-word"
    path: Annotated[Path | None, Says("null, or the path of a file or folder")] = None
    samples: Count = 12_000
    valid_samples: Count = 3_000
    test_samples: Count = 3_000
    correlation: Share = 0.5
    text_length: Count = 12
    audio_length: Count = 24
    visual_length: Count = 16
    num_workers: Natural = 0
    nonfinite: Annotated[Literal["refuse", "mask"], Says("refuse or mask")] = "refuse"
    align_words: Flag = False
    seed: Natural = 0
    vocab_size: Count = 256
    text_dim: Natural = 0
    audio_dim: Count = 74
    visual_dim: Count = 35
    num_classes: Count = 2


class Settings(_Section):
    """Everything that is set; `size` chose what was not given."""

    size: Annotated[Size, Says("tiny, small or base")] = "small"
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    data: DataSettings = DataSettings()


SECTIONS: dict[str, type[BaseModel]] = {"model": ModelSettings, "training": TrainingSettings, "data": DataSettings}
# What model and data must agree on: the encoders' inputs and the classes.
SHARED = ("vocab_size", "text_dim", "audio_dim", "visual_dim", "num_classes")
