"""Who is who from frame to frame: skeletons are joined to the tracks that they are most like.

Likeness is half object keypoint similarity, half overlap of the boxes: similarity alone loses people at few
frames a second, overlap alone mixes up those who cross.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from maskclr_edge.live.geometry import Array, box_of, confidence_of, likeness, moved, overlap

#: below this likeness a skeleton starts a track of its own; more is asked of a track that was away
_LEAST, _LEAST_BACK = 0.1, 0.2
#: room around a box when overlap is measured, in sizes of the person: people who stand have narrow boxes
_ROOM = 0.1
#: a skeleton of less mean confidence starts no track
_CLEAR = 0.2
#: overlap with someone new at which the place of someone who is not seen is taken
_TAKEN = 0.2
#: how far most of a body gets, in its sizes: by an estimator's slip, and a second. What jumped further is
#: someone else, as after a cut in a film
_SLIP, _FASTEST = 0.06, 2.5


@dataclass(eq=False)
class Track:
    """One person: a number that stays, the last skeleton (V, 3) and when it was seen, in seconds.

    The number is 0 until the person was seen a second time.
    """

    number: int
    keypoints: Array
    time_s: float
    began_s: float
    trail: list[tuple[float, float]] = field(default_factory=list)


class Tracker:
    """Holds at most ``most`` tracks; one that is not seen for ``patience_s`` ends.

    A person becomes a track, with a number, when seen a second time: a false find in one frame takes none.
    """

    def __init__(self, most: int = 8, patience_s: float = 1.5) -> None:
        self.most, self.patience_s = most, patience_s
        self.tracks: list[Track] = []
        self._once: list[Track] = []  # seen a single time so far
        self._next, self._latest_s = 1, float("-inf")

    def update(self, people: Array, time_s: float) -> list[Track]:
        """Join people (P, V, 3) to tracks; gives the tracks that were seen now, by number."""
        self.tracks = [track for track in self.tracks if time_s - track.time_s <= self.patience_s]
        self._once = [track for track in self._once if time_s - track.time_s <= self.patience_s]
        free = list(range(len(people)))
        # those of the last moment choose first. Who was away does not take someone who came meanwhile and is
        # more like the one seen a moment ago: the same place after a cut in a film
        there = [track for track in self.tracks if track.time_s == self._latest_s]
        away = [track for track in self.tracks if track.time_s != self._latest_s]
        seen = _join(there, people, free, time_s)
        joined = _join(away + self._once, people, free, time_s, away=len(away))
        seen += [track for track in joined if track.number]
        again = [track for track in joined if not track.number]
        self._once = [track for track in self._once if track not in again]
        self._latest_s = time_s
        for track in sorted(again, key=lambda track: -confidence_of(track.keypoints)):
            if len(self.tracks) < self.most:
                track.number = self._next
                self._next += 1
                self._end_in_the_place_of(track, seen)
                self.tracks.append(track)
                seen.append(track)
        clear = [index for index in free if confidence_of(people[index]) >= _CLEAR]
        self._once += [Track(0, people[index], time_s, time_s) for index in clear]
        for track in seen:
            x0, _, x1, y1 = box_of(track.keypoints)
            track.trail = [*track.trail[-29:], (float(x0 + x1) / 2, float(y1))]
        return sorted(seen, key=lambda track: track.number)

    def _end_in_the_place_of(self, new: Track, seen: list[Track]) -> None:
        """Someone new stands where people were who are not seen: those are gone, as after a cut in a film."""
        place = _place(new.keypoints)
        self.tracks = [
            track
            for track in self.tracks
            if track in seen or overlap(_place(track.keypoints), place) < _TAKEN
        ]


def _place(person: Array) -> Array:
    return _roomy(box_of(person))


def _join(tracks: list[Track], people: Array, free: list[int], time_s: float, away: int = 0) -> list[Track]:
    """Join the people numbered in ``free`` to tracks and take them out of it; gives the tracks joined.

    The first ``away`` tracks were not seen a moment ago.
    """
    scores = np.array(
        [[_alike(track, people[index], time_s) for index in free] for track in tracks], dtype=float
    ).reshape(len(tracks), len(free))
    scores[:away][scores[:away] < _LEAST_BACK] = 0
    pairs = [(tracks[row], free[column]) for row, column in _greedy(scores)]
    for track, index in pairs:
        track.keypoints, track.time_s = people[index], time_s
        free.remove(index)
    return [track for track, _ in pairs]


def _alike(track: Track, b: Array, time_s: float) -> float:
    a = track.keypoints
    if moved(a, b) > _SLIP + _FASTEST * (time_s - track.time_s):
        return 0.0
    return 0.5 * likeness(a, b) + 0.5 * overlap(_place(a), _place(b))


def _roomy(box: Array) -> Array:
    room = _ROOM * max(box[2] - box[0], box[3] - box[1])
    roomy: Array = box + np.array([-room, -room, room, room])
    return roomy


def _greedy(scores: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs (row, column), the best first, no row or column twice, none below the least likeness."""
    pairs, scores = [], scores.copy()
    while scores.size and scores.max() >= _LEAST:
        row, column = (int(index) for index in np.unravel_index(int(scores.argmax()), scores.shape))
        pairs.append((row, column))
        scores[row, :], scores[:, column] = -1, -1
    return pairs
