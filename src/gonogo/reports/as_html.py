"""The report as one HTML file: no script, nothing loaded, readable in ten years and under a strict CSP."""

from jinja2 import Environment, PackageLoader, StrictUndefined

from gonogo.core.report import Report
from gonogo.reports import rows, wording
from gonogo.reports.clean import clean


def render(report: Report) -> str:
    """The page."""
    environment = Environment(loader=PackageLoader("gonogo", "reports"), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("report.html.j2").render(report=clean(report), words=wording, rows=rows)
