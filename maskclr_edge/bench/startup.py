"""What a user waits for before anything is answered: fresh processes, measured from outside."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

from maskclr_edge.bench.process import run_process, run_python

#: a person standing still is enough: what is measured is imports, reading, building the session, one answer
_FIRST_ANSWER = """
import json, sys, time
begin = time.perf_counter()
import numpy as np
from maskclr_edge import Classifier
imported = time.perf_counter()
with Classifier.open(sys.argv[1], runner=sys.argv[2], precision=sys.argv[3]) as classifier:
    opened = time.perf_counter()
    keypoints = np.random.default_rng(0).uniform(100, 300, (1, 60, 17, 3)).astype(np.float32)
    keypoints[..., 2] = 0.9
    classifier(keypoints, layout="coco17", resolution_wh=(640, 480))
    answered = time.perf_counter()
print(json.dumps([imported - begin, opened - imported, answered - opened]))
"""


@dataclass(frozen=True)
class Wait:
    """Seconds of one kind of start over several fresh processes."""

    what: str
    runs: int
    median_s: float
    worst_s: float


def help_wait(runs: int = 10) -> Wait:
    """From typing ``maskclr-edge --help`` to the prompt's return."""
    argv = [sys.executable, "-m", "maskclr_edge", "--help"]

    return _repeated("maskclr-edge --help", lambda: run_process(argv).seconds, runs)


def first_answer_waits(model: str, runner: str, precision: str, runs: int = 5) -> list[Wait]:
    """Opening a model and its first answer, and the whole process around them, imports included."""
    inside: list[float] = []

    def once() -> float:
        run, (_, opened, answered) = run_python(_FIRST_ANSWER, model, runner, precision)
        inside.append(opened + answered)
        return run.seconds

    process = _repeated(f"whole process, {runner} {precision}", once, runs)
    times = sorted(inside[1:])
    opening = Wait(f"open and first answer, {runner} {precision}", runs, times[len(times) // 2], times[-1])
    return [opening, process]


def _repeated(what: str, once: Callable[[], float], runs: int) -> Wait:
    """Run `runs` times after one that is not counted: it brings the files into the page cache."""
    once()
    seconds = sorted(once() for _ in range(runs))
    return Wait(what, runs, seconds[len(seconds) // 2], seconds[-1])
