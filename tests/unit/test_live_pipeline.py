"""The threads of a run: nothing lags, nothing is lost unseen, what fails says so, and all of it stops."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from maskclr_edge.errors import ConfigError, SourceError
from maskclr_edge.live.figures import LabelChange, Meter, Spread, Summary
from maskclr_edge.live.frame import Frame
from maskclr_edge.live.labeller import Labeller, LiveSettings
from maskclr_edge.live.mailbox import Mailbox
from maskclr_edge.live.pipeline import run
from maskclr_edge.live.view import EndRun, Moment
from maskclr_edge.skeleton import SkeletonContract

IMAGE = np.zeros((48, 64, 3), np.uint8)
BODY = np.random.default_rng(0).uniform((20, 5), (40, 45), (17, 2))


class Images:
    """A source of pictures; ``whole`` is set once all of them were taken."""

    name, resolution_wh, fps, layout = "images", (64, 48), 10.0, None

    def __init__(self, total: int, live: bool = False, error: Exception | None = None) -> None:
        self.total, self.live, self.error = total, live, error
        self.notes: list[str] = []
        self.whole = threading.Event()

    def frames(self) -> Iterator[Frame]:
        for index in range(self.total):
            yield Frame(index, index / self.fps, image=IMAGE)
        self.whole.set()
        if self.error:
            raise self.error

    def close(self) -> None: ...


class Pose:
    """One person who waves; ``before`` is called with each number of a look."""

    name, layout = "fake", "coco17"

    def __init__(self, before: Any = None) -> None:
        self.before, self.looks = before, 0

    def estimate(self, image: Any) -> Any:
        self.looks += 1
        if self.before:
            self.before(self.looks)
        person = np.concatenate((BODY, np.full((17, 1), 0.9)), axis=1)
        person[9:11, 1] += 12 * np.sin(self.looks)
        return person[None].astype(np.float32)


def classifier(answer: Any = None) -> Any:
    """Says the first of two classes in even seconds of windows asked, the second in odd ones."""
    asked = []

    def classify(clips: Any) -> Any:
        asked.append(clips)
        if answer:
            answer(len(asked))
        first = 0.98 if len(asked) // 8 % 2 == 0 else 0.02
        return np.tile([first, 1 - first], (len(clips), 1))

    return SimpleNamespace(contract=SkeletonContract(("wave", "clap"), 30), classify_clips=classify)


class Watch:
    def __init__(self, then: Any = None) -> None:
        self.moments: list[Moment] = []
        self.then = then

    def show(self, moment: Moment) -> None:
        self.moments.append(moment)
        if self.then:
            self.then(moment)


def go(source: Any, pose: Any, **more: Any) -> Summary:
    return run(source, more.pop("classifier", None) or classifier(), pose, LiveSettings(), **more)


def live_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("live_")]


def test_a_file_is_seen_whole_in_order_and_gives_the_same_each_time() -> None:
    runs = []
    for _ in range(2):
        watch, changes = Watch(), []
        summary = go(Images(80), Pose(), views=[watch], change=changes.append)
        assert [moment.index for moment in watch.moments] == list(range(80))
        assert (summary.frames, summary.dropped, summary.undrawn) == (80, 0, 0)
        assert summary.source_s == pytest.approx(7.9) and summary.persons == 1
        assert set(summary.stages_ms) == {"pose", "track", "classify", "show"}
        assert summary.stages_ms["pose"]["count"] == summary.age_ms["count"] == 80
        assert changes == summary.changes and summary.change_count == len(changes)
        runs.append(changes)
    assert runs[0] == runs[1] and {change.label for change in runs[0]} >= {"wave", "clap"}
    assert not live_threads()


def test_of_a_camera_the_newest_is_looked_at_and_the_others_are_counted() -> None:
    source = Images(60, live=True)
    pose = Pose(lambda look: source.whole.wait(20) if look == 1 else None)
    watch = Watch()
    summary = go(source, pose, views=[watch])
    assert [moment.index for moment in watch.moments][-1] == 59
    assert summary.frames == pose.looks <= 3 and summary.frames + summary.dropped == 60
    assert watch.moments[-1].figures.dropped == summary.dropped and summary.realtime


def test_a_slow_view_holds_nobody_up_and_misses_no_change_of_a_label() -> None:
    source = Images(80, live=True)
    looked = threading.Event()
    # capture may not run ahead here, so that every frame is labelled and only showing is slow
    seen = threading.Semaphore(1)
    pose = Pose(lambda look: (seen.release(), looked.set() if look == 80 else None))
    frames = source.frames

    def one_by_one() -> Iterator[Frame]:
        for frame in frames():
            seen.acquire()
            yield frame

    source.frames = one_by_one  # type: ignore[method-assign]
    watch = Watch(lambda moment: looked.wait(20))
    changes: list[LabelChange] = []
    summary = go(source, pose, views=[watch], change=changes.append)
    assert pose.looks + summary.dropped == 80 and summary.undrawn > 50
    assert len(watch.moments) + summary.undrawn == pose.looks
    shown = [one for moment in watch.moments for one in moment.changes]
    assert shown == changes and {change.label for change in changes} >= {"wave", "clap"}


@pytest.mark.parametrize(
    ("stage", "live"),
    # of a camera as fast as this one, too few frames are looked at for a window
    [("source", True), ("pose", True), ("view", True)]
    + [(stage, False) for stage in ("source", "pose", "classify", "view", "change")],
)
def test_a_stage_that_fails_ends_the_run_with_its_own_error(stage: str, live: bool) -> None:
    def fails(this: str) -> Any:
        def fail(*_: Any) -> None:
            raise SourceError(f"{stage} broke")

        return fail if this == stage else None

    source = Images(80, live, SourceError("source broke") if stage == "source" else None)
    with pytest.raises(SourceError, match=f"{stage} broke"):
        go(
            source, Pose(fails("pose")), classifier=classifier(fails("classify")),
            views=[Watch(fails("view"))], change=fails("change"),
        )  # fmt: skip
    assert not live_threads()


def test_a_view_may_end_the_run_and_a_source_that_hangs_is_left_behind() -> None:
    never = threading.Event()

    class Hangs(Images):
        def frames(self) -> Iterator[Frame]:
            yield Frame(0, 0.0, image=IMAGE)
            never.wait(30)

    def enough(moment: Moment) -> None:
        raise EndRun

    summary = go(Hangs(0, live=True), Pose(), views=[Watch(enough)])
    assert summary.frames == 1 and live_threads() == ["live_capture"]
    never.set()


def test_while_a_camera_is_gone_its_last_picture_stays_and_stopping_is_at_once() -> None:
    closed, seen = threading.Event(), threading.Event()

    class Comes(Images):
        def frames(self) -> Iterator[Frame]:
            yield Frame(0, 0.0, image=IMAGE)
            seen.wait(20)
            self.notes.append("gone")
            yield Frame(1, 1.0, waiting=True)
            closed.wait(20)

        def close(self) -> None:
            closed.set()

    def look(moment: Moment) -> None:
        seen.set()
        if moment.waiting:
            raise EndRun

    watch = Watch(look)
    summary = go(Comes(0, live=True), Pose(), views=[watch])
    assert watch.moments[-1].image is IMAGE and watch.moments[-1].figures.notes == ("gone",)
    assert summary.frames == 1 and summary.age_ms["count"] == 1 and not live_threads()


def test_ctrl_c_ends_a_camera_with_a_summary_and_cuts_a_file_short() -> None:
    def interrupt(moment: Moment) -> None:
        raise KeyboardInterrupt

    assert go(Images(5, live=True), Pose(), views=[Watch(interrupt)]).frames >= 1
    with pytest.raises(KeyboardInterrupt):
        go(Images(5), Pose(), views=[Watch(interrupt)])


def test_a_file_in_real_time_takes_as_long_as_it_lasts() -> None:
    summary = go(Images(4), Pose(), realtime=True)
    assert summary.work_s >= 0.3 and summary.realtime and summary.frames + summary.dropped == 4


class People(Images):
    """A source of keypoints: ``crowd`` people side by side, swaying, in frames where ``there`` holds."""

    layout, resolution_wh = "coco17", (4000, 400)

    def __init__(self, total: int, crowd: int, there: Any = None) -> None:
        super().__init__(total)
        self.crowd, self.there = crowd, there

    def frames(self) -> Iterator[Frame]:
        for frame in super().frames():
            people = np.zeros((self.crowd, 17, 3), np.float32)
            people[..., :2] = 3 * BODY + np.arange(self.crowd)[:, None, None] * (180, 0)
            people[:, 9:11, 1] += 12 * np.sin(frame.index)
            people[..., 2] = np.linspace(0.6, 0.9, self.crowd)[:, None]  # the last ones are the clearest
            absent = self.there is not None and not self.there(frame.index)
            yield replace(frame, image=None, people=people[:0] if absent else people)


def test_of_twenty_people_eight_are_followed_and_the_rest_is_said() -> None:
    watch = Watch()
    summary = go(People(60, 20), None, views=[watch])
    assert summary.frames == 60 and summary.persons == 8
    for moment in watch.moments[1:]:
        assert [person.number for person in moment.people] == list(range(1, 9))
        assert moment.figures.notes == ("20 people in view, 8 are followed",)
        assert min(float(person.keypoints[:, 0].min()) for person in moment.people) >= 12 * 180
    assert {person.label for person in watch.moments[-1].people} <= {"wave", "clap"}
    assert summary.notes == ["20 people were in view at once, 8 were followed"]


def test_nobody_from_the_start_is_counted_from_the_first_frame_whatever_its_time() -> None:
    class Late(People):
        def frames(self) -> Iterator[Frame]:
            for frame in super().frames():
                yield replace(frame, time_s=frame.time_s + 1e6)

    watch = Watch()
    go(Late(120, 1, lambda index: False), None, views=[watch])
    assert watch.moments[0].figures.notes == ()
    assert watch.moments[-1].figures.notes == ("nobody in view for 12 s",)


def test_minutes_without_anybody_are_said_and_whoever_comes_then_is_labelled() -> None:
    watch = Watch()
    summary = go(People(1850, 1, lambda index: index < 20 or index >= 1800), None, views=[watch])
    assert watch.moments[50].figures.notes == ()
    assert watch.moments[1799].figures.notes == ("nobody in view for 178 s",)
    assert watch.moments[-1].figures.notes == () and watch.moments[-1].people[0].number == 2
    assert watch.moments[-1].people[0].label in ("wave", "clap") and not summary.notes


def test_joints_in_an_unknown_order_are_refused_before_anything_runs() -> None:
    pose = Pose()
    pose.layout = "stick_figure"
    with pytest.raises(ConfigError, match="stick_figure") as caught:
        go(Images(3), pose)
    assert "\n" not in str(caught.value) and not pose.looks


class Counted(Meter):
    """A meter for which each call of a stage takes what ``costs`` says, in milliseconds."""

    def __init__(self, costs: dict[str, float]) -> None:
        super().__init__()
        self.costs, self.took = costs, dict.fromkeys(costs, 0.0)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        yield
        self.took[stage] = self.took.get(stage, 0.0) + self.costs.get(stage, 0.0)

    def total_ms(self, stage: str) -> float:
        return self.took.get(stage, 0.0)


@pytest.mark.parametrize(
    ("pose_ms", "classify_ms", "apart_s"), [(100, 20, 0.3), (20, 10, 0.5556), (1, 10, 1.0)]
)
def test_beside_pose_answers_take_under_a_tenth_of_its_time_and_come_once_a_second_at_least(
    pose_ms: float, classify_ms: float, apart_s: float
) -> None:
    meter = Counted({"pose": pose_ms, "classify": classify_ms})
    labeller = Labeller(classifier(), LiveSettings(), "coco17", (64, 48), meter, beside_pose=True)
    person, seen = np.zeros((1, 17, 3), np.float32), []
    for index in range(300):  # ten frames a second
        with meter.timed("pose"):
            pass
        person[..., :2], person[..., 2] = BODY + np.sin(index), 0.9
        before = labeller.windows
        labeller.update(person, index / 10)
        if labeller.windows > before:
            seen.append(index / 10)
    # four a second were asked for: that is every third frame here
    assert np.diff(seen[len(seen) // 2 :]) == pytest.approx(apart_s, abs=0.101)
    assert np.diff(seen[len(seen) // 2 :]).mean() == pytest.approx(apart_s, abs=0.03)
    assert labeller.spaced_s == pytest.approx(0 if apart_s < 0.4 else apart_s, abs=0.101)


def test_a_camera_s_figures_say_that_answers_are_held_back() -> None:
    def slow(_: int) -> None:
        time.sleep(0.05)

    watch = Watch()
    go(Images(40), Pose(), views=[watch], classifier=classifier(slow), realtime=True)
    assert "less often than asked" in " ".join(watch.moments[-1].figures.notes)
    watch = Watch()
    go(
        Images(40), Pose(), views=[watch], classifier=classifier(slow)
    )  # a file gives the same answers each time
    assert not watch.moments[-1].figures.notes


def test_pictures_without_a_pose_estimator_are_refused() -> None:
    with pytest.raises(ConfigError, match="--pose"):
        go(Images(3), None)


def test_a_mailbox_ends_after_what_lies_in_it() -> None:
    box: Mailbox[int] = Mailbox(wait=False)
    assert box.put(1) and box.put(2)
    box.finish()
    assert (box.get(), box.get(), box.dropped) == (2, None, 1)
    box = Mailbox(wait=True)
    box.put(1)
    box.stop()
    assert box.get() is None and not box.put(2)


def test_percentiles_of_many_durations_to_a_hundredth() -> None:
    took = np.random.default_rng(1).lognormal(3, 1, 20_000)
    spread = Spread()
    for one in took:
        spread.add(one)
    for percent in (1, 50, 99):
        assert spread.percentile(percent) == pytest.approx(np.percentile(took, percent), rel=0.02)
    assert spread.facts()["mean"] == pytest.approx(took.mean()) and Spread().facts()["p99"] == 0
    spread.add(0.0)
    spread.add(1e12)
