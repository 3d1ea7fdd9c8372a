"""Percentiles, intervals and ratios."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskclr_edge.bench.statistics import (
    Latency,
    bootstrap_interval,
    bounded,
    paired_ratio,
    percentile,
    summarize,
)
from maskclr_edge.errors import DataError

samples = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=300)


@given(samples, st.floats(0.1, 100))
def test_percentile_is_nearest_rank(values: list[float], q: float) -> None:
    answer = percentile(values, q)
    assert answer in np.asarray(values)
    share = np.mean(np.asarray(values) <= answer)
    assert share >= q / 100 - 1e-9
    below = np.mean(np.asarray(values) < answer)
    assert below < q / 100 + 1e-9


@pytest.mark.parametrize(("q", "expected"), [(50, 50), (90, 90), (95, 95), (99, 99), (100, 100), (99.1, 100)])
def test_percentile_of_one_to_hundred(q: float, expected: float) -> None:
    assert percentile(np.random.default_rng(1).permutation(np.arange(1, 101)), q) == expected


def test_summary_orders_and_counts() -> None:
    latency = summarize(np.random.default_rng(0).gamma(3, 2, 500))
    assert latency.count == 500
    assert (
        latency.min_ms
        <= latency.p50_ms
        <= latency.p90_ms
        <= latency.p95_ms
        <= latency.p99_ms
        <= latency.max_ms
    )
    assert latency.p50_low_ms <= latency.p50_ms <= latency.p50_high_ms
    assert latency.resolves(99)
    assert latency.p99_ms <= latency.p99_9_ms <= latency.max_ms


@pytest.mark.parametrize(("q", "needed"), [(50, 6), (90, 36), (99, 368), (99.9, 3688)])
def test_a_percentile_needs_samples_beyond_it(q: float, needed: int) -> None:
    assert bounded(needed, q)
    assert not bounded(needed - 1, q)


def test_no_interval_where_samples_do_not_bound_it() -> None:
    latency = summarize(np.random.default_rng(0).gamma(3, 2, 500))
    assert latency.intervals["p99.9"] is None
    low, high = latency.intervals["p99"] or (0.0, 0.0)
    assert low <= latency.percentile_ms("p99") <= high
    assert low < high


def test_p99_interval_covers_the_true_value() -> None:
    rng = np.random.default_rng(6)
    truth = -math.log(0.01)
    pairs = [bootstrap_interval(rng.exponential(1, 1500), 99) for _ in range(40)]
    assert sum(low <= truth <= high for low, high in pairs) >= 33


def test_summary_survives_json() -> None:
    latency = summarize([1.0, 2.0, 4.0])
    assert Latency.from_dict(latency.to_dict()) == latency
    with pytest.raises(DataError, match="p98_ms"):
        Latency.from_dict({**latency.to_dict(), "p98_ms": 1.0})


@pytest.mark.parametrize("bad", [[], [math.nan], [math.inf], [[1.0]]])
def test_no_statistics_of_nothing(bad: list[float]) -> None:
    with pytest.raises(DataError, match="non-empty list of finite numbers"):
        summarize(bad)


def test_interval_covers_the_true_median() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for trial in range(60):
        low, high = bootstrap_interval(rng.normal(10, 1, 80), seed=trial)
        hits += low <= 10 <= high
    assert hits >= 50  # 95 % of 60 is 57; 50 is nine standard errors of luck away from a broken interval


def test_interval_is_wider_for_samples_that_follow_each_other() -> None:
    rng = np.random.default_rng(4)
    drift = np.repeat(rng.normal(10, 1, 60), 10)  # ten alike neighbours each
    low, high = bootstrap_interval(drift)
    shuffled_low, shuffled_high = bootstrap_interval(rng.permutation(drift))
    assert high - low > 1.3 * (shuffled_high - shuffled_low)


def test_paired_ratio_cancels_what_slows_both() -> None:
    rng = np.random.default_rng(5)
    noise = rng.lognormal(0, 1, 200)
    ratio = paired_ratio(2.0 * noise, noise)
    assert ratio.value == pytest.approx(2.0)
    assert ratio.low == pytest.approx(2.0)
    assert ratio.high == pytest.approx(2.0)
    with pytest.raises(DataError, match="got 3 and 2"):
        paired_ratio([1.0, 2.0, 3.0], [1.0, 2.0])
