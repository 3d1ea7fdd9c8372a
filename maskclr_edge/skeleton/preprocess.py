"""Raw keypoints to a clip, by the skeleton contract of the weights that will see it.

The order of the steps, and for upstream contracts every rounding and quirk, is MotionBERT's
``ActionDataset`` and ``NTURGBD`` (lib/data/dataset_action.py): camera coordinates, identities, H36M-17,
resampling, second person, crop.
"""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from maskclr_edge.errors import ShapeError
from maskclr_edge.skeleton.contract import SkeletonContract
from maskclr_edge.skeleton.conversion import to_h36m
from maskclr_edge.skeleton.layouts import get_layout
from maskclr_edge.skeleton.normalise import (
    check_resolution,
    crop_scale,
    pad_persons,
    resample_indices,
    select_persons,
    to_camera,
)
from maskclr_edge.skeleton.tracking import track_identity

Array = npt.NDArray[Any]
#: far outside any image, yet safe to square in float32
MAX_PIXEL = 1e6


def check_keypoints(keypoints: Any, layout: str) -> Array:
    """Check raw keypoints (M, T, V, 3), or (T, V, 3) of one person; give back a float array (M, T, V, 3).

    Float types stay; whole numbers become float32. Raises ShapeError (wrong shape or type, NaN, infinity,
    nobody, no frame) and ConfigError (unknown layout).
    """
    joints = len(get_layout(layout).joints)
    expected = f"layout {layout} needs (persons, frames, {joints}, 3) of pixels and confidence"
    try:
        array = np.asarray(keypoints)
    except ValueError as error:
        raise ShapeError(
            f"keypoints are a ragged sequence, {expected}; pad absent persons with zeros"
        ) from error
    if np.issubdtype(array.dtype, np.integer):
        array = array.astype(np.float32)
    if not np.issubdtype(array.dtype, np.floating):
        raise ShapeError(
            f"keypoints have dtype {array.dtype}, expected float numbers; convert with .astype('float32')"
        )
    if array.ndim == 3:
        array = array[None]
    if array.ndim != 4 or array.shape[2:] != (joints, 3):
        raise ShapeError(
            f"keypoints have shape {np.shape(keypoints)}, {expected}; "
            "name the layout they are in, or add confidences"
        )
    if array.shape[0] < 1 or array.shape[1] < 1:
        raise ShapeError(
            f"keypoints have {array.shape[0]} persons and {array.shape[1]} frames, "
            "expected at least 1 of each"
        )
    if not np.isfinite(array).all():
        person, frame, joint, _ = np.argwhere(~np.isfinite(array))[0]
        raise ShapeError(
            f"keypoints have NaN or infinity at person {person}, frame {frame}, "
            f"joint {get_layout(layout).joints[joint]}; "
            "expected finite numbers: give an unseen joint as (0, 0, 0)"
        )
    if array.dtype != np.float16 and np.abs(array[..., :2]).max() > MAX_PIXEL:
        raise ShapeError(
            f"keypoints have a coordinate beyond {MAX_PIXEL:.0f}, "
            "expected pixels of the image of resolution_wh"
        )
    return array


def prepare(
    keypoints: Any, contract: SkeletonContract, *, layout: str, resolution_wh: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """The steps before resampling: keypoints (M, T, V, 3) to float32 (M', T, 17, 3) in camera coordinates.

    ``M'`` is at most the contract's number of persons. This is what training keeps of a recording, as its
    further steps are random. Raises as ``preprocess`` does.
    """
    array = check_keypoints(keypoints, layout)
    if len(array) > 2:
        raise ShapeError(
            f"keypoints hold {len(array)} persons, a clip holds 1 or 2; keep those who act, "
            "as skeleton.select_persons(keypoints, 2) does by confidence"
        )
    upstream = contract.absent == "projected"
    if not upstream:
        array = array.astype(np.float32, copy=False)
    # float16 files stay float16 up to here under an upstream contract: that is the precision those weights
    # were trained at
    camera = to_camera(array[..., :2], check_resolution(resolution_wh))
    tracked = track_identity(np.concatenate((camera, array[..., 2:]), axis=-1), contract.absent)
    if upstream and len(tracked) == 2:
        tracked = tracked.astype(
            np.float64
        )  # as upstream's tracking gives it on, so that midpoints round alike
        if contract.confidence_order == "legacy":
            tracked[..., 2] = array[..., 2]  # upstream's confidences do not follow the identities either
    skeleton = to_h36m(tracked, layout, contract.confidence_order).astype(np.float32, copy=False)
    return select_persons(skeleton, contract.persons)


def preprocess(
    keypoints: Any,
    contract: SkeletonContract,
    *,
    layout: str,
    resolution_wh: tuple[int, int],
    frames: int | Literal["contract"] | None = "contract",
) -> npt.NDArray[np.float32]:
    """Turn raw keypoints (M, T, V, 3), pixels and confidence, into a clip (persons, frames, 17, 3), float32.

    ``frames`` is the contract's by default; None keeps the recording's own length, resampled only where it
    lies outside the contract's min_frames..max_frames. Of two persons for a contract of one, the one of
    higher summed confidence is kept. Raises ShapeError for keypoints that do not fit the layout, are not
    finite or hold more than two persons, ConfigError for an unknown layout, a bad resolution, or a frame
    number outside the contract.
    """
    skeleton = prepare(keypoints, contract, layout=layout, resolution_wh=resolution_wh)
    total = skeleton.shape[1]
    target = contract.frames if frames == "contract" else frames
    if target is None:
        target = min(max(total, contract.min_frames), contract.max_frames)
    elif not contract.min_frames <= target <= contract.max_frames:
        raise ShapeError(
            f"a clip of {target} frames was asked for, "
            f"the contract allows {contract.min_frames} to {contract.max_frames}"
        )
    if target != total:
        skeleton = skeleton[:, resample_indices(total, target)]
    if contract.absent == "projected":  # the empty slot is moved with the rest
        return crop_scale(pad_persons(skeleton, contract.persons), contract.scale_ratio, contract.absent)
    return pad_persons(crop_scale(skeleton, contract.scale_ratio, contract.absent), contract.persons)
