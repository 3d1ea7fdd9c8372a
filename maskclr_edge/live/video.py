"""Video files, and cameras near and far that come back when they were gone. OpenCV."""

import contextlib
import os
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
from maskclr_edge.optional import require

#: what a file or a camera says outside this range is not believed
_PLAUSIBLE_FPS = (1.0, 240.0)
_DEFAULT_FPS = 30.0
#: an address that does not answer for so long is not there
_ANSWER_MS = 5000
#: waits between attempts to come back: the first, and the longest
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 8.0
#: a camera that gave nothing for so long is given up
_PATIENCE_S = 300.0
#: of a camera that comes and goes for days, the last notes are kept
_MOST_NOTES = 20


def opencv() -> Any:
    """OpenCV, whose decoders keep their words about each damaged block to themselves."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET, read at the first capture
    return require("cv2")


class Device(Protocol):
    """What gives pictures, one by one: OpenCV's capture, or a pipe."""

    def read(self) -> tuple[bool, Array | None]:
        """The next picture (H, W, 3) of BGR bytes; false when there is none."""
        ...

    def release(self) -> None:
        """Let go of it."""
        ...


class VideoSource:
    """A video file: its frames by the times in it."""

    layout: str | None = None
    live = False

    def __init__(self, path: str) -> None:
        cv2 = opencv()
        self.name, self._cv2 = Path(path).name, cv2
        self.notes: list[str] = []
        with quiet():  # a refused file is said in one line below
            self._capture = cv2.VideoCapture(path)
        if not self._capture.isOpened():
            what = "not a video that OpenCV can open; convert it, for example to H.264 in .mp4"
            raise SourceError(f"{self.name}: {what}")
        self.resolution_wh, self.fps, self._believed = _stated(cv2, self._capture)
        if not self._believed:
            stated = float(self._capture.get(cv2.CAP_PROP_FPS))
            self.notes.append(f"the file says {stated:g} fps; {_DEFAULT_FPS:g} is assumed")
        self.total = max(int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        self._lock, self._closed = threading.Lock(), False

    def frames(self) -> Iterator[Frame]:
        """Frames until the file ends."""
        latest, index = -1.0, 0
        while (taken := self._read()) is not None:
            image, stated = taken
            now = stated
            # some containers carry no times, and others make them from a rate that cannot be
            if not self._believed or not np.isfinite(now) or now <= latest:
                now = latest + 1 / self.fps if index else 0.0
            latest = now
            yield Frame(index, now, image=image)
            index += 1
        if self._closed:
            return
        if not index:
            raise SourceError(f"{self.name}: not one frame could be read")
        if index < self.total:
            self.notes.append(f"{self.name} ended after {index} of {self.total} frames: it may be cut short")

    def close(self) -> None:
        """Release the file; whoever reads it leaves off."""
        with self._lock:
            self._closed = True
            self._capture.release()

    def _read(self) -> tuple[Array, float] | None:
        with self._lock:
            if self._closed:
                return None
            read, image = self._capture.read()
            if not read or image is None:
                return None
            # after reading, the position is the time of the frame that was read
            return image, float(self._capture.get(self._cv2.CAP_PROP_POS_MSEC)) / 1000


class CameraSource:
    """A camera, in the machine or on the network. When it is gone, it is waited for.

    connect opens it, and raises SourceError where it is not there: at the start that ends the run, later it
    is tried again, more and more rarely, for ``patience_s``. Times are those at which pictures came.
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
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self.name, self._connect = name, connect
        self.notes: list[str] = []
        self._first_wait_s, self._patience_s = first_wait_s, patience_s
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
                    yield Frame(index, time.monotonic() - began, image=self._fitting(image))
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
        gone, wait_s = time.monotonic(), self._first_wait_s
        self.notes[:] = [*self.notes[1 - _MOST_NOTES :], f"{self.name} is gone; trying again"]
        while time.monotonic() - gone < self._patience_s:
            yield
            if self._closing.wait(wait_s):
                return
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
            with contextlib.suppress(SourceError):
                self._device, size, _ = self._connect()
                self.notes[-1] = f"{self.name} was gone for {time.monotonic() - gone:.1f} s"
                if size != self.resolution_wh:
                    self.notes[-1] += f" and came back as {size[0]}x{size[1]}, which is scaled"
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

    def _fitting(self, image: Array) -> Array:
        if (image.shape[1], image.shape[0]) == self.resolution_wh:
            return image
        cv2: Any = require("cv2")
        scaled: Array = cv2.resize(image, self.resolution_wh)
        return scaled


def connect_device(name: str, place: str | int) -> Callable[[], tuple[Device, tuple[int, int], float]]:
    """How to open a camera number or a path such as /dev/video0."""

    def connect() -> tuple[Device, tuple[int, int], float]:
        cv2 = opencv()
        with quiet():
            capture = cv2.VideoCapture(place)
        if not capture.isOpened():
            raise SourceError(f"{name}: the camera cannot be opened: is it plugged in and free?")
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # drivers that keep more give old pictures
        size, fps, _ = _stated(cv2, capture)
        return capture, size, fps

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
        size, fps, _ = _stated(cv2, capture)
        return capture, size, fps

    return connect


def _stated(cv2: Any, capture: Any) -> tuple[tuple[int, int], float, bool]:
    """Size and rate that a capture states, and whether the rate was believed."""
    size = (int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
    fps = float(capture.get(cv2.CAP_PROP_FPS))
    believed = _PLAUSIBLE_FPS[0] <= fps <= _PLAUSIBLE_FPS[1]
    return size, fps if believed else _DEFAULT_FPS, believed
