"""Where frames come from: keypoint recordings, video files, folders of images and cameras.

Files are read frame by frame and never skipped, so that the same file gives the same answers. Each frame has
the time it was taken, in seconds from the first.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from maskclr_edge.data.recording import Recording, read_recordings
from maskclr_edge.errors import SourceError
from maskclr_edge.live.quiet import quiet
from maskclr_edge.optional import require

Array = npt.NDArray[Any]

RECORDINGS = (".npz", ".json", ".pkl")
IMAGES = (".jpg", ".jpeg", ".png", ".bmp")
#: what a file says outside this range is not believed
_PLAUSIBLE_FPS = (1.0, 240.0)
_DEFAULT_FPS = 30.0
_FOLDER_FPS = 10.0


@dataclass(frozen=True, eq=False)
class Frame:
    """One moment: number, time in seconds, and an image (H, W, 3) of BGR bytes or people (P, V, 3)."""

    index: int
    time_s: float
    image: Array | None = None
    people: Array | None = None


class Source(Protocol):
    """An open source: what it is, and its frames, once, in order.

    ``layout`` names the joint order of the people in its frames, None where frames are images. ``live`` says
    that frames come by themselves and are gone when nobody takes them. ``notes`` fills with what a user
    should know, such as a file that ended early.
    """

    name: str
    resolution_wh: tuple[int, int]
    fps: float
    total: int
    layout: str | None
    live: bool
    notes: list[str]

    def frames(self) -> Iterator[Frame]:
        """The frames, once. Raises SourceError when not one can be read."""
        ...

    def close(self) -> None:
        """Release what is open; again is harmless."""
        ...


class RecordingSource:
    """People from a keypoint recording; absent ones are left out frame by frame."""

    def __init__(self, recording: Recording) -> None:
        self.name = recording.name
        self.layout: str | None = recording.layout
        self.live = False
        self.resolution_wh, self.fps = recording.resolution_wh, recording.fps
        self._keypoints = np.asarray(recording.keypoints, np.float32)
        self.total = self._keypoints.shape[1]
        self.notes: list[str] = []

    def frames(self) -> Iterator[Frame]:
        """One frame a time step."""
        for index in range(self.total):
            people = self._keypoints[:, index]
            present = (people[..., 2] > 0).any(axis=-1)
            yield Frame(index, index / self.fps, people=people[present])

    def close(self) -> None:
        """Nothing is open."""


class VideoSource:
    """A video file or a camera, through OpenCV."""

    layout: str | None = None

    def __init__(self, place: str | int) -> None:
        cv2: Any = require("cv2")
        self.name = f"camera {place}" if isinstance(place, int) else Path(place).name
        self.notes: list[str] = []
        self.live = isinstance(place, int)
        with quiet():  # a refused file is said in one line below
            self._cv2, self._capture = cv2, cv2.VideoCapture(place)
        if not self._capture.isOpened():
            what = "the camera cannot be opened: is it plugged in and free?" if self.live else (
                "not a video that OpenCV can open; convert it, for example to H.264 in .mp4"
            )  # fmt: skip
            raise SourceError(f"{self.name}: {what}")
        self.resolution_wh = (
            int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        )
        stated = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = stated
        if not _PLAUSIBLE_FPS[0] <= stated <= _PLAUSIBLE_FPS[1]:
            self.fps = _DEFAULT_FPS
            if not self.live:
                self.notes.append(f"the file says {stated:g} fps; {_DEFAULT_FPS:g} is assumed")
        self.total = 0 if self.live else max(int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)

    def frames(self) -> Iterator[Frame]:
        """Frames until the file ends, or the camera stops giving any."""
        began, latest, index = time.monotonic(), -1.0, 0
        while True:
            read, image = self._capture.read()
            if not read or image is None:
                break
            # after reading, the position is the time of the frame that was read
            stated = float(self._capture.get(self._cv2.CAP_PROP_POS_MSEC)) / 1000
            now = time.monotonic() - began if self.live else stated
            if not np.isfinite(now) or now <= latest:  # some containers carry no times
                now = latest + 1 / self.fps if index else 0.0
            latest = now
            yield Frame(index, now, image=image)
            index += 1
        if not index:
            raise SourceError(f"{self.name}: not one frame could be read")
        if index < self.total:
            self.notes.append(f"{self.name} ended after {index} of {self.total} frames: it may be cut short")

    def close(self) -> None:
        """Release the file or the camera."""
        self._capture.release()


class FolderSource:
    """Images of a folder in the order of the numbers in their names, at ``fps``."""

    layout: str | None = None
    live = False

    def __init__(self, folder: Path, fps: float = _FOLDER_FPS) -> None:
        self._cv2: Any = require("cv2")
        self.name, self.fps = folder.name, fps
        self.notes: list[str] = []
        self._paths = sorted((p for p in folder.iterdir() if p.suffix.lower() in IMAGES), key=_by_number)
        if not self._paths:
            raise SourceError(f"{folder} has no images ({', '.join(IMAGES)}); give a folder of frames")
        first = self._read(self._paths[0])
        self.resolution_wh, self.total = (first.shape[1], first.shape[0]), len(self._paths)

    def frames(self) -> Iterator[Frame]:
        """One frame an image; all must be of the first one's size."""
        for index, path in enumerate(self._paths):
            image = self._read(path)
            if (image.shape[1], image.shape[0]) != self.resolution_wh:
                size = f"{image.shape[1]}x{image.shape[0]}"
                raise SourceError(
                    f"{path.name} is {size}, the first image {self.resolution_wh}: use one size"
                )
            yield Frame(index, index / self.fps, image=image)

    def close(self) -> None:
        """Nothing is open."""

    def _read(self, path: Path) -> Array:
        image: Array | None = self._cv2.imread(str(path))
        if image is None:
            raise SourceError(f"{path.name}: not an image that OpenCV can read")
        return image


def open_source(
    place: str, *, layout: str | None = None, resolution_wh: tuple[int, int] | None = None, name: str = ""
) -> Source:
    """Open a recording (.npz, .json, .pkl), a folder of images, a camera number, or a video file.

    layout and resolution_wh complete a recording that does not say; name chooses one of several in a .pkl.
    Raises SourceError, DataError, or MissingDependencyError without the extra ``live``.
    """
    if place.isdigit():
        return VideoSource(int(place))
    path = Path(place)
    if path.is_dir():
        return FolderSource(path)
    if not path.exists():
        raise SourceError(f"{place}: there is no such file, folder or camera number")
    if path.suffix.lower() in RECORDINGS:
        return RecordingSource(_one(place, read_recordings(path, layout, resolution_wh), name))
    if not path.stat().st_size:
        raise SourceError(f"{place}: the file is empty")
    return VideoSource(place)


def _one(place: str, recordings: list[Recording], name: str) -> Recording:
    named = [recording for recording in recordings if not name or recording.name == name]
    if len(named) == 1:
        return named[0]
    if name:
        raise SourceError(
            f"{place} has no recording {name!r}; the first of {len(recordings)} is {recordings[0].name!r}"
        )
    raise SourceError(
        f"{place} has {len(recordings)} recordings; choose one, as in --name {recordings[0].name}"
    )


def _by_number(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", path.stem)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
