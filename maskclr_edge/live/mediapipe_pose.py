"""People through mediapipe's pose networks, offline, several at a time, near or far.

The networks look at squares of the picture. Everyone who is known is looked at in a square around where
they were; in between, one square after another of a fixed grid is searched for people who are new, so that
those who are small in the picture are found too and the cost of one frame stays bounded. The grid is searched
whole in the first frame. mediapipe's own tracking is not used: of several people, its regions drift onto one.
"""

import warnings
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.live.geometry import box_of, likeness, overlap, without_doubles
from maskclr_edge.live.pose_task import pose_task
from maskclr_edge.live.quiet import quiet
from maskclr_edge.optional import require

Array = npt.NDArray[Any]

#: coco17 joints among BlazePose's 33
COCO_OF_BLAZEPOSE = np.array([0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28])
_TRUNK = np.array([5, 6, 11, 12])  # shoulders and hips, in coco17
#: side of the square around a known person, in sizes of the person
_ROOM = 1.7
#: the least clear trunk that is still a person
_CLEAR_TRUNK = 0.5
#: frames for which someone who is lost is still looked for where they were
_PATIENCE = 8
#: a known person's square whose smallest side is below this many pixels has nothing to see in it
_SMALLEST = 24


class MediapipePose:
    """Up to ``max_people`` people; ``layout`` coco17, confidence is mediapipe's visibility."""

    name = "mediapipe"
    layout = "coco17"

    def __init__(self, max_people: int = 8) -> None:
        self.max_people = max_people
        self._known: list[Array] = []
        self._lost: list[tuple[Array, int]] = []  # last skeleton, frames since
        self._next_square = 0
        self._first = True
        task = pose_task()
        with quiet():
            self._many = _landmarker(task, min(max_people, 4), 0.5)
            self._one = _landmarker(task, 1, 0.3)

    def estimate(self, image: Array) -> Array:
        """People in an image (H, W, 3) of BGR bytes: float32 (P, 17, 3)."""
        height, width = image.shape[:2]
        found: list[Array] = []
        missed: list[tuple[Array, int]] = []
        for person, frames in [*((one, 0) for one in self._known), *self._lost]:
            again = self._look_again(image, person)
            if again is not None:
                found.append(again)
            elif frames < _PATIENCE:
                missed.append((person, frames + 1))
        squares = search_squares(width, height)
        if self._first:
            turn = squares
        elif len(found) < self.max_people:
            turn = [squares[self._next_square % len(squares)]]
            self._next_square += 1
        else:
            turn = []
        for square in turn:
            found += self._look(self._many, image, square)
        self._first = False
        self._known = without_doubles(found, self.max_people)
        self._lost = [
            (person, frames)
            for person, frames in missed[: self.max_people]
            if not any(overlap(box_of(person), box_of(other)) > 0.5 for other in self._known)
        ]
        if not self._known:
            return np.zeros((0, 17, 3), np.float32)
        return np.stack(self._known)

    def close(self) -> None:
        """Free the networks; again is harmless."""
        for landmarker in (self._many, self._one):
            landmarker.close()

    def __enter__(self) -> "MediapipePose":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _look_again(self, image: Array, person: Array) -> Array | None:
        """The same person in a new image, near where they were; None when gone."""
        x0, y0, x1, y1 = box_of(person)
        side = max(x1 - x0, y1 - y0) * _ROOM
        if side < _SMALLEST:
            return None
        centre_x, centre_y = (x0 + x1) / 2, (y0 + y1) / 2
        square = (centre_x - side / 2, centre_y - side / 2, centre_x + side / 2, centre_y + side / 2)
        # The network gives the clearest person of a square: with a neighbour in it, that may be the other.
        others = sum(overlap(np.array(square), box_of(other)) > 0 for other in self._known)
        seen = self._look(self._many if others > 1 else self._one, image, square)
        alike = [(likeness(one, person) + overlap(box_of(one), box_of(person)), one) for one in seen]
        score, again = max(alike, key=lambda pair: pair[0], default=(0.0, None))
        return again if score > 0.2 else None

    def _look(self, landmarker: Any, image: Array, square: tuple[float, float, float, float]) -> list[Array]:
        """People in one square ``(x0, y0, x1, y1)`` of the image, in pixels of the whole."""
        height, width = image.shape[:2]
        x0, y0 = max(int(square[0]), 0), max(int(square[1]), 0)
        x1, y1 = min(int(square[2]), width), min(int(square[3]), height)
        if min(x1 - x0, y1 - y0) < _SMALLEST:
            return []
        mediapipe: Any = require("mediapipe")
        part = np.ascontiguousarray(image[y0:y1, x0:x1, ::-1])  # BGR to RGB
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # protobuf's words about mediapipe's use of it
            result = landmarker.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=part))
        people = []
        for landmarks in result.pose_landmarks:
            marks = [landmarks[index] for index in COCO_OF_BLAZEPOSE]
            person = np.array([(mark.x, mark.y, mark.visibility) for mark in marks], np.float32)
            person[:, 0] = person[:, 0] * (x1 - x0) + x0
            person[:, 1] = person[:, 1] * (y1 - y0) + y0
            outside = (
                (person[:, 0] < 0) | (person[:, 0] >= width) | (person[:, 1] < 0) | (person[:, 1] >= height)
            )
            person[outside | ~np.isfinite(person).all(axis=-1)] = 0
            if person[_TRUNK, 2].mean() >= _CLEAR_TRUNK:
                people.append(person)
        return people


def search_squares(width: int, height: int) -> list[tuple[float, float, float, float]]:
    """Parts of a picture that are searched for new people: the whole, then squares that overlap by half.

    A square is 0.6 of the shorter side: a person of a third of the height fills more than half of one.
    """
    side = 0.6 * min(width, height)
    squares: list[tuple[float, float, float, float]] = [(0, 0, width, height)]
    for y in _starts(height, side):
        squares += [(x, y, x + side, y + side) for x in _starts(width, side)]
    return squares


def _starts(length: float, side: float) -> list[float]:
    count = int(np.ceil((length - side) / (side / 2))) + 1
    return [float(value) for value in np.linspace(0, length - side, max(count, 1))]


def _landmarker(task: bytes, most: int, least_detection: float) -> Any:
    vision: Any = require("mediapipe.tasks.python.vision")
    tasks: Any = require("mediapipe.tasks.python")
    options = vision.PoseLandmarkerOptions(
        base_options=tasks.BaseOptions(model_asset_buffer=task),
        running_mode=vision.RunningMode.IMAGE,
        num_poses=most,
        min_pose_detection_confidence=least_detection,
        min_pose_presence_confidence=0.5,
    )
    return vision.PoseLandmarker.create_from_options(options)
