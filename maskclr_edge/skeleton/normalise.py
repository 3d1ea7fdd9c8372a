"""The single steps from pixels to a clip, in MotionBERT's arithmetic.

Sources: lib/data/dataset_action.py and lib/utils/utils_data.py of MotionBERT.
"""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from maskclr_edge.errors import ConfigError, ShapeError

Array = npt.NDArray[Any]


def to_camera(xy: Array, resolution_wh: tuple[int, int]) -> Array:
    """Pixels (..., 2) to camera coordinates: the longer image side spans [-1, 1], for both axes.

    Keeps the float type.
    Raises ConfigError for a resolution that is not two positive numbers.
    """
    width, height = (float(side) for side in check_resolution(resolution_wh))
    return xy / max(width, height) * 2 - 1


def check_resolution(resolution_wh: tuple[int, int]) -> tuple[int, int]:
    """The resolution as two whole numbers. Raises ConfigError if it is not (width, height) in pixels."""
    try:
        width, height = (int(side) for side in resolution_wh)
    except (TypeError, ValueError, OverflowError):
        width = height = 0
    if width < 1 or height < 1:
        raise ConfigError(
            f"resolution_wh is {resolution_wh!r}, expected (width, height) of the image "
            "in pixels, each at least 1"
        )
    return width, height


def resample_indices(
    total: int, frames: int, rng: np.random.Generator | None = None
) -> npt.NDArray[np.int64]:
    """Which of ``total`` frames make a clip of ``frames``, in order.

    Evenly spaced, ``floor(linspace(0, total, frames, endpoint=False))``; with ``rng``, as in training: a
    random frame in each interval, or, where frames must repeat, each even position rounded down or up at
    random. Raises ConfigError below 1 frame.
    """
    if total < 1 or frames < 1:
        raise ConfigError(f"cannot resample {total} frames to {frames}: both must be at least 1")
    if rng is None:
        return _even(total, frames).astype(np.int64)
    even = _even(total, frames)
    if total < frames:
        chosen = np.sort(np.where(rng.integers(2, size=frames) == 1, np.floor(even), np.ceil(even)))
    else:
        chosen = even + rng.random(frames) * (total / frames)
    indices: npt.NDArray[np.int64] = np.clip(chosen, 0, total - 1).astype(np.int64)
    return indices


def _even(total: int, frames: int) -> npt.NDArray[np.float64]:
    even: npt.NDArray[np.float64] = np.linspace(0, total, num=frames, endpoint=False)
    return even


def select_persons(keypoints: Array, persons: int) -> Array:
    """Keep at most ``persons`` of keypoints (M, T, V, 3): the most confident in sum, in their order."""
    if keypoints.shape[0] <= persons:
        return keypoints
    confidence = keypoints[..., 2].sum(axis=(1, 2), dtype=np.float64)
    return keypoints[np.sort(np.argsort(-confidence, kind="stable")[:persons])]


def pad_persons(clip: Array, persons: int) -> Array:
    """Fill a clip (M, ...) up to ``persons`` slots with zeros. Raises ShapeError if it has more."""
    if clip.shape[0] > persons:
        raise ShapeError(
            f"clip has {clip.shape[0]} persons, expected at most {persons}; keep some with select_persons()"
        )
    if clip.shape[0] == persons:
        return clip
    return np.concatenate((clip, np.zeros((persons - clip.shape[0], *clip.shape[1:]), dtype=clip.dtype)))


def crop_scale(
    clip: Array, ratio: float = 2.0, absent: Literal["zeros", "projected"] = "zeros"
) -> npt.NDArray[np.float32]:
    """Move and scale a clip (M, T, 17, 3) so that a square around its visible joints spans [-1, 1].

    The square is ``ratio`` times as large as their box.
    The box holds every joint of non-zero confidence, over all persons and frames. All three values are
    clipped to [-1, 1]. Fewer than 4 visible joints, or all in one point, give zeros. "projected" moves
    every joint, so that absent persons and unseen joints land where (0, 0) lies as seen from the box, as
    upstream's ``crop_scale`` does; "zeros" sets them to exact zeros.
    """
    if not np.isfinite(ratio) or ratio <= 0:
        raise ConfigError(f"crop ratio is {ratio!r}, it must be a number above 0")
    clip = np.asarray(clip, dtype=np.float32)
    seen = clip[..., 2] != 0 if absent == "projected" else clip[..., 2] > 0
    points = clip[..., :2][seen]
    if len(points) < 4:
        return np.zeros_like(clip)
    low = np.array([points[:, 0].min(), points[:, 1].min()])
    high = np.array([points[:, 0].max(), points[:, 1].max()])
    # upstream's mixture: extents and sums in float32, box and quotient in float64, the rest in float32 again
    scale = np.float64((high - low).max()) * np.float64(ratio)
    if scale == 0:
        return np.zeros_like(clip)
    corner = ((low + high).astype(np.float64) - scale) / 2
    result: npt.NDArray[np.float32] = clip.copy()
    result[..., :2] = (clip[..., :2] - corner) / scale
    result[..., :2] = (result[..., :2] - np.float32(0.5)) * np.float32(2)
    np.clip(result, -1, 1, out=result)
    if absent == "zeros":
        result[~seen] = 0
    return result
