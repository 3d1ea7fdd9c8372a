"""The threads of a run: nothing lags, nothing is lost unseen, what fails says so, and all of it stops."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from live_fakes import IMAGE, Images, Pose, Watch, classifier, go, in_step

from maskclr_edge.errors import ConfigError, SourceError
from maskclr_edge.live.figures import LabelChange
from maskclr_edge.live.frame import Frame
from maskclr_edge.live.view import EndRun, Moment


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
    source, looked = Images(80, live=True), threading.Event()

    def look(number: int) -> None:
        time.sleep(0.005)  # the model, in a thread of its own, has to keep up with a camera this fast
        if number == 80:
            looked.set()

    pose = Pose(look)
    in_step(source, pose)
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


def test_ctrl_c_ends_a_run_in_real_time_with_a_summary_and_cuts_a_file_short() -> None:
    def interrupt(moment: Moment) -> None:
        raise KeyboardInterrupt

    assert go(Images(5, live=True), Pose(), views=[Watch(interrupt)]).frames >= 1
    assert go(Images(5), Pose(), views=[Watch(interrupt)], realtime=True).frames >= 1
    with pytest.raises(KeyboardInterrupt):
        go(Images(5), Pose(), views=[Watch(interrupt)])


def test_a_file_in_real_time_takes_as_long_as_it_lasts() -> None:
    summary = go(Images(4), Pose(), realtime=True)
    assert summary.work_s >= 0.3 and summary.realtime and summary.frames + summary.dropped == 4


def test_joints_in_an_unknown_order_are_refused_before_anything_runs() -> None:
    pose = Pose()
    pose.layout = "stick_figure"
    with pytest.raises(ConfigError, match="stick_figure") as caught:
        go(Images(3), pose)
    assert "\n" not in str(caught.value) and not pose.looks


def test_pictures_without_a_pose_estimator_are_refused() -> None:
    with pytest.raises(ConfigError, match="--pose"):
        go(Images(3), None)
