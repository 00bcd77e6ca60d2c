"""A YAML file that names code (Hydra's _target_, LightningCLI's class_path) -> a function that builds what it names.

Values go through OmegaConf where it is installed, so that `${...}` and `1e-3` mean what they mean to Hydra.
"""

import contextlib
import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, ValuesView
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gonogo.adapters.hydra_files import composed, find_project_root, imported
from gonogo.adapters.lightning.hooks import own_trainer
from gonogo.adapters.lightning.monitors import wait
from gonogo.core.profile import parse_yaml
from gonogo.errors import SubjectError, did_you_mean
from gonogo.training.blame import origin

Resolve = Callable[[str], Any]  # a dotted name -> the object
_DATA = ("data", "datamodule")
_MISSING = "???"
_BUILT = ("model", *_DATA, "trainer", "optimizer", "lr_scheduler")
_REFERENCE = re.compile(r"\$\{(\w+)")
# Of a Trainer's arguments, those that shape what is learned.
_LEARNED = ("max_epochs", "max_steps", "gradient_clip_val", "gradient_clip_algorithm", "accumulate_grad_batches")
_LEARNED = (*_LEARNED, "precision", "limit_train_batches")
_WHOLE = ("max_epochs", "max_steps", "accumulate_grad_batches")
_NAMED_ELSEWHERE = (
    "Classes that a script names itself must be named here as well, or SUBJECT be a function of the script"
)
_NAMED_ELSEWHERE += ' that returns LightningCLI(Model, Data, args=["--config", ...], run=False)'


@dataclass(frozen=True, slots=True)
class Written:
    """A configuration that names code.

    Attributes:
        text: What messages call it.
        content: The whole of it, composed, with overrides.
        raw: The same before `${...}` was replaced by what it refers to.
        resolve: Finds the objects that it names.
    """

    text: str
    content: Mapping[str, Any]
    raw: Mapping[str, Any]
    resolve: Resolve

    @property
    def shown(self) -> dict[str, Any]:
        """What is built here, and what that refers to: seeds, paths, loggers and callbacks are the launch's."""
        shown = _kept(self.content, self.raw)
        trainer = shown.get("trainer")
        if isinstance(trainer, Mapping):
            shown["trainer"] = {key: value for key, value in trainer.items() if key in _LEARNED and value is not None}
        return shown

    def changed(self, shown: Mapping[str, Any]) -> "Written":
        """The same with other values; what refers to a changed value follows it."""
        raw = self.raw
        for keys, value in _differences(self.shown, shown):
            raw = _with(raw, list(keys), value)
        return Written(self.text, _resolved(Path(self.text), raw), raw, self.resolve)

    def build(self) -> Any:
        """What it describes, made anew: one object, or a module with its data and Trainer.

        Raises:
            SubjectError: It names no code, or that code raised.
        """
        if target(self.content) is not None:
            return self._made(self.content, "")
        model, data = self.content.get("model"), next((self.content[k] for k in _DATA if k in self.content), None)
        if not isinstance(model, Mapping) or target(model) is None:
            names = "_target_ (Hydra) or class_path (LightningCLI)"
            what = f"no {names} was found at its top level or under model:"
            raise SubjectError(f"{self.text}: {what}. {_NAMED_ELSEWHERE}")
        found = {"module": self._made(model, "model")}
        found |= {"datamodule": self._made(data, "data")} if isinstance(data, Mapping) and target(data) else {}
        if isinstance(self.content.get("trainer"), Mapping):
            found["trainer"] = self._trainer(found["module"], self.content["trainer"])
        if isinstance(self.content.get("optimizer"), Mapping):
            found["module"].configure_optimizers = functools.partial(self._optimizers, found["module"])
        return found

    def _optimizers(self, module: Any) -> Any:
        """As LightningCLI configures them: sections beside the model."""
        optimizer = self._made({**self.content["optimizer"], "_args_": [module.parameters()]}, "optimizer")
        schedule = self.content.get("lr_scheduler")
        if not isinstance(schedule, Mapping):
            return optimizer
        return [optimizer], [self._made({**schedule, "_args_": [optimizer]}, "lr_scheduler")]

    def _trainer(self, module: Any, section: Mapping[str, Any]) -> Any:
        given = section.get("init_args") or section
        given = {name: given[name] for name in _LEARNED if given.get(name) is not None}
        for name in _WHOLE:
            if not isinstance(given.get(name, 0), int):
                what = f"{type(given[name]).__name__} {given[name]!r} was found; expected a whole number"
                raise SubjectError(f"{self.text}: trainer.{name}: {what}")
        try:
            trainer = own_trainer(module, **given)
            wait(trainer, list(self._callbacks()))
            return trainer
        except Exception as error:
            raise SubjectError(f"{self.text}: trainer: {type(error).__name__}: {error}") from error

    def _callbacks(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """(class, arguments) of each, in the places of LightningCLI and of Hydra's templates."""
        for section in (self.content["trainer"], self.content):
            found = (section.get("init_args") or section).get("callbacks") or []
            nodes = found.values() if isinstance(found, Mapping) and target(found) is None else found
            for node in nodes if isinstance(nodes, list | ValuesView) else [nodes]:
                if isinstance(node, Mapping):
                    yield target(node) or "", arguments(node)

    def _made(self, node: Any, where: str) -> Any:
        """Objects for every mapping that names one, from the inside out."""
        if isinstance(node, list):
            return [self._made(item, f"{where}[{place}]") for place, item in enumerate(node)]
        if not isinstance(node, Mapping):
            return node
        name = target(node)
        if name is None:
            return {key: self._made(value, f"{where}.{key}") for key, value in node.items()}
        given = arguments(node)
        inner = node.get("_recursive_", True)
        named = {key: self._made(value, f"{where}.{key}") if inner else value for key, value in given.items()}
        places = self._made(list(node.get("_args_", ())), where)
        return self._called(self.resolve(name), places, named, node, where or name)

    def _called(self, made: Any, places: list[Any], named: dict[str, Any], node: Any, where: str) -> Any:
        if node.get("_partial_") or _waits(made, places, named, node):
            return functools.partial(made, *places, **named)
        try:
            return made(*places, **named)
        except SubjectError:
            raise
        except Exception as error:
            what = f"{target(node)} raised {type(error).__name__}: {error} ({origin(error)}){_near(made, named)}"
            raise SubjectError(f"{self.text}: {where.lstrip('.')}: {what}") from error


def read(path: Path, overrides: Mapping[str, Any], resolve: Resolve) -> Written:
    """The configuration of a file, with overrides by dotted key.

    Raises:
        SubjectError: It cannot be read, or composed, or values that it demands are missing.
    """
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise SubjectError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SubjectError(f"{path}: not UTF-8 text: {error}") from None
    if "model" not in content and isinstance(content.get("fit"), Mapping):  # a LightningCLI file of all its commands
        content = content["fit"]
    find_project_root(path)
    raw = composed(path, overrides) if "defaults" in content else content
    if raw is content:
        for key, value in overrides.items():
            raw = _with(raw, key.split("."), value)
    content = _resolved(path, raw)
    missing = list(_unresolved(_kept(content, raw), ""))
    if missing:
        what = "values that must be given are" if len(missing) > 1 else "a value that must be given is"
        raise SubjectError(f"{path}: {what} missing: {', '.join(missing)}. Add {missing[0]}=... to the command")
    return Written(str(path), content, raw, resolve)


def _resolved(path: Path, raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Values in the place of `${...}`, but for sections that nothing here needs: they may ask for secrets."""
    if "${" not in str(raw):
        return raw
    omegaconf = imported("omegaconf", path)
    try:
        made = omegaconf.OmegaConf.create(raw)
        needed = _kept(raw, raw)
        return {key: _value(omegaconf, made, key) if key in needed else value for key, value in raw.items()}
    except Exception as error:
        text = " ".join(str(error).split())
        advice = ". Set it in front of the command: NAME=value gonogo run ..." if "Environment variable" in text else ""
        raise SubjectError(f"{path}: it cannot be resolved: {text}{advice}") from None


def _value(omegaconf: Any, made: Any, key: str) -> Any:
    value = made[key] if not omegaconf.OmegaConf.is_missing(made, key) else _MISSING
    config = omegaconf.OmegaConf.is_config(value)
    return omegaconf.OmegaConf.to_container(value, resolve=True) if config else value


def _kept(content: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """All of a configuration that describes one object, else what is built of it and what that refers to."""
    reached = set(content) if target(raw) is not None else _reached(raw)
    return {key: value for key, value in content.items() if key in reached}


def _reached(raw: Mapping[str, Any]) -> set[str]:
    """The sections that are built, and all to which they refer."""
    reached: set[str] = set()
    waiting = [key for key in _BUILT if key in raw]
    while waiting:
        key = waiting.pop()
        if key in raw and key not in reached:
            reached.add(key)
            waiting += _REFERENCE.findall(str(raw[key]))
    return reached


def _with(content: Mapping[str, Any], keys: list[str], value: Any) -> dict[str, Any]:
    below = content.get(keys[0])
    inner = _with(below if isinstance(below, Mapping) else {}, keys[1:], value) if len(keys) > 1 else value
    return {**content, keys[0]: inner}


def _differences(one: Any, other: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(keys, value of the second) wherever two nested mappings differ."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in other:
            yield from _differences(one.get(key), other[key], (*keys, key))
    elif one != other:
        yield keys, other


def _unresolved(node: Any, where: str) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _unresolved(value, f"{where}.{key}".lstrip("."))
    elif node == _MISSING:
        yield where


def _waits(made: Any, places: list[Any], named: Mapping[str, Any], node: Any) -> bool:
    """Is it what LightningCLI calls OptimizerCallable: a class of optimizers or schedules without what it works on?"""
    if "class_path" not in node or not isinstance(made, type) or not issubclass(made, Optimizer | LRScheduler):
        return False
    return not places and not {"params", "optimizer"} & set(named)


def _near(made: Any, named: Mapping[str, Any]) -> str:
    """The argument that may be meant where one is given that does not exist."""
    with contextlib.suppress(TypeError, ValueError):  # some builtins have no signature
        takes = inspect.signature(made).parameters
        wild = any(one.kind is one.VAR_KEYWORD for one in takes.values())
        unknown = [name for name in named if name not in takes and not wild]
        return f". It takes: {', '.join(takes) or 'nothing'}.{did_you_mean(unknown[0], takes)}" if unknown else ""
    return ""


def target(node: Mapping[str, Any]) -> str | None:
    """The dotted name of what a mapping describes, if it describes an object."""
    name = node.get("_target_") or node.get("class_path")
    return name.replace(":", ".") if isinstance(name, str) else None


def arguments(node: Mapping[str, Any]) -> dict[str, Any]:
    """What is handed to it."""
    if "class_path" in node:
        return {**(node.get("init_args") or {}), **(node.get("dict_kwargs") or {})}
    return {key: value for key, value in node.items() if not (key.startswith("_") and key.endswith("_"))}
