"""Wait for torch: the watch begins when the script has imported it, and imports nothing heavy itself."""

import contextlib
import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from gonogo.watch.orders import Orders


def begin() -> None:
    """Watch this process, as the environment orders."""
    orders = Orders.of_environment(os.environ)
    if orders is None:
        return
    with contextlib.suppress(OSError):
        (orders.folder / f"{os.getpid()}.python").write_text(sys.executable)
    if "torch" not in sys.modules:
        sys.meta_path.insert(0, _Finder(orders))


class _Finder(importlib.abc.MetaPathFinder):
    """Finds torch as Python would, and has it loaded by `_Loader`."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The spec of torch; nothing else is touched."""
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            _after(spec.loader, self.orders)
        return spec


def _after(loader: importlib.abc.Loader, orders: Orders) -> None:
    """Begin when the loader has executed torch. Only this one loader is changed, so its type and methods stay."""
    execute = loader.exec_module

    def executing(module: ModuleType) -> None:
        execute(module)
        try:
            from gonogo.watch.process import watch_process

            watch_process(orders)
        except Exception as error:  # the script must run, watched or not
            print(f"gonogo: the watch could not start: {type(error).__name__}: {error}", file=sys.stderr)

    loader.exec_module = executing
