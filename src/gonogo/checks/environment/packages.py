"""The run was pinned to versions; are these the ones?"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from gonogo.audit import requirements
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@check(
    needs=(),
    effort=Effort.READ,
    criteria=[
        at_most("drift", fail=0.0, source="the subject's own requirements"),
        at_most("broken", warn=0.0, source="the packages' own metadata (PEP 508, PEP 566)"),
    ],
)
def packages(session: Session) -> Observation:
    """Installed packages are the ones required | Installed packages are not the ones required

    What: compare each of `Subject(requirements=...)` whose marker applies here with what is installed: `drift` counts
        those that are missing or of another version. `broken` counts requirements between packages which this process
        has imported that their installed versions do not meet.
    Why: another version of torch, a tokenizer or a codec changes numbers without an error, and a published result
        cannot be reproduced from a lock file that was not installed.
    Fix: install from the file that pins the run (`pip install -r requirements.txt`), or update the pins if the new
        versions are meant; `pip check` shows all packages that contradict each other.
    Shapes: one line per requirement
    Units: drift, broken: {package} (n: requirements compared)
    Source: PEP 440, PEP 508
    """
    required = [one for one in requirements.read(session.subject.requirements) if requirements.applies(one)]
    drift = [(one.name, str(one.specifier) or "any", installed(one.name) or "not installed") for one in required]
    drift = [row for one, row in zip(required, drift, strict=True) if not _is_met(one)]
    mutual = list(_between_imported())
    broken = [
        (f"{one.name} (for {by})", str(one.specifier), installed(one.name) or "")
        for by, one in mutual
        if not _is_met(one)
    ]
    columns = ("package", "required", "installed")
    tables = (Table("Drift", columns, tuple(drift)), Table("Contradictions between packages", columns, tuple(broken)))
    measurements = {
        "drift": Measurement(len(drift), "{package}", n=len(required)),
        "broken": Measurement(len(broken), "{package}", n=len(mutual)),
    }
    return Observation(measurements, tables)


def installed(name: str) -> str | None:
    """The installed version of a distribution, None if there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _is_met(requirement: Requirement) -> bool:
    version = installed(requirement.name)
    if version is None:
        return False
    try:
        return requirement.specifier.contains(version, prereleases=True)
    except InvalidVersion:  # from before PEP 440: only equality can be seen
        return not requirement.specifier or version in str(requirement.specifier)


def _between_imported() -> Iterator[tuple[str, Requirement]]:
    """(distribution, its requirement), both imported by this process."""
    present = {
        canonicalize_name(distribution)
        for module, distributions in metadata.packages_distributions().items()
        if module in sys.modules
        for distribution in distributions
    }
    for name in sorted(present):
        for line in metadata.requires(name) or ():
            requirement = Requirement(line)
            if canonicalize_name(requirement.name) in present and requirements.applies(requirement):
                yield name, requirement


@fault()
def another_version(subject: Subject) -> Subject:
    """The run was pinned to a version of torch that is not installed."""
    return replace(subject, requirements=("torch==0.4.1",))


@fault()
def package_that_is_missing(subject: Subject) -> Subject:
    """A required package is not installed."""
    return replace(subject, requirements=("torch", "gonogo-example-of-a-missing-package>=1"))
