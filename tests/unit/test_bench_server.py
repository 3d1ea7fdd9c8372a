"""The server scenario on a clock that the test moves: arrivals by chance, one queue, a bound on p99."""

import numpy as np
import pytest

from maskclr_edge.bench import server, timing
from maskclr_edge.bench.server import ServerSearch, expected_rate, run_trial, search_rate
from maskclr_edge.bench.timing import Budget
from maskclr_edge.errors import ConfigError


class Clock:
    """A clock that moves when a call takes time, or when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def perf_counter_ns(self) -> int:
        return round(self.now * 1e9)

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def call(self) -> None:
        self.now += 0.010


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (server, timing):
        monkeypatch.setattr(module, "time", clock)
    return clock


def test_latency_counts_the_wait(clock: Clock) -> None:
    """A queue with constant service of 10 ms at 80 % load waits S * load / (2 (1 - load)) on average."""
    samples, held = run_trial(clock.call, 80.0, 1e6, 0, Budget(seconds=200, max_samples=20_000))
    assert held
    assert samples.min() == pytest.approx(10.0)
    assert samples.mean() == pytest.approx(10 + 10 * 0.8 / (2 * 0.2), rel=0.15)


def test_overload_is_broken_off_and_has_not_held(clock: Clock) -> None:
    samples, held = run_trial(clock.call, 200.0, 50.0, 0, Budget(seconds=100))
    assert not held
    assert len(samples) < 1000


def test_the_rate_found_holds_and_a_higher_one_does_not(clock: Clock) -> None:
    timed, found = search_rate(clock.call, bound_ms=30.0, seed=1, budget=Budget(seconds=30))
    assert 25 < found.rate_per_s < 45
    held = [trial.rate_per_s for trial in found.trials if trial.held]
    broken = [trial.rate_per_s for trial in found.trials if not trial.held]
    assert max(held) == found.rate_per_s
    assert broken
    assert min(broken) > found.rate_per_s
    assert np.percentile(timed.samples_ms, 99, method="inverted_cdf") <= 30


def test_a_bound_below_a_lone_query_has_no_rate(clock: Clock) -> None:
    timed, found = search_rate(clock.call, bound_ms=9.0)
    assert found == ServerSearch(0.0, 9.0, 0, ())
    assert set(timed.samples_ms) == {10.0}
    with pytest.raises(ConfigError, match="latency bound"):
        search_rate(clock.call, bound_ms=0)


def test_the_simulation_knows_the_queue() -> None:
    rate = expected_rate(np.full(100, 0.010), 0.030, seed=0)
    assert 25 < rate < 45
    assert expected_rate(np.full(100, 0.010), 0.009, seed=0) == 0
