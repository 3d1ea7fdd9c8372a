"""The skeleton contract: how raw keypoints become the clips that one set of weights was trained on."""

import difflib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from maskclr_edge.errors import ConfigError

MAX_FRAMES = 243
_MAX_NAME = 200
_MAX_CLASSES = 100_000
#: fields that are tuples here and lists in JSON
_LISTS = ("class_names", "two_person")


@dataclass(frozen=True)
class SkeletonContract:
    """Written into every checkpoint and bundle; whoever runs the weights prepares keypoints by it.

    ``frames`` is the clip length that evaluation and the Classifier resample to; the network itself takes
    ``min_frames`` to ``max_frames``. ``persons`` is the number of person slots. ``confidence_order`` is
    "h36m", or "legacy" for upstream weights. ``absent`` says what absent persons and unseen joints are
    after normalisation: exact zeros, or "projected" (moved with the crop, as upstream does).
    ``scale_ratio`` is the size of the crop box relative to the persons' bounding box. ``two_person`` names
    the classes that two people do together, as far as is known; files from before it have none. Raises
    ConfigError naming the field at fault.
    """

    class_names: tuple[str, ...]
    frames: int
    persons: int = 2
    min_frames: int = 1
    max_frames: int = MAX_FRAMES
    confidence_order: Literal["h36m", "legacy"] = "h36m"
    absent: Literal["zeros", "projected"] = "zeros"
    scale_ratio: float = 2.0
    layout: str = "h36m17"
    two_person: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_class_names(self.class_names)
        for name in ("frames", "persons", "min_frames", "max_frames"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise ConfigError(f"skeleton contract: {name} is {value!r}, it must be a whole number")
        if self.persons not in (1, 2):
            raise ConfigError(f"skeleton contract: persons is {self.persons}, it must be 1 or 2")
        if not 1 <= self.min_frames <= self.max_frames:
            raise ConfigError(
                f"skeleton contract: min_frames is {self.min_frames} and max_frames {self.max_frames}, "
                "they must satisfy 1 <= min_frames <= max_frames"
            )
        if not self.min_frames <= self.frames <= self.max_frames:
            raise ConfigError(
                f"skeleton contract: frames is {self.frames}, it must lie in "
                f"{self.min_frames}..{self.max_frames} (min_frames..max_frames)"
            )
        for name, allowed in (
            ("confidence_order", ("h36m", "legacy")),
            ("absent", ("zeros", "projected")),
            ("layout", ("h36m17",)),
        ):
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"skeleton contract: {name} is {getattr(self, name)!r}, it must be {' or '.join(allowed)}"
                )
        ratio = self.scale_ratio
        if (
            not isinstance(ratio, float | int)
            or isinstance(ratio, bool)
            or not math.isfinite(ratio)
            or ratio <= 0
        ):
            raise ConfigError(f"skeleton contract: scale_ratio is {ratio!r}, it must be a number above 0")
        if not isinstance(self.two_person, tuple) or not set(self.two_person) <= set(self.class_names):
            raise ConfigError(
                f"skeleton contract: two_person has {_short(self.two_person)}, "
                "it must list some of class_names"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able form with every field; ``from_dict`` gives back an equal contract.

        ``two_person`` is left out where there is none, so that earlier releases read the file.
        """
        values = asdict(self) | {
            "class_names": list(self.class_names),
            "scale_ratio": float(self.scale_ratio),
            "two_person": list(self.two_person),
        }
        return {key: value for key, value in values.items() if key != "two_person" or value}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "SkeletonContract":
        """Rebuild a contract from all of its fields. Raises ConfigError naming the key at fault."""
        if not isinstance(values, Mapping):
            raise ConfigError(
                f"skeleton contract: got a {type(values).__name__}, expected a mapping of its fields"
            )
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                close = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)[0]
                raise ConfigError(f"skeleton contract: unknown key {key!r}; did you mean {close!r}?")
        missing = [name for name in known if name not in values and name != "two_person"]
        if missing:
            raise ConfigError(
                f"skeleton contract: missing key {missing[0]!r}; write it with the other fields"
            )
        lists = {name: tuple(values[name]) for name in _LISTS if isinstance(values.get(name), list)}
        return cls(**(dict(values) | lists))


def _check_class_names(names: object) -> None:
    if not isinstance(names, tuple) or not 1 <= len(names) <= _MAX_CLASSES:
        raise ConfigError(
            f"skeleton contract: class_names must list 1 to {_MAX_CLASSES} names, got {_short(names)}"
        )
    for name in names:
        # control characters would break lines and steer terminals wherever a label is shown
        if not isinstance(name, str) or not 1 <= len(name) <= _MAX_NAME or not name.isprintable():
            raise ConfigError(
                f"skeleton contract: class_names has {_short(name)}, "
                f"names are text of 1 to {_MAX_NAME} printable characters"
            )
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"skeleton contract: class_names lists {twice!r} twice")


def _short(value: object) -> str:
    """A value for an error message, in one line whatever it is."""
    if isinstance(value, tuple | list):
        return f"{len(value)} of them"
    text = repr(value) if isinstance(value, str | int | float | None) else type(value).__name__
    return text if len(text) <= 60 else text[:57] + "..."
