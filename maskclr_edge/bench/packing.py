"""Does an absent person cost nothing? One person in a two-person clip against one person alone, in turns."""

from dataclasses import dataclass

import numpy as np

from maskclr_edge.bench.scenarios import bench_clips
from maskclr_edge.bench.statistics import paired_ratio
from maskclr_edge.bench.timing import Budget, time_in_turns
from maskclr_edge.errors import ConfigError
from maskclr_edge.runtime import Runner


@dataclass(frozen=True)
class Packing:
    """Medians of one person with and without an absent second one, their ratio and its 95 % interval."""

    runner: str
    precision: str
    frames: int
    one_of_two_ms: float
    one_ms: float
    ratio: float
    low: float
    high: float


def measure_packing(runner: Runner, *, frames: int, budget: Budget | None = None) -> Packing:
    """Measure both forms of the same clip in one run. ConfigError where the contract has no absent zeros."""
    if runner.contract.absent != "zeros" or runner.contract.persons != 2:
        raise ConfigError("person packing needs a model of two person slots whose absent persons are zeros")
    one = bench_clips(runner.contract, frames=frames, persons=1)  # (1, 1, T, 17, 3)
    one_of_two = np.concatenate((one, np.zeros_like(one)), axis=1)  # (1, 2, T, 17, 3)
    timings = time_in_turns(
        {"one of two": lambda: runner.infer(one_of_two), "one": lambda: runner.infer(one)}, budget
    )
    above, below = timings["one of two"].samples_ms, timings["one"].samples_ms
    ratio = paired_ratio(above, below)
    return Packing(
        runner.name, runner.precision, frames, float(np.median(above)), float(np.median(below)),
        ratio.value, ratio.low, ratio.high,
    )  # fmt: skip
