"""`pytest --gonogo module:subject`: every planned check is a test item.

Every pytest of an environment that has gonogo loads this file, so it imports nothing before the option is given.
"""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The two options."""
    group = parser.getgroup("gonogo", "gonogo: is the training run ready?")
    group.addoption("--gonogo", metavar="SUBJECT", help="Also run the checks of this subject: module:attribute.")
    group.addoption(
        "--gonogo-profile",
        metavar="NAME",
        default="standard",
        help="quick, standard, full, or the path of a YAML file.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Add the checks if a subject was named."""
    config.addinivalue_line("markers", "gonogo: a check of the training run that --gonogo names")
    if subject := config.getoption("--gonogo"):
        from gonogo.testing.pytest_checks import Checks

        profile = str(config.getoption("--gonogo-profile"))
        config.pluginmanager.register(Checks(str(subject), profile), "gonogo-checks")
