"""What a plain PyTorch project has -> Subject: a Subject already, or a dict of its live parts from one build."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gonogo.errors import NotApplicable, SubjectError, did_you_mean
from gonogo.training.claims import Claims
from gonogo.training.subject import Split, Subject

NEEDED = ("model", "loss", "optimizer", "train_loader")
KNOWN = (*NEEDED, "step", "evaluate", "valid_loader", "test_loader", "predict", "save", "load", "scheduler", "scaler")
KNOWN += ("ema", "best", "criterion", "config", "with_config", "claims", "name", "proxy", "requirements")
KNOWN += ("config_file", "overrides")
_MARK = "_gonogo_parts"


def as_subject(built: Any, build: Callable[[], Any], text: str) -> Subject:
    """The subject in what a user's function returned; `build` calls that function again.

    Raises:
        SubjectError: It returned something else.
    """
    if isinstance(built, Subject):
        return built
    if isinstance(built, Mapping):
        return from_parts(built, build, text)
    what = "None: is a `return` missing? Expected" if built is None else f"{type(built).__name__}; expected"
    raise SubjectError(f"{text}() returned {what} a gonogo.Subject, or a dict with {', '.join(NEEDED)}")


def from_parts(first: Mapping[str, Any], build: Callable[[], Any], text: str) -> Subject:
    """The subject whose live parts one call of `build` returns together; every fresh instance is a new call."""
    for name in NEEDED:
        if name not in first:
            found = f"{', '.join(map(repr, first)) or 'nothing'} was found"
            near = next((f" Rename {one!r} to {name!r}?" for one in first if did_you_mean(str(one), [name])), "")
            raise SubjectError(f"{text}() returned a dict: {found}; expected {', '.join(NEEDED)} among them.{near}")
    program = _Program(build, text)
    has = {name for name in KNOWN if first.get(name) is not None}
    loaders = {name: program.loader(f"{name}_loader") for name in ("train", "valid", "test") if f"{name}_loader" in has}
    return Subject(
        name=str(first.get("name", text)),
        model=program.model,
        loss=program.own("loss", first),
        optimizer=lambda model: program.part(model, "optimizer"),
        splits={name: Split(loader) for name, loader in loaders.items()},
        predict=program.own("predict", first),
        step=program.own("step", first),
        evaluate=program.own("evaluate", first),
        schedule=program.scheduler if "scheduler" in has else None,
        save=program.save if {"save", "load"} <= has else None,
        load=program.load if {"save", "load"} <= has else None,
        config=first.get("config"),
        config_file=first.get("config_file"),
        overrides=tuple(first.get("overrides") or ()),
        requirements=first.get("requirements") or (),
        claims=claims_of(first.get("claims") or {}),
        parts=program.extras,
        with_config=_with_config(first, text) if "with_config" in has else None,
        proxy=str(first.get("proxy") or ""),
    )


def claims_of(given: Mapping[str, Any] | Claims) -> Claims:
    """Claims from a mapping; statements that no check tests are left out, lists become tuples."""
    if isinstance(given, Claims):
        return given
    known = {item.name: item for item in fields(Claims)}
    taken = {name: _fitting(value, known[name].default) for name, value in given.items() if name in known}
    if taken.get("resume") is True:
        taken["resume"] = "exact"
    return Claims(**{name: value for name, value in taken.items() if value is not None})


def _fitting(value: Any, default: Any) -> Any:
    if isinstance(default, tuple):
        return (value,) if isinstance(value, str) else tuple(value or ())
    return value


class _Program:
    """Parts that belong together, found again from the model that was built with them."""

    def __init__(self, build: Callable[[], Any], text: str) -> None:
        # A program may pretrain a part of itself while it is built, whatever mode the check that asks is in.
        self._build, self._text = torch.enable_grad()(torch.inference_mode(False)(build)), text

    def model(self) -> nn.Module:
        parts = _Parts(self._build())
        model = parts["model"]
        if not isinstance(model, nn.Module):
            raise SubjectError(f"{self._text}()['model'] is {type(model).__name__}; expected a torch.nn.Module")
        vars(model)[_MARK] = parts  # past nn.Module's own bookkeeping: this is no parameter and no buffer
        return model

    def of(self, model: nn.Module) -> "_Parts":
        # A model may have been wrapped since: then its parts hang on the module inside.
        for module in model.modules():
            parts = vars(module).get(_MARK)
            if parts is not None and parts["model"] is module:
                return parts
        raise NotApplicable("only models that the subject built have their own optimizer, scheduler and checkpoint")

    def part(self, model: nn.Module, name: str) -> Any:
        return self.of(model)[name]

    def extras(self, model: nn.Module) -> Mapping[str, Any]:
        return self.of(model)

    def own(self, name: str, first: Mapping[str, Any]) -> Callable[..., Any] | None:
        """That function of the build to which a model belongs: it may close over a scheduler, averages or counters."""
        if first.get(name) is None:
            return None

        def call(model: nn.Module, *rest: Any) -> Any:
            # The parts of a copied model are those of its original: no build made them for the copy.
            marked = (vars(module).get(_MARK) for module in model.modules())
            parts = next((parts for parts in marked if parts is not None), first)
            return parts[name](model, *rest)

        return call

    def loader(self, name: str) -> Callable[[], Any]:
        build = self._build  # in the closure, so that the user's own source is found from it
        return lambda: build()[name]

    def scheduler(self, optimizer: Any) -> Any:
        raise NotApplicable("the scheduler was built together with its optimizer")

    def save(self, path: Path, model: nn.Module, optimizer: Any) -> None:
        self.part(model, "save")(path)

    def load(self, path: Path, model: nn.Module, optimizer: Any) -> None:
        self.part(model, "load")(path)


class _Parts(dict[str, Any]):
    """The dict of one build; a copy of the model refers to it, and must not copy loaders and optimizers along."""

    def __deepcopy__(self, memo: Any) -> "_Parts":
        return self

    def __reduce__(self) -> Any:
        return dict, ()


def _with_config(first: Mapping[str, Any], text: str) -> Callable[[Mapping[str, Any]], Subject]:
    def build_with(config: Mapping[str, Any]) -> Subject:
        built = first["with_config"](config)
        return from_parts(built, lambda: first["with_config"](config), f"{text}.with_config")

    return build_with
