"""The figures of a run: how fast, how old, how many dropped, and what each stage takes. Memory stays flat."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

#: bins of a Spread: each 1 % wider than the one before, from 1 microsecond to about half an hour, in ms
_LEAST_MS, _WIDER, _BINS = 1e-3, 1.01, 2130
#: what is shown while it runs is of the last seconds, or frames
_RECENT_S, _RECENT = 2.0, 30
#: changes that a summary keeps
MOST_CHANGES = 10_000


@dataclass(frozen=True)
class LabelChange:
    """A person's label became another: when in seconds, who, what, how sure, and the likeliest classes."""

    time_s: float
    person: int
    label: str
    probability: float
    top: list[tuple[str, float]]


@dataclass(frozen=True)
class Figures:
    """What is known as one frame is shown.

    time_s: of the source. fps: frames shown a second of late. age_ms: from the moment that the frame was
    taken, until it is shown. dropped: frames of the source that were never looked at. notes: what the source
    has to say, such as that it reconnects.
    """

    time_s: float
    fps: float
    age_ms: float
    dropped: int
    people: int
    stages_ms: dict[str, float]
    notes: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """All of it in one line."""
        stages = "  ".join(f"{stage} {took:.0f} ms" for stage, took in self.stages_ms.items())
        facts = f"{self.time_s:6.1f} s   {self.fps:4.1f} fps   age {self.age_ms:.0f} ms"
        people = "1 person" if self.people == 1 else f"{self.people} people"
        return "   ".join([facts, f"{self.dropped} dropped", people, stages, *self.notes])


@dataclass
class Summary:
    """What a run saw.

    frames: looked at. dropped: taken by the source and never looked at. undrawn: looked at, not shown since a
    newer one was there. source_s, work_s: seconds of the source, and that it took. persons: how many were
    followed. changes: of labels; the first MOST_CHANGES of change_count. age_ms: from a frame's being taken
    to its being shown, and stages_ms the time of each stage, with p50, p99, mean and count.
    """

    frames: int = 0
    dropped: int = 0
    undrawn: int = 0
    source_s: float = 0.0
    work_s: float = 0.0
    fps: float = 0.0
    realtime: bool = False
    persons: int = 0
    windows: int = 0
    change_count: int = 0
    changes: list[LabelChange] = field(default_factory=list)
    age_ms: dict[str, float] = field(default_factory=dict)
    stages_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Spread:
    """Percentiles of any number of durations in bounded memory, to 1 %."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)
        self._sum = 0.0

    def add(self, took_ms: float) -> None:
        """Count one duration in milliseconds."""
        place = np.log(max(took_ms, _LEAST_MS) / _LEAST_MS) / np.log(_WIDER)
        self._counts[min(int(place), _BINS - 1)] += 1
        self._sum += took_ms

    def percentile(self, percent: float) -> float:
        """The duration that ``percent`` of them do not exceed, in milliseconds; 0 for none."""
        total = self._counts.sum()
        if not total:
            return 0.0
        place = int(np.searchsorted(np.cumsum(self._counts), percent / 100 * total))
        return float(_LEAST_MS * _WIDER ** (place + 0.5))

    def facts(self) -> dict[str, float]:
        """p50, p99 and mean in milliseconds, and how many there were."""
        count = int(self._counts.sum())
        return {
            "p50": self.percentile(50),
            "p99": self.percentile(99),
            "mean": self._sum / count if count else 0.0,
            "count": count,
        }


class Meter:
    """Takes the time of stages and frames, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stages: dict[str, Spread] = {}
        self._total_ms: dict[str, float] = {}
        self._late: dict[str, deque[float]] = {}
        self._ages = Spread()
        self._shown: deque[float] = deque(maxlen=600)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the time of the block as one of ``stage``."""
        began = time.perf_counter()
        yield
        took = 1000 * (time.perf_counter() - began)
        with self._lock:
            self._stages.setdefault(stage, Spread()).add(took)
            self._total_ms[stage] = self._total_ms.get(stage, 0.0) + took
            self._late.setdefault(stage, deque(maxlen=_RECENT)).append(took)

    def shown(self, age_ms: float) -> None:
        """One frame was shown, this old."""
        with self._lock:
            self._ages.add(age_ms)
            self._shown.append(time.perf_counter())

    @property
    def fps(self) -> float:
        """Frames shown a second of late."""
        with self._lock:
            now = time.perf_counter()
            late = [moment for moment in self._shown if now - moment <= _RECENT_S]
        return (len(late) - 1) / (late[-1] - late[0]) if len(late) > 1 else 0.0

    def recent_ms(self) -> dict[str, float]:
        """Mean milliseconds of each stage over the last frames."""
        with self._lock:
            return {stage: float(np.mean(took)) for stage, took in self._late.items()}

    def total_ms(self, stage: str) -> float:
        """Milliseconds that a stage has taken so far."""
        with self._lock:
            return self._total_ms.get(stage, 0.0)

    def fill(self, summary: Summary) -> None:
        """Write the ages and the stages into a summary."""
        with self._lock:
            summary.age_ms = self._ages.facts()
            summary.stages_ms = {stage: spread.facts() for stage, spread in self._stages.items()}
