"""One row of a bench: what ran, on what, how it was loaded, and how long each query took."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np

from maskclr_edge.bench.server import ServerSearch
from maskclr_edge.bench.statistics import Latency, Samples, check_keys, summarize
from maskclr_edge.bench.timing import Timing, Warmup
from maskclr_edge.errors import DataError

#: what is measured
NETWORK = "network"
PREPROCESSING = "preprocessing"
END_TO_END = "end-to-end"
#: how it is loaded, in MLPerf LoadGen's words
SINGLE_STREAM, MULTI_STREAM, SERVER, OFFLINE = "single-stream", "multi-stream", "server", "offline"

#: what two rows have in common that may be compared
KEYS = ("part", "scenario", "model", "runner", "precision", "frames", "persons", "batch", "threads")


@dataclass(frozen=True)
class Resources:
    """What a row took beside time; None where it cannot be known here. MB are 10^6 bytes.

    host_peak_mb: this process at its largest; host_over_start_mb: above what it held before any model was
    opened. device_mb: GPU memory. joules_per_clip: by sensor, warm-up included; a sensor counts the whole
    device. gflop_per_clip: of the matrix products; peak_share: how much of the measured peak they reach at
    the median.
    """

    host_peak_mb: float | None = None
    host_over_start_mb: float | None = None
    device_mb: float | None = None
    joules_per_clip: Mapping[str, float] = field(default_factory=dict)
    gflop_per_clip: float | None = None
    peak_share: float | None = None


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
    resources: Resources = field(default_factory=Resources)
    server: ServerSearch | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """What says that two rows measure the same."""
        return tuple(getattr(self, name) for name in KEYS)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values; the samples are one text of numbers, which keeps a file short."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return values | {
            "latency": self.latency.to_dict(),
            "warmup": self.warmup.to_dict(),
            "resources": asdict(self.resources),
            "server": self.server.to_dict() if self.server else None,
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
        known["resources"] = Resources(**check_keys(Resources, known["resources"]))
        known["server"] = ServerSearch.from_dict(known["server"]) if known["server"] else None
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
    values = {one.name: getattr(first, one.name) for one in fields(first)}
    if first.server:
        # each pass searched on its own: the one with the median rate stands for them
        rows = sorted(rows, key=lambda row: row.clips_per_second)
        return rows[(len(rows) - 1) // 2]
    warmup = Warmup(
        sum(row.warmup.calls for row in rows), sum(row.warmup.seconds for row in rows),
        first.warmup.first_ms, all(row.warmup.steady for row in rows),
    )  # fmt: skip
    return Measurement(
        **values | {
            "latency": summarize(samples), "clips_per_second": _clips_per_second(samples, first.batch),
            "warmup": warmup, "samples_ms": tuple(samples.tolist()),
            "passes": tuple(count for row in rows for count in row.passes),
            "resources": _largest([row.resources for row in rows]),
        }
    )  # fmt: skip


def _largest(several: Sequence[Resources]) -> Resources:
    """Peaks of all passes, and the joules of the first."""
    peaks: dict[str, Any] = {
        name: max((value for one in several if (value := getattr(one, name)) is not None), default=None)
        for name in ("host_peak_mb", "host_over_start_mb", "device_mb")
    }
    return replace(several[0], **peaks)


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
