"""An articulated body in three dimensions: limb lengths, trunk, and hands and feet that reach for targets.

World axes, in metres: x to the left of a person who faces +z, y up from the floor, z forward. T is the
number of frames.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
#: sides in COCO's order; the sign is that of x
SIDES = ((0, 1.0), (1, -1.0))


@dataclass(frozen=True)
class Body:
    """Segment lengths in metres; the defaults are an adult of about 1.75 m."""

    hip_width: float = 0.22
    shoulder_width: float = 0.36
    trunk: float = 0.52
    neck: float = 0.20
    upper_arm: float = 0.29
    forearm: float = 0.26
    thigh: float = 0.44
    shin: float = 0.43

    @property
    def leg(self) -> float:
        """Hip to ankle, stretched."""
        return self.thigh + self.shin

    @property
    def arm(self) -> float:
        """Shoulder to wrist, stretched."""
        return self.upper_arm + self.forearm

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> "Body":
        """A body of random size and proportions."""
        size = rng.normal(1.0, 0.06)
        return cls(
            **{
                name: value * size * float(np.clip(rng.normal(1, 0.05), 0.85, 1.15))
                for name, value in vars(cls()).items()
            }
        )


def rotation(pitch: Any = 0.0, yaw: Any = 0.0, roll: Any = 0.0) -> Array:
    """Rotation matrices (..., 3, 3) from degrees: first roll (to the left), then pitch, then yaw.

    Pitch leans forward, yaw turns left.
    """
    pitch, yaw, roll = np.broadcast_arrays(
        *(np.radians(np.asarray(angle, dtype=float)) for angle in (pitch, yaw, roll))
    )
    zero, one = np.zeros_like(pitch), np.ones_like(pitch)

    def matrix(*rows: Array) -> Array:
        return np.stack(rows, axis=-1).reshape(*pitch.shape, 3, 3)

    about_x = matrix(one, zero, zero, zero, np.cos(pitch), -np.sin(pitch), zero, np.sin(pitch), np.cos(pitch))
    about_y = matrix(np.cos(yaw), zero, np.sin(yaw), zero, one, zero, -np.sin(yaw), zero, np.cos(yaw))
    about_z = matrix(np.cos(roll), np.sin(roll), zero, -np.sin(roll), np.cos(roll), zero, zero, zero, one)
    result: Array = about_y @ about_x @ about_z
    return result


def keys(u: Array, times: list[float], values: list[Any]) -> Array:
    """Smooth interpolation (T, ...) of values at key times, at rest before the first and after the last."""
    points = np.asarray(values, dtype=float)
    at = np.asarray(times, dtype=float)
    slopes = np.zeros_like(points)
    if len(at) > 2:
        slopes[1:-1] = (points[2:] - points[:-2]) / (at[2:] - at[:-2]).reshape(-1, *[1] * (points.ndim - 1))
        turning = (points[2:] - points[1:-1]) * (points[1:-1] - points[:-2]) <= 0
        slopes[1:-1][turning] = 0  # no overshoot where the motion turns back
    u = np.clip(u, at[0], at[-1])
    segment = np.clip(np.searchsorted(at, u, side="right") - 1, 0, len(at) - 2)
    width = at[segment + 1] - at[segment]
    shape = (-1, *[1] * (points.ndim - 1))
    s = ((u - at[segment]) / width).reshape(shape)
    width = width.reshape(shape)
    return np.asarray(
        points[segment] * (1 + 2 * s) * (1 - s) ** 2
        + slopes[segment] * width * s * (1 - s) ** 2
        + points[segment + 1] * s**2 * (3 - 2 * s)
        + slopes[segment + 1] * width * s**2 * (s - 1)
    )


def reach(base: Array, target: Array, upper: float, lower: float, pole: Array) -> tuple[Array, Array]:
    """Two-segment limb from base (T, 3) to a target within reach: middle joint, bent to pole, and end."""
    to = target - base
    distance = np.linalg.norm(to, axis=-1, keepdims=True)
    direction = to / np.maximum(distance, 1e-6)
    distance = np.clip(distance, abs(upper - lower) + 0.02, 0.998 * (upper + lower))
    along = (distance**2 + upper**2 - lower**2) / (2 * distance)
    aside = pole - (pole * direction).sum(axis=-1, keepdims=True) * direction
    aside = aside / np.maximum(np.linalg.norm(aside, axis=-1, keepdims=True), 1e-6)
    middle = base + along * direction + np.sqrt(np.maximum(upper**2 - along**2, 0)) * aside
    return middle, base + distance * direction


@dataclass
class Figure:
    """One person over T frames, standing upright with hanging arms until a motion changes it.

    Set the trunk first (``pelvis`` (T, 3), ``hips`` and ``chest`` rotations (T, 3, 3)), then ``hands`` and
    ``feet`` (2, T, 3), left then right, in world coordinates; ``elbows`` and ``knees`` are the directions
    in which they bend.
    """

    body: Body
    frames: int
    pelvis: Array = field(init=False)
    hips: Array = field(init=False)
    chest: Array = field(init=False)
    head: Array = field(init=False)
    hands: Array = field(init=False)
    feet: Array = field(init=False)
    elbows: Array = field(init=False)
    knees: Array = field(init=False)

    def __post_init__(self) -> None:
        body, frames = self.body, self.frames
        self.pelvis = np.tile([0.0, body.leg * 0.985, 0.0], (frames, 1))
        self.hips = np.tile(np.eye(3), (frames, 1, 1))
        self.chest = self.hips.copy()
        self.head = self.hips.copy()
        self.feet = np.stack(
            [np.tile([sign * body.hip_width * 0.6, 0.0, 0.0], (frames, 1)) for _, sign in SIDES]
        )
        self.knees = np.tile([0.0, 0.0, 1.0], (2, frames, 1))
        self.elbows = np.stack([np.tile([sign * 0.4, -0.3, -1.0], (frames, 1)) for _, sign in SIDES])
        self.hands = np.zeros((2, frames, 3))
        self.hang()

    def turn(self, hips: Array, chest: Array, head: Array | None = None) -> None:
        """Set the rotations of hips, chest and head (that of the chest by default), (3, 3) or (T, 3, 3)."""
        shape = (self.frames, 3, 3)
        self.hips, self.chest = np.broadcast_to(hips, shape), np.broadcast_to(chest, shape)
        self.head = self.chest if head is None else np.broadcast_to(head, shape)

    def neck(self) -> Array:
        """Base of the neck (T, 3): the spine is half along the hips, half along the chest."""
        half = self.body.trunk / 2
        return np.asarray(self.pelvis + half * (self.hips[..., 1] + self.chest[..., 1]))

    def shoulder(self, side: int) -> Array:
        """Left (0) or right (1) shoulder (T, 3)."""
        half = SIDES[side][1] * self.body.shoulder_width / 2
        return np.asarray(self.neck() + half * self.chest[..., 0] - 0.03 * self.chest[..., 1])

    def hip(self, side: int) -> Array:
        """Left (0) or right (1) hip (T, 3)."""
        return np.asarray(self.pelvis + SIDES[side][1] * self.body.hip_width / 2 * self.hips[..., 0])

    def from_chest(self, side: int, offset: Any) -> Array:
        """World point (T, 3) seen from a shoulder: (outwards, up, forwards) of the chest, in arm lengths."""
        local = np.broadcast_to(np.asarray(offset, dtype=float), (self.frames, 3)) * self.body.arm
        local = local * [SIDES[side][1], 1, 1]
        return np.asarray(self.shoulder(side) + np.einsum("tij,tj->ti", self.chest, local))

    def hang(self, forward: float = 0.08, out: float = 0.2) -> None:
        """Let both arms hang straight down in the world, a little bent."""
        for side, sign in SIDES:
            offset = np.array([sign * out, -0.95, forward]) * self.body.arm
            self.hands[side] = self.shoulder(side) + offset

    def joints(self) -> Array:
        """The 17 COCO joints, (T, 17, 3) in metres."""
        out = np.zeros((self.frames, 17, 3))
        neck, body = self.neck(), self.body
        left, up, forward = (self.head[..., axis] for axis in range(3))
        skull = neck + body.neck * (0.9 * up + 0.1 * forward)
        out[:, 0] = skull + 0.11 * forward
        for side, sign in SIDES:
            out[:, 1 + side] = skull + 0.09 * forward + 0.035 * up + sign * 0.032 * left
            out[:, 3 + side] = skull + 0.02 * up + sign * 0.075 * left
            shoulder, hip = self.shoulder(side), self.hip(side)
            elbow, wrist = reach(shoulder, self.hands[side], body.upper_arm, body.forearm, self.elbows[side])
            knee, ankle = reach(hip, self.feet[side], body.thigh, body.shin, self.knees[side])
            for first, joint in ((5, shoulder), (7, elbow), (9, wrist), (11, hip), (13, knee), (15, ankle)):
                out[:, first + side] = joint
        return out
