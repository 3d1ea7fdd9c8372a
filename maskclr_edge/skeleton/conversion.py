"""Any known layout to H36M-17, for coordinates and for confidences.

Sources: MotionBERT ``coco2h36m`` (lib/data/dataset_action.py) and ``halpe2h36m`` (lib/data/dataset_wild.py)
for which joints make which. A joint that a layout lacks is the midpoint of two that it has, and is as
certain as the less certain of them.
"""

from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from maskclr_edge.errors import ConfigError, ShapeError
from maskclr_edge.skeleton.layouts import H36M_JOINTS, get_layout

Array = npt.NDArray[Any]
ConfidenceOrder = Literal["h36m", "legacy"]

# H36M joint -> the joints whose midpoint it is; the first line whose joints the layout has is taken.
_RECIPES: dict[str, tuple[tuple[str, ...], ...]] = {
    "root": (("root",), ("mid_hip",), ("left_hip", "right_hip")),
    "neck": (("neck",), ("left_shoulder", "right_shoulder")),
    "head": (("head",), ("left_eye", "right_eye")),
}
_ROOT, _BELLY, _NECK = (H36M_JOINTS.index(joint) for joint in ("root", "belly", "neck"))


@cache
def _sources(layout: str) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
    """Both source joints of each H36M joint (equal for a copy), and whether the belly is derived."""
    joints = get_layout(layout).joints
    pairs = []
    for joint in H36M_JOINTS:
        options = (
            *_RECIPES.get(joint, ((joint,),)),
            ("nose",),
        )  # the belly's entry is overwritten where it is derived
        names = next(option for option in options if all(name in joints for name in option))
        pairs.append((joints.index(names[0]), joints.index(names[-1])))
    return tuple(a for a, _ in pairs), tuple(b for _, b in pairs), "belly" not in joints


@cache
def _plan(layout: str) -> tuple[Array, Array, Array, bool]:
    first, second, derive_belly = (np.asarray(part) for part in _sources(layout))
    midpoints = np.flatnonzero(first != second)
    return first, midpoints, second[midpoints], bool(derive_belly)


def conversion_matrix(layout: str) -> npt.NDArray[np.float64]:
    """The conversion as weights (17, V): H36M coordinates = matrix @ the layout's coordinates."""
    first, second, derive_belly = _sources(layout)
    matrix = np.zeros((len(H36M_JOINTS), len(get_layout(layout).joints)))
    for joint, (a, b) in enumerate(zip(first, second, strict=True)):
        matrix[joint, a] += 0.5
        matrix[joint, b] += 0.5
    if derive_belly:
        matrix[_BELLY] = (matrix[_ROOT] + matrix[_NECK]) / 2
    return matrix


def to_h36m(keypoints: Array, layout: str, confidence_order: ConfidenceOrder = "h36m") -> Array:
    """Convert keypoints (..., V, 3) of a layout to H36M-17 (..., 17, 3); or (..., V, 2), coordinates only.

    Coordinates are rounded where MotionBERT rounds them (each midpoint in the input's type), so that
    COCO-17 gives its numbers to the bit; a half-precision input gives float32. The confidence of a midpoint
    is the smaller of its sources'. ``confidence_order="legacy"`` leaves COCO confidences in COCO order, on
    the wrong joints, as MotionBERT and MaskCLR weights were trained (MotionBERT issue 132). Raises
    ConfigError for an unknown layout or a legacy order of any layout but COCO-17, ShapeError for another
    number of joints.
    """
    keypoints = np.asarray(keypoints)
    joints = len(get_layout(layout).joints)
    if keypoints.ndim < 2 or keypoints.shape[-2] != joints or keypoints.shape[-1] not in (2, 3):
        raise ShapeError(
            f"keypoints have shape {keypoints.shape}, layout {layout} needs "
            f"(..., {joints}, 3); name the layout they are in"
        )
    if confidence_order not in ("h36m", "legacy"):
        raise ConfigError(f"unknown confidence order {confidence_order!r}; it is h36m or legacy")
    if confidence_order == "legacy" and layout != "coco17":
        raise ConfigError(
            f"the legacy confidence order is defined for coco17 only, these keypoints are {layout}; "
            "convert them to coco17 first, or use a model with confidence_order h36m"
        )
    first, midpoints, second, derive_belly = _plan(layout)
    if not np.issubdtype(keypoints.dtype, np.floating):
        keypoints = keypoints.astype(np.float64)
    out = keypoints[..., first, :].astype(np.result_type(keypoints.dtype, np.float32))
    xy = keypoints[..., :2]
    out[..., midpoints, :2] = (xy[..., first[midpoints], :] + xy[..., second, :]) * 0.5
    if derive_belly:
        out[..., _BELLY, :2] = (out[..., _ROOT, :2] + out[..., _NECK, :2]) * 0.5
    if keypoints.shape[-1] == 2:
        return out
    confidence = keypoints[..., 2]
    if confidence_order == "legacy":
        out[..., 2] = confidence
        return out
    out[..., midpoints, 2] = np.minimum(confidence[..., first[midpoints]], confidence[..., second])
    if derive_belly:
        out[..., _BELLY, 2] = np.minimum(out[..., _ROOT, 2], out[..., _NECK, 2])
    return out
