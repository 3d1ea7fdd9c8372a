"""Who is who from frame to frame: skeletons are joined to the tracks that they are most like.

Likeness is half object keypoint similarity, half overlap of the boxes: similarity alone loses people at few
frames a second, overlap alone mixes up those who cross.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from maskclr_edge.live.geometry import Array, box_of, confidence_of, likeness, overlap

#: below this likeness a skeleton starts a track of its own
_LEAST = 0.15
#: a skeleton of less mean confidence starts no track
_CLEAR = 0.2


@dataclass(eq=False)
class Track:
    """One person: a number that stays, the last skeleton (V, 3) and when it was seen, in seconds."""

    number: int
    keypoints: Array
    time_s: float
    began_s: float
    trail: list[tuple[float, float]] = field(default_factory=list)


class Tracker:
    """Holds at most ``most`` tracks; one that is not seen for ``patience_s`` ends."""

    def __init__(self, most: int = 8, patience_s: float = 1.0) -> None:
        self.most, self.patience_s = most, patience_s
        self.tracks: list[Track] = []
        self._next = 1

    def update(self, people: Array, time_s: float) -> list[Track]:
        """Join people (P, V, 3) to tracks; gives the tracks that were seen now, by number."""
        self.tracks = [track for track in self.tracks if time_s - track.time_s <= self.patience_s]
        scores = np.array(
            [[_alike(track.keypoints, person) for person in people] for track in self.tracks], dtype=float
        ).reshape(len(self.tracks), len(people))
        seen: list[Track] = []
        free = set(range(len(people)))
        for row, column in _greedy(scores):
            track = self.tracks[row]
            track.keypoints, track.time_s = people[column], time_s
            free.discard(column)
            seen.append(track)
        for column in sorted(free, key=lambda index: -confidence_of(people[index])):
            if len(self.tracks) < self.most and confidence_of(people[column]) >= _CLEAR:
                track = Track(self._next, people[column], time_s, time_s)
                self._next += 1
                self.tracks.append(track)
                seen.append(track)
        for track in seen:
            x0, _, x1, y1 = box_of(track.keypoints)
            track.trail = [*track.trail[-29:], (float(x0 + x1) / 2, float(y1))]
        return sorted(seen, key=lambda track: track.number)


def _alike(a: Array, b: Array) -> float:
    return 0.5 * likeness(a, b) + 0.5 * overlap(box_of(a), box_of(b))


def _greedy(scores: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs (row, column), the best first, no row or column twice, none below the least likeness."""
    pairs, scores = [], scores.copy()
    while scores.size and scores.max() >= _LEAST:
        row, column = (int(index) for index in np.unravel_index(int(scores.argmax()), scores.shape))
        pairs.append((row, column))
        scores[row, :], scores[:, column] = -1, -1
    return pairs
