"""From the people of one moment to labels: tracks, windows, the model, decisions. No threads, no pictures."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from maskclr_edge.live.answers import Answer, Answers, Asked, Question
from maskclr_edge.live.decisions import Decider, DecisionSettings
from maskclr_edge.live.figures import LabelChange, Meter
from maskclr_edge.live.geometry import Array
from maskclr_edge.live.tracking import Track, Tracker
from maskclr_edge.live.windows import Window
from maskclr_edge.runtime import Classifier

#: people followed at most
MOST_PEOPLE = 8
#: of the pose estimator's time, what answers may take beside it: a tenth at most, less the one that is
#: allowed just before it is used up; longest time between two, in seconds
SHARE, _LONGEST_WAIT_S = 0.09, 1.0

#: clips (N, M, T, 17, 3) -> how much the model looks at the joints of their first person, (N, 17)
Importance = Callable[[Array], Array]


@dataclass(frozen=True)
class LiveSettings:
    """window_s: seconds that an answer looks back. hz: answers a second. most: people followed. two_person:
    classes that two people do together, or ``all``, where the model's contract does not say.
    """

    window_s: float = 2.5
    hz: float = 4.0
    most: int = MOST_PEOPLE
    decisions: DecisionSettings = field(default_factory=DecisionSettings)
    two_person: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Labelled:
    """One person at one moment: number, skeleton (V, 3), where its feet went, its label and how sure that is,
    the likeliest classes, and how much the model looks at each joint (17, H36M order) where that was asked.
    """

    number: int
    keypoints: Array
    trail: tuple[tuple[float, float], ...]
    label: str
    probability: float
    top: tuple[tuple[str, float], ...]
    importance: Array | None = None


@dataclass(eq=False)
class _Person:
    window: Window
    decider: Decider
    asked_s: float = float("-inf")
    importance: Array | None = None


def threads_beside_pose() -> int:
    """Threads for the model beside a pose estimator: half of the cores, so that neither waits for both."""
    return max((os.cpu_count() or 2) // 2, 1)


class Labeller:
    """Follows and labels everyone in frames that come one after another.

    layout names the joint order of the people, resolution_wh the size in pixels of the image they are in.
    Without a classifier people are followed only, and stay ``unknown``. beside_pose: beside a pose estimator
    that has to keep up with a camera, answers come as often as is asked for, but no oftener than keeps them
    to SHARE of the time that the meter's stage "pose" takes, once a second at least. ``spaced_s`` is then how
    far apart they come, and 0 where they come as asked for.

    ask: hands a question to a thread that calls ``answer`` with it. Then ``update`` waits for no answer: it
    goes into the labels of the first moment after it came. Without it ``update`` asks the model itself.
    """

    def __init__(
        self,
        classifier: Classifier | None,
        settings: LiveSettings,
        layout: str,
        resolution_wh: tuple[int, int],
        meter: Meter | None = None,
        importance: Importance | None = None,
        beside_pose: bool = False,
        ask: Callable[[Question], object] | None = None,
    ) -> None:
        self.settings = settings
        self.spaced_s = 0.0
        self.beside_pose, self._held_back = beside_pose, False
        self.meter, self.importance = meter or Meter(), importance
        self.answers: Answers | None = None
        if classifier is not None:
            self.answers = Answers(classifier, layout, resolution_wh, settings.two_person)
        self.tracker = Tracker(settings.most)
        self.persons = self.windows = 0
        self._people: dict[int, _Person] = {}
        self._ask = ask or self.answer
        self._open: Question | None = None

    def update(self, people: Array, time_s: float) -> tuple[list[Labelled], list[LabelChange]]:
        """Take the people (P, V, 3) of a moment; gives those who are followed, and labels that changed."""
        with self.meter.timed("track"):
            tracks = self._follow(people, time_s)
        changes = self._answered()
        if (question := self._due(tracks, time_s)) is not None:
            self._open = question
            self._ask(question)
            changes += self._answered()
        return [self._labelled(track) for track in tracks], changes

    def answer(self, question: Question) -> None:
        """Ask the model, from any thread."""
        assert self.answers is not None
        with self.meter.timed("classify"):
            probabilities = self.answers.of(question.people, question.pairs)
            motion = [one.window.motion() for one in question.people]
        importance = None
        if self.importance is not None:
            with self.meter.timed("importance"):
                importance = self.importance(self.answers.clips_of(question.people, question.pairs))
        question.answer = Answer(probabilities, motion, importance)

    def _follow(self, people: Array, time_s: float) -> list[Track]:
        """Tracks seen now, each with this moment in its window."""
        tracks = self.tracker.update(people, time_s)
        for track in tracks:
            person = self._people.setdefault(track.number, self._person())
            person.window.add(time_s, track.keypoints)
        alive = [track.number for track in self.tracker.tracks]
        self._people = {number: self._people[number] for number in alive if number in self._people}
        self.persons = max(self.persons, *(track.number for track in tracks), 0)
        return tracks

    def _due(self, tracks: list[Track], time_s: float) -> Question | None:
        """A question about everybody whose window is ready, when it is time for one."""
        if self.answers is None:
            return None
        ready = [track for track in tracks if self._people[track.number].window.ready]
        people = [self._people[track.number] for track in ready]
        # as soon as anyone is due everybody is asked about: a batch costs less, and pairs need both
        waited_s = max((time_s - person.asked_s for person in people), default=0.0)
        if waited_s < 1 / self.settings.hz - 1e-6:
            return None
        if self._open is not None or (self.beside_pose and waited_s < _LONGEST_WAIT_S and self._over_share()):
            self._held_back = True
            return None
        self.spaced_s, self._held_back = (waited_s if self._held_back else 0.0), False
        for person in people:
            person.asked_s = time_s
        asked = [Asked(replace(track), self._people[track.number].window.copy()) for track in ready]
        return Question(time_s, asked, self.answers.pairs(asked))

    def _answered(self) -> list[LabelChange]:
        """Labels that the answer to the open question changes, once it is there."""
        question = self._open
        if question is None or (answer := question.answer) is None:
            return []
        self._open, changes = None, list[LabelChange]()
        self.windows += len(question.people)
        for place, one in enumerate(question.people):
            person = self._people.get(one.track.number)
            if person is None:  # gone meanwhile
                continue
            if answer.importance is not None:
                person.importance = answer.importance[place]
            decider, now = person.decider, question.time_s
            if decider.update(answer.probabilities[place], one.window.fullness, answer.motion[place], now):
                changes.append(
                    LabelChange(round(now, 3), one.track.number, decider.label,
                                round(decider.probability, 4), decider.top())
                )  # fmt: skip
        return changes

    def _over_share(self) -> bool:
        return self.meter.total_ms("classify") > SHARE * self.meter.total_ms("pose")

    def _labelled(self, track: Track) -> Labelled:
        person = self._people[track.number]
        decider = person.decider
        trail, top = tuple(track.trail), tuple(decider.top())
        sure = decider.probability
        return Labelled(track.number, track.keypoints, trail, decider.label, sure, top, person.importance)

    def _person(self) -> _Person:
        names = self.answers.class_names if self.answers is not None else ()
        return _Person(Window(self.settings.window_s), Decider(names, self.settings.decisions))
