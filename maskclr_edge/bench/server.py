"""The server scenario after MLPerf LoadGen: Poisson arrivals, and the highest rate within a latency bound.

Queries arrive when they arrive, whether the last one is answered or not, and wait in one queue; latency is
counted from the arrival. A simulation with measured service times says where to look, real trials decide.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from maskclr_edge.bench.statistics import Samples, check_keys, percentile
from maskclr_edge.bench.timing import Budget, Call, Timing, time_call
from maskclr_edge.errors import ConfigError

#: the percentile that has to stay within the bound
HELD = 99.0
#: queries of a trial where time allows: enough to bound the percentile, see statistics.bounded
QUERIES = 400
TRIALS = 7
_STEP = 1.12
_SIMULATED = 20_000


@dataclass(frozen=True)
class Trial:
    """One rate tried: queries sent, their p99, and whether it stayed within the bound.

    A trial is broken off, and has not held, once too many queries were late for it to hold.
    """

    rate_per_s: float
    queries: int
    p99_ms: float
    held: bool


@dataclass(frozen=True)
class ServerSearch:
    """The search for the highest rate of queries: 0 where not even a lone query is within the bound."""

    rate_per_s: float
    bound_ms: float
    seed: int
    trials: tuple[Trial, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ServerSearch":
        """The reverse of `to_dict`. DataError names keys that are missing or unknown."""
        known = check_keys(cls, values)
        known["trials"] = tuple(Trial(**check_keys(Trial, one)) for one in known["trials"])
        return cls(**known)


def search_rate(
    call: Call, *, bound_ms: float, seed: int = 0, budget: Budget | None = None
) -> tuple[Timing, ServerSearch]:
    """The highest rate at which p99 holds, and the latencies of the trial at that rate.

    Where none holds, the latencies are those of lone queries. ConfigError for a bound that is none.
    """
    if not 0 < bound_ms <= 600_000:
        raise ConfigError(f"a latency bound is over 0 and at most 600000 ms; got {bound_ms:g}")
    budget = budget or Budget()
    alone = time_call(call, budget)
    service = alone.samples_ms / 1000
    rate = expected_rate(service, bound_ms / 1000, seed)
    best: tuple[float, Samples] | None = None
    failed: float | None = None
    trials: list[Trial] = []
    while rate > 0 and len(trials) < TRIALS:
        samples, held = run_trial(call, rate, bound_ms, seed + len(trials), budget)
        trials.append(Trial(rate, len(samples), percentile(samples, HELD), held))
        if held:
            best = (rate, samples)
        else:
            failed = rate
        if best and failed and failed / best[0] < 1.02:
            break
        one_sided = rate * _STEP if held else rate / _STEP**2
        rate = (best[0] * failed) ** 0.5 if best and failed else one_sided
    found = ServerSearch(best[0] if best else 0.0, bound_ms, seed, tuple(trials))
    return Timing(best[1] if best else alone.samples_ms, alone.warmup), found


def run_trial(call: Call, rate: float, bound_ms: float, seed: int, budget: Budget) -> tuple[Samples, bool]:
    """Latencies (ms) of queries that arrive at a rate (1/s), and whether their p99 is within the bound."""
    wanted = max(QUERIES, rate * budget.seconds)
    count = int(max(1, min(wanted, rate * budget.seconds * budget.patience, budget.max_samples)))
    arrivals = np.random.default_rng(seed).exponential(1 / rate, count).cumsum()
    may_be_late = count - int(np.ceil(HELD / 100 * count))
    samples: list[float] = []
    late = 0
    begin = time.perf_counter()
    for arrival in arrivals:
        wait = begin + arrival - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        call()
        latency_ms = 1000 * (time.perf_counter() - begin - arrival)
        samples.append(latency_ms)
        late += latency_ms > bound_ms
        if late > may_be_late:
            return np.array(samples), False
    return np.array(samples), True


def expected_rate(service_s: Samples, bound_s: float, seed: int) -> float:
    """The rate (1/s) at which a queue with these service times just holds the bound; 0 where none does."""
    if percentile(service_s, HELD) > bound_s:
        return 0.0
    rng = np.random.default_rng(seed)
    times = rng.choice(service_s, _SIMULATED)
    gaps = rng.exponential(1.0, _SIMULATED)
    return _highest(
        lambda rate: percentile(_queued(gaps / rate, times), HELD) <= bound_s, float(times.mean())
    )


def _queued(gaps_s: Samples, times_s: Samples) -> Samples:
    """Latencies in a queue with one server: Lindley's recursion, as running sums."""
    arrivals, work = gaps_s.cumsum(), times_s.cumsum()
    leaves = work + np.maximum.accumulate(arrivals - (work - times_s))
    result: Samples = leaves - arrivals
    return result


def _highest(holds: Callable[[float], bool], mean_s: float) -> float:
    low, high = 0.0, 1 / mean_s
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
