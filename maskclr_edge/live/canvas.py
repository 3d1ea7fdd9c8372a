"""A picture to draw on, in units that suit its size: lines, discs, see-through panels, text. OpenCV."""

import functools
from typing import Any

import numpy as np

from maskclr_edge.live.geometry import Array
from maskclr_edge.optional import require

Colour = tuple[int, int, int]
WHITE: Colour = (245, 245, 245)
GREY: Colour = (178, 172, 168)
DARK: Colour = (28, 24, 22)
#: lines and discs lie between pixels, in steps of a sixteenth: else they would jump as people move
_FINE_BITS = 4
#: OpenCV draws a filled disc of a smaller radius, in pixels, as a square on its corner
_LEAST_ROUND = 2.5


class Canvas:
    """A picture of ``size_wh`` pixels; places and lengths are in units of a picture 720 high, or 0.72 pixels.

    Points of lines and discs are pixels, as skeletons are.
    """

    def __init__(self, size_wh: tuple[int, int]) -> None:
        self._cv2: Any = require("cv2")
        self.size_wh = size_wh
        self.unit = max(size_wh[1] / 720, 0.72)
        self.width, self.height = size_wh[0] / self.unit, size_wh[1] / self.unit
        self._font = self._cv2.FONT_HERSHEY_SIMPLEX
        self.picture: Array = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)

    def begin(self, image: Array | None) -> None:
        """Start over with an image (H, W, 3) of BGR bytes, or a dark ground."""
        if image is None:
            self.picture = np.full((self.size_wh[1], self.size_wh[0], 3), DARK, np.uint8)
        elif image.shape[1::-1] == self.size_wh:
            self.picture = image.copy()
        else:
            self.picture = self._cv2.resize(image, self.size_wh, interpolation=self._cv2.INTER_LINEAR)

    def line(self, start: Any, end: Any, colour: Colour, thick: float) -> None:
        """A line between two points in pixels."""
        thick = max(round(thick * self.unit), 1)
        ends = (_fine(start), _fine(end))
        self._cv2.line(self.picture, *ends, colour, thick, self._cv2.LINE_AA, _FINE_BITS)

    def lines(self, starts: Array, ends: Array, colour: Colour, thick: float) -> None:
        """Lines of one colour between points (N, 2) in pixels; N may be 0."""
        if not len(starts):
            return
        thick = max(round(thick * self.unit), 1)
        pieces = np.rint(np.stack((starts, ends), axis=1) * (1 << _FINE_BITS)).astype(np.int32)  # (N, 2, 2)
        self._cv2.polylines(self.picture, pieces, False, colour, thick, self._cv2.LINE_AA, _FINE_BITS)

    def disc(self, at: Any, radius: float, colour: Colour, cover: float = 1.0) -> None:
        """A disc around a point in pixels; ``cover`` below 1 lets what is under it shine through."""
        cv2 = self._cv2
        if cover >= 1:
            size = round(max(radius * self.unit, _LEAST_ROUND) * (1 << _FINE_BITS))
            cv2.circle(self.picture, _fine(at), size, colour, -1, cv2.LINE_AA, _FINE_BITS)
            return
        size, (x, y) = max(round(radius * self.unit), 1), _pixel(at)
        x0, y0 = max(x - size - 1, 0), max(y - size - 1, 0)
        part = self.picture[y0 : max(y + size + 2, 0), x0 : max(x + size + 2, 0)]
        if part.size:
            drawn = part.copy()
            cv2.circle(drawn, (x - x0, y - y0), size, colour, -1, cv2.LINE_AA)
            cv2.addWeighted(drawn, cover, part, 1 - cover, 0, dst=drawn)
            part[:] = drawn

    def panel(
        self, left: float, top: float, width: float, tall: float, cover: float, colour: Colour = DARK
    ) -> None:
        """A see-through rectangle; ``cover`` 1 hides what is under it."""
        part = self._part(left, top, width, tall)
        if part.size:
            self._cv2.LUT(part, _covered(cover, colour), dst=part)

    def box(self, left: float, top: float, width: float, tall: float, colour: Colour) -> None:
        """A filled rectangle."""
        self._part(left, top, width, tall)[:] = colour

    def text(
        self, text: str, left: float, base: float, size: float, colour: Colour, *, bold: bool = False
    ) -> float:
        """One line of text on a base line; gives where it ends."""
        scale, at = size * self.unit, (round(left * self.unit), round(base * self.unit))
        thick = max(round((1.6 if bold else 1.0) * self.unit), 1)
        self._cv2.putText(self.picture, text, at, self._font, scale, colour, thick, self._cv2.LINE_AA)
        return left + self.measure(text, size)

    def text_right(self, text: str, right: float, base: float, size: float, colour: Colour) -> None:
        """One line of text that ends at ``right``."""
        self.text(text, right - self.measure(text, size), base, size, colour)

    def banner(self, text: str) -> None:
        """Large words across the top."""
        size = 1.3
        text = self.fitting(text, self.width - 40, size)
        wide = self.measure(text, size)
        self.panel(0, 0, self.width, 64, 0.7)
        self.text(text, (self.width - wide) / 2, 45, size, WHITE, bold=True)

    def measure(self, text: str, size: float) -> float:
        """How wide a text is."""
        (width, _), _ = self._cv2.getTextSize(text, self._font, size * self.unit, 1)
        return float(width) / self.unit

    def fitting(self, text: str, width: float, size: float) -> str:
        """The text, or as much of its beginning as fits, with dots."""
        if self.measure(text, size) <= width:
            return text
        while text and self.measure(text + "..", size) > width:
            text = text[:-1]
        return text.rstrip() + ".."

    def inside(self, left: float, top: float, width: float, tall: float) -> tuple[float, float]:
        """The place nearest to (left, top) where a rectangle lies in the picture."""
        return (
            min(max(left, 4), max(self.width - width - 4, 4)),
            min(max(top, 4), max(self.height - tall - 30, 4)),
        )

    def _part(self, left: float, top: float, width: float, tall: float) -> Array:
        # rounded by itself, so that what is as wide anywhere is as many pixels
        x0, y0, wide, high = (round(value * self.unit) for value in (left, top, width, tall))
        part: Array = self.picture[max(y0, 0) : max(y0 + high, 0), max(x0, 0) : max(x0 + wide, 0)]
        return part


@functools.lru_cache(64)
def _covered(cover: float, colour: Colour) -> Array:
    """What each value of a pixel's three channels becomes under ``cover`` of a colour: (1, 256, 3) bytes."""
    values = np.arange(256)[None, :, None] * (1 - cover) + np.array(colour) * cover
    table: Array = np.rint(values).astype(np.uint8)
    return table


def _pixel(point: Any) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _fine(point: Any) -> tuple[int, int]:
    scale = 1 << _FINE_BITS
    return round(float(point[0]) * scale), round(float(point[1]) * scale)
