"""A video file of what is drawn: written beside its place, and renamed when it is whole."""

import contextlib
from pathlib import Path
from types import TracebackType
from typing import Any

from maskclr_edge.errors import ConfigError, SourceError
from maskclr_edge.live.geometry import Array
from maskclr_edge.live.quiet import quiet
from maskclr_edge.optional import require

#: ending -> codec that OpenCV's wheels can write
_CODECS = {".webm": "VP80", ".mp4": "mp4v", ".avi": "MJPG"}


class Recorder:
    """Writes pictures of ``size_wh`` at ``fps``. A run that fails leaves the old file, or none."""

    def __init__(self, path: str | Path, size_wh: tuple[int, int], fps: float) -> None:
        self.path = Path(path)
        suffix = self.path.suffix.lower()
        if suffix not in _CODECS:
            raise ConfigError(f"{path}: a recording ends in {', '.join(_CODECS)}; choose one of them")
        if not self.path.parent.is_dir():
            raise SourceError(f"{path}: the folder {self.path.parent} does not exist; make it first")
        cv2: Any = require("cv2")
        self._partial = self.path.with_name(f".{self.path.stem}.partial{suffix}")
        codec = cv2.VideoWriter_fourcc(*_CODECS[suffix])
        with quiet():  # OpenCV's words about the codec's tag, which does no harm
            self._writer = cv2.VideoWriter(str(self._partial), codec, max(fps, 1.0), size_wh)
        if not self._writer.isOpened():
            raise SourceError(f"{path}: OpenCV cannot write it here; try another ending, or another folder")
        self.pictures = 0

    def write(self, picture: Array) -> None:
        """Add one picture (H, W, 3) of BGR bytes."""
        self._writer.write(picture)
        self.pictures += 1

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file; Ctrl-C keeps what was recorded, an error does not."""
        self._writer.release()
        if self.pictures and (kind is None or issubclass(kind, KeyboardInterrupt)):
            if not self._partial.is_file() or not self._partial.stat().st_size:
                raise SourceError(f"{self.path}: nothing could be written; is the disk full?")
            self._partial.replace(self.path)
        else:
            with contextlib.suppress(OSError):
                self._partial.unlink()
