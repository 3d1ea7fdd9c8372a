"""From a stream of probabilities to a label that does not flicker."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.errors import ConfigError

Array = npt.NDArray[Any]

UNKNOWN = "unknown"
IDLE = "idle"


@dataclass(frozen=True)
class DecisionSettings:
    """When a label comes and goes.

    ``smoothing_s`` is the time constant of the probabilities' running mean. A class is taken up at
    ``enter`` and ``margin`` ahead of the next, and given up below ``leave``, not before ``hold_s`` seconds.
    Someone who strays less than ``idle`` of their size within a second is idle; 0 turns that off.
    """

    smoothing_s: float = 0.6
    enter: float = 0.5
    leave: float = 0.35
    margin: float = 0.1
    hold_s: float = 0.8
    idle: float = 0.015

    def __post_init__(self) -> None:
        """Raise ConfigError for values that contradict each other."""
        if not 0 < self.leave <= self.enter <= 1:
            raise ConfigError(f"leave {self.leave:g} and enter {self.enter:g}: 0 < leave <= enter <= 1 is needed")
        if min(self.smoothing_s, self.margin, self.hold_s, self.idle) < 0:
            raise ConfigError("smoothing, margin, hold and idle are 0 or more")


@dataclass(frozen=True)
class Decision:
    """The label now, its smoothed probability, whether it is new, and the likeliest classes with theirs."""

    label: str
    probability: float
    changed: bool
    top: tuple[tuple[str, float], ...]


class Decider:
    """Decides for one person. Not thread-safe."""

    def __init__(self, class_names: tuple[str, ...], settings: DecisionSettings | None = None) -> None:
        self.class_names = class_names
        self.settings = settings or DecisionSettings()
        self._smooth: Array | None = None
        self._time = 0.0
        self._label: str | None = None
        self._since = 0.0

    def update(
        self, time_s: float, probabilities: Array, *, trust: float = 1.0, motion: float | None = None
    ) -> Decision:
        """Take in probabilities (K,) at ``time_s``.

        ``trust`` below 1 draws them towards saying nothing, for a window that is not full yet; ``motion`` is
        how much the person moved, in their sizes (None: not known, so not idle).
        """
        settings = self.settings
        values = trust * np.asarray(probabilities, np.float64) + (1 - trust) / len(self.class_names)
        if self._smooth is None:
            self._smooth = values
        else:
            step = max(time_s - self._time, 0.0)
            weight = 1 - math.exp(-step / settings.smoothing_s) if settings.smoothing_s > 0 else 1.0
            self._smooth = self._smooth + weight * (values - self._smooth)
        self._time = time_s
        label = self._next(time_s, motion)
        changed = label != self._label
        if changed:
            self._label, self._since = label, time_s
        order = np.argsort(-self._smooth, kind="stable")[:3]
        top = tuple((self.class_names[index], float(self._smooth[index])) for index in order)
        return Decision(label, self._probability(label), changed, top)

    def _next(self, time_s: float, motion: float | None) -> str:
        settings, smooth = self.settings, self._smooth
        assert smooth is not None
        best = int(np.argmax(smooth))
        runner_up = float(np.delete(smooth, best).max()) if len(smooth) > 1 else 0.0
        clear = smooth[best] >= settings.enter and smooth[best] - runner_up >= settings.margin
        wanted = self.class_names[best] if clear else UNKNOWN
        if motion is not None and settings.idle > 0:
            # Once idle, it takes more than the threshold to count as moving again.
            if motion < settings.idle * (1.5 if self._label == IDLE else 1.0):
                wanted = IDLE
        now = self._label
        if now is None or now == UNKNOWN:
            return wanted
        if time_s - self._since < settings.hold_s:
            return now
        if now != IDLE and wanted == UNKNOWN and smooth[self.class_names.index(now)] >= settings.leave:
            return now
        return wanted

    def _probability(self, label: str) -> float:
        assert self._smooth is not None
        if label in self.class_names:
            return float(self._smooth[self.class_names.index(label)])
        return float(self._smooth.max()) if label == UNKNOWN else 1.0
