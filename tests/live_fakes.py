"""Stand-ins for what a live run is made of: a source of pictures, a pose estimator, a model, a view."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from maskclr_edge.live.figures import Summary
from maskclr_edge.live.frame import Frame
from maskclr_edge.live.labeller import LiveSettings
from maskclr_edge.live.pipeline import run
from maskclr_edge.live.view import Moment
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


def in_step(source: Images, pose: Pose) -> None:
    """Let each frame of a camera wait until the one before was looked at: capture may not run ahead."""
    looked, frames, before = threading.Semaphore(1), source.frames, pose.before

    def one_by_one() -> Iterator[Frame]:
        for frame in frames():
            assert looked.acquire(timeout=20)
            yield frame

    def look(number: int) -> None:
        looked.release()
        if before:
            before(number)

    source.frames, source.close = one_by_one, looked.release  # type: ignore[method-assign]
    pose.before = look


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
