"""Two results against each other: what is noise, what is not, and what a gate must not let through."""

import itertools
from typing import Any

import numpy as np
import pytest

from maskclr_edge.bench.blocks import block_ids, shifts
from maskclr_edge.bench.compare import Comparison, compare_results, parse_gate, split_models
from maskclr_edge.bench.measurement import Measurement, join_passes, make_row
from maskclr_edge.bench.results import result_document
from maskclr_edge.bench.timing import Timing, Warmup
from maskclr_edge.errors import ConfigError, DataError

MACHINE = {"cpu": "a CPU", "load_average": 0.1}


def latencies(seed: int, count: int = 400, factor: float = 1.0) -> np.ndarray:
    """Milliseconds as a machine gives them: a slow drift, skewed noise, and a few outliers."""
    rng = np.random.default_rng(seed)
    drift = np.zeros(count)
    for at in range(1, count):
        drift[at] = 0.97 * drift[at - 1] + rng.normal(0, 0.002)
    spikes = np.where(rng.random(count) < 0.02, rng.uniform(1.1, 1.6, count), 1.0)
    return factor * 5.0 * np.exp(drift + rng.gamma(2, 0.01, count)) * spikes


def row(samples: np.ndarray, **changes: Any) -> Measurement:
    names = {"part": "network", "scenario": "single-stream", "model": "bundled", "runner": "onnxruntime"}
    names |= {"precision": "fp32", "frames": 30, "persons": 1, "threads": 1}
    return make_row(Timing(samples, Warmup(16, 0.1, 9.0, True)), **names | changes)


def result(*rows: Measurement, machine: dict[str, Any] | None = None) -> dict[str, Any]:
    results = {"measurements": [one.to_dict() for one in rows], "skipped": []}
    return result_document("bench", results, settings={}, machine=machine or MACHINE)


def judged(old: dict[str, Any], new: dict[str, Any], *gates: str) -> Comparison:
    return compare_results(old, new, [parse_gate(gate) for gate in gates])


def test_twenty_identical_runs_pass_and_a_planted_tenth_does_not() -> None:
    gates = ("p50:+5%", "p99:+8%", "throughput:-5%")
    old = result(row(latencies(0)))
    passed = [not judged(old, result(row(latencies(seed))), *gates).failures for seed in range(1, 21)]
    assert passed == [True] * 20
    caught = [
        judged(old, result(row(latencies(seed, factor=1.1))), "p50:+5%").failures for seed in range(1, 9)
    ]
    assert all(caught)
    assert "p50 changed by +" in caught[0][0]


def test_a_tail_that_got_worse_is_caught_though_the_median_held() -> None:
    slow = latencies(2, 2000)
    slow[::40] *= 2
    found = judged(result(row(latencies(1, 2000))), result(row(slow)), "p50:+5%", "p99:+10%").failures
    assert len(found) == 1
    assert "p99" in found[0]


def test_noise_between_passes_is_no_regression() -> None:
    """Ten passes whose speed wanders by a tenth: ten more are not slower because theirs was less lucky."""
    rng = np.random.default_rng(3)

    def wandering() -> Measurement:
        factors = rng.lognormal(0, 0.1, 10)
        return join_passes([row(latencies(int(10_000 * f), 100, float(f))) for f in factors])

    runs = [wandering() for _ in range(8)]
    found = [judged(result(old), result(new), "p50:+3%") for old, new in zip(runs[:4], runs[4:], strict=True)]
    assert sum(bool(one.failures) for one in found) <= 1
    verdicts = [change.verdicts for one in found for change in one.rows[0].changes if change.verdicts]
    assert {"p50:+3%": "within noise"} in verdicts


def test_turns_cancel_what_slows_a_pass_down() -> None:
    """Passes that wander by a half hide a tenth, unless each is held against its neighbour."""
    speeds = np.random.default_rng(4).lognormal(0, 0.5, 16)
    old, new = (
        result(join_passes([row(latencies(seed + int(1e6 * f), 60, f * slow)) for f in speeds]))
        for seed, slow in ((1, 1.0), (2, 1.1))
    )
    gate = [parse_gate("p50:+5%"), parse_gate("mean:+5%")]
    assert not compare_results(old, new, gate).failures
    assert len(compare_results(old, new, gate, turns=True).failures) == 2
    assert not compare_results(old, old, gate, turns=True).failures


def test_on_a_busy_machine_equal_runs_in_turns_pass_and_a_tenth_is_caught() -> None:
    """Load that triples and thirds what a pass takes, and changes by 5 % within one, 10 % of calls hit."""
    rng = np.random.default_rng(5)

    def in_turns(factor: float) -> Comparison:
        load = rng.lognormal(0, 0.7, 40)

        def run(slower: float) -> dict[str, Any]:
            passes = []
            for speed in slower * load * rng.lognormal(0, 0.05, 40):
                hit = np.where(rng.random(6) < 0.1, rng.uniform(1.2, 3, 6), 1)
                passes.append(row(10 * speed * hit * np.exp(rng.gamma(2, 0.02, 6))))
            return result(join_passes(passes))

        return compare_results(run(1.0), run(factor), [parse_gate("p50:+5%")], turns=True)

    assert [bool(in_turns(1.0).failures) for _ in range(8)] == [False] * 8
    assert [bool(in_turns(1.1).failures) for _ in range(8)] == [True] * 8


def test_the_p_value_of_pairs_is_that_of_all_ways_to_swap_them() -> None:
    """Eight pairs can be swapped in 256 ways: all of them written out, for the mean at one speed."""
    rng = np.random.default_rng(6)
    old, new = rng.lognormal(0, 0.5, (2, 8))
    new *= 1.2
    (mean,) = shifts(old, new, [1] * 8, [1] * 8, (), paired=True, draws=20_000)
    first, second = old / np.sqrt(old * new), new / np.sqrt(old * new)
    ways = [
        abs(np.log(np.where(way, first, second).mean() / np.where(way, second, first).mean()))
        for way in itertools.product((True, False), repeat=8)
    ]
    assert mean.change == pytest.approx(second.mean() / first.mean() - 1)
    assert (mean.old, mean.new) == pytest.approx((old.mean(), new.mean()))
    observed = abs(np.log(second.mean() / first.mean()))
    assert mean.p_value == pytest.approx(np.mean(np.array(ways) >= observed * (1 - 1e-9)), abs=0.02)


def test_too_few_passes_for_so_many_rows_are_refused() -> None:
    """Eight pairs can be no less likely than one in 128: with seven rows nothing would ever fail."""
    passes = [join_passes([row(latencies(seed, 40), frames=t) for seed in range(8)]) for t in range(1, 8)]
    document = result(*passes)
    gate = [parse_gate("p50:+5%")]
    with pytest.raises(DataError, match=r"judge 7 rows by 1 gates: 8 passes.*bench with 9 --passes or more"):
        compare_results(document, document, gate, turns=True)
    assert not compare_results(result(*passes[:6]), result(*passes[:6]), gate, turns=True).failures
    assert not compare_results(document, document, turns=True).failures
    lone = result(row(latencies(1, 3)))
    with pytest.raises(DataError, match="bench with --seconds of more"):
        compare_results(lone, lone, gate)


def test_what_cannot_be_judged_has_not_passed() -> None:
    few = result(row(latencies(1, 50)))
    assert "too few samples for p99" in judged(few, few, "p99:+5%").failures[0]
    assert not judged(few, few, "p50:+5%").failures
    both = result(row(latencies(1)), row(latencies(2), precision="int8"))
    one = result(row(latencies(3)))
    gone = judged(both, one, "p50:+50%").failures
    assert len(gone) == 1
    assert "int8" in gone[0]
    assert "missing in the new result" in gone[0]
    assert not judged(both, one).failures
    assert not judged(one, both, "p50:+50%").failures


def test_change_interval_and_direction() -> None:
    (one,) = compare_results(result(row(latencies(1))), result(row(latencies(2, factor=0.5)))).rows
    changes = {change.metric: change for change in one.changes}
    assert set(changes) == {"p50", "p90", "p99", "throughput"}
    assert changes["p50"].low < changes["p50"].change < changes["p50"].high < -0.4
    assert changes["throughput"].high > changes["throughput"].change > changes["throughput"].low > 0.8
    assert changes["p50"].p_value < 0.01


def test_one_model_each_is_compared_whatever_its_name() -> None:
    old, new = result(row(latencies(1), model="old")), result(row(latencies(2), model="new"))
    assert len(compare_results(old, new).rows) == 1
    two = result(row(latencies(2), model="new"), row(latencies(2), model="other"))
    with pytest.raises(DataError, match="no row in common"):
        compare_results(old, two)


def test_two_models_of_one_result() -> None:
    both = result(row(latencies(1), model="old"), row(latencies(2, factor=1.2), model="new"))
    old, new = split_models(both)
    (one,) = compare_results(old, new).rows
    assert one.changes[0].change == pytest.approx(0.2, abs=0.02)
    with pytest.raises(DataError, match="two models; it has old"):
        split_models(old)


def test_another_or_a_busy_machine_is_said() -> None:
    busy = {"cpu": "another", "load_average": 3.0}
    warnings = compare_results(result(row(latencies(1))), result(row(latencies(2)), machine=busy)).warnings
    assert any("a CPU and another" in line for line in warnings)
    assert any("load average 3.0" in line for line in warnings)


@pytest.mark.parametrize(
    "text", ["", "p99", "p99:5", "p98:+5%", "p99:+5%%", "p99:-5%", "throughput:+5%", "p99:+-5%", "p99:+٥%"]
)
def test_gates_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_gate(text)


def test_gates() -> None:
    assert parse_gate("p99.9:+2.5%").limit == pytest.approx(0.025)
    assert parse_gate("p50:5%").limit == 0.05
    assert parse_gate("throughput:5%").limit == -0.05
    assert str(parse_gate("throughput:-5%")) == "throughput:-5%"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples_ms": None}, "without its samples"),
        ({"samples_ms": "1 2 x"}, "text of numbers"),
        ({"samples_ms": [1.0]}, "text of numbers"),
        ({"samples_ms": "1 -2"}, "over 0"),
        ({"passes": [3, 4]}, "400 samples, 7 by its passes"),
        ({"passes": "400"}, "whole numbers"),
        ({"latency": None}, "latency"),
        ({"intervals": 3}, "unknown keys: intervals"),
    ],
)
def test_broken_rows_are_data_errors(change: dict[str, Any], message: str) -> None:
    good, bad = result(row(latencies(1))), result(row(latencies(1)))
    bad["results"]["measurements"][0] |= change
    with pytest.raises(DataError, match=message):
        compare_results(good, bad)


def test_results_of_another_kind_are_data_errors() -> None:
    good = result(row(latencies(1)))
    with pytest.raises(DataError, match="bench it again"):
        compare_results(result_document("accuracy", {"rows": []}, settings={}, machine=MACHINE), good)
    with pytest.raises(DataError, match="bench it again"):
        compare_results({**good, "version": 1}, good)


def test_blocks_are_neighbours_and_passes_are_kept_apart() -> None:
    assert block_ids([10] * 8).tolist() == np.repeat(np.arange(8), 10).tolist()
    ids = block_ids([50, 50])
    assert ids.max() == 19
    assert (np.diff(ids) >= 0).all()
    assert not set(ids[:50]) & set(ids[50:])
    assert block_ids([3]).tolist() == [0, 1, 2]


def test_percentiles_of_a_shift_are_nearest_rank() -> None:
    old, new = np.arange(1.0, 101), np.arange(2.0, 202, 2)
    p50, p99, mean = shifts(old, new, [100], [100], (50, 99))
    assert (p50.old, p50.new, p99.old, p99.new) == (50, 100, 99, 198)
    assert mean.change == pytest.approx(1.0)
