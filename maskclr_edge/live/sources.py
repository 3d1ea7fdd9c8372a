"""Where frames come from, by one scheme of addresses: recordings, videos, folders, cameras, other programs.

Files are read frame by frame and never skipped, so that the same file gives the same answers. Each frame has
the time it was taken, in seconds from the first.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from maskclr_edge.data.recording import Recording, read_recordings
from maskclr_edge.errors import SourceError
from maskclr_edge.live.cameras import CameraSource, connect_address, open_camera
from maskclr_edge.live.frame import Frame, Source
from maskclr_edge.live.geometry import Array
from maskclr_edge.live.lines import LinesSource
from maskclr_edge.live.video import VideoSource
from maskclr_edge.optional import require

RECORDINGS = (".npz", ".json", ".pkl")
IMAGES = (".jpg", ".jpeg", ".png", ".bmp")
_FOLDER_FPS = 10.0
_SCHEMES = "v4l2://, rtsp://, rtsps://, http://, https://, csi://, file://"


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
    """Open what a user names.

    A camera: its number, ``v4l2:///dev/video0``, ``csi://0`` on a Jetson, ``rtsp://`` or MJPEG over
    ``http://``. A video file, a folder of images, a recording (.npz, .json, .pkl). ``-``: lines of JSON.
    layout and resolution_wh complete keypoints that do not say; name chooses one of several in a .pkl.
    Raises SourceError, DataError, or MissingDependencyError without the extra ``live``.
    """
    if place == "-":
        return LinesSource(layout, resolution_wh)
    if place.isascii() and place.isdigit():
        return open_camera(f"camera {place}", int(place))
    if "://" in place:
        opened = _open_address(place)
        if opened is not None:
            return opened
        place = place.removeprefix("file://")
    path = Path(place)
    if path.is_dir():
        return FolderSource(path)
    if not path.exists():
        raise SourceError(f"{place}: there is no such file, folder or camera number")
    if not path.is_file():
        raise SourceError(f"{place}: not a file; a camera is its number, or v4l2://{path.absolute()}")
    if path.suffix.lower() in RECORDINGS:
        return RecordingSource(_one(place, read_recordings(path, layout, resolution_wh), name))
    if not path.stat().st_size:
        raise SourceError(f"{place}: the file is empty")
    return VideoSource(place)


def _open_address(address: str) -> Source | None:
    """A camera behind an address; None for file://, which is a path."""
    scheme, _, rest = address.partition("://")
    shown = _without_password(address)
    match scheme.lower():
        case "file":
            return None
        case "v4l2":
            if not rest.startswith("/") or not Path(rest).exists():
                raise SourceError(f"{shown}: there is no such device; as in v4l2:///dev/video0")
            return open_camera(rest, rest)
        case "rtsp" | "rtsps" | "http" | "https":
            return CameraSource(shown, connect_address(shown, address))
        case "csi":
            from maskclr_edge.live.csi import connect_csi

            return CameraSource(shown, connect_csi(address))
    raise SourceError(f"{shown}: the scheme {scheme} is not known; there are {_SCHEMES}")


def _without_password(address: str) -> str:
    """An address as it may be shown: without the user and the password that it may hold."""
    return re.sub(r"(?<=://)[^/@]*@", "", address)


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
