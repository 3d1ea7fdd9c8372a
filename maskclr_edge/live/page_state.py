"""What the page is told: figures, people, and who did what over the last minute. Plain values for JSON."""

import threading
from collections import deque
from typing import Any

from maskclr_edge.live.overlay import colour_of
from maskclr_edge.live.view import Moment

#: how far a timeline looks back, in seconds of the source
SPAN_S = 60.0
#: stretches of a timeline; labels hold for most of a second, so that a minute has fewer
_MOST = 120
#: someone who was not seen for so long, in seconds, leaves the page
_GONE_S = 10.0
#: someone who is seen again within so long, in seconds, went on meanwhile
_GAP_S = 3.0
_CHANGES = 40


class PageState:
    """A view that remembers; ``snapshot`` may be asked from any thread."""

    def __init__(self, name: str, classes: tuple[str, ...]) -> None:
        self._facts: dict[str, Any] = {"source": name, "classes": list(classes), "ended": False}
        self._lines: dict[int, deque[list[Any]]] = {}
        self._people: dict[int, dict[str, Any]] = {}
        self._changes: deque[dict[str, Any]] = deque(maxlen=_CHANGES)
        self._lock = threading.Lock()

    def show(self, moment: Moment) -> None:
        """Take one moment."""
        figures, now = moment.figures, moment.time_s
        with self._lock:
            for person in moment.people:
                self._extend(person.number, person.label, now)
                self._people[person.number] = {
                    "number": person.number,
                    "colour": "#" + "".join(f"{value:02x}" for value in reversed(colour_of(person.number))),
                    "label": person.label,
                    "probability": round(person.probability, 3),
                    "top": [[name, round(value, 3)] for name, value in person.top],
                }
            for change in moment.changes:
                self._changes.append({"time_s": change.time_s, "person": change.person, "label": change.label,
                                      "probability": change.probability})  # fmt: skip
            for number in [n for n, line in self._lines.items() if now - line[-1][1] > _GONE_S]:
                del self._lines[number], self._people[number]
            self._facts |= {
                "time_s": round(now, 2), "fps": round(figures.fps, 1), "age_ms": round(figures.age_ms),
                "dropped": figures.dropped, "notes": list(figures.notes), "waiting": moment.waiting,
                "stages_ms": {stage: round(took, 2) for stage, took in figures.stages_ms.items()},
                "seen": sorted(person.number for person in moment.people),
            }  # fmt: skip

    def end(self) -> None:
        """The run is over."""
        with self._lock:
            self._facts["ended"] = True

    def snapshot(self) -> dict[str, Any]:
        """All of it, for JSON."""
        with self._lock:
            people = [
                self._people[number] | {"line": [list(part) for part in self._lines[number]]}
                for number in sorted(self._people)
            ]
            return self._facts | {"people": people, "changes": list(self._changes), "span_s": SPAN_S}

    def _extend(self, number: int, label: str, now: float) -> None:
        """Let the person's last stretch ``[start, end, label]`` last until now, or begin another one."""
        line = self._lines.setdefault(number, deque(maxlen=_MOST))
        now = round(now, 2)
        if line and line[-1][2] == label and now - line[-1][1] < _GAP_S:
            line[-1][1] = now
        else:
            line.append([now, now, label])
        while line[0][1] < now - SPAN_S:
            line.popleft()
