"""Sources of pictures, through OpenCV: video files, folders of images, cameras."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from maskclr_edge.errors import SourceError
from maskclr_edge.live.sources import DEFAULT_FPS, IMAGES, Array, Clock, Frame, plausible
from maskclr_edge.optional import require

#: neither side of a picture may be longer
MAX_SIDE = 8192
#: a video that gives less than this part of the frames it promises was cut off
_WHOLE = 0.9


class VideoSource:
    """A video file: every frame, in order, at its own time."""

    kind = "video"
    is_camera = False
    layout: str | None = None

    def __init__(self, path: Path, fps: float | None = None) -> None:
        if path.stat().st_size == 0:
            raise SourceError(f"{path}: is empty (0 bytes), a video was expected")
        self._cv2 = _opencv()
        self._capture = self._cv2.VideoCapture(str(path), self._cv2.CAP_FFMPEG)
        self._path = path
        first = self._capture.read()[1] if self._capture.isOpened() else None
        if first is None:
            self._capture.release()
            raise SourceError(f"{path}: cannot be read as a video; it is damaged, cut off, or of another kind")
        self._first: Array = _checked(first, path)
        self._first_s = self._capture.get(self._cv2.CAP_PROP_POS_MSEC) / 1000
        said = float(self._capture.get(self._cv2.CAP_PROP_FPS))
        count = float(self._capture.get(self._cv2.CAP_PROP_FRAME_COUNT))
        self.clock = Clock(said, fps)
        self.name = path.name
        self.fps = self.clock.nominal
        self.total = int(count) if 1 <= count < 1e8 else None
        self.resolution_wh = (int(first.shape[1]), int(first.shape[0]))
        self.notes: list[str] = []
        if fps is None and not plausible(said):
            self.notes.append(f"the video gives {said:g} frames per second; {DEFAULT_FPS:g} is taken")

    def __iter__(self) -> Iterator[Frame]:
        yield Frame(0, self.clock.time(self._first_s), self._first)
        index = 0
        while True:
            ok, image = self._capture.read()
            if not ok or image is None:
                break
            index += 1
            seconds = self._capture.get(self._cv2.CAP_PROP_POS_MSEC) / 1000
            image = self._same_size(image)
            yield Frame(index, self.clock.time(seconds), image)
        self._look_back(index + 1)

    def _same_size(self, image: Array) -> Array:
        if (image.shape[1], image.shape[0]) == self.resolution_wh:
            return image
        resized: Array = self._cv2.resize(image, self.resolution_wh)
        return resized

    def _look_back(self, frames: int) -> None:
        """Say what was odd; a video that was cut off is an error once all that is there was shown."""
        measured = self.clock.measured_fps
        if self.clock.fixed is None and measured and abs(measured / self.clock.nominal - 1) > 0.2:
            self.notes.append(
                f"the video says {self.clock.nominal:g} frames per second, its times say {measured:.3g}"
            )
        if self.clock.repaired:
            self.notes.append(f"{self.clock.repaired} frames had no usable time and were placed by the rate")
        if self.total and frames < _WHOLE * self.total:
            raise SourceError(
                f"{self._path}: ends after {frames} of the {self.total} frames it promises; it was cut off "
                "(what there is was processed)"
            )

    def __enter__(self) -> "VideoSource":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._capture.release()


class ImageFolderSource:
    """A folder of images in the order of the numbers in their names. Ones that cannot be read are left out."""

    kind = "images"
    is_camera = False
    layout: str | None = None

    def __init__(self, folder: Path, fps: float | None = None) -> None:
        self._cv2 = _opencv()
        files = [one for one in folder.iterdir() if one.suffix.lower() in IMAGES and one.is_file()]
        self._files = sorted(files, key=lambda one: _natural(one.name))
        if not self._files:
            raise SourceError(f"{folder}: holds no images ({', '.join(IMAGES)})")
        self.name = folder.name
        self.fps = fps or DEFAULT_FPS
        self.total: int | None = len(self._files)
        self.notes: list[str] = []
        if fps is None:
            self.notes.append(f"images carry no times; {DEFAULT_FPS:g} a second are taken, --fps says otherwise")
        first = next((image for image in map(self._read, self._files) if image is not None), None)
        if first is None:
            raise SourceError(f"{folder}: none of its {len(self._files)} images can be read")
        self.resolution_wh = (int(first.shape[1]), int(first.shape[0]))

    def __iter__(self) -> Iterator[Frame]:
        unread = 0
        for index, file in enumerate(self._files):
            image = self._read(file)
            if image is None:
                unread += 1
                continue
            if (image.shape[1], image.shape[0]) != self.resolution_wh:
                width, height = self.resolution_wh
                raise SourceError(
                    f"{file}: is {image.shape[1]}x{image.shape[0]}, the images before it {width}x{height}"
                )
            yield Frame(index, index / self.fps, image)
        if unread:
            self.notes.append(f"{unread} images could not be read and were left out")

    def _read(self, file: Path) -> Array | None:
        image: Array | None = self._cv2.imread(str(file), self._cv2.IMREAD_COLOR)
        return None if image is None else _checked(image, file)

    def __enter__(self) -> "ImageFolderSource":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return


class CameraSource:
    """A camera by its number. A frame's time is when it was read."""

    kind = "camera"
    is_camera = True
    layout: str | None = None
    total: int | None = None

    def __init__(self, number: int, fps: float | None = None) -> None:
        self._cv2 = _opencv()
        self._capture = self._cv2.VideoCapture(number)
        ok, image = self._capture.read() if self._capture.isOpened() else (False, None)
        if not ok or image is None:
            self._capture.release()
            raise SourceError(f"camera {number} gives no picture; is it there, free, and may you read it?")
        self._number = number
        if fps is not None:
            self._capture.set(self._cv2.CAP_PROP_FPS, fps)
        said = float(self._capture.get(self._cv2.CAP_PROP_FPS))
        self.name = f"camera {number}"
        self.fps = fps or (said if plausible(said) else DEFAULT_FPS)
        self.resolution_wh = (int(image.shape[1]), int(image.shape[0]))
        self.notes: list[str] = []

    def __iter__(self) -> Iterator[Frame]:
        start = time.monotonic()
        index = 0
        while True:
            ok, image = self._capture.read()
            if not ok or image is None:
                raise SourceError(f"camera {self._number} stopped giving pictures after {index} frames")
            yield Frame(index, time.monotonic() - start, _checked(image, self._number))
            index += 1

    def __enter__(self) -> "CameraSource":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._capture.release()


def _opencv() -> Any:
    """OpenCV, told not to write its decoders' complaints over our one line."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2: Any = require("cv2")
    cv2.setLogLevel(0)
    return cv2


def _checked(image: Array, where: object) -> Array:
    if max(image.shape[:2]) > MAX_SIDE:
        raise SourceError(f"{where}: pictures are {image.shape[1]}x{image.shape[0]}, at most {MAX_SIDE} a side")
    return image


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorting key by which frame 10 comes after frame 9."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name.lower())
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts)
