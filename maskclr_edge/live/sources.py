"""Where frames come from: one function that opens a video, a camera, a folder of images or a recording.

Every frame carries its own time: a window of the model is a span of seconds, whatever the frame rate says.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from maskclr_edge.errors import ConfigError, DataError, SourceError

Array = npt.NDArray[Any]

RECORDINGS = (".npz", ".json", ".pkl")
IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
DEFAULT_FPS = 30.0
#: frame rates outside this are taken for a container's mistake
PLAUSIBLE_FPS = (0.5, 480.0)


@dataclass(frozen=True)
class Frame:
    """One moment: an ``image`` (H, W, 3) of BGR bytes, or the ``people`` (P, V, 3) that a recording holds."""

    index: int
    time_s: float
    image: Array | None = None
    people: Array | None = None


class Source(Protocol):
    """Frames in order of time. ``layout`` is that of its people, None for pictures; ``total`` may be unknown.

    ``notes`` gathers what the user should know about it; ``is_camera`` where only the user ends it.
    """

    name: str
    kind: str
    fps: float
    resolution_wh: tuple[int, int]
    layout: str | None
    total: int | None
    is_camera: bool
    notes: list[str]

    def __iter__(self) -> Iterator[Frame]: ...

    def __enter__(self) -> "Source": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_source(
    where: str,
    *,
    fps: float | None = None,
    layout: str | None = None,
    resolution_wh: tuple[int, int] | None = None,
    clip: str | None = None,
) -> Source:
    """Open a camera number, a video file, a folder of images, or a recording (.npz, .json, .pkl).

    ``fps`` replaces what the source says of itself; ``layout`` and ``resolution_wh`` are for recordings that do
    not say; ``clip`` names one annotation of a .pkl. Raises SourceError, DataError and ConfigError in one line.
    """
    if fps is not None and not PLAUSIBLE_FPS[0] <= fps <= PLAUSIBLE_FPS[1]:
        raise ConfigError(f"{fps:g} frames per second; expected {PLAUSIBLE_FPS[0]:g} to {PLAUSIBLE_FPS[1]:g}")
    path = Path(where)
    if path.suffix.lower() in RECORDINGS:
        return RecordingSource(path, fps, layout, resolution_wh, clip)
    for name, value in (("layout", layout), ("resolution", resolution_wh), ("clip", clip)):
        if value is not None:
            raise ConfigError(f"{where}: --{name} is for keypoint recordings ({', '.join(RECORDINGS)})")
    from maskclr_edge.live.pictures import CameraSource, ImageFolderSource, VideoSource

    if re.fullmatch(r"[0-9]{1,3}", where) and not path.exists():
        return CameraSource(int(where), fps)
    if path.is_dir():
        return ImageFolderSource(path, fps)
    if not path.exists():
        raise SourceError(
            f"{where}: no such file; a source is a video, a folder of images, a recording "
            f"({', '.join(RECORDINGS)}) or the number of a camera"
        )
    return VideoSource(path, fps)


class RecordingSource:
    """A keypoint recording, played frame by frame; persons without any confidence are left out."""

    kind = "recording"
    is_camera = False

    def __init__(
        self,
        path: Path,
        fps: float | None = None,
        layout: str | None = None,
        resolution_wh: tuple[int, int] | None = None,
        clip: str | None = None,
    ) -> None:
        from maskclr_edge.data.recording import read_recordings
        from maskclr_edge.skeleton import get_layout

        if layout is not None:
            get_layout(layout)
        recordings = read_recordings(path, layout, resolution_wh, fps)
        if clip is not None:
            recordings = [one for one in recordings if one.name == clip] or _nothing(path, clip, recordings)
        if len(recordings) != 1:
            some = ", ".join(one.name for one in recordings[:3])
            raise DataError(f"{path}: holds {len(recordings)} clips ({some}, ...); pick one with --clip NAME")
        (recording,) = recordings
        self._keypoints = recording.keypoints
        self.name = recording.name
        self.fps = recording.fps
        self.layout: str | None = recording.layout
        self.resolution_wh = recording.resolution_wh
        self.total: int | None = recording.frames
        self.notes: list[str] = []

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self._keypoints.shape[1]):
            people = np.asarray(self._keypoints[:, index], np.float32)
            present = (people[..., 2] > 0).any(axis=-1)
            yield Frame(index, index / self.fps, people=people[present])

    def __enter__(self) -> "RecordingSource":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return


def _nothing(path: Path, clip: str, recordings: list[Any]) -> list[Any]:
    import difflib

    names = [one.name for one in recordings]
    near = difflib.get_close_matches(clip, names, n=3, cutoff=0.0)
    raise DataError(f"{path}: has no clip {clip!r}; there are {len(names)}, such as {', '.join(near)}")


class Clock:
    """Times of a picture source's frames, in seconds from its first: the source's own where they make sense.

    ``fps`` fixes the times. Without it a time that is not finite, does not advance or leaps by more than 10 s
    is replaced by one frame's length after the last, and counted in ``repaired``.
    """

    def __init__(self, nominal_fps: float, fps: float | None = None) -> None:
        self.fixed = fps
        self.nominal = fps or (nominal_fps if plausible(nominal_fps) else DEFAULT_FPS)
        self.repaired = 0
        self._times: list[float] = []
        self._first: float | None = None
        self._last = 0.0
        self._count = 0

    def time(self, reported_s: float) -> float:
        """Time of the next frame, which the source reports to be at ``reported_s``."""
        index = self._count
        self._count += 1
        if self.fixed is not None:
            return index / self.fixed
        if index == 0:
            self._first = reported_s if math.isfinite(reported_s) else 0.0
            time_s = 0.0
        else:
            time_s = reported_s - (self._first or 0.0)
            if not math.isfinite(time_s) or not 0 < time_s - self._last <= 10:
                self.repaired += 1
                time_s = self._last + 1 / self.nominal
                if math.isfinite(reported_s):
                    self._first = reported_s - time_s
        self._last = time_s
        if len(self._times) < 100:
            self._times.append(time_s)
        return time_s

    @property
    def measured_fps(self) -> float | None:
        """Rate by the times themselves, None before there are enough."""
        if len(self._times) < 5:
            return None
        return 1.0 / float(np.median(np.diff(self._times)))


def plausible(fps: float) -> bool:
    """Whether a container's word for its frame rate can be true."""
    return math.isfinite(fps) and PLAUSIBLE_FPS[0] <= fps <= PLAUSIBLE_FPS[1]
