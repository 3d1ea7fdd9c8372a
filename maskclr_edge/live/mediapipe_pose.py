"""People through mediapipe's pose networks, offline, several at a time, near or far.

Everyone who is known costs one run of the network of joints, in a square around where they were, cut from
the full picture: someone small is seen as well as someone near. Beside that, parts of the picture are
searched in turn for people who are new. Who is lost is searched for at once where they were. mediapipe's own
tracking is not used: of several people, its regions drift onto one.
"""

import os
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.live.geometry import box_of, likeness, overlap, without_doubles
from maskclr_edge.live.mediapipe_graphs import Look, PoseNetworks, Region
from maskclr_edge.live.search import Search, Square

Array = npt.NDArray[Any]

#: coco17 joints among BlazePose's 33
COCO_OF_BLAZEPOSE = np.array([0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28])
_TRUNK = np.array([5, 6, 11, 12])  # shoulders and hips, in coco17
#: the least clear trunk that is still a person
_CLEAR_TRUNK = 0.5
#: a square whose side is below this many pixels has nothing to see in it
_SMALLEST = 24
#: of two regions that overlap by more, both are of one person
_SAME_REGION = 0.35
#: side of the square in which someone who was lost is searched for, in sides of their region
_LOST_ROOM = 1.6
#: searches for lost people in one frame
_MOST_SEARCHES = 2
#: at most so many copies of the network of joints, one a core
_MOST_COPIES = 4


@dataclass(frozen=True, eq=False)
class _Seen:
    person: Array  # (17, 3)
    region: Region


class MediapipePose:
    """Up to ``max_people`` people; ``layout`` coco17, confidence is mediapipe's visibility."""

    name = "mediapipe"
    layout = "coco17"

    def __init__(self, max_people: int = 8) -> None:
        self.max_people = max_people
        self._known: list[_Seen] = []
        self._search = Search(max_people)
        self._networks = PoseNetworks(min(os.cpu_count() or 1, max_people, _MOST_COPIES))

    def estimate(self, image: Array) -> Array:
        """People in an image (H, W, 3) of BGR bytes: float32 (P, 17, 3)."""
        height, width = image.shape[:2]
        rgb = np.ascontiguousarray(image[..., ::-1])
        looks, found = self._networks.run(
            rgb,
            [known.region for known in self._known],
            self._search.squares(width, height, len(self._known)),
        )
        again = [
            self._again(look, known, width, height) for look, known in zip(looks, self._known, strict=True)
        ]
        lost = self._undo_drift(again)
        seen = [one for one in again if one is not None]
        around = [_square_around(one.region, width, height) for one in lost[:_MOST_SEARCHES]]
        squares = [square for square in around if square is not None]
        if squares:
            found += self._networks.run(rgb, [], squares)[1]
        new = self._new_regions(found, seen)
        for look in self._networks.run(rgb, new)[0] if new else []:
            one = _seen(look, width, height)
            if one is not None:
                seen.append(one)
        kept = without_doubles([one.person for one in seen], self.max_people)
        self._known = [one for one in seen if any(one.person is person for person in kept)]
        if not self._known:
            return np.zeros((0, 17, 3), np.float32)
        return np.stack([one.person for one in self._known])

    def close(self) -> None:
        """Free the networks; again is harmless."""
        self._networks.close()

    def __enter__(self) -> "MediapipePose":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _again(self, look: Look | None, known: _Seen, width: int, height: int) -> _Seen | None:
        """A known person in a new image; None when gone, or when it is someone else."""
        one = _seen(look, width, height)
        if one is None:
            return None
        alike = likeness(one.person, known.person) + overlap(box_of(one.person), box_of(known.person))
        return one if alike > 0.2 else None

    def _undo_drift(self, again: list[_Seen | None]) -> list[_Seen]:
        """Of two people who became one, the less alike is lost; gives those who are lost, as they were."""
        for a in range(len(again)):
            for b in range(a + 1, len(again)):
                one, other = again[a], again[b]
                if one is None or other is None or len(without_doubles([one.person, other.person], 2)) == 2:
                    continue
                like_a = likeness(one.person, self._known[a].person)
                like_b = likeness(other.person, self._known[b].person)
                again[b if like_a >= like_b else a] = None
        return [known for one, known in zip(again, self._known, strict=True) if one is None]

    def _new_regions(self, found: list[Region], seen: list[_Seen]) -> list[Region]:
        """Where people were found who are not yet seen, each once, as many as there is room for."""
        new: list[Region] = []
        for region in found:
            taken = [one.region for one in seen] + new
            if not any(overlap(region.box, other.box) > _SAME_REGION for other in taken):
                new.append(region)
        return new[: max(self.max_people - len(seen), 0)]


def _square_around(region: Region, width: int, height: int) -> Square | None:
    """The part of the picture around a region in which its person is searched for; None for next to none."""
    half = _LOST_ROOM * region.side / 2
    x0, y0 = max(int(region.x - half), 0), max(int(region.y - half), 0)
    x1, y1 = min(int(region.x + half), width), min(int(region.y + half), height)
    return (x0, y0, x1, y1) if min(x1 - x0, y1 - y0) >= _SMALLEST else None


def _seen(look: Look | None, width: int, height: int) -> _Seen | None:
    """A look as a person in coco17; None when nobody is clear. Joints outside the image are unseen."""
    if look is None or look.region.side < _SMALLEST:
        return None
    person = look.joints[COCO_OF_BLAZEPOSE]
    x, y = person[:, 0], person[:, 1]
    person[(x < 0) | (x >= width) | (y < 0) | (y >= height)] = 0
    return _Seen(person, look.region) if person[_TRUNK, 2].mean() >= _CLEAR_TRUNK else None
