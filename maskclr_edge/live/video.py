"""Video files, through OpenCV: frames by the times in the file, and what it says of itself."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from maskclr_edge.errors import SourceError
from maskclr_edge.live.frame import Frame
from maskclr_edge.live.geometry import Array
from maskclr_edge.live.quiet import quiet
from maskclr_edge.optional import require

#: what a file or a camera says outside this range is not believed
_PLAUSIBLE_FPS = (1.0, 240.0)
_DEFAULT_FPS = 30.0


def opencv() -> Any:
    """OpenCV, whose decoders keep their words about each damaged block to themselves."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET, read at the first capture
    return require("cv2")


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
        self.resolution_wh, self.fps, self._believed = size_and_fps(cv2, self._capture)
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


def size_and_fps(cv2: Any, capture: Any) -> tuple[tuple[int, int], float, bool]:
    """Size and rate that a capture states, and whether the rate was believed."""
    size = (int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
    fps = float(capture.get(cv2.CAP_PROP_FPS))
    believed = _PLAUSIBLE_FPS[0] <= fps <= _PLAUSIBLE_FPS[1]
    return size, fps if believed else _DEFAULT_FPS, believed
