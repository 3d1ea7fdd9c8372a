"""Where to look for people who are new: parts of the picture in turn, so that a frame costs no more."""

import numpy as np

Square = tuple[int, int, int, int]

#: squares that are searched for new people, in parts of the shorter side: for those near, and for those far
_PARTS = (0.6, 0.35)
#: frames between two searches beside several known people
_EVERY = 2


class Search:
    """The order of the search: all large squares in the first frame, then the small ones, then in turn."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._frames = self._turns = 0

    def squares(self, width: int, height: int, known: int) -> list[Square]:
        """What to search in the next frame, beside ``known`` people."""
        coarse, fine = (search_squares(width, height, part) for part in _PARTS)
        large = [(0, 0, width, height), *coarse]
        frame, self._frames = self._frames, self._frames + 1
        if not frame:
            return large
        if known >= self.most:
            return []
        if frame <= len(fine):
            return [fine[frame - 1]]
        if known > 1 and frame % _EVERY:
            return []
        self._turns += 1
        # newcomers are near more often than far: two of three turns are of the large squares
        turn, kind = divmod(self._turns, 3)
        return [fine[turn % len(fine)] if kind == 2 else large[(2 * turn + kind) % len(large)]]


def search_squares(width: int, height: int, part: float) -> list[Square]:
    """Squares of ``part`` of the shorter side that cover a picture and overlap by half.

    The detector finds people who fill a third of a square, and most who fill a quarter.
    """
    side = max(int(part * min(width, height)), 1)
    rows, columns = _starts(height, side), _starts(width, side)
    return [(x, y, x + side, y + side) for y in rows for x in columns]


def _starts(length: int, side: int) -> list[int]:
    count = int(np.ceil((length - side) / (side / 2))) + 1
    return [int(value) for value in np.linspace(0, length - side, max(count, 1))]
