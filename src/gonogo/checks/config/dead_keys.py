"""A key that changes nothing is a mechanism that does not run."""

from dataclasses import replace

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.configuration.toggles import answer, is_dead, probe
from gonogo.training.session import Session
from gonogo.training.settings import is_core, is_plumbing, read, replaced, settings
from gonogo.training.subject import Subject


@check(
    needs={C.CONFIG, C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values",),
    criteria=[
        at_most("dead", fail=0, source="ours: two runs that agree bit for bit for any value are one run"),
        at_most("idle", warn=0, source="ours: other values may switch such a key off, so a warning"),
    ],
    explains=("config.readback", "code.unread-arguments"),
    since="0.1",
)
def dead_keys(session: Session) -> Observation:
    """Each configured value does something | Configured values do nothing

    What: builds the run again with one value of its configuration changed (numbers scaled, flags flipped) and compares
        data, model, three optimizer steps, schedule and evaluation with those of the given one, bit for bit. `dead`
        counts keys that every training uses (learning rate, decay, dropout, sizes, clipping, flags, loss weights) and
        that change nothing here; `idle` other such keys, those that another value may have switched off, and
        those that only change what the model keeps and does not use.
        `untested`: texts and whatever the time did not suffice for. Keys of logging, paths, lengths and seeds are left.
    Why: a misspelt key, a default that overwrites it or a mechanism that is configured and never called leave a run
        that is not the one described; an ablation over such a key compares a run with itself.
    Fix: search for the name of the key: is it read where the part is built, under this spelling and this section, and
        is what it sets used in the step? Delete it otherwise.
    Shapes: one row per key.
    Units: dead, idle, untested: {key} (n: keys tried).
    Source: huggingface/transformers issue 26221 (an argument that was reset); mutation testing.
    """
    run = probe(session)
    wanted = [one for one in settings(run.config) if not is_plumbing(one)]
    found = {one.path: answer(run, one) for one in sorted(wanted, key=lambda one: not is_core(one))}
    if not any(found.values()) and "" not in found.values():
        raise NotApplicable("the configuration has no number and no flag of the training that could be changed")
    silent = [one for one in wanted if (found[one.path] or "only").startswith("only") and found[one.path] is not None]
    dead = [one for one in silent if found[one.path] == "" and is_dead(run, one, wanted, found)]
    tried = len([answer for answer in found.values() if answer is not None])
    rows = [
        (one.path, str(one.value), "nothing" if one in dead else found[one.path] or "nothing here") for one in silent
    ]
    rows += [(one.path, str(one.value), found[one.path] or "not tried") for one in wanted if one not in silent]
    return Observation(
        {
            "dead": Measurement(len(dead), "{key}", n=tried),
            "idle": Measurement(len(silent) - len(dead), "{key}", n=tried),
            "untested": Measurement(len(wanted) - tried, "{key}"),
        },
        (Table("What changes with each key", ("key", "value", "first change"), tuple(rows)),),
    )


@fault(toy="configured")
def default_wins(subject: Subject) -> Subject:
    """The dropout of the configuration is overwritten by a default."""
    build = subject._given("with_config")
    return replace(subject, with_config=lambda config: build(replaced(config, ("model", "dropout"), 0.1)))


@fault(toy="configured", expect=Status.WARN)
def never_read(subject: Subject) -> Subject:
    """A key is configured that no part of the run reads."""
    return replace(subject, config={**read(subject.config), "sharpness": 2.0})
