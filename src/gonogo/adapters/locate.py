"""The SUBJECT of the command line -> Subject."""

import contextlib
import importlib
import importlib.util
import inspect
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn, optim
from torch.optim import lr_scheduler
from torch.optim.optimizer import register_optimizer_step_pre_hook

from gonogo.adapters import config_files, frameworks
from gonogo.errors import GonogoError, SubjectError, did_you_mean
from gonogo.training.blame import origin
from gonogo.training.subject import Subject

FORMS = "package.module:attribute, path/file.py:attribute, a YAML file with _target_ or class_path, or a recipe name"
RECIPES = "gonogo_recipes"
_PREPARING = 100  # optimizer steps


def locate(text: str, overrides: Mapping[str, Any]) -> Subject:
    """The subject that `text` names, built with `overrides` as keyword arguments.

    Raises:
        SubjectError: Nothing usable is there; the message says what was looked for and what is nearest.
    """
    if text.rpartition(":")[0].endswith((".yaml", ".yml")) or text.endswith((".yaml", ".yml")):
        return _from_yaml(Path(text), overrides)
    return call(find(text, "subject"), overrides, text)


def find(text: str, part: str) -> Any:
    """The object that `text` names; a file without a name means its `part`, a recipe the `build` of its `part`.

    Raises:
        SubjectError: Nothing is there; the message says what was looked for and what is nearest.
    """
    where, _, attribute = text.rpartition(":") if ":" in text else (text, "", "")
    if where.endswith(".py"):
        module = _load_file(Path(where))
        if not attribute and not hasattr(module, part):
            raise SubjectError(_nothing_named(module, part, where))
        return _attribute(module, attribute or part, text)
    if attribute:
        return _attribute(_import(where, text), attribute, text)
    return _attribute(_recipe(text, part), "build", text)


def _nothing_named(module: ModuleType, part: str, where: str) -> str:
    """A script that knows nothing of gonogo is what a new user has."""
    own = [name for name, thing in vars(module).items() if getattr(thing, "__module__", "") == module.__name__]
    names = f" ({', '.join(own[:6])})" if own else ""
    watch = f"; `gonogo watch -- python {where}` watches the script as it is" if part == "subject" else ""
    return f"{where}: there is no {part!r} there. Name what builds the run: {where}:NAME{names}{watch}"


def _attribute(module: ModuleType, attribute: str, text: str) -> Any:
    target: Any = module
    for part in attribute.split("."):
        if not hasattr(target, part):
            names = [name for name in vars(target) if not name.startswith("_")]
            raise SubjectError(f"{text}: there is no {part!r} there.{did_you_mean(part, names)}")
        target = getattr(target, part)
    return target


def call(target: Any, arguments: Mapping[str, Any], text: str) -> Subject:
    """The subject that `target` is, or that it builds from these keyword arguments."""
    if isinstance(target, Subject):
        if arguments:
            raise SubjectError(f"{text} is a Subject, not a function: it takes no {sorted(arguments)[0]!r}")
        return target
    if getattr(target, "__globals__", {}).get("__name__") == "hydra.main":
        script = "`gonogo watch -- python " + text.rpartition(":")[0] + "`"
        raise SubjectError(
            f"{text} is started by Hydra: {script} watches it; a configuration that names code is a SUBJECT"
        )
    live = None if arguments or isinstance(target, type) else frameworks.of_live(target, text)
    if live is not None:
        return live
    if not callable(target) or isinstance(target, nn.Module):
        what = "a live model, " if isinstance(target, nn.Module) else ""
        expected = "a Subject, or a function that returns one or a dict with model, loss, optimizer, train_loader"
        raise SubjectError(f"{text} is {what}{type(target).__name__}; expected {expected}")
    return frameworks.as_subject(built(target, arguments, text), lambda: built(target, arguments, text), text)


def built(target: Callable[..., Any], arguments: Mapping[str, Any], text: str) -> Any:
    """What the function returns for these keyword arguments.

    Raises:
        SubjectError: It does not take them, or it raised.
    """
    _refuse_wrong_arguments(target, arguments, text)
    try:
        return target(**arguments)
    except GonogoError:
        raise
    except SystemExit as error:
        reason = f": {' '.join(str(error.__context__).split()).rstrip('.')}" if error.__context__ else ""
        what = f"{text}() called sys.exit({error.code!r}) ({origin(error)}){reason}"
        takes = "a function that takes them as its own, `def build(lr=1e-3)`, or returns LightningCLI(..., run=False)"
        raise SubjectError(
            f"{what}. If it reads arguments of the command line, it has none here: name {takes}"
        ) from error
    except Exception as error:
        raise SubjectError(f"{text}() raised {type(error).__name__}: {error} ({origin(error)})") from error


def _refuse_wrong_arguments(target: Callable[..., Any], given: Mapping[str, Any], text: str) -> None:
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):  # some builtins have no signature
        return
    kinds = {parameter.kind for parameter in parameters.values()}
    for name in given:
        if name not in parameters and inspect.Parameter.VAR_KEYWORD not in kinds:
            takes = ", ".join(parameters) or "nothing"
            raise SubjectError(f"{text}: unknown {name!r}. It takes: {takes}.{did_you_mean(name, parameters)}")
    wild = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    lacking = [n for n, p in parameters.items() if p.default is p.empty and p.kind not in wild and n not in given]
    if lacking:
        names, values = ", ".join(map(repr, lacking)), " ".join(f"{name}=..." for name in lacking)
        raise SubjectError(f"{text} needs {names}: add {values} to the command, or name a function without arguments")


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        near = did_you_mean(path.name, [other.name for other in path.parent.glob("*.py")])
        raise SubjectError(f"there is no file {path}.{near}")
    folder, package = _root(path.resolve().parent)
    folders = [str(path.resolve().parent), str(folder), str(Path.cwd())]
    sys.path[:0] = [entry for entry in dict.fromkeys(folders) if entry not in sys.path]
    name = f"{package}{path.stem}"
    # A file called like a module that is loaded already (random.py) must not take its place.
    name = name if name not in sys.modules else f"{name}__subject"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SubjectError(f"{path} cannot be read as a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    _guarded(lambda: spec.loader.exec_module(module), str(path))  # type: ignore[union-attr]
    return module


def _root(folder: Path) -> tuple[Path, str]:
    """The folder from which the package of a file is imported, and 'package.' if there is one: for its own imports."""
    package = ""
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        folder, package = folder.parent, f"{folder.name}.{package}"
    return folder, package


def _import(name: str, text: str) -> ModuleType:
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError) as error:
        raise SubjectError(f"{text}: there is no module {name!r} ({error})") from None
    if found is None:
        raise SubjectError(f"{text}: there is no module {name!r}; looked in the current folder and in {sys.prefix}")
    return _guarded(lambda: importlib.import_module(name), name)


def _guarded(load: Callable[[], Any], where: str) -> Any:
    try:
        with _not_training(where):
            return load()
    except GonogoError:
        raise
    except Exception as error:
        raise SubjectError(f"{where}: importing it raised {type(error).__name__}: {error} ({origin(error)})") from error


@contextlib.contextmanager
def _not_training(where: str) -> Iterator[None]:
    """Within, more optimizer steps than a part would take to be prepared are refused: scripts train when imported."""
    steps = itertools.count(1)

    def count(*_: Any) -> None:
        if next(steps) > _PREPARING:
            what = f"{where} trains when it is imported: {_PREPARING} optimizer steps were taken"
            raise SubjectError(f"{what}. Put the training under `if __name__ == '__main__':`, or into a function")

    handle = register_optimizer_step_pre_hook(count)
    try:
        yield
    finally:
        handle.remove()


def _from_yaml(path: Path, overrides: Mapping[str, Any]) -> Subject:
    if not path.is_file():
        raise SubjectError(f"there is no file {path}. SUBJECT is {FORMS}")
    sys.path[:0] = [str(path.resolve().parent)]

    def resolve(name: str) -> Any:
        return _dotted(name, f"{path}: {name}")

    written = config_files.read(path, overrides, resolve)
    target = config_files.target(written.content)
    found = resolve(target) if target else None
    if isinstance(found, Subject):
        return call(found, config_files.arguments(written.content), target or "")
    return frameworks.of_configuration(written)


def _dotted(name: str, text: str) -> Any:
    """The object at a dotted name: what stands before its last modules' attributes is imported."""
    where, _, attribute = name.rpartition(".")
    if not where:
        for module in (optim, lr_scheduler):  # LightningCLI knows these by their short names
            if hasattr(module, name):
                return getattr(module, name)
        raise SubjectError(f"{text}: a name without its module was found; expected package.module.{name}")
    parents = where.split(".")
    for count in range(len(parents), 0, -1):
        with contextlib.suppress(ImportError, ValueError):
            if importlib.util.find_spec(".".join(parents[:count])) is not None:
                module = _import(".".join(parents[:count]), text)
                return _attribute(module, ".".join([*parents[count:], attribute]), text)
    return _attribute(_import(where, text), attribute, text)


def _recipe(name: str, part: str) -> ModuleType:
    names = recipes(part)
    if name not in names:
        known = f" Recipes: {', '.join(names)}." if names else ""
        near = did_you_mean(name, [*names, *(str(path) for path in Path().glob("*.py"))])
        raise SubjectError(f"{name!r} is not a {part}. SUBJECT is {FORMS}.{known}{near}")
    return _import(f"{RECIPES}.{name}.{part}", name)


def recipes(part: str = "subject") -> list[str]:
    """Names of the installed recipes that have this part."""
    package = importlib.util.find_spec(RECIPES)
    folders = package.submodule_search_locations if package else None
    return sorted(path.parent.name for folder in folders or () for path in Path(folder).glob(f"*/{part}.py"))
