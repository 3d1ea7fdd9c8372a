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
            f"joint {get_layout(layout).joints[joint]}; expected finite numbers: give an unseen joint as (0, 0, 0)"
        )
    return array


def prepare(
    keypoints: Any, contract: SkeletonContract, *, layout: str, resolution_wh: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """The steps before resampling: keypoints (M, T, V, 3) in pixels to float32 (persons', T, 17, 3) in
    camera coordinates.

    ``persons'`` is at most the contract's number. What is kept per recording for training, where the rest
    is random. Raises as ``preprocess`` does.
    """
    array = select_persons(check_keypoints(keypoints, layout), 2)
    upstream = contract.absent == "projected"
    if not upstream:
        array = array.astype(np.float32, copy=False)
    # float16 files stay float16 up to here under an upstream contract: that is the precision those weights
    # were trained at
    camera = to_camera(array[..., :2], check_resolution(resolution_wh))
    if contract.confidence_order == "legacy":
        # upstream's confidences follow neither the identities nor the joints
        camera = track_identity(camera, contract.absent)
        xy = to_h36m(camera if len(camera) == 1 else camera.astype(np.float64), layout)
        legacy = to_h36m(array, layout, "legacy")[..., 2:]
        skeleton = np.concatenate((xy.astype(np.float32), legacy.astype(np.float32)), axis=-1)
    else:
        tracked = track_identity(np.concatenate((camera, array[..., 2:]), axis=-1), contract.absent)
        skeleton = to_h36m(tracked, layout).astype(np.float32, copy=False)
    return select_persons(skeleton, contract.persons)


def preprocess(
    keypoints: Any,
    contract: SkeletonContract,
    *,
    layout: str,
    resolution_wh: tuple[int, int],
    frames: int | Literal["contract"] | None = "contract",
) -> npt.NDArray[np.float32]:
    """Turn raw keypoints (M, T, V, 3), pixels and confidence, into a clip float32 (contract.persons,
    frames, 17, 3).

    ``frames`` is the contract's by default; None keeps the recording's own length, resampled only where it
    lies outside the contract's min_frames..max_frames. Of more persons than the contract has, those of
    highest summed confidence are kept. Raises ShapeError for keypoints that do not fit the layout or are
    not finite, ConfigError for an unknown layout, a bad resolution, or a frame number outside the contract.
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
    return crop_scale(pad_persons(skeleton, contract.persons), contract.scale_ratio, contract.absent)
