"""What one person did in the last seconds, resampled by time to what a model takes."""

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.live.geometry import SEEN, size_of

Array = npt.NDArray[Any]

#: a gap between two sights of a joint that is not bridged
MAX_GAP_S = 0.6
#: the most observations kept, whatever the frame rate
MAX_SAMPLES = 2048


class Window:
    """Observations of one person over the last ``seconds``. Not thread-safe."""

    def __init__(self, seconds: float = 2.5) -> None:
        self.seconds = seconds
        self._samples: deque[tuple[float, Array]] = deque(maxlen=MAX_SAMPLES)

    def add(self, time_s: float, keypoints: Array) -> None:
        """Add what was seen at ``time_s``: (V, 3), pixels and confidence. Times must increase."""
        self._samples.append((time_s, keypoints))
        while time_s - self._samples[0][0] > self.seconds + 1e-6:
            self._samples.popleft()

    @property
    def span_s(self) -> float:
        """Seconds between the first and the last observation."""
        return self._samples[-1][0] - self._samples[0][0] if self._samples else 0.0

    def resampled(self, frames: int) -> Array:
        """Keypoints (frames, V, 3) at equal steps from the first observation to the last.

        Positions between two sights of a joint are linear; a joint not seen on either side of a moment, or
        only across a gap, is missing there: ``(0, 0, 0)``, never a position at the origin taken for real.
        """
        times = np.array([time_s for time_s, _ in self._samples])
        values = np.stack([keypoints for _, keypoints in self._samples]).astype(np.float32)
        wanted = np.linspace(times[0], times[-1], frames)
        after = np.clip(np.searchsorted(times, wanted), 1 if len(times) > 1 else 0, len(times) - 1)
        before = np.maximum(after - 1, 0)
        gap = times[after] - times[before]
        part = np.where(gap > 0, (wanted - times[before]) / np.where(gap > 0, gap, 1), 0.0)
        part = part.astype(np.float32)[:, None]
        first, second = values[before], values[after]
        weight = part[..., None]
        between = first * (1 - weight) + second * weight
        nearer = np.where(weight < 0.5, first, second)
        both = (first[..., 2] > 0) & (second[..., 2] > 0)
        result: Array = np.where(both[..., None], between, nearer)
        away = np.minimum(wanted - times[before], times[after] - wanted)
        result[(gap > MAX_GAP_S) & (away > MAX_GAP_S / 2)] = 0
        result[result[..., 2] <= 0] = 0
        return result

    def motion(self, seconds: float = 1.0) -> float | None:
        """How far the liveliest joints strayed in the last ``seconds``, in sizes of the person; None if unknown.

        The deviation of each joint from its mean place, at the 90th percentile of joints: a waving hand
        counts, and the estimator's trembling, which grows with the frame rate in a speed, hardly does.
        """
        if not self._samples:
            return None
        end = self._samples[-1][0]
        recent = [keypoints for time_s, keypoints in self._samples if end - time_s <= seconds]
        if len(recent) < 2:
            return None
        values = np.stack(recent)
        seen = values[..., 2] >= SEEN
        often = seen.mean(axis=0) >= 0.5
        size = max(size_of(keypoints) for keypoints in recent)
        if not often.any() or size <= 0:
            return None
        weights = seen[:, often, None].astype(np.float64)
        points = values[:, often, :2]
        mean = (points * weights).sum(axis=0) / weights.sum(axis=0)
        spread = (((points - mean) ** 2) * weights).sum(axis=(0, 2)) / weights.sum(axis=(0, 2))
        return float(np.percentile(np.sqrt(spread), 90) / size)
