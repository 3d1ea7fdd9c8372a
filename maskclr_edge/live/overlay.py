"""What a person sees: skeletons coloured by confidence, a label on each person, a line of figures. OpenCV."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from maskclr_edge.live.decisions import IDLE, UNKNOWN
from maskclr_edge.live.geometry import SEEN, Array, box_of
from maskclr_edge.live.labeller import Labelled
from maskclr_edge.optional import require
from maskclr_edge.skeleton import get_layout

#: a picture lower than this is drawn at twice the size, so that text can be read
_LOW = 480
#: colours of persons, BGR, told apart by people with any colour vision (Okabe and Ito)
_PERSONS = ((0, 159, 230), (233, 180, 86), (115, 158, 0), (66, 228, 240), (178, 114, 0), (167, 121, 204))
_WHITE, _GREY, _DARK = (245, 245, 245), (150, 150, 150), (28, 24, 22)


class Overlay:
    """Draws on copies of frames; ``size_wh`` is the size of what it gives."""

    def __init__(self, resolution_wh: tuple[int, int], layout: str) -> None:
        self._cv2: Any = require("cv2")
        self.scale = 2 if resolution_wh[1] < _LOW else 1
        # video codecs want even sides
        self.size_wh = (resolution_wh[0] * self.scale // 2 * 2, resolution_wh[1] * self.scale // 2 * 2)
        self._edges = get_layout(layout).edges
        self._unit = max(self.size_wh[1] / 720, 0.6)

    def draw(self, image: Array | None, people: Sequence[Labelled], figures: str) -> Array:
        """A picture (H, W, 3) of BGR bytes; a dark ground where the source has no images."""
        cv2 = self._cv2
        if image is None:
            picture = np.full((self.size_wh[1], self.size_wh[0], 3), _DARK, np.uint8)
        else:
            picture = cv2.resize(image, self.size_wh, interpolation=cv2.INTER_LINEAR)
        for person in people:
            self._skeleton(picture, person)
        for person in people:
            self._label(picture, person)
        self._text(
            picture, figures, (int(10 * self._unit), int(self.size_wh[1] - 12 * self._unit)), 0.5, _WHITE
        )
        result: Array = picture
        return result

    def _skeleton(self, picture: Array, person: Labelled) -> None:
        cv2, points = self._cv2, np.rint(person.keypoints[:, :2] * self.scale).astype(int)
        confidence = person.keypoints[:, 2]
        thick = max(int(2.5 * self._unit), 2)
        trail = [(int(x * self.scale), int(y * self.scale)) for x, y in person.trail]
        for start, end in itertools.pairwise(trail):
            cv2.line(picture, start, end, _colour(person.number), 1, cv2.LINE_AA)
        for a, b in self._edges:
            least = min(confidence[a], confidence[b])
            if least > 0:
                ends = tuple(points[a].tolist()), tuple(points[b].tolist())
                cv2.line(picture, *ends, _DARK, thick + 2, cv2.LINE_AA)
                cv2.line(picture, *ends, _of_confidence(least), thick, cv2.LINE_AA)
        for point, sure in zip(points.tolist(), confidence, strict=True):
            if sure > 0:
                cv2.circle(picture, tuple(point), thick, _of_confidence(float(sure)), -1, cv2.LINE_AA)

    def _label(self, picture: Array, person: Labelled) -> None:
        """Name above the person's head, with up to three bars for the likeliest classes."""
        unit, (width, height) = self._unit, self.size_wh
        x0, y0, _, _ = box_of(person.keypoints) * self.scale
        line, bar = int(20 * unit), int(170 * unit)
        rows = person.top[:3]
        tall = line * (len(rows) + 1) + int(6 * unit)
        left = int(np.clip(x0, 2, max(width - bar - 2, 2)))
        top = int(np.clip(y0 - tall - 6 * unit, 2, max(height - tall - 2, 2)))
        ground = picture[top : top + tall, left : left + bar]
        ground[:] = (ground * 0.35 + np.array(_DARK) * 0.65).astype(np.uint8)
        colour = _colour(person.number)
        self._cv2.rectangle(picture, (left, top), (left + int(4 * unit), top + tall), colour, -1)
        tone = _GREY if person.label in (UNKNOWN, IDLE) else _WHITE
        at = (left + int(10 * unit), top + int(16 * unit))
        self._text(picture, f"{person.number}  {_words(person.label)}", at, 0.52, tone)
        for row, (name, probability) in enumerate(rows, start=1):
            y = top + line * row + int(4 * unit)
            filled = int((bar - 14 * unit) * min(probability, 1.0))
            start = left + int(10 * unit)
            self._cv2.rectangle(
                picture, (start, y), (start + filled, y + line - int(5 * unit)), (96, 82, 70), -1
            )
            self._text(
                picture,
                f"{_words(name)} {100 * probability:.0f}",
                (start + 3, y + int(12 * unit)),
                0.4,
                _WHITE,
            )

    def _text(
        self, picture: Array, text: str, at: tuple[int, int], size: float, colour: tuple[int, ...]
    ) -> None:
        cv2, scale = self._cv2, size * self._unit
        shadow = (at[0] + 1, at[1] + 1)
        cv2.putText(picture, text, shadow, cv2.FONT_HERSHEY_SIMPLEX, scale, _DARK, 1, cv2.LINE_AA)
        cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)


def _colour(number: int) -> tuple[int, int, int]:
    return _PERSONS[(number - 1) % len(_PERSONS)]


def _of_confidence(confidence: float) -> tuple[int, int, int]:
    """From orange, hardly seen, to green, clearly seen; BGR."""
    sure = float(np.clip((confidence - SEEN) / (1 - SEEN), 0, 1))
    low, high = np.array((30, 120, 240)), np.array((110, 220, 90))
    blue, green, red = (int(value) for value in low + (high - low) * sure)
    return blue, green, red


def _words(name: str) -> str:
    """Class names as words; OpenCV's letters are ASCII."""
    return name.replace("_", " ").encode("ascii", "replace").decode()
