"""`gonogo explain`: the page of one check."""

from typing import Annotated

import typer

from gonogo.cli.show import installed_plugins
from gonogo.core.catalogue import load_index
from gonogo.reports.pages import as_page


def explain(check_id: Annotated[str, typer.Argument(metavar="ID", help="Such as learning.one-batch-fit.")]) -> None:
    """Tell what a check measures, why, its limits with their sources, and how to fix what it finds."""
    catalogue = load_index()
    if "/" in check_id:
        catalogue += installed_plugins()
    typer.echo(as_page(catalogue[check_id]))
