"""Snapshots and recordings that somebody asks for while a run goes on, as files of one folder."""

import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from maskclr_edge.errors import MaskclrEdgeError, SourceError
from maskclr_edge.files import write_atomically
from maskclr_edge.live.background import MOST_FPS, BackgroundRecorder
from maskclr_edge.live.geometry import Array
from maskclr_edge.live.recorder import Recorder
from maskclr_edge.optional import require

#: what a button can make in one run: somebody who leans on it must not fill the disk with files
MOST_FILES = 1000


class Captures:
    """A sink of pictures that keeps what was asked for, from any thread.

    Files are called by the local time and their number, and never replace another. A recording that fails
    ends with a note in ``trouble``, as one that lacks something does; the run goes on.
    """

    def __init__(self, folder: Path, size_wh: tuple[int, int], fps: float) -> None:
        self.folder, self.trouble = folder, ""
        self._size_wh, self._fps = size_wh, min(fps, MOST_FPS)
        self._lock = threading.Lock()
        self._recorder: BackgroundRecorder | None = None
        self._count = 0

    @property
    def wanted(self) -> bool:
        """Whether a recording runs."""
        return self._recorder is not None

    @property
    def recording(self) -> str | None:
        """Name of the file that is recorded now."""
        with self._lock:
            return self._recorder.path.name if self._recorder else None

    def take(self, picture: Array, time_s: float) -> None:
        """Add a picture to the recording, at the pace of the clock: too fast a source is thinned out."""
        with self._lock:
            recorder = self._recorder
        if recorder is None:
            return
        try:
            recorder.take(picture, time.monotonic())
        except MaskclrEdgeError:
            self.stop()

    def snapshot(self, picture: Array) -> str:
        """Save a picture as PNG; gives the file's name. Raises SourceError where it cannot."""
        cv2: Any = require("cv2")
        with self._lock:
            path = self._next("snapshot", ".png")
        written, data = cv2.imencode(".png", picture)
        if not written:
            raise SourceError(f"{path.name}: the picture cannot be encoded")
        try:
            write_atomically(path, data.tobytes())
        except OSError as error:
            raise SourceError(f"{path}: cannot be written ({error.strerror or error})") from error
        return path.name

    def start(self) -> str:
        """Begin a recording, if none runs; gives its name. Raises SourceError where it cannot."""
        with self._lock:
            if self._recorder is None:
                recorder = Recorder(self._next("recording", ".webm"), self._size_wh, self._fps)
                self._recorder = BackgroundRecorder(recorder)
                self.trouble = ""
            return self._recorder.path.name

    def stop(self) -> str | None:
        """End the recording, if one runs; gives its name."""
        with self._lock:
            recorder, self._recorder = self._recorder, None
        if recorder is None:
            return None
        try:  # without the lock, since the last pictures may take a while
            recorder.__exit__(None, None, None)
            self.trouble = recorder.lost
        except MaskclrEdgeError as error:
            self.trouble = str(error)
        return recorder.path.name

    def saved(self, name: str) -> Path | None:
        """A whole file of this folder that a run made, by name; None for anything else."""
        path = self.folder / name
        ours = name.startswith(("snapshot_", "recording_")) and Path(name).name == name and "\\" not in name
        return path if ours and not name.startswith(".") and path.is_file() else None

    def _next(self, kind: str, suffix: str) -> Path:
        if self._count >= MOST_FILES:
            raise SourceError(f"{MOST_FILES} files were made in this run; start another one")
        if not self.folder.is_dir():
            raise SourceError(f"the folder {self.folder} is gone; make it again")
        stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        while True:
            self._count += 1
            path = self.folder / f"{kind}_{stamp}_{self._count:03d}{suffix}"
            if not path.exists():
                return path
