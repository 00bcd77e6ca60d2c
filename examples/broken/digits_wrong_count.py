"""Mistake: the published parameter count is that of a draft with 64 channels. Caught by model.parameter-count."""

from healthy import digits

from gonogo import Subject


def subject() -> Subject:
    return digits.subject().with_claims(parameters=19_770)
