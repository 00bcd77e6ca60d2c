"""Subjects for the tests of the supervisor: a healthy toy, and parts that misbehave."""

import argparse
import os
import sys
import time
from dataclasses import replace

from gonogo.testing.toys import TOYS

healthy = TOYS["classifier"]


def with_evaluation(misbehave):
    """The toy, where its own evaluation (which evaluation.repeat alone runs) does something else."""
    return replace(healthy(), evaluate=lambda model, loader: misbehave())


def exits():
    argparse.ArgumentParser().parse_args()  # like many programs; there are no arguments to be read
    return with_evaluation(lambda: os._exit(0))


def hangs():
    return with_evaluation(lambda: time.sleep(1000))


def slow():
    return with_evaluation(lambda: time.sleep(2))


def returns_none():
    pass


def raises():
    raise ValueError("no data here, password=hunter2secret")


def twice():
    model = healthy().model()
    return replace(healthy(), model=lambda: model)


def takes(width: int = 3):
    return healthy()


not_a_subject = 3


def forks():
    """A child process that comes back from the user's code, into the worker."""
    os.fork()
    return healthy()


def interrupts():
    def act():
        raise KeyboardInterrupt

    return with_evaluation(act)


def misimports():
    sys.stderr.write("ImportError: libnothing.so\n")
    os._exit(1)
