"""`gonogo env`: facts for a bug report."""

import typer

from gonogo import __version__
from gonogo.core.catalogue import plugin_names
from gonogo.core.redact import redact
from gonogo.execution.provenance import of_machine


def env() -> None:
    """Print versions and hardware, ready to paste into a bug report."""
    facts = {"gonogo": __version__, **of_machine(), "plug-ins": ", ".join(plugin_names()) or "none"}
    width = max(map(len, facts))
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {redact(str(value))}")
