"""A made-up camera and pose estimator: joints in space to pixels, a detector's noise and scores."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
RESOLUTION_WH = (640, 480)
_MIRROR = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15])


def film(
    people: list[Array], yaw: float, rng: np.random.Generator, *, close_up: bool = False
) -> npt.NDArray[np.float32]:
    """Film people, each (T, 17, 3) in metres, as keypoints float32 (M, T, 17, 3): pixels, confidence.

    The picture has 640 x 480 pixels.
    ``yaw`` in degrees is the view: 0 from the front, 90 with the person facing the image's right.
    ``close_up`` fills the picture with the upper body. Joints outside the picture are (0, 0, 0).
    """
    joints = np.stack(people)
    centre = joints.reshape(-1, 3).mean(axis=0)
    view = _view(yaw, rng.uniform(-4, 18), rng.normal(0, 1.5))
    seen = (joints - centre) @ view.T
    distance = rng.uniform(3.5, 7.0)
    flat = seen[..., :2] * (distance / np.maximum(distance - seen[..., 2:], 0.5)) * [1, -1]
    framed = flat[:, :, :11] if close_up else flat
    low, high = framed.reshape(-1, 2).min(axis=0), framed.reshape(-1, 2).max(axis=0)
    if close_up:
        high[1] += rng.uniform(0.0, 0.15)
    picture = np.array(RESOLUTION_WH)
    scale = rng.uniform(0.55, 0.9) if not close_up else rng.uniform(0.9, 1.0)
    scale *= float((picture / (high - low + 1e-6)).min())
    room = np.maximum(picture - scale * (high - low), 0)
    place = rng.uniform(0.2, 0.8, 2)
    if close_up:
        place[1] = 1.0  # the rest of the body is below the picture
    origin = place * room - scale * low
    hidden = np.stack([_hidden(one) for one in seen])
    keypoints = _detect(flat * scale + origin, hidden, scale * 1.7, rng)  # 1.7 m: a person's height in pixels
    outside = ((keypoints[..., :2] < 0) | (keypoints[..., :2] >= picture)).any(axis=-1)
    keypoints[outside] = 0
    return keypoints


def _view(yaw: float, pitch: float, roll: float) -> Array:
    """World to camera axes: x to the image's right, y up, z towards the camera."""
    a, b, c = np.radians([yaw, pitch, roll])
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    tilt = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    rolled = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    matrix: Array = rolled @ tilt @ turn
    return matrix


def _hidden(seen: Array) -> Array:
    """How much each joint (T, 17) is hidden, 0 to 1: by its mirror joint, the trunk or the head."""
    other = seen[:, _MIRROR]
    near = np.exp(-((np.linalg.norm((seen - other)[..., :2], axis=-1) / 0.12) ** 2))
    behind = 1 / (1 + np.exp(-((other - seen)[..., 2] - 0.10) / 0.04))
    hidden = near * behind
    trunk = seen[:, [5, 6, 11, 12]].mean(axis=1, keepdims=True)
    across = np.abs(seen - trunk)[..., 0] / 0.16
    along = np.abs(seen - trunk)[..., 1] / 0.30
    covered = np.exp(-(across**4) - along**4) / (1 + np.exp(-((trunk - seen)[..., 2] - 0.12) / 0.04))
    covered[:, [5, 6, 11, 12]] = 0
    face = seen[:, [0]] - seen[:, 3:5].mean(axis=1, keepdims=True)
    away = 1 / (1 + np.exp((face[..., 2] / 0.12 + 0.35) / 0.15))
    covered[:, :3] = np.maximum(covered[:, :3], away)
    return np.asarray(np.clip(np.maximum(hidden, covered), 0, 1))


def _detect(pixels: Array, hidden: Array, size: float, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Add jitter that grows where joints are hidden and lasts a few frames, and scores that tell of it."""
    persons, frames, joints = hidden.shape
    jitter = rng.normal(size=(persons, frames, joints, 2))
    slow = np.repeat(rng.normal(size=(persons, frames // 6 + 2, joints, 2)), 6, axis=1)[:, :frames]
    spread = size * (0.0035 + 0.022 * hidden)[..., None]
    score = (
        0.93 - 0.62 * hidden + rng.normal(0, 0.035, hidden.shape) + rng.normal(0, 0.02, (persons, 1, joints))
    )
    out = np.empty((persons, frames, joints, 3), dtype=np.float32)
    out[..., :2] = pixels + spread * (0.8 * jitter + 0.6 * slow)
    out[..., 2] = np.clip(score, 0.05, 0.995)
    return out
