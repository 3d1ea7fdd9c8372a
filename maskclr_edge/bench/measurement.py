"""One row of a bench: what ran, on what, how it was loaded, and how long each query took."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from maskclr_edge.bench.statistics import Latency, Samples, check_keys, summarize
from maskclr_edge.bench.timing import Timing, Warmup
from maskclr_edge.errors import DataError

#: what is measured
NETWORK = "network"
PREPROCESSING = "preprocessing"
END_TO_END = "end-to-end"
#: how it is loaded, in MLPerf LoadGen's words: the next query starts when the last one is answered
SINGLE_STREAM = "single-stream"

#: what two rows have in common that may be compared
KEYS = ("part", "scenario", "model", "runner", "precision", "frames", "persons", "batch", "threads")


@dataclass(frozen=True)
class Measurement:
    """One row of a result: what ran, on what clips, and how long a query (of `batch` clips) took.

    samples_ms: every query in order, to six figures. passes: how many of them belong to each pass, where the
    whole bench was run several times; the model was opened anew for each.
    """

    part: str
    scenario: str
    model: str
    runner: str
    precision: str
    frames: int
    persons: int
    batch: int
    threads: int | None
    latency: Latency
    clips_per_second: float
    warmup: Warmup
    samples_ms: tuple[float, ...]
    passes: tuple[int, ...]

    @property
    def key(self) -> tuple[Any, ...]:
        """What says that two rows measure the same."""
        return tuple(getattr(self, name) for name in KEYS)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values; the samples are one text of numbers, which keeps a file short."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return values | {
            "latency": self.latency.to_dict(),
            "warmup": self.warmup.to_dict(),
            "samples_ms": " ".join(f"{value:.6g}" for value in self.samples_ms),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Measurement":
        """The reverse of `to_dict`. DataError names what is missing, unknown or no number."""
        known = check_keys(cls, values)
        known["latency"] = Latency.from_dict(known["latency"])
        known["warmup"] = Warmup.from_dict(known["warmup"])
        known["samples_ms"] = _samples(known["samples_ms"])
        passes = known["passes"]
        if not isinstance(passes, list | tuple) or not all(type(one) is int and one > 0 for one in passes):
            raise DataError("passes of a row in a result file should be whole numbers over 0")
        if sum(passes) != len(known["samples_ms"]):
            raise DataError(
                f"a row in a result file has {len(known['samples_ms'])} samples, {sum(passes)} by its passes"
            )
        known["passes"] = tuple(passes)
        return cls(**known)


def make_row(timing: Timing, *, batch: int = 1, **names: Any) -> Measurement:
    """The row of one timing; ``names`` are the fields that say what ran."""
    samples = timing.samples_ms
    return Measurement(
        latency=summarize(samples), clips_per_second=_clips_per_second(samples, batch), warmup=timing.warmup,
        samples_ms=tuple(float(f"{value:.6g}") for value in samples), passes=(len(samples),), batch=batch,
        **names,
    )  # fmt: skip


def join_passes(rows: Sequence[Measurement]) -> Measurement:
    """One row of several that measure the same, in the order of their passes."""
    first = rows[0]
    samples = np.array([value for row in rows for value in row.samples_ms])
    values = {field.name: getattr(first, field.name) for field in fields(first)}
    warmup = Warmup(
        sum(row.warmup.calls for row in rows), sum(row.warmup.seconds for row in rows),
        first.warmup.first_ms, all(row.warmup.steady for row in rows),
    )  # fmt: skip
    return Measurement(
        **values | {
            "latency": summarize(samples), "clips_per_second": _clips_per_second(samples, first.batch),
            "warmup": warmup, "samples_ms": tuple(samples.tolist()),
            "passes": tuple(count for row in rows for count in row.passes),
        }
    )  # fmt: skip


def _clips_per_second(samples_ms: Samples, batch: int) -> float:
    return batch * len(samples_ms) / (float(samples_ms.sum()) / 1000)


def _samples(text: Any) -> tuple[float, ...]:
    try:
        values = np.array(text.split(), dtype=np.float64)
    except (AttributeError, ValueError) as error:
        raise DataError(
            "samples_ms of a row in a result file should be a text of numbers with spaces between"
        ) from error
    if not len(values) or not np.isfinite(values).all() or (values <= 0).any():
        raise DataError("samples_ms of a row in a result file should be finite and over 0")
    return tuple(values.tolist())
