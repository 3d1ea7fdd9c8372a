"""From probabilities that flicker to one label that holds: smoothing, hysteresis, a minimum hold.

Besides the model's classes there are two answers: ``unknown`` when no class is clear, and ``idle`` when the
person hardly moves.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UNKNOWN, IDLE = "unknown", "idle"


@dataclass(frozen=True)
class DecisionSettings:
    """Thresholds of one person's label.

    smoothing_s: time constant of the moving average over probabilities. enter: probability at which a class
    becomes the label where there was none; change: at which it takes the place of another class, which is
    more, so that labels come soon and do not flicker. leave: below it a label goes. follow: at which a class
    follows the one that goes at that moment, which is less, since that one was wrong or is over; else nothing
    is clear. margin: lead over the second class that a new label takes. hold_s: how long a label stays at
    least. partial: an answer for a part of a window counts by this power of the part. idle_motion: below this
    much motion, in body sizes, the label is ``idle``.

    The defaults were chosen on the last quarter of each class of Penn Action's train split, clips of about
    two seconds joined at 30 fps, with two models that were trained on the rest: the fewest changes of a label
    within an action for which half of the actions are named within 1.3 s.
    """

    smoothing_s: float = 0.15
    enter: float = 0.7
    change: float = 0.85
    leave: float = 0.07
    follow: float = 0.6
    margin: float = 0.2
    hold_s: float = 1.0
    partial: float = 0.2
    idle_motion: float = 0.006


class Decider:
    """The label of one person over time."""

    def __init__(self, class_names: tuple[str, ...], settings: DecisionSettings | None = None) -> None:
        self.names, self.settings = class_names, settings or DecisionSettings()
        self.label, self.since_s = UNKNOWN, float("-inf")
        self.average: npt.NDArray[np.float64] | None = None
        self._time_s = 0.0

    @property
    def probability(self) -> float:
        """Smoothed probability of the label, or of the likeliest class when the label is none of them."""
        if self.average is None:
            return 0.0
        known = self.label in self.names
        return float(self.average[self.names.index(self.label)] if known else self.average.max())

    def top(self, count: int = 3) -> list[tuple[str, float]]:
        """The likeliest classes with their smoothed probabilities."""
        if self.average is None:
            return []
        order = np.argsort(-self.average, kind="stable")[:count]
        return [(self.names[index], float(self.average[index])) for index in order]

    def update(
        self, probabilities: npt.NDArray[np.float64], fullness: float, motion: float, time_s: float
    ) -> bool:
        """Take the answer (K,) for a window; true when the label changes.

        fullness: share of the window that is filled; an answer for a part counts as so much less sure.
        """
        trust = fullness**self.settings.partial
        tempered = trust * probabilities + (1 - trust) / len(probabilities)
        if self.average is None:
            self.average = tempered
        else:
            keep = float(np.exp(-(time_s - self._time_s) / self.settings.smoothing_s))
            self.average = keep * self.average + (1 - keep) * tempered
        self._time_s = time_s
        wanted = self._wanted(motion)
        held = self.label in self.names and time_s - self.since_s < self.settings.hold_s
        if wanted == self.label or held:
            return False
        self.label, self.since_s = wanted, time_s
        return True

    def _wanted(self, motion: float) -> str:
        assert self.average is not None
        settings = self.settings
        if motion < settings.idle_motion:
            return IDLE
        first, second = np.argsort(-self.average, kind="stable")[:2] if len(self.names) > 1 else (0, 0)
        best = float(self.average[first])
        lead = best - float(self.average[second]) if first != second else best
        name = self.names[first]
        known = self.label in self.names
        stays = known and self.average[self.names.index(self.label)] >= settings.leave
        if stays and (name == self.label or best < settings.change or lead < settings.margin):
            return self.label
        enough = settings.follow if known else settings.enter
        return name if best >= enough and lead >= settings.margin else UNKNOWN
