"""Optimisation profiles: the ranges of shapes that an engine takes, and the shape that each is tuned for."""

import itertools
from dataclasses import dataclass

from maskclr_edge.errors import ConfigError
from maskclr_edge.skeleton import SkeletonContract

#: least, typical and largest shape of an input
ShapeRange = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]

#: where the frames of a TensorRT engine are divided: short and long clips want other kernels
BUCKET_ENDS = (32, 96)
#: the word for the length that a model was made for
MODEL = "model"
_MOST_PROFILES = 16
_MOST_PERSONS = 1024


@dataclass(frozen=True)
class Range:
    """Least, typical and most of one size; typical 0 is the model's own.

    Raises ConfigError for another order.
    """

    low: int
    opt: int
    high: int

    def __post_init__(self) -> None:
        if not 1 <= self.low <= (self.opt or self.low) <= self.high:
            raise ConfigError(
                f"{self} is no range; expected LEAST:TYPICAL:MOST in this order, such as 1:30:243"
            )

    def __str__(self) -> str:
        return f"{self.low}:{self.opt or MODEL}:{self.high}"

    @classmethod
    def parse(cls, text: str) -> "Range":
        """Read ``1:30:243``, or ``1:model:243`` for the model's own length. Raises ConfigError."""
        parts = text.strip().split(":")
        if len(parts) == 3 and parts[1] == MODEL:
            parts[1] = "0"
        if len(parts) != 3 or not all(part.isdecimal() and len(part) <= 6 for part in parts):
            raise ConfigError(f"{text[:40]!r} is no range; expected LEAST:TYPICAL:MOST, such as 1:30:243")
        low, opt, high = map(int, parts)
        return cls(low, opt, high)

    def within(self, low: int, high: int, own: int) -> "Range | None":
        """The part of it in ``low`` to ``high``, tuned for ``own`` where that is its typical size."""
        low, high = max(self.low, low), min(self.high, high)
        if low > high:
            return None
        # the longest, where time is spent, unless the model's own length lies inside
        opt = self.opt or (own if low <= own <= high else high)
        return Range(low, min(max(opt, low), high), high)


DEFAULT_PERSONS = Range(1, 1, 16)


@dataclass(frozen=True)
class Profiles:
    """Ranges of frames, one profile each, for a range of persons at once."""

    frames: tuple[Range, ...]
    persons: Range = DEFAULT_PERSONS

    def __post_init__(self) -> None:
        if not 1 <= len(self.frames) <= _MOST_PROFILES:
            raise ConfigError(f"{len(self.frames)} ranges of frames; expected 1 to {_MOST_PROFILES}")
        if self.persons.high > _MOST_PERSONS:
            raise ConfigError(f"{self.persons.high} persons at once; expected {_MOST_PERSONS} at most")
        ordered = sorted(self.frames, key=lambda one: one.low)
        for one, following in itertools.pairwise(ordered):
            if following.low > one.high + 1:
                raise ConfigError(
                    f"no range of frames takes {one.high + 1} to {following.low - 1}; close the gap between "
                    f"{one} and {following}"
                )

    @property
    def span(self) -> tuple[int, int]:
        """Least and most frames over all profiles."""
        return min(one.low for one in self.frames), max(one.high for one in self.frames)

    def within(self, contract: SkeletonContract) -> "Profiles":
        """What is left of them for a model's range. Raises ConfigError where its own length is not in it."""
        own = contract.frames
        parts = [one.within(contract.min_frames, contract.max_frames, own) for one in self.frames]
        kept = [one for one in parts if one is not None]
        if not any(one.low <= contract.frames <= one.high for one in kept):
            low, high = self.span
            raise ConfigError(
                f"engines for {low} to {high} frames would not take the model's {contract.frames}; "
                "widen the frames of the target, or of --frames"
            )
        return Profiles(tuple(kept), self.persons)

    def encoder(self) -> list[dict[str, ShapeRange]]:
        """Profiles of the encoder: persons (P, T, 17, 3)."""
        p = self.persons
        return [
            {"persons": ((p.low, t.low, 17, 3), (p.opt, t.opt, 17, 3), (p.high, t.high, 17, 3))}
            for t in self.frames
        ]

    def head(self, slots: int, width: int) -> list[dict[str, ShapeRange]]:
        """Profile of the head: features (N, slots, F) of N clips, which frames do not change."""
        low, opt, high = ((size, slots, width) for size in (1, self.persons.opt, self.persons.high))
        return [{"features": (low, opt, high)}]


def default_profiles(flavour: str, contract: SkeletonContract) -> Profiles:
    """What an engine gets where nothing is said.

    Three buckets for TensorRT, which tunes its kernels at the typical shape of each. One range for
    TensorRT-RTX: it compiles kernels for the shapes it meets, and three profiles make its engines three times
    as large.
    """
    low, high = contract.min_frames, contract.max_frames
    ends = [] if flavour == "tensorrt-rtx" else [end for end in BUCKET_ENDS if low <= end < high]
    starts = [low, *(end + 1 for end in ends)]
    ranges = (Range(first, 0, last) for first, last in zip(starts, [*ends, high], strict=True))
    return Profiles(tuple(ranges)).within(contract)
