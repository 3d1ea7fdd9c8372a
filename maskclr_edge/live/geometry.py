"""Boxes, sizes and likeness of skeletons in one image. NumPy alone."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: a joint below this confidence is not taken for seen when boxes and likeness are measured
SEEN = 0.3

#: COCO's per-joint fall-off (cocodataset.org, keypoint evaluation), as 2 sigma, in the order of coco17
_COCO_FALL_OFF = 2 * np.repeat(
    [0.026, 0.025, 0.035, 0.079, 0.072, 0.062, 0.107, 0.087, 0.089], [1, 2, 2, 2, 2, 2, 2, 2, 2]
)
_OTHER_FALL_OFF = 0.15


def seen_joints(keypoints: Array) -> npt.NDArray[np.bool_]:
    """Which joints (..., V) of keypoints (..., V, 3) were seen."""
    result: npt.NDArray[np.bool_] = keypoints[..., 2] >= SEEN
    return result


def box_of(keypoints: Array) -> Array:
    """Box ``(x0, y0, x1, y1)`` of one person's seen joints (V, 3); where none is clear, of any.

    Zeros for an absent person.
    """
    points = keypoints[seen_joints(keypoints), :2]
    if len(points) < 2:
        points = keypoints[keypoints[:, 2] > 0, :2]
    if not len(points):
        return np.zeros(4, np.float32)
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def size_of(keypoints: Array) -> float:
    """Size of a person (V, 3) in pixels: the longer side of its box."""
    x0, y0, x1, y1 = box_of(keypoints)
    return float(max(x1 - x0, y1 - y0))


def overlap(a: Array, b: Array) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    if (sides <= 0).any():
        return 0.0
    shared = float(sides.prod())
    union = float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod()) - shared
    return shared / union if union > 0 else 0.0


def likeness(a: Array, b: Array) -> float:
    """Object keypoint similarity of two persons (V, 3), 0 to 1, over the joints seen in both; 0 for none.

    COCO's definition, with the mean box area of the two as the area.
    """
    both = seen_joints(a) & seen_joints(b)
    if not both.any():
        return 0.0
    area = 0.5 * sum(float(np.prod(np.maximum(box[2:] - box[:2], 1.0))) for box in (box_of(a), box_of(b)))
    fall_off = _COCO_FALL_OFF if len(a) == len(_COCO_FALL_OFF) else np.full(len(a), _OTHER_FALL_OFF)
    distance = ((a[both, :2] - b[both, :2]) ** 2).sum(axis=-1)
    return float(np.exp(-distance / (2 * area * fall_off[both] ** 2)).mean())


def moved(a: Array, b: Array) -> float:
    """How far the middle joint of those seen in both persons (V, 3) is apart, in sizes of the larger one."""
    both = seen_joints(a) & seen_joints(b)
    size = max(size_of(a), size_of(b))
    if not both.any() or size <= 0:
        return 0.0
    return float(np.median(np.hypot(*(a[both, :2] - b[both, :2]).T))) / size


def confidence_of(keypoints: Array) -> float:
    """Mean confidence of one person's joints (V, 3)."""
    return float(keypoints[:, 2].mean())


def without_doubles(people: list[Array], most: int) -> list[Array]:
    """The clearest ``most`` persons of a list, one for each real person: doubles of a clearer one go."""
    kept: list[Array] = []
    for person in sorted(people, key=confidence_of, reverse=True):
        if len(kept) == most:
            break
        if not any(_same(person, other) for other in kept):
            kept.append(person)
    return kept


def _same(a: Array, b: Array) -> bool:
    """Two views of one person: alike in pose, or one box nearly inside the other."""
    if likeness(a, b) > 0.5:
        return True
    box_a, box_b = box_of(a), box_of(b)
    sides = np.maximum(np.minimum(box_a[2:], box_b[2:]) - np.maximum(box_a[:2], box_b[:2]), 0)
    smaller = min(float((box[2:] - box[:2]).prod()) for box in (box_a, box_b))
    return overlap(box_a, box_b) > 0.6 or (smaller > 0 and float(sides.prod()) > 0.9 * smaller)
