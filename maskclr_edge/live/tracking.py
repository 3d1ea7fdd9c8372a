"""Which person is which from frame to frame: greedy matching on pose likeness and box overlap.

OKS alone fails at 5 frames a second and below, where limbs move by more than its fall-off between two frames; the
overlap of boxes carries the identity there.
"""

from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.live.geometry import box_of, likeness, overlap

Array = npt.NDArray[Any]

#: least half OKS + half IoU for the same person
LEAST = 0.1


@dataclass
class Track:
    """One person over time: their last ``keypoints`` (V, 3) and when they were seen. Numbers start at 1."""

    number: int
    keypoints: Array
    first_s: float
    last_s: float
    hits: int = 1


class Tracker:
    """Gives people numbers that last. Not thread-safe.

    A person gets a number when seen a second time, so that a false find in one frame takes none. One who is
    unseen for ``patience_s`` seconds is gone; who comes back after that is somebody new.
    """

    def __init__(self, max_people: int = 8, patience_s: float = 1.0) -> None:
        self.max_people = max_people
        self.patience_s = patience_s
        self._tracks: list[Track] = []
        self._candidates: list[Track] = []
        self._numbers = count(1)

    def update(self, people: Array, time_s: float) -> tuple[list[Track], list[Track]]:
        """Match people (P, V, 3) seen at ``time_s``: the tracks seen now, by number, and those that ended."""
        left = list(range(len(people)))
        for tracks in (self._tracks, self._candidates):  # those with a number choose first
            for track, index in _matches(tracks, people, left):
                track.keypoints, track.last_s = people[index], time_s
                track.hits += 1
                left.remove(index)
        ended = [track for track in self._tracks if time_s - track.last_s > self.patience_s]
        self._tracks = [track for track in self._tracks if track not in ended]
        for track in [one for one in self._candidates if one.hits > 1]:
            self._candidates.remove(track)
            if len(self._tracks) < self.max_people:
                track.number = next(self._numbers)
                self._tracks.append(track)
        self._candidates = [one for one in self._candidates if time_s - one.last_s <= self.patience_s]
        self._candidates += [Track(0, people[index], time_s, time_s) for index in left]
        return [track for track in self._tracks if track.last_s == time_s], ended


def _matches(tracks: list[Track], people: Array, free: list[int]) -> list[tuple[Track, int]]:
    """Pairs of track and person, the most alike first, each used once."""
    pairs = [
        (_score(track.keypoints, people[index]), order, index)
        for order, track in enumerate(tracks)
        for index in free
    ]
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    taken: set[int] = set()
    used: set[int] = set()
    result = []
    for score, order, index in pairs:
        if score < LEAST:
            break
        if order not in taken and index not in used:
            taken.add(order)
            used.add(index)
            result.append((tracks[order], index))
    return result


def _score(a: Array, b: Array) -> float:
    return 0.5 * likeness(a, b) + 0.5 * overlap(_roomy(a), _roomy(b))


def _roomy(keypoints: Array) -> Array:
    """A person's box with a tenth of its size around it: upright people have narrow ones."""
    box = box_of(keypoints)
    room = 0.1 * max(box[2] - box[0], box[3] - box[1])
    return box + np.array([-room, -room, room, room])
