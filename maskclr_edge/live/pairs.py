"""Who does something together: two people side by side, for a model with classes that take two."""

import itertools
from collections.abc import Sequence

import numpy as np

from maskclr_edge.live.geometry import Array, box_of, size_of
from maskclr_edge.live.tracking import Track

#: the middles of two people who do something together are at most so far apart, in sizes of the larger one
_NEAR = 2.0
#: two who were together stay so until somebody else is nearer than this share of their distance
_KEPT = 0.7


class Pairing:
    """Pairs by proximity: the nearest two first, nobody twice, and those who were together by preference."""

    def __init__(self) -> None:
        self._before: set[tuple[int, int]] = set()

    def update(self, tracks: Sequence[Track]) -> list[tuple[int, int]]:
        """Who is with whom among the tracks of a moment, as places in ``tracks``."""
        ranked = []
        for a, b in itertools.combinations(range(len(tracks)), 2):
            distance = _apart(tracks[a].keypoints, tracks[b].keypoints)
            if distance <= _NEAR:
                kept = (tracks[a].number, tracks[b].number) in self._before
                ranked.append((distance * (_KEPT if kept else 1), a, b))
        pairs: list[tuple[int, int]] = []
        taken: set[int] = set()
        for _, a, b in sorted(ranked):
            if not taken & {a, b}:
                taken |= {a, b}
                pairs.append((a, b))
        self._before = {(tracks[a].number, tracks[b].number) for a, b in pairs}
        return pairs


def _apart(a: Array, b: Array) -> float:
    """Between the middles of two persons' boxes, in sizes of the larger one."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = box_of(a), box_of(b)
    distance = float(np.hypot(ax0 + ax1 - bx0 - bx1, ay0 + ay1 - by0 - by1)) / 2
    size = max(size_of(a), size_of(b))
    return distance / size if size > 0 else np.inf
