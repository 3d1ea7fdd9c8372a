"""A frame, and what gives frames."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from maskclr_edge.live.geometry import Array


@dataclass(frozen=True, eq=False)
class Frame:
    """One moment: number, time in seconds, and an image (H, W, 3) of BGR bytes or people (P, V, 3).

    waiting: neither, since the camera is gone for now. note: what the source has to say of this moment.
    """

    index: int
    time_s: float
    image: Array | None = None
    people: Array | None = None
    waiting: bool = False
    note: str = ""


class Source(Protocol):
    """An open source: what it is, and its frames, once, in order.

    ``layout`` names the joint order of the people in its frames, None where frames are images. ``live`` says
    that frames come by themselves and are gone when nobody takes them. ``notes`` fills with what a user
    should know, such as a file that ended early. ``fps`` is what it states or is known for; times are in the
    frames.
    """

    name: str
    resolution_wh: tuple[int, int]
    fps: float
    total: int
    layout: str | None
    live: bool
    notes: list[str]

    def frames(self) -> Iterator[Frame]:
        """The frames, once. Raises SourceError when not one can be read."""
        ...

    def close(self) -> None:
        """Release what is open, from any thread: whoever reads leaves off. Again is harmless."""
        ...
