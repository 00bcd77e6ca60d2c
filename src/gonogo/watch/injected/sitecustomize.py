"""Loaded by Python before the script, because this folder comes first on PYTHONPATH: start the watch, step aside.

The interpreter may be another one than gonogo's, so gonogo is loaded from its own folder if it is not installed there.
"""

import importlib.machinery
import importlib.util
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib costs every child of the script 10 ms


def _gonogo():
    if importlib.util.find_spec("gonogo") is None:
        home = os.path.dirname(os.path.dirname(_HERE))  # noqa: PTH120
        spec = importlib.util.spec_from_file_location(
            "gonogo",
            os.path.join(home, "__init__.py"),  # noqa: PTH118
            submodule_search_locations=[home],
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["gonogo"] = module
        spec.loader.exec_module(module)
    from gonogo.watch import start

    return start


def _own_sitecustomize():
    """The user's own sitecustomize, which this one hides."""
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _HERE]  # noqa: PTH100
if os.environ.get("GONOGO_WATCH"):
    try:
        if sys.version_info < (3, 11):  # noqa: UP036 - this is the script's interpreter
            raise RuntimeError("Python 3.11 or newer is needed in " + sys.executable)
        _gonogo().begin()
    except Exception as error:  # the script must run, watched or not
        print(f"gonogo: the watch could not start: {type(error).__name__}: {error}", file=sys.stderr)
_own_sitecustomize()
