"""A video file of what is drawn: written beside its place, and renamed when it is whole."""

import contextlib
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

from maskclr_edge.errors import ConfigError, SourceError
from maskclr_edge.live.geometry import Array
from maskclr_edge.live.quiet import quiet
from maskclr_edge.optional import require

#: ending -> codec that OpenCV's wheels can write
_CODECS = {".webm": "VP80", ".mp4": "mp4v", ".avi": "MJPG"}
#: free space at which recording ends; OpenCV says nothing of a full disk and leaves a file that is cut short
_LEAST_FREE_BYTES = 16 << 20
#: of a longer time without a picture, in seconds, so much is recorded
_LONGEST_GAP_S = 10.0


class Recorder:
    """Writes pictures of ``size_wh`` at ``fps``.

    A run that fails leaves the old file, or none; one that is stopped, by Ctrl-C, SIGTERM or a full disk,
    leaves what was recorded until then. After SIGKILL or a power cut that lies beside its place, as
    ``name.partial.webm``, and plays but for the last quarter of a megabyte, which FFmpeg holds back; an .mp4
    does not play, since its index comes last. What an earlier run left so is not written over.
    """

    def __init__(self, path: str | Path, size_wh: tuple[int, int], fps: float) -> None:
        self.path = Path(path)
        suffix = self.path.suffix.lower()
        if suffix not in _CODECS:
            raise ConfigError(f"{path}: a recording ends in {', '.join(_CODECS)}; choose one of them")
        if not self.path.parent.is_dir():
            raise SourceError(f"{path}: the folder {self.path.parent} does not exist; make it first")
        cv2: Any = require("cv2")
        self._partial = _free(self.path)
        codec = cv2.VideoWriter_fourcc(*_CODECS[suffix])
        with quiet():  # OpenCV's words about the codec's tag, which does no harm
            self._fps = max(fps, 1.0)
            self._writer = cv2.VideoWriter(str(self._partial), codec, self._fps, size_wh)
        if not self._writer.isOpened():
            raise SourceError(f"{path}: OpenCV cannot write it here; try another ending, or another folder")
        self.pictures = 0
        self._full = False
        self._latest: Array | None = None
        self._began_s = 0.0
        #: seconds that are missing since pictures were not repeated
        self.lost_s = 0.0

    def write(self, picture: Array) -> None:
        """Add one picture (H, W, 3) of BGR bytes. Raises SourceError when the disk is all but full."""
        free = shutil.disk_usage(self.path.parent).free
        if free < _LEAST_FREE_BYTES:
            self._full = True
            kept = f"the {self.pictures} pictures until then are kept" if self.pictures else "nothing is kept"
            raise SourceError(
                f"{self.path}: the disk has {free / 1e6:.0f} MB left, recording stopped ({kept}); "
                "make room, or record elsewhere"
            )
        self._writer.write(picture)
        self.pictures += 1

    def write_at(self, picture: Array, time_s: float, *, repeat: bool = True) -> None:
        """Add one picture of the moment ``time_s``, so that a second of the file is a second.

        The picture before is repeated until then; one that comes too soon for the file's rate is left out.
        Without ``repeat`` the time between is left out, and counts as ``lost_s``. Raises SourceError as
        ``write`` does.
        """
        if self._latest is None:
            self._began_s = time_s
        place = round((time_s - self._began_s) * self._fps)
        longest = round(_LONGEST_GAP_S * self._fps) if repeat else 1
        cut = place + 1 - self.pictures - longest
        if cut > 0:
            self._began_s, place = self._began_s + cut / self._fps, place - cut
            self.lost_s += 0.0 if repeat else cut / self._fps
        while self._latest is not None and self.pictures < place:
            self.write(self._latest)
        if self.pictures == place:
            self.write(picture)
        self._latest = picture

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file and put it in its place, or remove it."""
        self._writer.release()
        stopped = kind is None or self._full or not issubclass(kind, Exception)
        try:
            if self.pictures and stopped:
                if not self._partial.is_file() or not self._partial.stat().st_size:
                    raise SourceError(f"{self.path}: nothing could be written; is the disk full?")
                self._partial.replace(self.path)
        finally:
            with contextlib.suppress(OSError):
                self._partial.unlink()


def _free(path: Path) -> Path:
    """A name beside ``path`` that nothing has, for a recording that is not whole yet."""
    for number in range(1, 1000):
        which = f"-{number}" if number > 1 else ""
        partial = path.with_name(f"{path.stem}.partial{which}{path.suffix}")
        if not partial.exists():
            return partial
    raise SourceError(f"{path}: a thousand recordings that are not whole lie beside it; remove some")
