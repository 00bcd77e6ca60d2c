"""A check met an exception of the program: is that how the program is, or the answer to what the check did to it?

Checks exchange rows, switch modes, turn gradients off. A right program need not stand that: a detector has no loss in
evaluation mode, a packed batch cannot lose a row. Then the check's question has no answer here, and that is no error.
"""

from gonogo.errors import NotApplicable
from gonogo.instruments.evaluation import evaluations
from gonogo.training import seeding
from gonogo.training.session import Session

SECONDS = 10.0


def runs(session: Session) -> bool:
    """Does the program, left alone, take two steps and evaluate what it has learned?"""
    alone = session.fresh(session.subject.provides(), SECONDS)
    try:
        with seeding.seeded(session.seed):
            _steps(alone)
    except Exception:
        return False
    return True


def _steps(alone: Session) -> None:
    subject = alone.subject
    if subject.model is None:
        return
    model = alone.build_model()
    if subject.optimizer is None or "train" not in subject.splits or (subject.step is None and subject.loss is None):
        raise NotApplicable("nothing of the program can be run")
    optimizer = alone.build_optimizer(model)
    for batch in alone.batches("train", limit=2):
        alone.step(batch, model, optimizer)
    if subject.evaluate is not None and "valid" in subject.splits:
        evaluations.evaluate(alone, model, limit=2)
