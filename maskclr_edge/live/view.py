"""What sees a run: the one interface of windows, pages, terminals, logs and recordings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from maskclr_edge.live.figures import Figures, LabelChange
from maskclr_edge.live.geometry import Array
from maskclr_edge.live.labeller import Labelled
from maskclr_edge.live.overlay import Overlay
from maskclr_edge.live.recorder import Recorder


@dataclass(frozen=True, eq=False)
class Moment:
    """One frame as it is shown: the image (H, W, 3) of BGR bytes or None, who is in it, labels that changed
    since the moment before, and figures. It is shared by all views: to be read, not drawn on.
    waiting: the camera is gone for now; the image is its last.
    """

    index: int
    time_s: float
    taken_s: float
    image: Array | None
    people: Sequence[Labelled]
    changes: Sequence[LabelChange]
    figures: Figures
    waiting: bool = False

    def after(self, earlier: "Moment") -> "Moment":
        """This moment in the place of an earlier one that nobody saw: no change of a label gets lost."""
        return replace(self, changes=(*earlier.changes, *self.changes))


class EndRun(Exception):
    """Raised by a view when its user asks for the end, as by closing the window: not an error."""


class View(Protocol):
    """Sees moments, one after another, in the thread that called ``run``.

    A view that is slow is given the newest moment of a camera and misses some; of a file it sees every one.
    Its error ends the run.
    """

    def show(self, moment: Moment) -> None:
        """Take one moment. Raises EndRun to end the run."""
        ...


class PictureSink(Protocol):
    """Takes drawn pictures: a video file, a window, a page."""

    @property
    def wanted(self) -> bool:
        """Whether a picture would be looked at now; drawing is left out where nobody does."""
        ...

    def take(self, picture: Array, time_s: float) -> None:
        """Take one picture (H, W, 3) of BGR bytes, of a moment of the source in seconds; it is to be read and
        not drawn on. Raises EndRun.
        """
        ...


class DrawnView:
    """Draws each moment once, for all who want its picture; ``caption`` is written large across it."""

    def __init__(self, overlay: Overlay, sinks: Sequence[PictureSink]) -> None:
        self._overlay, self._sinks = overlay, sinks
        self.caption = ""

    def show(self, moment: Moment) -> None:
        """Draw and hand over one picture."""
        wanting = [sink for sink in self._sinks if sink.wanted]
        if wanting:
            picture = self._overlay.draw(moment.image, moment.people, moment.figures, self.caption)
            for sink in wanting:
                sink.take(picture, moment.time_s)


class RecordSink:
    """Writes pictures into a video file, each at its time: what a camera dropped is filled up."""

    wanted = True

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def take(self, picture: Array, time_s: float) -> None:
        """Write one picture."""
        self._recorder.write_at(picture, time_s)
