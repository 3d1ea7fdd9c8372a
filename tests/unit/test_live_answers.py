"""When the model is asked, and that nothing waits for its answers."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from live_fakes import BODY, Images, Pose, Watch, classifier, go, in_step

from maskclr_edge.errors import EngineError
from maskclr_edge.live.figures import Meter
from maskclr_edge.live.frame import Frame
from maskclr_edge.live.labeller import Labeller, LiveSettings
from maskclr_edge.live.view import EndRun, Moment


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


class Pauses(Images):
    """A camera of 70 pictures that waits for ``answered`` before the last ten."""

    def __init__(self) -> None:
        super().__init__(70, live=True)
        self.answered = threading.Event()

    def frames(self) -> Iterator[Frame]:
        for frame in super().frames():
            if frame.index == 60:
                assert self.answered.wait(20)
                time.sleep(0.1)  # the answer is given; it is not yet taken down
            yield frame


def test_frames_of_a_camera_do_not_wait_for_the_answer_that_a_later_one_shows() -> None:
    source, shown = Pauses(), threading.Event()

    def answer(number: int) -> None:
        assert shown.wait(20)
        source.answered.set()

    def look(moment: Moment) -> None:
        if moment.index >= 50:
            shown.set()

    watch, pose = Watch(look), Pose()
    in_step(source, pose)
    go(source, pose, views=[watch], classifier=classifier(answer))
    before = [moment for moment in watch.moments if moment.index < 50]
    assert before[-1].index > 8 and {one.label for one in before[-1].people} == {"unknown"}
    assert watch.moments[-1].people[0].label == "wave"
    (change,) = (change for moment in watch.moments for change in moment.changes)
    assert change.time_s == pytest.approx(0.8)  # of the frame that was asked about: the first with a window
    assert "less often than asked" in " ".join(watch.moments[-1].figures.notes)


def test_a_model_that_fails_beside_a_camera_ends_the_run_with_its_own_error() -> None:
    def fail(number: int) -> None:
        raise EngineError("the model broke")

    source, pose = Images(1000, live=True), Pose(lambda number: time.sleep(0.005))
    in_step(source, pose)
    with pytest.raises(EngineError, match="the model broke"):
        go(source, pose, classifier=classifier(fail))
    assert pose.looks < 1000


def test_a_run_ends_at_once_though_the_model_is_at_work() -> None:
    asked, never = threading.Event(), threading.Event()

    def answer(number: int) -> None:
        asked.set()
        never.wait(20)

    def look(moment: Moment) -> None:
        if asked.is_set():
            raise EndRun

    source, pose = Images(1000, live=True), Pose(lambda number: time.sleep(0.005))
    in_step(source, pose)
    go(source, pose, views=[Watch(look)], classifier=classifier(answer))
    (left,) = (thread for thread in threading.enumerate() if thread.name.startswith("live_"))
    assert left.name == "live_answer"
    never.set()
    left.join(20)
