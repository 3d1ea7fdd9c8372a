"""A recording of what goes on, encoded beside the run: an encoder that is slow holds up nothing."""

import threading
import time
from types import TracebackType

from maskclr_edge.live.geometry import Array
from maskclr_edge.live.mailbox import Mailbox
from maskclr_edge.live.recorder import Recorder

#: pictures a second of a recording in real time: each is encoded beside the pose estimator, on the same cores
MOST_FPS = 15.0
#: so much missing, in seconds, is said
_SAID_S = 1.0


class BackgroundRecorder:
    """A sink of pictures at the pace of the clock, which a thread hands to a recorder.

    While the encoder is at work the newest picture waits, and the ones before it are left out. When it takes
    longer than the time that it has written, time is left out too, instead of falling ever further behind;
    ``lost`` says so in words. What ends the recorder is raised at the next picture, or at the end.
    """

    wanted = True

    def __init__(self, recorder: Recorder) -> None:
        self.path = recorder.path
        self._recorder = recorder
        self._pictures: Mailbox[tuple[Array, float]] = Mailbox(wait=False)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._write, name="live_record", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> str:
        """What is missing from the recording; nothing where it is whole."""
        if self._recorder.lost_s < _SAID_S:
            return ""
        return (
            f"{self.path.name} lacks {self._recorder.lost_s:.0f} s: this machine could not encode as fast; "
            "an .avi takes less work"
        )

    def take(self, picture: Array, time_s: float) -> None:
        """Leave a picture to be written. Raises what ended the recorder."""
        if not self._pictures.put((picture, time_s)) and self._error is not None:
            raise self._error

    def __enter__(self) -> "BackgroundRecorder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what waits, and end the recording as the recorder does."""
        self._pictures.finish()
        self._thread.join()
        ended = self._error if error is None else error
        self._recorder.__exit__(type(ended) if ended else None, ended, trace)
        if error is None and self._error is not None:
            raise self._error

    def _write(self) -> None:
        before_s, behind = float("-inf"), False
        try:
            while (waiting := self._pictures.get()) is not None:
                picture, time_s = waiting
                began = time.perf_counter()
                self._recorder.write_at(picture, time_s, repeat=not behind)
                behind = time.perf_counter() - began > time_s - before_s
                before_s = time_s
        except BaseException as error:  # for the thread that takes pictures, or ends
            self._error = error
            self._pictures.stop()
