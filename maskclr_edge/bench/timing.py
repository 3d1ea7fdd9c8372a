"""Timing one call again and again: warm up until it is steady, then collect latencies for a while."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from maskclr_edge.bench.statistics import Samples, check_keys
from maskclr_edge.errors import ConfigError

Call = Callable[[], object]
Progress = Callable[[int, int, str], None]

#: two neighbouring groups of this many calls, whose medians agree this closely, end the warm-up
STEADY_CALLS = 8
STEADY_TOLERANCE = 0.05


@dataclass(frozen=True)
class Budget:
    """How long to measure: `seconds`, but at least `min_samples` calls unless `patience` x seconds pass."""

    seconds: float = 2.0
    min_samples: int = 20
    max_samples: int = 20_000
    patience: float = 4.0

    def __post_init__(self) -> None:
        """Refuse budgets under which nothing would be measured, or without end."""
        if not 0 < self.seconds <= 3600:
            raise ConfigError(f"a measurement lasts over 0 and at most 3600 seconds; got {self.seconds:g}")
        if not 1 <= self.min_samples <= self.max_samples:
            raise ConfigError(
                f"need 1 <= min_samples <= max_samples; got {self.min_samples} and {self.max_samples}"
            )

    def spent(self, seconds: float, samples: int) -> bool:
        """Whether enough was measured."""
        if samples >= self.max_samples:
            return True
        enough = samples >= self.min_samples or seconds >= self.seconds * self.patience
        return samples > 0 and seconds >= self.seconds and enough


@dataclass(frozen=True)
class Warmup:
    """What ran before measuring: how many calls, their time, the first one's, and if they became steady."""

    calls: int
    seconds: float
    first_ms: float
    steady: bool

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Warmup":
        """The reverse of `to_dict`. DataError names keys that are missing or unknown."""
        return cls(**check_keys(cls, values))


@dataclass(frozen=True)
class Timing:
    """Milliseconds of each measured call in order, and the warm-up before them."""

    samples_ms: Samples
    warmup: Warmup


def warm_up(call: Call, seconds: float = 2.0) -> Warmup:
    """Run `call` until two neighbouring groups of calls agree, or for `seconds` (at least two calls)."""
    samples: list[float] = []
    begin = time.perf_counter()
    while True:
        samples.append(_timed(call))
        if len(samples) >= 2 * STEADY_CALLS:
            before, after = np.median(np.reshape(samples[-2 * STEADY_CALLS :], (2, STEADY_CALLS)), axis=1)
            if abs(after - before) <= STEADY_TOLERANCE * before:
                return Warmup(len(samples), time.perf_counter() - begin, samples[0], steady=True)
        if len(samples) >= 2 and time.perf_counter() - begin >= seconds:
            return Warmup(len(samples), time.perf_counter() - begin, samples[0], steady=False)


def time_call(call: Call, budget: Budget | None = None) -> Timing:
    """Warm `call` up, then time it back to back until the budget is spent."""
    budget = budget or Budget()
    warmup = warm_up(call, seconds=max(0.2, budget.seconds))
    samples: list[float] = []
    begin = time.perf_counter()
    while not budget.spent(time.perf_counter() - begin, len(samples)):
        samples.append(_timed(call))
    return Timing(np.array(samples), warmup)


def time_in_turns(
    calls: Mapping[str, Call], budget: Budget | None = None, *, rest_s: float = 0.0
) -> dict[str, Timing]:
    """Time several calls in one run, one of each a round, so that they can be compared by their ratio.

    The order is turned by one every round. The budget is for all of them together, with a rest before each
    call: threads that spin after one call would otherwise take the processor from the next.
    """
    budget = budget or Budget()
    names = list(calls)
    warmups = {name: warm_up(calls[name], seconds=max(0.2, budget.seconds / len(names))) for name in names}
    samples: dict[str, list[float]] = {name: [] for name in names}
    begin, rounds = time.perf_counter(), 0
    while not budget.spent(time.perf_counter() - begin, rounds):
        first = rounds % len(names)
        for name in names[first:] + names[:first]:
            if rest_s:
                time.sleep(rest_s)
            samples[name].append(_timed(calls[name]))
        rounds += 1
    return {name: Timing(np.array(samples[name]), warmups[name]) for name in names}


def _timed(call: Call) -> float:
    start = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - start) / 1e6
