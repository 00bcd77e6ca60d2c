"""The values of a configuration: mappings and YAML files as paths, and what the names of keys say about them."""

import copy
import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gonogo.errors import NotApplicable, SubjectError

# What a key is called in different projects. One meaning per line; names are compared in lower case.
MEANINGS = {
    "rate": "lr learning_rate",
    "decay": "weight_decay wd",
    "dropout": "dropout dropout_rate dropout_prob p_drop",
    "width": "hidden hidden_dim hidden_size dim d_model embed_dim embedding_dim model_dim n_embd",
    "heads": "heads n_heads num_heads n_head nhead num_attention_heads",
    "kv_heads": "kv_heads n_kv_heads num_kv_heads num_key_value_heads",
    "head_width": "head_dim dim_head head_size d_head d_kv",
    "batch": "batch_size bs",
    "whole_batch": "global_batch_size effective_batch_size total_batch_size",
    "micro_batch": "micro_batch_size per_device_batch_size per_device_train_batch_size batch_size_per_gpu",
    "accumulation": "accumulation accumulate accum_steps accumulation_steps grad_accum grad_accum_steps "
    "gradient_accumulation gradient_accumulation_steps accumulate_grad_batches",
    "world": "world_size num_gpus n_gpus ngpus num_devices",
    "epochs": "epochs num_epochs n_epochs max_epochs num_train_epochs",
    "steps": "total_steps max_steps num_steps num_training_steps train_steps training_steps",
    "warmup_steps": "warmup_steps num_warmup_steps lr_warmup_steps",
    "warmup_epochs": "warmup_epochs num_warmup_epochs",
    "norm": "max_norm max_grad_norm grad_clip clip_grad grad_clip_norm gradient_clip gradient_clip_val clip_norm",
    "momentum": "momentum",
    "betas": "betas adam_betas",
    "smallest_rate": "min_lr eta_min lr_min final_lr end_lr",
    "period": "t_max",
}
_MEANING = {name: meaning for meaning, names in MEANINGS.items() for name in names.split()}


@dataclass(frozen=True, slots=True)
class Setting:
    """One value of a configuration; `keys` lead to it from the top."""

    keys: tuple[str | int, ...]
    value: Any

    @property
    def path(self) -> str:
        """As it is written in an override: optimizer.betas.0."""
        return ".".join(str(key) for key in self.keys)

    @property
    def name(self) -> str:
        """The last key that is a name, in lower case."""
        return next((key.lower() for key in reversed(self.keys) if isinstance(key, str)), "")

    @property
    def section(self) -> tuple[str | int, ...]:
        """What stands above the value."""
        return self.keys[:-1]

    @property
    def meaning(self) -> str:
        """What the name stands for, see MEANINGS; empty if it is not known."""
        return _MEANING.get(self.name, "")

    @property
    def words(self) -> frozenset[str]:
        """All words of all keys, in lower case: data.trainPath gives data, train and path."""
        parts = (re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(key)) for key in self.keys)
        return frozenset(word for part in parts for word in re.split(r"[^a-z0-9]+", part.lower()) if word)


def settings(config: Any) -> list[Setting]:
    """The values of a mapping, or of the YAML file at a path; lists of plain values are one value.

    Raises:
        NotApplicable: The file is of another format.
        SubjectError: It cannot be read.
    """
    return list(_values(read(config), ()))


def read(config: Any) -> Mapping[str, Any]:
    """The configuration as a mapping."""
    if isinstance(config, Mapping):
        return _plain(config)
    path = Path(str(config))
    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        raise NotApplicable(f"config is {path.name!r}; only YAML files and mappings are read")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SubjectError(f"config: {path} cannot be read ({error.strerror}); give the path of a YAML file") from None
    except yaml.YAMLError as error:
        raise NotApplicable(f"{path.name} is no plain YAML: {' '.join(str(error).split())[:120]}") from None
    return content if isinstance(content, Mapping) else {}


def _plain(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """OmegaConf raises on reading a value that is missing; here such values are what is looked for."""
    if not type(config).__module__.startswith("omegaconf"):
        return config
    omegaconf = importlib.import_module("omegaconf")
    return omegaconf.OmegaConf.to_container(config, resolve=False)


def _values(node: Any, keys: tuple[str | int, ...]) -> Iterator[Setting]:
    if len(keys) > 20:
        return  # an alias of something around it
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _values(value, (*keys, key if isinstance(key, int) else str(key)))
    elif is_list(node) and any(isinstance(item, Mapping) or is_list(item) for item in node):
        for position, value in enumerate(node):
            yield from _values(value, (*keys, position))
    elif keys:
        yield Setting(keys, node)


def is_list(value: Any) -> bool:
    """Is it a sequence, and no text?"""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def number(value: Any) -> float | None:
    """The number in a value; PyYAML leaves 1e-3 a text. None if it is none."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float | str):
        try:
            return float(value)
        except ValueError:
            return None
    return None


def only(found: Sequence[Setting], meaning: str) -> Setting | None:
    """The one setting of that meaning that holds a number; None if there is none, or more than one value."""
    fitting = [one for one in found if one.meaning == meaning and number(one.value) is not None]
    return fitting[0] if len({number(one.value) for one in fitting}) == 1 else None


def replaced(config: Any, keys: Sequence[str | int], value: Any) -> Any:
    """A copy of a nested configuration, of the same types, with another value at `keys`; other parts are shared."""
    if not keys:
        return value
    head, rest = keys[0], keys[1:]
    if isinstance(config, Mapping):
        # Keys that are no texts were written as texts in the path.
        key = next(key for key in config if head in (key, str(key)))
        changed = dict(config) if type(config) is dict else copy.copy(config)
        # What is replaced is not read: in OmegaConf it may be missing, or refer to what is.
        changed[key] = replaced(config[key], rest, value) if rest else value  # type: ignore[index]
        return changed
    items = [replaced(item, rest, value) if place == head else item for place, item in enumerate(config)]
    return tuple(items) if isinstance(config, tuple) else items


# Keys that describe the run and its machine, or act only later than the first steps.
_PLUMBING_WORDS = (
    "name project experiment run tag tags note notes description version seed seeds path dir root folder file url "
    "uri output out save saving checkpoint checkpoints checkpointing ckpt resume log logs logging logger verbose "
    "debug print progress wandb tensorboard mlflow comet every interval freq frequency patience epoch epochs step "
    "steps iters iterations device devices cuda gpu gpus mps cpu tpu workers worker num_workers pin memory "
    "persistent prefetch threads cache world rank local node nodes host port master backend distributed ddp fsdp "
    "compile amp fp16 bf16 precision tf32 flash sdpa fused foreach cudnn deterministic benchmark channels_last "
    "monitor metric metrics early stopping stop test inference decode decoding generation sampling beam serve "
    "export deploy visualize plot tokenizer profiling profiler profile tqdm bar tta ema swa deepspeed apex jit "
    "inductor xformers triton mmap lmdb multiprocessing mixed scaler safetensors auth sdp efficient fast"
)
_PLUMBING = frozenset(_PLUMBING_WORDS.split())
_LATER = frozenset(
    ("logging", "logger", "wandb", "inference", "generation", "sampling", "decoding", "export", "deploy")
)
# Terms of a loss, and what keeps weights where they were.
_TERMS = frozenset(
    ("penalty", "regularization", "regularisation", "retention", "distill", "distillation", "consistency")
)
_TERMS |= {"contrastive", "auxiliary", "aux", "kl", "l1", "l2", "ewc", "fisher", "entropy", "mixup", "cutmix"}
# Under such a key a text chooses what other keys mean.
_CHOICES = frozenset(
    ("model", "arch", "architecture", "backbone", "encoder", "decoder", "type", "kind", "net", "network", "variant")
)
_CHOICES |= {"loss", "criterion", "objective", "task", "mode", "preset"}


def is_plumbing(setting: Setting) -> bool:
    """May a value legally change nothing in the first training steps, by what its keys are called?"""
    name = frozenset(re.split(r"[^a-z0-9]+", setting.name))
    return bool(name & _PLUMBING) or bool(setting.words & _LATER)


def is_choice(setting: Setting) -> bool:
    """Is it a text that decides which other keys have a meaning?"""
    names = [str(key).lower() for key in setting.keys if isinstance(key, str)]
    told = names[-2:-1] if names and names[-1] in ("name", "_target_", "class") else names[-1:]
    words = {word for name in told for word in re.split(r"[^a-z0-9]+", name)}
    return isinstance(setting.value, str) and bool(words & _CHOICES)


def is_core(setting: Setting) -> bool:
    """Does the value matter in every training run that has it, whatever else is configured?"""
    known = setting.meaning in ("rate", "decay", "dropout", "width", "heads", "batch", "norm")
    return known or re.fullmatch(r"(n_|num_|n)?layers?|depth|label_smoothing", setting.name) is not None


def is_mechanism(setting: Setting) -> bool:
    """Does the name stand for a part of the training that some other value may switch off?"""
    if isinstance(setting.value, bool):
        return re.fullmatch(r"(use|enable|with|add|apply|include|freeze)_.*|.*_enabled", setting.name) is not None
    name = r".*_weight|.*_coef(ficient)?|lambda.*|.*_lambda|alpha|gamma|beta|temperature|freeze.*|.*dropout.*"
    known = setting.meaning in ("momentum", "betas", "accumulation") or re.fullmatch(name, setting.name) is not None
    return known or bool(setting.words & _TERMS)
