"""Ranges of a network's tensors over calibration clips, and how much of each range to keep.

One pass, in memory that does not grow with the clips: each tensor has one histogram of magnitudes, whose
range doubles when a larger value comes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from maskclr_edge.deploy.builder import to_bytes
from maskclr_edge.deploy.onnx_pair import open_session
from maskclr_edge.errors import ConfigError, ExportError
from maskclr_edge.optional import require

Floats = npt.NDArray[np.float32]
Progress = Callable[[int, int, str], None]

METHODS = ("minmax", "entropy", "percentile", "mse")
PERCENTILE = 99.99
BINS = 2048
#: frames run at once, which bounds memory: 60 M parameters keep about 0.7 GB of tensors for 243 frames
FRAMES_AT_ONCE = 243
#: values of one tensor that enter its histogram per run; its extremes are always exact
SAMPLE = 1 << 16
#: for entropy: ONNX Runtime's default of levels for both signs, and bins of one; more take seconds a tensor
_LEVELS, _ENTROPY_BINS = 128, 512
_CANDIDATES = np.linspace(0.2, 1.0, 81)


@dataclass
class Spread:
    """Distribution of a tensor: exact extremes, and a histogram of magnitudes over [0, top]."""

    low: float = 0.0
    high: float = 0.0
    top: float = 0.0
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))

    def add(self, values: Floats) -> None:
        """Take in a tensor's values. Raises ExportError for NaN or infinity."""
        low, high = float(values.min()), float(values.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ExportError(
                "a calibration clip gives NaN or infinity inside the network; check the weights"
            )
        self.low, self.high = min(self.low, low), max(self.high, high)
        reach = max(-low, high)
        if reach <= 0:
            return
        if self.top == 0:
            self.top = reach
        while self.top < reach:  # two bins become one, and the upper half is new
            self.counts[: BINS // 2] = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts[BINS // 2 :] = 0
            self.top *= 2
        flat = values.reshape(-1)
        sample = np.abs(flat[:: max(1, flat.size // SAMPLE)])
        bins = np.minimum((sample * (BINS / self.top)).astype(np.int64), BINS - 1)
        self.counts += np.bincount(bins, minlength=BINS)

    def reach(self, method: str) -> float:
        """Largest magnitude to represent: see ``calibrate`` for the methods."""
        extreme = max(-self.low, self.high)
        if method == "minmax" or not self.counts.any():
            return extreme
        centres = (np.arange(BINS) + 0.5) * (self.top / BINS)
        if method == "percentile":
            share = np.cumsum(self.counts) / self.counts.sum()
            return float(min(extreme, centres[np.searchsorted(share, PERCENTILE / 100)]))
        if method == "entropy":
            return min(extreme, self._least_divergence())
        limits = extreme * _CANDIDATES[:, None]
        clipped = np.maximum(centres - limits, 0)  # beyond a limit the error is the distance to it,
        rounding = (limits / 127) ** 2 / 12  # within it that of rounding to a grid
        errors = (np.where(clipped > 0, clipped**2, rounding) * self.counts).sum(axis=1)
        return float(limits[int(errors.argmin()), 0])

    def _least_divergence(self) -> float:
        """ONNX Runtime's search, which takes values of both signs: each magnitude counts as both."""
        side = self.counts.reshape(_ENTROPY_BINS, -1).sum(axis=1)
        edges = np.linspace(-self.top, self.top, 2 * _ENTROPY_BINS + 1, dtype=np.float32)
        collector = require("onnxruntime.quantization.calibrate").HistogramCollector(
            "entropy", True, 2 * _ENTROPY_BINS, _LEVELS, PERCENTILE, "same"
        )
        histogram = (np.concatenate([side[::-1], side]), edges, edges[0], edges[-1])
        return float(collector.get_entropy_threshold(histogram, _LEVELS)[1])


def calibrate(
    model: onnx.ModelProto,
    persons: Sequence[Floats],
    tensors: Sequence[str],
    *,
    method: str = "mse",
    progress: Progress | None = None,
) -> dict[str, tuple[float, float]]:
    """Range (low, high) to represent of each tensor, over persons: arrays (P, T, 17, 3), T may differ.

    method: "minmax", "entropy" (least divergence of the distribution, ONNX Runtime's search), "percentile"
    (99.99 % of magnitudes) or "mse" (least squared error). Raises ConfigError for another method
    or no persons, ExportError when the network gives NaN.
    """
    if method not in METHODS:
        raise ConfigError(f"calibration method is {method!r}; expected one of {', '.join(METHODS)}")
    if not sum(len(part) for part in persons):
        raise ConfigError("the calibration clips hold no person; give clips with somebody in them")
    spreads = {tensor: Spread() for tensor in tensors}
    total, done = sum(len(part) for part in persons), 0
    for count, values in run_tensors(model, persons, tensors):
        for tensor, value in values.items():
            spreads[tensor].add(value)
        done += count
        if progress is not None:
            progress(done, total, "calibration")
    ranges = {}
    for number, (tensor, spread) in enumerate(spreads.items(), 1):
        ranges[tensor] = _range(spread, spread.reach(method))
        if progress is not None:
            progress(number, len(spreads), "ranges")
    return ranges


def saturation(
    model: onnx.ModelProto,
    persons: Sequence[Floats],
    ranges: Mapping[str, tuple[float, float]],
    *,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Share of each tensor's values, over persons (P, T, 17, 3), that lie beyond its symmetric range."""
    reach = {tensor: np.float32(max(-low, high)) for tensor, (low, high) in ranges.items()}
    beyond, seen = dict.fromkeys(ranges, 0), dict.fromkeys(ranges, 0)
    total, done = sum(len(part) for part in persons), 0
    for count, values in run_tensors(model, persons, list(ranges)):
        for tensor, value in values.items():
            beyond[tensor] += int(np.count_nonzero(np.abs(value) > reach[tensor]))
            seen[tensor] += value.size
        done += count
        if progress is not None:
            progress(done, total, "saturation")
    return {tensor: float(f"{beyond[tensor] / seen[tensor]:.6g}") for tensor in ranges}


def present_persons(clips: Iterable[Floats], absent: str) -> list[Floats]:
    """Persons (P, T, 17, 3) of clips, each (M, T, 17, 3) or a batch; absent ones (all zeros) are left out.

    absent "projected" keeps every fourth of a batch's: there the network sees an absent one, a point that
    stands still, and where most clips have one person all of them were half of the work.
    """
    groups = []
    for clip in clips:
        persons = clip.reshape(-1, *clip.shape[-3:])
        seen = persons[..., 2] if absent == "projected" else persons
        here = seen.reshape(len(seen), -1).any(axis=1)
        kept = np.flatnonzero(here)
        if absent == "projected":
            kept = np.union1d(kept, np.flatnonzero(~here)[::4])
        if len(kept):
            groups.append(np.ascontiguousarray(persons[kept], np.float32))
    return groups


def run_tensors(
    model: onnx.ModelProto, persons: Sequence[Floats], tensors: Sequence[str]
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Run persons (P, T, 17, 3) in small batches; yields how many and the value of each tensor."""
    own = len(model.graph.output)
    for tensor in tensors:
        model.graph.output.add().name = tensor
    try:
        session = open_session(to_bytes(model))
    finally:
        del model.graph.output[own:]
    for group in persons:
        step = max(1, FRAMES_AT_ONCE // group.shape[1])
        for start in range(0, len(group), step):
            batch = group[start : start + step]
            yield len(batch), dict(zip(tensors, session.run(list(tensors), {"persons": batch}), strict=True))


def _range(spread: Spread, reach: float) -> tuple[float, float]:
    # a tensor that never moved still needs a scale that is not zero
    reach = max(reach, 1e-5)
    return max(spread.low, -reach), max(min(spread.high, reach), 1e-5)
