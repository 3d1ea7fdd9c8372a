"""One source from its first frame to its last, in threads: capture, pose, label, and show in the caller's.

Between two stages lies a mailbox of one slot. From a camera, or a file played in real time, capture never
waits: a newer frame takes the place of one that nobody fetched, so what is shown stays young however slow
the pose estimator is, and what was dropped is counted. Nor is a frame kept back until the model has answered
for it: a thread of its own asks the model, and its answer goes into the frame that is next by then. From a
file every frame is looked at, and shown with its answer.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from maskclr_edge.errors import ConfigError
from maskclr_edge.live.answers import Question
from maskclr_edge.live.figures import MOST_CHANGES, Figures, LabelChange, Meter, Summary
from maskclr_edge.live.frame import Frame, Source
from maskclr_edge.live.geometry import Array
from maskclr_edge.live.labeller import MOST_PEOPLE, SHARE, Importance, Labelled, Labeller, LiveSettings
from maskclr_edge.live.mailbox import Mailbox
from maskclr_edge.live.pose import PoseEstimator
from maskclr_edge.live.view import EndRun, Moment, View
from maskclr_edge.runtime import Classifier
from maskclr_edge.skeleton import get_layout

#: how long a stage may take to leave, in seconds; one that hangs in a driver is left behind
_LEAVE_S = 0.8
#: after so long without anybody, in seconds, the figures say so
_NOBODY_S = 10.0


@dataclass(frozen=True, eq=False)
class _Taken:
    """A frame, when it was taken by the clock of perf_counter, and the people in it once they are found."""

    frame: Frame
    taken_s: float
    people: Array | None = None


def run(
    source: Source,
    classifier: Classifier | None,
    pose: PoseEstimator | None,
    settings: LiveSettings,
    *,
    realtime: bool = False,
    importance: Importance | None = None,
    views: Sequence[View] = (),
    change: Callable[[LabelChange], None] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Summary:
    """Label everyone in a source; ``change`` is called at each change of a label, ``views`` see each frame.

    pose finds the people where frames are images. realtime plays a file by its times, as a camera would; a
    camera is always in real time. Without a classifier people are followed only; importance
    is shown where it is given. Ends with the source, with
    EndRun from a view, with Ctrl-C in real time, or with the error of the first stage that fails. Raises
    ConfigError for images without a pose estimator, and for joints in an order that is not known.
    """
    layout = source.layout or (pose.layout if pose is not None else None)
    if layout is None:
        raise ConfigError(f"{source.name} has images and no keypoints; choose a pose estimator with --pose")
    get_layout(layout)
    return _Pipeline(source, classifier, pose, settings, layout, realtime, importance).run(
        views, change, progress
    )


class _Pipeline:
    def __init__(
        self,
        source: Source,
        classifier: Classifier | None,
        pose: PoseEstimator | None,
        settings: LiveSettings,
        layout: str,
        realtime: bool,
        importance: Importance | None,
    ) -> None:
        self.source, self.pose, self.paced = source, pose, realtime and not source.live
        self.realtime = realtime or source.live
        self.meter = Meter()
        self.asked: Mailbox[Question] = Mailbox(wait=False)
        self.labeller = Labeller(
            classifier, settings, layout, source.resolution_wh, self.meter, importance,
            beside_pose=self.realtime and source.layout is None,
            ask=self.asked.put if self.realtime else None,
        )  # fmt: skip
        self.frames: Mailbox[_Taken] = Mailbox(wait=not self.realtime)
        self.found: Mailbox[_Taken] = Mailbox(wait=True)
        self.moments: Mailbox[Moment] = Mailbox(
            wait=not self.realtime, join=lambda earlier, later: later.after(earlier)
        )
        self.stopping = threading.Event()
        self.error: BaseException | None = None
        self.looked_at = self.most_seen = 0
        self._somebody_s: float | None = None

    def run(
        self,
        views: Sequence[View],
        change: Callable[[LabelChange], None] | None,
        progress: Callable[[int, int, str], None] | None,
    ) -> Summary:
        summary = Summary(realtime=self.realtime)
        stages = [self._thread(stage) for stage in (self._capture, self._find, self._label, self._answer)]
        began = time.perf_counter()
        for stage in stages:
            stage.start()
        try:
            while (moment := self.moments.get()) is not None:
                self._show(moment, views)
                for one in moment.changes:
                    summary.change_count += 1
                    if len(summary.changes) < MOST_CHANGES:
                        summary.changes.append(one)
                    if change is not None:
                        change(one)
                summary.source_s = moment.time_s
                if progress is not None:
                    progress(moment.index + 1, self.source.total, "frames")
        except EndRun:
            pass
        except KeyboardInterrupt:  # how a run in real time ends; that of a file was cut short
            if not self.realtime:
                raise
        finally:
            self._stop()
            self.source.close()  # a source that waits for its camera leaves off
            summary.work_s = time.perf_counter() - began
            latest = time.perf_counter() + _LEAVE_S
            for stage in stages:
                stage.join(max(latest - time.perf_counter(), 0))
        if self.error is not None:
            raise self.error
        return self._finish(summary)

    def _capture(self) -> None:
        began = time.perf_counter()
        for frame in self.source.frames():
            taken = time.perf_counter()
            if self.paced:
                taken = began + frame.time_s  # when a camera would have taken it
                self.stopping.wait(max(taken - time.perf_counter(), 0))
            if self.stopping.is_set() or not self.frames.put(_Taken(frame, taken)):
                return
        self.frames.finish()

    def _find(self) -> None:
        while (taken := self.frames.get()) is not None:
            people = taken.frame.people
            if people is None and not taken.frame.waiting:
                assert self.pose is not None and taken.frame.image is not None
                with self.meter.timed("pose"):
                    people = self.pose.estimate(taken.frame.image)
            if not self.found.put(_Taken(taken.frame, taken.taken_s, people)):
                return
        self.found.finish()

    def _label(self) -> None:
        image = None
        while (found := self.found.get()) is not None:
            frame, people, changes = found.frame, list[Labelled](), list[LabelChange]()
            if found.people is not None:
                people, changes = self.labeller.update(found.people, frame.time_s)
                self.looked_at, image = self.looked_at + 1, frame.image
                self.most_seen = max(self.most_seen, len(found.people))
            figures = Figures(
                time_s=frame.time_s, fps=self.meter.fps, age_ms=1000 * (time.perf_counter() - found.taken_s),
                dropped=self.frames.dropped, people=len(people), stages_ms=self.meter.recent_ms(),
                notes=self._notes(found),
            )  # fmt: skip
            # while a camera is gone its last picture stays, and the notes say why
            moment = Moment(
                frame.index, frame.time_s, found.taken_s, image, people, changes, figures, frame.waiting
            )
            if not self.moments.put(moment):
                return
        self.asked.stop()  # what is not answered by now belongs to no frame any more
        self.moments.finish()

    def _answer(self) -> None:
        while (question := self.asked.get()) is not None:
            self.labeller.answer(question)

    def _notes(self, found: _Taken) -> tuple[str, ...]:
        """What a user should know of this moment: what the source says, too many people, or nobody."""
        frame, notes = found.frame, list[str]()
        if frame.waiting or not self.source.live:
            notes += self.source.notes[-1:]
        if frame.note:
            notes.append(frame.note)
        if found.people is None:
            return tuple(notes)
        count, most = len(found.people), self.labeller.settings.most
        if count or self._somebody_s is None:
            self._somebody_s = frame.time_s
        if count > most:
            notes.append(f"{count} people in view, {most} are followed")
        elif count == most == MOST_PEOPLE and self.pose is not None:
            notes.append(f"{most} people are followed, no more are looked for")
        elif frame.time_s - self._somebody_s >= _NOBODY_S:
            notes.append(f"nobody in view for {frame.time_s - self._somebody_s:.0f} s")
        if count and (spaced_s := self.labeller.spaced_s):
            why = "the model takes as long"
            if self.labeller.beside_pose:
                why = f"the model gets {100 * SHARE:.0f} % of the time of pose"
            notes.append(f"an answer every {spaced_s:.1f} s, less often than asked: {why}")
        return tuple(notes)

    def _show(self, moment: Moment, views: Sequence[View]) -> None:
        if views:
            with self.meter.timed("show"):
                for view in views:
                    view.show(moment)
        if not moment.waiting:
            self.meter.shown(1000 * (time.perf_counter() - moment.taken_s))

    def _thread(self, stage: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                stage()
            except BaseException as error:  # whatever ends a stage ends the run, as itself
                if self.error is None:
                    self.error = error
                self._stop()

        return threading.Thread(target=guarded, name=f"live{stage.__name__}", daemon=True)

    def _stop(self) -> None:
        self.stopping.set()
        for box in (self.frames, self.found, self.asked, self.moments):
            box.stop()

    def _finish(self, summary: Summary) -> Summary:
        summary.frames, summary.dropped = self.looked_at, self.frames.dropped
        summary.undrawn = self.moments.dropped
        summary.fps = summary.frames / summary.work_s if summary.work_s else 0.0
        summary.persons, summary.windows = self.labeller.persons, self.labeller.windows
        self.meter.fill(summary)
        summary.notes = list(self.source.notes)
        if self.most_seen > self.labeller.settings.most:
            followed = self.labeller.settings.most
            summary.notes.append(f"{self.most_seen} people were in view at once, {followed} were followed")
        if not summary.persons:
            summary.notes.append("nobody was found; people must be an eighth of the picture's height or more")
        return summary
