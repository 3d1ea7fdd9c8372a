"""Cameras in the machine and on the network, which come back when they were gone. OpenCV."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from maskclr_edge.errors import SourceError
from maskclr_edge.live.frame import Frame
from maskclr_edge.live.geometry import Array
from maskclr_edge.live.quiet import quiet
from maskclr_edge.live.video import opencv, size_and_fps
from maskclr_edge.optional import require

#: an address that does not answer for so long is not there
_ANSWER_MS = 5000
#: waits between attempts to come back: the first, and the longest on a network and in the machine
_FIRST_WAIT_S, _LONGEST_WAIT_S, _LONGEST_WAIT_HERE_S = 0.5, 8.0, 1.0
#: a camera that gave nothing for so long is given up
_PATIENCE_S = 300.0
#: a picture that is the same to the byte for so long is said to stand still: a living one has noise
_STILL_S = 3.0
#: of rows and columns, one of so many is compared
_STILL_STEP = 4


class Device(Protocol):
    """What gives pictures, one by one: OpenCV's capture, or a pipe."""

    def read(self) -> tuple[bool, Array | None]:
        """The next picture (H, W, 3) of BGR bytes; false when there is none."""
        ...

    def release(self) -> None:
        """Let go of it."""
        ...


class CameraSource:
    """A camera, in the machine or on the network. When it is gone, it is waited for.

    connect opens it, and raises SourceError where it is not there: at the start that ends the run, later it
    is tried again, more and more rarely up to every ``longest_wait_s``, for ``patience_s``. Times are those
    at which pictures came. For what cannot be decoded OpenCV gives the picture before once more, and says
    nothing; so a picture that stands still is said here.
    """

    layout: str | None = None
    live = True
    total = 0

    def __init__(
        self,
        name: str,
        connect: Callable[[], tuple[Device, tuple[int, int], float]],
        *,
        first_wait_s: float = _FIRST_WAIT_S,
        longest_wait_s: float = _LONGEST_WAIT_S,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self.name, self._connect = name, connect
        self.notes: list[str] = []
        self._waits_s, self._patience_s = (first_wait_s, longest_wait_s), patience_s
        self._sample: Array | None = None
        self._sampled_s = self._away_s = 0.0
        self._times_away = 0
        self._said = {"still": "", "gone": ""}  # one note of each, however often it comes and goes
        self._closing = threading.Event()
        self._device: Device | None
        self._device, self.resolution_wh, self.fps = connect()

    def frames(self) -> Iterator[Frame]:
        """Pictures until the source is closed; while the camera is gone, frames that say so."""
        began, index = time.monotonic(), 0
        try:
            while not self._closing.is_set():
                image = self._read()
                if image is not None:
                    now = time.monotonic() - began
                    yield Frame(index, now, image=self._fitting(image), note=self._stillness(image, now))
                    index += 1
                elif not index:
                    raise SourceError(
                        f"{self.name}: it opened and gave no picture; is it free, and a camera?"
                    )
                else:
                    for _ in self._come_back():
                        yield Frame(index, time.monotonic() - began, waiting=True)
        finally:
            if self._device is not None:
                self._device.release()

    def _come_back(self) -> Iterator[None]:
        """Try to open a camera that is gone, more and more rarely; each step is one attempt.

        Raises SourceError when it stays away for ``patience_s``.
        """
        gone, (wait_s, longest_s) = time.monotonic(), self._waits_s
        self._note("gone", f"{self.name} is gone; trying again")
        while time.monotonic() - gone < self._patience_s:
            yield
            if self._closing.wait(wait_s):
                return
            wait_s = min(2 * wait_s, longest_s)
            with contextlib.suppress(SourceError):
                self._device, size, _ = self._connect()
                self._times_away, self._away_s = self._times_away + 1, self._away_s + time.monotonic() - gone
                often = f" {self._times_away} times," if self._times_away > 1 else ""
                back = f"{self.name} was gone{often} for {self._away_s:.1f} s"
                if size != self.resolution_wh:
                    back += f" and came back as {size[0]}x{size[1]}, which is scaled"
                self._note("gone", back)
                return
        raise SourceError(f"{self.name}: gone for {self._patience_s:.0f} s; check it and start again")

    def close(self) -> None:
        """Let whoever reads leave off, and the device go with them; again is harmless."""
        self._closing.set()

    def _read(self) -> Array | None:
        """The next picture; None, and the device let go, when there is none or the source is closed."""
        if self._device is None:
            return None
        read, image = self._device.read()
        if read and image is not None and not self._closing.is_set():
            return image
        self._device.release()
        self._device = None
        return None

    def _stillness(self, image: Array, now_s: float) -> str:
        """What to say of a picture that has been the same for some time; nothing of one that lives."""
        sample = image[::_STILL_STEP, ::_STILL_STEP]
        if self._sample is None or not np.array_equal(sample, self._sample):
            self._sample, self._sampled_s = sample.copy(), now_s
        still_s = now_s - self._sampled_s
        if still_s < _STILL_S:
            return ""
        self._note("still", f"{self.name}: the picture stood still; does it hang, or send garbage?")
        return f"the picture stands still for {still_s:.0f} s: does the camera hang?"

    def _note(self, kind: str, text: str) -> None:
        self._said[kind] = text
        self.notes[:] = filter(None, self._said.values())

    def _fitting(self, image: Array) -> Array:
        if (image.shape[1], image.shape[0]) == self.resolution_wh:
            return image
        cv2: Any = require("cv2")
        scaled: Array = cv2.resize(image, self.resolution_wh)
        return scaled


def open_camera(name: str, place: str | int) -> CameraSource:
    """Open a camera of this machine, by its number or its path. Raises SourceError where it cannot."""
    return CameraSource(name, connect_device(name, place), longest_wait_s=_LONGEST_WAIT_HERE_S)


def connect_device(name: str, place: str | int) -> Callable[[], tuple[Device, tuple[int, int], float]]:
    """How to open a camera number or a path such as /dev/video0."""

    def connect() -> tuple[Device, tuple[int, int], float]:
        cv2 = opencv()
        with quiet():
            capture = cv2.VideoCapture(place)
            size, fps, _ = size_and_fps(cv2, capture)
        if not capture.isOpened():
            raise SourceError(f"{name}: the camera cannot be opened: {_why_closed(place)}")
        return _Capture(cv2, capture), size, fps

    return connect


def connect_address(name: str, address: str) -> Callable[[], tuple[Device, tuple[int, int], float]]:
    """How to open a stream: rtsp:// or MJPEG over http://."""

    def connect() -> tuple[Device, tuple[int, int], float]:
        cv2 = opencv()
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _ANSWER_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _ANSWER_MS]
        with quiet():
            capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, limits)
        if not capture.isOpened():
            raise SourceError(f"{name}: nothing there gives a video; check the address, and that it is up")
        size, fps, _ = size_and_fps(cv2, capture)
        return _Capture(cv2, capture), size, fps

    return connect


class _Capture:
    """OpenCV's capture, whose exceptions and last words are those of a device that is gone."""

    def __init__(self, cv2: Any, capture: Any) -> None:
        self._cv2, self._capture = cv2, capture

    def read(self) -> tuple[bool, Array | None]:
        try:
            read, image = self._capture.read()
        except self._cv2.error:
            return False, None
        return bool(read), image

    def release(self) -> None:
        with quiet():
            self._capture.release()


def _why_closed(place: str | int) -> str:
    """Why a camera of this machine cannot be opened, as far as its device file tells."""
    if not sys.platform.startswith("linux"):
        return "is it plugged in, free, and allowed to be used?"
    device = Path(f"/dev/video{place}" if isinstance(place, int) else place)
    if not device.exists():
        others = ", ".join(sorted(str(one) for one in Path("/dev").glob("video*"))[:8])
        return f"there is no {device}; there is {others}" if others else "no camera is plugged in"
    if not os.access(device, os.R_OK | os.W_OK):
        return f"this user may not use {device}; add yourself to the group that may (ls -l {device})"
    return f"it is busy, or no camera; fuser -v {device} names the program that has it"
