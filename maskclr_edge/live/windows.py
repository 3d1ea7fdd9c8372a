"""The last seconds of one person, resampled by time stamps to the frames that the model takes."""

from collections import deque

import numpy as np
import numpy.typing as npt

from maskclr_edge.live.geometry import Array, size_of

#: of a window this short, in seconds, a partial answer is given
LEAST_S = 0.7
#: places are averaged over so long, in seconds, before motion is taken: an estimator's joints tremble by more
#: than a person who stands still moves, and actions last longer
_STEADY_S = 0.4
#: a moment with no observation this near, in seconds, stays missing
_NEAR_S = 0.25


class Window:
    """Skeletons (V, 3) of one track over the last ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._seen: deque[tuple[float, Array]] = deque()

    def add(self, time_s: float, keypoints: Array) -> None:
        """Take the skeleton of a moment; those older than the window go."""
        self._seen.append((time_s, keypoints))
        while time_s - self._seen[0][0] > self.seconds:
            self._seen.popleft()

    def copy(self) -> "Window":
        """This window as it is now, for another thread; the skeletons are shared."""
        copied = Window(self.seconds)
        copied._seen = self._seen.copy()
        return copied

    @property
    def bounds_s(self) -> tuple[float, float]:
        """When the first and the last skeleton held were seen."""
        return self._seen[0][0], self._seen[-1][0]

    @property
    def span_s(self) -> float:
        """From the first to the last skeleton held."""
        return self._seen[-1][0] - self._seen[0][0] if self._seen else 0.0

    @property
    def ready(self) -> bool:
        """Whether there is enough for an answer."""
        return len(self._seen) > 1 and self.span_s >= min(LEAST_S, self.seconds)

    @property
    def fullness(self) -> float:
        """Share of the window that is filled, 0 to 1."""
        return min(self.span_s / self.seconds, 1.0)

    def sample(self, frames: int, bounds_s: tuple[float, float] | None = None) -> npt.NDArray[np.float32]:
        """Keypoints (1, frames, V, 3): the nearest skeleton in time, zeros where none is near.

        The samples are the middles of equal spans of time, so the rate of the source does not matter.
        bounds_s: from when until when, all that is held by default.
        """
        times = np.array([time_s for time_s, _ in self._seen])
        begin, end = bounds_s or self.bounds_s
        wanted = begin + (np.arange(frames) + 0.5) / frames * (end - begin)
        after = np.clip(np.searchsorted(times, wanted), 1, len(times) - 1)
        earlier = wanted - times[after - 1] <= times[after] - wanted
        chosen = np.where(earlier, after - 1, after)
        clip = np.stack([self._seen[index][1] for index in chosen]).astype(np.float32)
        clip[np.abs(times[chosen] - wanted) > _NEAR_S] = 0
        return clip[None]

    def motion(self) -> float:
        """How much the person moves within itself over the window, in body sizes.

        The standard deviation of a joint's place, after the whole body's drift is taken away and places are
        averaged over ``_STEADY_S``, as a mean over the quarter of the joints that move most; 0 when hardly
        anything was seen.
        """
        times = np.array([time_s for time_s, _ in self._seen])
        stack = np.stack([keypoints for _, keypoints in self._seen])  # (T, V, 3)
        seen = stack[..., 2] > 0
        usable = seen.mean(axis=0) > 0.5
        size = float(np.median([size_of(keypoints) for keypoints in stack]))
        if not usable.any() or size <= 0:
            return 0.0
        there = seen[:, usable].any(axis=1)
        times, xy = times[there], np.where(seen[..., None], stack[..., :2], np.nan)[there][:, usable]
        xy = _averaged(xy - np.nanmedian(xy, axis=1, keepdims=True), times)
        spread = np.sqrt(np.nanvar(xy, axis=0).sum(axis=-1))  # (joints,)
        return float(np.sort(spread)[-max(len(spread) // 4, 1) :].mean()) / size


def _averaged(xy: Array, times: Array) -> Array:
    """Places (T, V, 2), NaN where unseen, as means over ``_STEADY_S`` around each moment that has so much."""
    half_s = _STEADY_S / 2
    near = (np.abs(times[:, None] - times) <= half_s).astype(np.float64)  # (T, T)
    whole = (times >= times[0] + half_s) & (times <= times[-1] - half_s)
    near = near[whole] if whole.sum() > 1 else near
    known = ~np.isnan(xy)
    sums = np.einsum("st,tvc->svc", near, np.where(known, xy, 0.0))
    counts = np.einsum("st,tvc->svc", near, known.astype(np.float64))
    result: Array = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    return result
