"""Warm-up, budgets and turns, on a clock that the test moves."""

from collections.abc import Callable

import pytest

from maskclr_edge.bench import timing
from maskclr_edge.bench.timing import Budget, time_call, time_in_turns, warm_up
from maskclr_edge.errors import ConfigError


class Clock:
    """A clock that moves only when a call takes time."""

    def __init__(self) -> None:
        self.nanoseconds = 0

    def perf_counter_ns(self) -> int:
        return self.nanoseconds

    def perf_counter(self) -> float:
        return self.nanoseconds / 1e9

    def call(self, *durations_ms: float) -> Callable[[], None]:
        """A call that takes these durations in order, then the last one for ever."""
        calls = iter(durations_ms)

        def run() -> None:
            self.nanoseconds += round(next(calls, durations_ms[-1]) * 1e6)

        return run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    return clock


def test_warm_up_ends_when_steady(clock: Clock) -> None:
    warmup = warm_up(clock.call(500, 60, 50, 40, 30, 25, 20, 18, 12, 11, 10), seconds=10)
    assert warmup.steady
    assert warmup.first_ms == 500
    assert 16 <= warmup.calls < 32


def test_warm_up_gives_up_in_time_and_says_so(clock: Clock) -> None:
    warmup = warm_up(clock.call(*(10 * 1.2**i for i in range(60))), seconds=2)
    assert not warmup.steady
    assert 2 <= warmup.seconds < 3


def test_slow_calls_are_warmed_up_twice_only(clock: Clock) -> None:
    assert warm_up(clock.call(5000), seconds=2).calls == 2


def test_budget_counts_seconds_then_samples(clock: Clock) -> None:
    fast = time_call(clock.call(10), Budget(seconds=2, min_samples=20))
    assert len(fast.samples_ms) == 200
    assert fast.samples_ms.tolist() == [10.0] * 200
    slow = time_call(clock.call(200), Budget(seconds=2, min_samples=20))
    assert len(slow.samples_ms) == 20
    slower = time_call(clock.call(4000), Budget(seconds=2, min_samples=20, patience=4))
    assert len(slower.samples_ms) == 2
    capped = time_call(clock.call(0.001), Budget(seconds=2, max_samples=300))
    assert len(capped.samples_ms) == 300


def test_turns_give_paired_samples(clock: Clock) -> None:
    timings = time_in_turns({"a": clock.call(10), "b": clock.call(30)}, Budget(seconds=2))
    assert set(timings["a"].samples_ms) == {10.0}
    assert set(timings["b"].samples_ms) == {30.0}
    assert len(timings["a"].samples_ms) == len(timings["b"].samples_ms) == 50


def test_turns_rotate() -> None:
    order: list[str] = []
    calls = {name: lambda name=name: order.append(name) for name in "abc"}
    time_in_turns(calls, Budget(seconds=60, min_samples=3, max_samples=3))
    assert order[-9:] == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]


@pytest.mark.parametrize("seconds", [0, -1, 1e9, float("nan")])
def test_budget_without_sense(seconds: float) -> None:
    with pytest.raises(ConfigError, match="at most 3600 seconds"):
        Budget(seconds=seconds)
