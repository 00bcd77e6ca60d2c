"""What can go wrong, in words a user can act on.

    GonogoError
    |-- SubjectError    the training run as given cannot be used
    |-- ProfileError    the YAML profile, or a command-line selection, is wrong
    |-- CheckError      a check breaks its contract (its author must act, not the user)
    |-- PluginError     an installed plug-in cannot be loaded
    `-- TrainingStopped a finding of `gonogo.watch(model, optimizer)` ends the training

    NotApplicable       not an error: a check says that its question makes no sense here

Every message says what was found, what was expected and what to do.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class GonogoError(Exception):
    """Base of every error that gonogo raises on purpose."""


class SubjectError(GonogoError):
    """The training run as given cannot be used."""


class ProfileError(GonogoError):
    """The profile or the selection is wrong."""


class CheckError(GonogoError):
    """A check breaks its contract."""


class PluginError(GonogoError):
    """An installed plug-in cannot be loaded."""


class TrainingStopped(GonogoError):  # noqa: N818 - a decision, not a mistake
    """A finding of the watch ends the training."""


class NotApplicable(Exception):  # noqa: N818 - a signal, not an error
    """A check's question makes no sense for this subject; the message says why."""


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """' Did you mean ...?' with the nearest valid name, or an empty string."""
    near = get_close_matches(name, list(valid), n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""
