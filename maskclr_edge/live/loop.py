"""One source from its first frame to its last: pose, tracks, windows, labels, picture. Nothing is skipped."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from maskclr_edge.errors import ConfigError
from maskclr_edge.live.decisions import Decider, DecisionSettings
from maskclr_edge.live.geometry import Array
from maskclr_edge.live.overlay import Overlay, Shown
from maskclr_edge.live.pose import PoseEstimator
from maskclr_edge.live.recorder import Recorder
from maskclr_edge.live.sources import Source
from maskclr_edge.live.tracking import Track, Tracker
from maskclr_edge.live.windows import Window
from maskclr_edge.runtime import Classifier
from maskclr_edge.skeleton import preprocess


@dataclass(frozen=True)
class LiveSettings:
    """window_s: seconds that an answer looks back. hz: answers a second. most: people followed."""

    window_s: float = 2.5
    hz: float = 4.0
    most: int = 8
    decisions: DecisionSettings = field(default_factory=DecisionSettings)


@dataclass(frozen=True)
class LabelChange:
    """A person's label became another: when in seconds, who, what, how sure, and the likeliest classes."""

    time_s: float
    person: int
    label: str
    probability: float
    top: list[tuple[str, float]]


@dataclass
class Summary:
    """What a run saw: frames, seconds of source and of work, people, changes, milliseconds per stage."""

    frames: int = 0
    source_s: float = 0.0
    work_s: float = 0.0
    persons: int = 0
    windows: int = 0
    changes: list[LabelChange] = field(default_factory=list)
    stages_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(eq=False)
class _Person:
    window: Window
    decider: Decider
    asked_s: float = float("-inf")


def run(
    source: Source,
    classifier: Classifier,
    pose: PoseEstimator | None,
    settings: LiveSettings,
    *,
    change: Callable[[LabelChange], None] | None = None,
    overlay: Overlay | None = None,
    recorder: Recorder | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Summary:
    """Label everyone in a source; ``change`` is called at each change of a label.

    pose finds the people where frames are images. recorder, with overlay, takes every picture.
    Raises ConfigError where a source of images has no pose estimator; SourceError and errors of the model.
    """
    layout = source.layout or (pose.layout if pose is not None else None)
    if layout is None:
        raise ConfigError(f"{source.name} has images and no keypoints; choose a pose estimator with --pose")
    session = _Session(source, classifier, settings, layout)
    began = time.perf_counter()
    for frame in source.frames():
        people = frame.people
        if people is None:
            assert pose is not None and frame.image is not None
            with session.timed("pose"):
                people = pose.estimate(frame.image)
        with session.timed("track"):
            tracks = session.tracker.update(people, frame.time_s)
        with session.timed("classify"):
            changes = session.label(tracks, frame.time_s)
        if recorder is not None and overlay is not None:
            with session.timed("draw"):
                recorder.write(
                    overlay.draw(frame.image, session.shown(tracks), session.figures(frame.time_s))
                )
        for one in changes:
            session.summary.changes.append(one)
            if change is not None:
                change(one)
        session.summary.frames += 1
        session.summary.source_s = frame.time_s
        if progress is not None:
            progress(frame.index + 1, source.total, "frames")
    session.summary.work_s = time.perf_counter() - began
    return session.finish(source)


class _Session:
    """The state of one run."""

    def __init__(self, source: Source, classifier: Classifier, settings: LiveSettings, layout: str) -> None:
        self.source, self.classifier, self.settings, self.layout = source, classifier, settings, layout
        self.tracker = Tracker(settings.most)
        self.people: dict[int, _Person] = {}
        self.summary = Summary()
        self.took: dict[str, list[float]] = {}

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.took.setdefault(stage, []).append(1000 * (time.perf_counter() - began))

    def label(self, tracks: list[Track], time_s: float) -> list[LabelChange]:
        """Windows that are due, of all tracks in one call of the model; gives the labels that changed."""
        due: list[tuple[Track, _Person]] = []
        for track in tracks:
            person = self.people.setdefault(track.number, self._person())
            person.window.add(time_s, track.keypoints)
            if person.window.ready and time_s - person.asked_s >= 1 / self.settings.hz - 1e-6:
                person.asked_s = time_s
                due.append((track, person))
        self.people = {
            t.number: self.people[t.number] for t in self.tracker.tracks if t.number in self.people
        }
        self.summary.persons = max(self.summary.persons, *(track.number for track in tracks), 0)
        if not due:
            return []
        clips = np.stack([self._clip(person.window) for _, person in due])
        answers = self.classifier.classify_clips(clips)
        self.summary.windows += len(due)
        changes = []
        for (track, person), probabilities in zip(due, answers, strict=True):
            window, decider = person.window, person.decider
            if decider.update(probabilities, window.fullness, window.motion(), time_s):
                sure = round(decider.probability, 4)
                changes.append(
                    LabelChange(round(time_s, 3), track.number, decider.label, sure, decider.top())
                )
        return changes

    def shown(self, tracks: list[Track]) -> list[Shown]:
        """What the overlay draws of the people seen now."""
        result = []
        for track in tracks:
            decider = self.people[track.number].decider
            result.append(Shown(track.number, track.keypoints, track.trail, decider.label, decider.top()))
        return result

    def figures(self, time_s: float) -> str:
        """The line at the foot of the picture."""
        stages = "  ".join(f"{stage} {np.mean(took[-30:]):.0f} ms" for stage, took in self.took.items())
        return f"{time_s:6.1f} s   {len(self.tracker.tracks)} people   {stages}"

    def finish(self, source: Source) -> Summary:
        """The summary, with the milliseconds per stage and what the source has to say."""
        self.summary.stages_ms = {
            stage: {"p50": float(np.percentile(took, 50)), "p99": float(np.percentile(took, 99))}
            for stage, took in self.took.items()
        }
        self.summary.notes = list(source.notes)
        if not self.summary.persons:
            self.summary.notes.append(
                "nobody was found; people must be a quarter of the picture's height or more"
            )
        return self.summary

    def _person(self) -> _Person:
        names = self.classifier.contract.class_names
        return _Person(Window(self.settings.window_s), Decider(names, self.settings.decisions))

    def _clip(self, window: Window) -> Array:
        contract: Any = self.classifier.contract
        keypoints = window.sample(contract.frames)
        return preprocess(keypoints, contract, layout=self.layout, resolution_wh=self.source.resolution_wh)
