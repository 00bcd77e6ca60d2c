"""Time and forward passes of every check on a model of ten million parameters, one thread: `make bench`.

The aim: the standard profile within 60 s, no STEP check over 20 forward passes.
"""

import sys
import time
from pathlib import Path

import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from gonogo.adapters.locate import locate
from gonogo.core.catalogue import load_index
from gonogo.core.check import Effort
from gonogo.core.judge import judge_outcome, skipped
from gonogo.core.plan import make_plan
from gonogo.core.profile import load_profile
from gonogo.execution.measure import Bench
from gonogo.training.session import Session

DEFAULT = str(Path(__file__).with_name("transformer.py")) + ":subject"
MOST_PASSES = 20


def main() -> None:
    """Measure and print; a subject may be given as the first argument."""
    torch.set_num_threads(1)
    subject = locate(sys.argv[1] if len(sys.argv) > 1 else DEFAULT, {})
    profile = load_profile("standard")
    bench = Bench(Session(subject))
    root = type(subject.model())
    calls: list[int] = []
    register_module_forward_pre_hook(lambda module, inputs: calls.append(1) if type(module) is root else None)
    started = time.perf_counter()
    print(f"{'check':<40} {'effort':<6} {'status':<6} {'seconds':>8} {'passes':>7}")
    for step in make_plan(load_index(), profile, subject.provides()).steps:
        calls.clear()
        if step.skip:
            result = skipped(step, step.skip, step.reason, profile)
        else:
            limit = profile.time_limit.of(step.check.effort)
            result = judge_outcome(step, bench.measure(step.check, step.params, limit), profile)
        note = "  over" if step.check.effort is Effort.STEP and len(calls) > MOST_PASSES else ""
        row = f"{step.check.id:<40} {step.check.effort.name:<6} {result.status.name:<6}"
        print(f"{row} {result.seconds:8.2f} {len(calls):7}{note}", flush=True)
    print(f"{'all':<40} {'':<6} {'':<6} {time.perf_counter() - started:8.2f}")


if __name__ == "__main__":
    main()
