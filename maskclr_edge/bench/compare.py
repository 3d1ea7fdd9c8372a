"""Two results of ``maskclr-edge bench`` against each other: what changed, how much, and whether it is noise.

A gate such as ``p99:+5%`` fails a row when the change is beyond the limit and is not noise either: Holm's
correction over all gated rows, 5 % for the whole comparison. A percentile that the samples do not bound, and
a row that is gone, fail too: a gate that cannot be judged has not been passed.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from maskclr_edge.bench.blocks import DRAWS, PASSES, Shift, shifts, smallest_p
from maskclr_edge.bench.measurement import KEYS, Measurement
from maskclr_edge.bench.results import check_result
from maskclr_edge.bench.statistics import CONFIDENCE, PERCENTILES, bounded
from maskclr_edge.errors import ConfigError, DataError

FORMAT, VERSION = "maskclr-edge-comparison", 1
THROUGHPUT = "throughput"
SHOWN = ("p50", "p90", "p99")
METRICS = (*PERCENTILES, "mean", THROUGHPUT)
#: verdicts on a change that a gate asks about
PASSED, FAILED, NOISE, TOO_FEW = "passed", "failed", "within noise", "too few samples"
_GATE = re.compile(r"([a-z0-9.]+):([+-]?)([0-9]{1,4}(?:\.[0-9]{1,3})?)%\Z")


@dataclass(frozen=True)
class Gate:
    """Most that a metric may change for the worse, as a share: +0.05 for latencies, -0.05 for throughput."""

    metric: str
    limit: float

    def __str__(self) -> str:
        return f"{self.metric}:{100 * self.limit:+g}%"

    def crossed(self, change: float) -> bool:
        """Whether a change is beyond the limit."""
        return change < self.limit if self.metric == THROUGHPUT else change > self.limit


def parse_gate(text: str) -> Gate:
    """A gate such as "p99:+5%" or "throughput:-5%". ConfigError says what is wrong with another text."""
    match = _GATE.match(text.strip())
    if not match or match[1] not in METRICS:
        raise ConfigError(
            f"a gate is METRIC:+N%, such as p99:+5%, with METRIC one of {', '.join(METRICS)}; got {text!r}"
        )
    falls = match[1] == THROUGHPUT
    if match[2] == ("+" if falls else "-"):
        worse = "falls: throughput:-5%" if falls else f"rises: {match[1]}:+5%"
        raise ConfigError(f"{text!r} would fail what got better; {match[1]} is worse when it {worse}")
    return Gate(match[1], float(match[3]) / 100 * (-1 if falls else 1))


@dataclass(frozen=True)
class Change:
    """One metric of one row: old and new value, the change with its interval, p-value, and the verdicts.

    resolved: whether both runs have samples enough for it. verdicts: gate -> verdict, for its gates.
    """

    metric: str
    old: float
    new: float
    change: float
    low: float
    high: float
    p_value: float
    resolved: bool
    verdicts: dict[str, str]


@dataclass(frozen=True)
class RowChange:
    """All metrics of a row that both results have."""

    row: dict[str, Any]
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Comparison:
    """What changed from one result to another; missing and added rows are those that only one has."""

    rows: tuple[RowChange, ...]
    missing: tuple[dict[str, Any], ...]
    added: tuple[dict[str, Any], ...]
    gates: tuple[Gate, ...]
    warnings: tuple[str, ...]

    @property
    def failures(self) -> list[str]:
        """Why the gates did not pass, a line each; empty when they did."""
        if not self.gates:
            return []
        lines = [f"{row_name(row)}: is missing in the new result" for row in self.missing]
        for one in self.rows:
            for change in one.changes:
                for gate, verdict in change.verdicts.items():
                    if verdict == FAILED:
                        lines.append(
                            f"{row_name(one.row)}: {change.metric} changed by {100 * change.change:+.1f} % "
                            f"({100 * change.low:+.1f} to {100 * change.high:+.1f}), the gate is {gate}"
                        )
                    elif verdict == TOO_FEW:
                        lines.append(
                            f"{row_name(one.row)}: too few samples for {change.metric}; measure longer "
                            "(bench --seconds)"
                        )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return {
            "format": FORMAT, "version": VERSION, "confidence": CONFIDENCE,
            "gates": [str(gate) for gate in self.gates], "passed": not self.failures,
            "failures": self.failures, "warnings": list(self.warnings),
            "rows": [asdict(row) for row in self.rows],
            "missing": list(self.missing), "added": list(self.added),
        }  # fmt: skip


def row_name(row: Mapping[str, Any]) -> str:
    """A row in words."""
    threads = f", {row['threads']} threads" if row["threads"] else ""
    return (
        f"{row['part']} {row['scenario']}, {row['model']}, {row['runner']} {row['precision']}, "
        f"T={row['frames']}, {row['persons']} in view, batch {row['batch']}{threads}"
    )


def compare_results(
    old: Mapping[str, Any], new: Mapping[str, Any], gates: Sequence[Gate] = (), *, turns: bool = False
) -> Comparison:
    """Compare two result documents. DataError when they have no samples or no row in common.

    turns: they are of one bench in which both took turns, pass by pass; equally many passes are then pairs.
    """
    before, after = _rows(old, "the old result"), _rows(new, "the new result")
    skip = _one_model_each(before, after)
    first = {_key(row, skip): row for row in before}
    second = {_key(row, skip): row for row in after}
    shared = [key for key in first if key in second]
    if not shared:
        raise DataError("the two results have no row in common; measure the same rows in both")
    # Holm wants p-values below 5 % / tests: fewer draws than that allows could fail nothing, ever
    draws = max(DRAWS, 40 * len(shared) * len(gates))
    _check_power([(first[key], second[key]) for key in shared], gates, draws, turns)
    rows = [_row_change(first[key], second[key], gates, draws, turns) for key in shared]
    _judge(rows, gates)
    return Comparison(
        tuple(rows),
        tuple(_names(first[key]) for key in first if key not in second),
        tuple(_names(second[key]) for key in second if key not in first),
        tuple(gates),
        tuple(_machine_warnings(old["machine"], new["machine"])),
    )


def split_models(document: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """One result of two models as two results, in the order in which they were measured.

    DataError when it has not two. Two models measured in turns, pass by pass, met the same machine.
    """
    names = list(dict.fromkeys(row.model for row in _rows(document, "the result")))
    if len(names) != 2:
        raise DataError(
            f"one result is compared within itself when it has two models; it has {', '.join(names)}"
        )
    rows = document["results"]["measurements"]
    parts = [[row for row in rows if row["model"] == name] for name in names]
    old, new = ({**document, "results": {**document["results"], "measurements": part}} for part in parts)
    return old, new


def _rows(document: Mapping[str, Any], which: str) -> list[Measurement]:
    check_result(document)
    rows = document["results"].get("measurements")
    if document["version"] < 2 or not isinstance(rows, list):
        raise DataError(f"{which} is not of a bench of this release, and holds no samples; bench it again")
    if any(not isinstance(row, dict) or row.get("samples_ms") is None for row in rows):
        raise DataError(f"{which} was written without its samples; compare takes what bench --json writes")
    if not rows:
        raise DataError(f"{which} has no rows")
    try:
        return [Measurement.from_dict(row) for row in rows]
    except (DataError, TypeError) as error:
        raise DataError(f"{which}: {error}") from error


def _one_model_each(before: Sequence[Measurement], after: Sequence[Measurement]) -> frozenset[str]:
    """With one model in each result its name may differ: two bundles are compared as often as two days."""
    one = all(len({row.model for row in rows}) == 1 for rows in (before, after))
    return frozenset({"model"}) if one else frozenset()


def _key(row: Measurement, skip: frozenset[str]) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in KEYS if name not in skip)


def _names(row: Measurement) -> dict[str, Any]:
    return {name: getattr(row, name) for name in KEYS}


def _check_power(
    pairs: Sequence[tuple[Measurement, Measurement]], gates: Sequence[Gate], draws: int, turns: bool
) -> None:
    """Refuse a comparison in which no difference, however large, could be told from noise."""
    needed = (1 - CONFIDENCE) / max(1, len(pairs) * len(gates))
    for old, new in pairs if gates else ():
        paired = _are_paired(old, new, turns)
        if smallest_p(old.passes, new.passes, paired=paired, draws=draws) > needed:
            more = f"{math.ceil(math.log2(2 / needed))} --passes or more" if paired else "--seconds of more"
            raise DataError(
                f"too little was measured to judge {len(pairs)} rows by {len(gates)} gates: "
                f"{len(old.passes)} passes, {len(old.samples_ms)} samples; bench with {more}, or fewer rows"
            )


def _are_paired(old: Measurement, new: Measurement, turns: bool) -> bool:
    return turns and len(old.passes) == len(new.passes) >= PASSES


def _row_change(
    old: Measurement, new: Measurement, gates: Sequence[Gate], draws: int, turns: bool
) -> RowChange:
    asked = {gate.metric for gate in gates}
    names = [name for name in PERCENTILES if name in SHOWN or name in asked]
    found = shifts(
        np.array(old.samples_ms), np.array(new.samples_ms), old.passes, new.passes,
        [PERCENTILES[name] for name in names], draws=draws,
        paired=_are_paired(old, new, turns),
    )  # fmt: skip
    few = min(len(old.samples_ms), len(new.samples_ms))
    changes = [
        _change(name, shift, bounded(few, PERCENTILES[name]))
        for name, shift in zip(names, found, strict=False)
    ]
    mean, enough = found[-1], bounded(few, 50)
    if "mean" in asked:
        changes.append(_change("mean", mean, enough))
    change, low, high = (1 / (1 + value) - 1 for value in (mean.change, mean.high, mean.low))
    before, after = 1000 * old.batch / mean.old, 1000 * new.batch / mean.new
    changes.append(_change(THROUGHPUT, Shift(before, after, change, low, high, mean.p_value), enough))
    return RowChange(_names(new), tuple(changes))


def _change(metric: str, shift: Shift, enough: bool) -> Change:
    return Change(
        metric, shift.old, shift.new, shift.change, shift.low, shift.high, shift.p_value, enough, {}
    )


def _judge(rows: Sequence[RowChange], gates: Sequence[Gate]) -> None:
    """Give each gated change its verdict; p-values are Holm's over all of them."""
    asked = [
        (gate, change)
        for gate in gates
        for row in rows
        for change in row.changes
        if change.metric == gate.metric
    ]
    real = _holm([change.p_value for _, change in asked])
    for (gate, change), significant in zip(asked, real, strict=True):
        if not change.resolved:
            verdict = TOO_FEW
        elif not gate.crossed(change.change):
            verdict = PASSED
        else:
            verdict = FAILED if significant else NOISE
        change.verdicts[str(gate)] = verdict


def _holm(p_values: Sequence[float]) -> list[bool]:
    """Which hypotheses fall when all of them together may be wrongly dropped with 5 % at most (Holm 1979)."""
    answers = [False] * len(p_values)
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda at: p_values[at])):
        if p_values[index] > (1 - CONFIDENCE) / (len(p_values) - rank):
            break
        answers[index] = True
    return answers


def _machine_warnings(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    lines = [
        f"{name} differs: {old.get(name)} and {new.get(name)}"
        for name in ("cpu", "cores_usable", "gpus", "os", "python")
        if old.get(name) != new.get(name)
    ]
    lines += [
        f"{which} was measured on a busy machine: load average {machine['load_average']:.1f}"
        for which, machine in (("the old result", old), ("the new result", new))
        if isinstance(load := machine.get("load_average"), int | float) and load >= 1
    ]
    return lines
