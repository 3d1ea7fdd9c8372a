"""The clip: float32 (M, T, 17, 3), H36M order, (x, y, confidence); checked once, at the boundary."""

from typing import Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.errors import ShapeError
from maskclr_edge.skeleton.contract import MAX_FRAMES
from maskclr_edge.skeleton.layouts import H36M_JOINTS, H36M_LEFT, H36M_RIGHT

_EXPECTED = "expected (clips, persons, frames, 17, 3) or (persons, frames, 17, 3)"


def check_clips(clips: Any, *, max_frames: int = MAX_FRAMES, max_persons: int = 2) -> npt.NDArray[np.float32]:
    """Check clips (N, M, T, 17, 3), or one (M, T, 17, 3); give float32 (N, M, T, 17, 3), contiguous.

    An array that is right already is returned as it is, without a copy. Raises ShapeError that says what
    came, what was expected and what to do, for a wrong type or shape, too few or too many persons or
    frames, and NaN or infinity.
    """
    try:
        array = np.asarray(clips)
    except ValueError as error:
        raise ShapeError(f"clips are a ragged sequence, {_EXPECTED}; stack them with np.stack") from error
    if array.dtype.kind not in "fiu":  # floating point, integers of either sign
        raise ShapeError(
            f"clips have dtype {array.dtype}, expected float32 numbers; convert with .astype('float32')"
        )
    if array.ndim == 4:
        array = array[None]
    if array.ndim != 5:
        raise ShapeError(f"clips have shape {array.shape}, {_EXPECTED}; add or remove the leading axis")
    count, persons, frames, joints, channels = array.shape
    if joints != len(H36M_JOINTS) or channels != 3:
        raise ShapeError(
            f"clips have {joints} joints of {channels} values, expected 17 H36M joints of "
            "(x, y, confidence); use preprocess() to convert raw keypoints"
        )
    if count < 1:
        raise ShapeError(
            f"clips have shape {array.shape}, expected at least 1 clip; check the data set split"
        )
    if not 1 <= persons <= max_persons:
        raise ShapeError(
            f"clips have {persons} persons, expected {_span(max_persons)}; "
            f"keep {max_persons} of each clip with select_persons()"
        )
    if not 1 <= frames <= max_frames:
        raise ShapeError(
            f"clips have {frames} frames, expected {_span(max_frames)}; "
            "resample them with resample_indices() or preprocess()"
        )
    if array.dtype != np.float32 or not array.flags.c_contiguous:
        # an overflow to infinity is reported below as what it is
        with np.errstate(over="ignore"):
            array = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(array).all():
        clip, person, frame, joint, _ = np.argwhere(~np.isfinite(array))[0]
        raise ShapeError(
            f"clip {clip} has NaN or infinity at person {person}, frame {frame}, joint {H36M_JOINTS[joint]}; "
            "expected finite numbers: give an unseen joint as (0, 0, 0)"
        )
    return array


def _span(most: int) -> str:
    return "1" if most == 1 else f"1 to {most}"


def flip_clips(clips: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Mirror clips (..., 17, 2 or 3) left to right, as a copy: x and the sides of the joints change.

    Source: MotionBERT lib/utils/utils_data.py ``flip_data``. An unseen joint at x = 0 stays at 0.
    """
    order = np.arange(len(H36M_JOINTS))
    order[[*H36M_LEFT, *H36M_RIGHT]] = [*H36M_RIGHT, *H36M_LEFT]
    flipped: npt.NDArray[Any] = np.take(clips, order, axis=-2)
    flipped[..., 0] = 0.0 - flipped[..., 0]  # not unary minus: exact zeros must not become -0.0
    return flipped
