"""A key to somebody's account, in a file that is copied with every run."""

import re
from dataclasses import replace

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.core.redact import redact
from gonogo.training.session import Session
from gonogo.training.settings import Setting, is_list, read, settings
from gonogo.training.subject import Subject

_DUMMY = re.compile(r"(?i)example|dummy|placeholder|change.?me|your|xxxx|\.\.\.|^none$|^null$|^false$|redacted")
_ACCESS = re.compile(r"(?i)pass|secret|api|auth|access|private|credential|bearer|hub|hf_?token|wandb|github")


@check(
    needs={C.CONFIG},
    effort=Effort.READ,
    criteria=[
        at_most("keys", fail=0, source="the issuers' own formats of keys (AWS, GitHub, Hugging Face, Slack, ...)"),
        at_most("likely", warn=0, source="ours: a text under a name such as password may be a dummy"),
    ],
    since="0.1",
)
def secrets(session: Session) -> Observation:
    """The configuration holds no secrets | The configuration holds secrets

    What: `keys` counts the texts in the form of an issuer's access key, private key, or password within an address;
        `likely` those under a name such as password or api_key. The values themselves never leave the process.
    Why: a configuration is logged by trackers, written into checkpoints and pushed to repositories; a key in it must
        be taken as known to others.
    Fix: revoke the key, read it from an environment variable or a secret store, and remove it from the history.
    Shapes: one row per value.
    Units: keys, likely: {value} (n: texts read).
    Source: CWE-798, use of hard-coded credentials.
    """
    found = settings(read(session.subject.config))
    texts = [(one, text) for one in found for text in (one.value if is_list(one.value) else [one.value])]
    texts = [(one, text) for one, text in texts if isinstance(text, str)]
    rows = [(one.path, kind) for one, text in texts if (kind := _kind(one, text))]
    counts = {"keys": "in the form of a key", "likely": "under the name of a secret"}
    return Observation(
        {
            name: Measurement(sum(row[1] == kind for row in rows), "{value}", n=len(texts))
            for name, kind in counts.items()
        },
        (Table("Secrets (values are not shown)", ("key", "is"), tuple(rows)),),
    )


def _kind(one: Setting, text: str) -> str:
    if len(set(text)) < 5 or len(text) < 8 or _DUMMY.search(text):
        return ""
    if redact(text) != text:
        return "in the form of a key"
    named = redact({one.name: text})[one.name] != text and _ACCESS.search(one.name)
    return "under the name of a secret" if named and " " not in text.strip() else ""


@fault()
def access_token(subject: Subject) -> Subject:
    """A token of a model hub stands in the configuration."""
    token = "hf_" + "aB3dE5gH7jK9mN1pQ3rS5tU7"  # in two parts, so that this file is not taken for a leak itself
    return replace(subject, config={**read(subject.config), "hub": {"token": token}})


@fault(expect=Status.WARN)
def password(subject: Subject) -> Subject:
    """The password of a data base stands in the configuration."""
    return replace(subject, config={**read(subject.config), "db_password": "kite-Marble-47"})
