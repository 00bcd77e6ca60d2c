"""Observe a training script as it runs.

    injected/   what Python loads first in the watched process: it waits for torch
    tracer      the events of one process, as the taps tell them
    taps/       one file for each thing that is watched: optimizers, losses, loaders, ...
    process     watch a whole process; `inside` a piece of this one
    ending      how the script is stopped after enough steps
    launch      the supervisor's side: command, environment, what came of it

The modules that run inside the user's process import the standard library and torch, nothing else, and hold no tensor
longer than one step. What they write is read by `gonogo.training.recording` and judged by `gonogo.checks.watch`.
"""
