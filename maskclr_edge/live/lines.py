"""Keypoints from another program, one frame a line of JSON on standard input.

    {"time_s": 0.033, "people": [[[x, y, confidence], ...], ...]}

``people`` holds (P, V, 3) numbers, pixels and confidence, ``(0, 0, 0)`` for an unseen joint, and is empty
where nobody is. The first line, or the command, also says ``"layout"`` and ``"resolution_wh": [width,
height]``. Without ``time_s`` a frame is of the moment at which its line came.
"""

import json
import math
import os
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from maskclr_edge.data.recording import MAX_PERSONS, MAX_PIXEL, MAX_RESOLUTION
from maskclr_edge.errors import SourceError
from maskclr_edge.live.frame import Frame
from maskclr_edge.live.geometry import Array
from maskclr_edge.skeleton import get_layout

_LONGEST_LINE = 1 << 20
_KEYS = {"time_s", "people", "layout", "resolution_wh"}
_STDIN = 0


class LinesSource:
    """Frames of keypoints from a descriptor. A line that is not one is left out and counted in the notes."""

    name = "standard input"
    live = False
    fps, total = 30.0, 0

    def __init__(
        self,
        layout: str | None = None,
        resolution_wh: tuple[int, int] | None = None,
        descriptor: int = _STDIN,
    ) -> None:
        self.notes: list[str] = []
        self._lines = _lines(descriptor)
        self._first = next(self._lines, None)
        if self._first is None:
            raise SourceError(f"{self.name}: no line came; expected one frame of JSON a line")
        try:
            said = _object(self._first)
            self.layout: str | None = _agreed("layout", said.get("layout"), layout)
            self.resolution_wh = _size(_agreed("resolution_wh", said.get("resolution_wh"), resolution_wh))
            self._joints = len(get_layout(str(self.layout)).joints)
            self._frame(self._first, 0, 0.0)
        except ValueError as error:
            raise SourceError(f"{self.name}: line 1: {error}") from error

    def frames(self) -> Iterator[Frame]:
        """One frame a line, until the other program ends."""
        began, latest, index, wrong = time.monotonic(), -math.inf, 0, 0
        line: bytes | None = self._first
        while line is not None:
            try:
                frame = self._frame(line, index, time.monotonic() - began)
                if frame.time_s <= latest:
                    raise ValueError(f"time_s {frame.time_s:g} is not after {latest:g}")
                latest = frame.time_s
                yield frame
                index += 1
            except ValueError as error:
                wrong += 1
                said = f"{wrong} lines left out, the last since: {error}"
                self.notes[:] = [said]
            line = next(self._lines, None)

    def close(self) -> None:
        """Standard input stays open: it is not ours."""

    def _frame(self, line: bytes, index: int, now: float) -> Frame:
        said = _object(line)
        time_s = said.get("time_s", now)
        if isinstance(time_s, bool) or not isinstance(time_s, int | float) or not 0 <= time_s < 1e9:
            raise ValueError(f"time_s {time_s!r} is not a time in seconds")
        return Frame(index, float(time_s), people=self._people(said.get("people")))

    def _people(self, value: Any) -> Array:
        expected = f"people must be up to {MAX_PERSONS} persons of {self._joints} joints of 3 numbers"
        if not isinstance(value, list) or len(value) > MAX_PERSONS:
            raise ValueError(expected)
        if not value:
            return np.zeros((0, self._joints, 3), np.float32)
        try:
            people = np.array(value, np.float32)
        except (ValueError, TypeError, OverflowError) as error:
            raise ValueError(expected) from error
        if people.shape[1:] != (self._joints, 3):
            raise ValueError(expected)
        if not np.isfinite(people).all() or np.abs(people[..., :2]).max() > MAX_PIXEL:
            raise ValueError(f"a coordinate is not a number of pixels within {MAX_PIXEL:.0f}")
        if people[..., 2].min() < 0 or people[..., 2].max() > 1:
            raise ValueError("a confidence is not of 0 to 1")
        return people[(people[..., 2] > 0).any(axis=-1)]


def _lines(descriptor: int) -> Iterator[bytes]:
    """Lines that are not blank; one that is too long is cut, so that it is no JSON.

    Read from the descriptor itself: a thread that waits in a buffered reader would hold up Python's exit.
    """
    rest = b""
    while data := os.read(descriptor, 1 << 16):
        *whole, rest = (rest + data).split(b"\n")
        yield from (line for line in whole if line.strip())
        rest = rest[: _LONGEST_LINE + 1]
    if rest.strip():
        yield rest


def _object(line: bytes) -> dict[str, Any]:
    if len(line) > _LONGEST_LINE:
        raise ValueError(f"the line is longer than {_LONGEST_LINE} bytes")
    try:
        said = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError("not a line of JSON") from error
    if not isinstance(said, dict) or "people" not in said:
        raise ValueError('expected an object with "people"')
    if unknown := sorted(set(map(str, said)) - _KEYS):
        raise ValueError(f"unknown key {unknown[0][:40]!r}; there are {', '.join(sorted(_KEYS))}")
    return said


def _agreed(key: str, said: Any, given: Any) -> Any:
    if said is None and given is None:
        raise ValueError(f'it does not say "{key}"; put it into the line, or give the option')
    if said is not None and given is not None and said != (given if isinstance(given, str) else list(given)):
        raise ValueError(f"it says {key} {said!r}, and {given!r} was asked for")
    return given if said is None else said


def _size(value: Any) -> tuple[int, int]:
    sizes = list(value) if isinstance(value, list | tuple) else []
    if len(sizes) != 2 or not all(type(size) is int and 1 <= size <= MAX_RESOLUTION for size in sizes):
        raise ValueError(f"resolution_wh is two integers of 1 to {MAX_RESOLUTION}")
    return sizes[0], sizes[1]
