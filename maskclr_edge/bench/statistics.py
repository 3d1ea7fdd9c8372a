"""What a list of latencies says: percentiles by one stated rule, and how sure they are.

Percentile rule: nearest rank (NumPy's ``inverted_cdf``), the smallest sample with at least q % of all
samples at or below it. It always returns a latency that happened, never a blend of two. trtexec has the same
rule, but for its median, which is the mean of the two middle samples where their number is even.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.errors import DataError

PERCENTILE_RULE = "nearest rank"
#: percentiles that are reported, by their name
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9}
CONFIDENCE = 0.95
RESAMPLES = 1000
#: at most this many drawn samples at once: 80 MB, which a small board has
_DRAWN = 5_000_000

Samples = npt.NDArray[np.float64]


def percentile(samples: npt.ArrayLike, q: float) -> float:
    """The nearest-rank percentile of some samples, q in 0..100. DataError when there are no samples."""
    values = _checked(samples)
    return float(np.percentile(values, q, method="inverted_cdf"))


def bounded(count: int, q: float) -> bool:
    """Whether so many samples bound a percentile from above with 97.5 %: that one of them lies beyond it.

    MLPerf LoadGen's early stopping asks the same of a run. With fewer, p99 is just the slowest sample.
    """
    return (q / 100) ** count <= (1 - CONFIDENCE) / 2


def bootstrap_interval(samples: npt.ArrayLike, q: float = 50.0, *, seed: int = 0) -> tuple[float, float]:
    """The 95 % confidence interval of a percentile.

    Latencies that follow each other are alike (clock changes, neighbours), so blocks of n^(1/3) neighbours
    are drawn instead of single samples, which would claim too much (circular block bootstrap, Politis and
    Romano 1992).
    """
    return bootstrap_intervals(samples, (q,), seed=seed)[0]


def bootstrap_intervals(
    samples: npt.ArrayLike, qs: Sequence[float], *, seed: int = 0
) -> list[tuple[float, float]]:
    """The intervals of several percentiles from the same draws."""
    values = _checked(samples)
    drawn = values[_block_indices(len(values), seed)]  # (resamples, n)
    estimates = np.percentile(drawn, list(qs), axis=1, method="inverted_cdf")  # (percentiles, resamples)
    return [_interval(one) for one in estimates]


@dataclass(frozen=True)
class Ratio:
    """How many times `numerator` takes as long as `denominator`, with its 95 % interval."""

    value: float
    low: float
    high: float


def paired_ratio(numerator: npt.ArrayLike, denominator: npt.ArrayLike, *, seed: int = 0) -> Ratio:
    """The ratio of two medians measured in turns, sample i of both in round i.

    Rounds are drawn together, so that what slowed a whole round down cancels. DataError when the lengths
    differ.
    """
    above, below = _checked(numerator), _checked(denominator)
    if len(above) != len(below):
        raise DataError(f"a paired ratio needs as many samples of both; got {len(above)} and {len(below)}")
    rounds = _block_indices(len(above), seed)
    low, high = _interval(np.median(above[rounds], axis=1) / np.median(below[rounds], axis=1))
    return Ratio(float(np.median(above) / np.median(below)), low, high)


@dataclass(frozen=True)
class Latency:
    """Latencies of one measurement in milliseconds; p50_low_ms .. p50_high_ms is the 95 % interval of p50.

    intervals: percentile -> its 95 % interval, None where there are too few samples to bound it.
    """

    count: int
    mean_ms: float
    min_ms: float
    p50_ms: float
    p50_low_ms: float
    p50_high_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    p99_9_ms: float
    max_ms: float
    intervals: Mapping[str, tuple[float, float] | None]

    def percentile_ms(self, name: str) -> float:
        """A percentile by its name, such as "p99.9"."""
        value: float = getattr(self, name.replace(".", "_") + "_ms")
        return value

    def resolves(self, q: float) -> bool:
        """Whether there are samples enough for a percentile: with fewer it is just the slowest sample."""
        return bounded(self.count, q)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Latency":
        """The reverse of `to_dict`. DataError names keys that are missing or unknown."""
        known = check_keys(cls, values)
        pairs = known["intervals"]
        if not isinstance(pairs, Mapping) or set(pairs) != set(PERCENTILES):
            raise DataError(f"intervals in a result file are of {', '.join(PERCENTILES)}")
        known["intervals"] = {name: None if pair is None else tuple(pair) for name, pair in pairs.items()}
        return cls(**known)


def summarize(samples_ms: npt.ArrayLike) -> Latency:
    """Milliseconds of some calls, in the order they happened, as a `Latency`."""
    values = _checked(samples_ms)
    found = bootstrap_intervals(values, tuple(PERCENTILES.values()))
    points = [percentile(values, q) for q in PERCENTILES.values()]
    intervals = {
        name: pair if bounded(len(values), q) else None
        for (name, q), pair in zip(PERCENTILES.items(), found, strict=True)
    }
    p50, p90, p95, p99, p99_9 = points
    return Latency(
        len(values), float(values.mean()), float(values.min()), p50, *found[0], p90, p95, p99, p99_9,
        float(values.max()), intervals,
    )  # fmt: skip


def check_keys(of: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a dataclass read from JSON; DataError names keys that are missing or unknown."""
    expected = {field.name for field in fields(of)}
    if not isinstance(values, Mapping) or set(values) != expected:
        got = set(values) if isinstance(values, Mapping) else {type(values).__name__}
        wrong = ", ".join(sorted(map(str, expected ^ got)))
        raise DataError(f"a {of.__name__.lower()} in a result file has missing or unknown keys: {wrong}")
    return dict(values)


def _checked(samples: npt.ArrayLike) -> Samples:
    values = np.asarray(samples, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise DataError(f"statistics need a non-empty list of finite numbers; got shape {values.shape}")
    return values


def _block_indices(count: int, seed: int) -> npt.NDArray[np.intp]:
    """Indices (resamples, count) of a circular block bootstrap."""
    block = max(1, round(count ** (1 / 3)))
    blocks = -(-count // block)
    # one resample costs `count` draws: fewer resamples for very long runs, whose interval is narrow anyway
    resamples = min(RESAMPLES, max(200, _DRAWN // count))
    starts = np.random.default_rng(seed).integers(0, count, size=(resamples, blocks, 1))
    return ((starts + np.arange(block)) % count).reshape(resamples, -1)[:, :count]


def _interval(estimates: npt.NDArray[np.float64]) -> tuple[float, float]:
    tail = (1 - CONFIDENCE) / 2 * 100
    low, high = np.percentile(estimates, [tail, 100 - tail])
    return float(low), float(high)
