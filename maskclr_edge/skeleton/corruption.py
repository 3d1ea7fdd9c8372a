"""The robustness suite's corruptions by name, each with a grid of severities, on normalised clips.

They act on clips as the network sees them, (N, M, T, 17, 3) after the contract's crop: what is missing is
gone after a crop that still knew it, and noise is in units of the crop, in which the persons' box is
``2 / scale_ratio`` wide (1 at a ratio of 2). Source of the noise forms: MaskCLR, section 4.

A missing joint or frame is what the contract calls one. "zeros": exact zeros. "projected": confidence 0 at
the place where the crop puts (0, 0) of the camera; an absent person shows where that is, and in a clip
without one it is taken for the middle of the crop, (0, 0).

Draws are of (seed, corruption, draw, clip) alone: a part of the clips is corrupted as in the whole, and
severities of one draw do the same damage, more or less of it.
"""

import difflib
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from maskclr_edge.errors import ConfigError, ShapeError
from maskclr_edge.skeleton import corruption_kinds as kinds
from maskclr_edge.skeleton.clips import check_clips
from maskclr_edge.skeleton.contract import MAX_FRAMES

#: the word for every corruption with its whole grid
ALL = "all"

Apply = Callable[[kinds.Clip, float, np.random.Generator, kinds.Clip], kinds.Clip]


@dataclass(frozen=True)
class Corruption:
    """One kind of corruption: ``severities`` of the suite, ``low``..``high`` what may be asked for.

    ``unit`` says what a severity counts. ``whole``: severities are whole numbers. ``random``: draws differ.
    ``needs``: says of clips (N, M, T, 17, 3) why it would change nothing in any of them; "" where it would.
    """

    name: str
    what: str
    unit: str
    severities: tuple[float, ...]
    low: float
    high: float
    apply: Apply
    whole: bool = False
    random: bool = True
    needs: Callable[[kinds.Clip], str] | None = None


@dataclass(frozen=True)
class Cell:
    """A corruption at one severity: one point of a robustness curve."""

    corruption: str
    severity: float

    @property
    def spec(self) -> str:
        """The cell as the command line writes it, such as ``joints:6``."""
        return f"{self.corruption}:{self.severity:g}"


_SIGMA = "sigma, crop units"
_SHARE = "share of the frames"
_THIRDS = (0.25, 0.5, 0.75)


def _listed(*entries: Corruption) -> dict[str, Corruption]:
    return {entry.name: entry for entry in entries}


#: every corruption by name, in the order of reports
CORRUPTIONS: dict[str, Corruption] = _listed(
    Corruption(
        "noise", "Gaussian noise, joint by joint and frame by frame", _SIGMA, (0.01, 0.05, 0.1, 0.2), 0, 2,
        kinds.noise,
    ),
    Corruption(
        "noise-spatial", "Gaussian offset of each joint for the whole clip", _SIGMA, (0.05, 0.1, 0.2), 0, 2,
        kinds.noise_spatial,
    ),
    Corruption(
        "noise-temporal", "Gaussian offset of the whole body in each frame", _SIGMA, (0.05, 0.1, 0.2), 0, 2,
        kinds.noise_temporal,
    ),
    Corruption(
        "joints", "random joints missing throughout", "joints of 17", (1, 3, 6, 9), 0, 17, kinds.joints,
        whole=True,
    ),
    Corruption(
        "limb", "arms and legs missing throughout", "limbs of 4", (1, 2, 3), 0, 4, kinds.limb, whole=True
    ),
    Corruption("side", "left or right side missing in one block of frames", _SHARE, (0.5, 0.75, 1), 0, 1,
               kinds.side),
    Corruption("points", "joints missing here and there", "share of joint-frames", (0.2, 0.4, 0.6), 0, 1,
               kinds.points),
    Corruption("frames-uniform", "frames missing at even distances", _SHARE, _THIRDS, 0, 1,
               kinds.frames_uniform, random=False),
    Corruption("frames-random", "frames missing at random", _SHARE, _THIRDS, 0, 1, kinds.frames_random),
    Corruption("frames-block", "frames missing in one block", _SHARE, _THIRDS, 0, 1, kinds.frames_block),
    Corruption(
        "box", "a box that hides a part of the picture throughout", "side, share of the persons' box",
        (0.25, 0.5, 0.75), 0, 4, kinds.box,
    ),
    Corruption("swap", "left and right swapped", _SHARE, (0.1, 0.25, 0.5), 0, 1, kinds.swap),
    Corruption(
        "identity", "two persons swapped", _SHARE, (0.1, 0.25, 0.5), 0, 1, kinds.identity,
        needs=kinds.needs_two_persons,
    ),
    Corruption(
        "rate", "every k-th frame held", "k", (2, 4, 8), 1, MAX_FRAMES, kinds.rate, whole=True, random=False
    ),
    Corruption(
        "confidence", "confidences scaled down", "share lost", (0.5, 0.8, 0.95), 0, 0.999,
        kinds.confidence, random=False,
    ),
    Corruption(
        "confidence-flat", "confidences drawn to their mean", "share of the way", (0.5, 0.75, 1), 0, 1,
        kinds.confidence_flat, random=False, needs=kinds.needs_unequal_confidences,
    ),
)  # fmt: skip


def get_corruption(name: str) -> Corruption:
    """Look a corruption up by name. Raises ConfigError naming the closest one and all others."""
    if name in CORRUPTIONS:
        return CORRUPTIONS[name]
    near = difflib.get_close_matches(name, CORRUPTIONS, n=len(CORRUPTIONS), cutoff=0.0)
    raise ConfigError(
        f"unknown corruption {name[:60]!r} (did you mean {near[0]!r}?); there are: "
        f"{', '.join(CORRUPTIONS)}, or {ALL}"
    )


def parse_corruptions(specs: Sequence[str]) -> tuple[Cell, ...]:
    """Cells of specs: ``joints:6``, ``noise:0.01,0.1``, ``joints`` for its grid, ``all`` for every grid.

    A cell that is named twice counts once. Raises ConfigError for an unknown name (the closest is named), a
    severity that is no number or out of range, and no spec at all.
    """
    cells: dict[Cell, None] = {}
    for spec in specs:
        name, colon, values = spec.strip().partition(":")
        if name == ALL and not colon:
            cells |= {
                Cell(kind.name, value): None for kind in CORRUPTIONS.values() for value in kind.severities
            }
            continue
        kind = get_corruption(name)
        severities = [_severity(kind, text) for text in values.split(",")] if colon else list(kind.severities)
        cells |= {Cell(name, value): None for value in severities}
    if not cells:
        raise ConfigError(f"no corruption was named; give some of {', '.join(CORRUPTIONS)}, or {ALL}")
    return tuple(cells)


def corrupt_clips(
    clips: npt.NDArray[Any],
    cell: Cell,
    *,
    seed: int = 0,
    draw: int = 0,
    absent: Literal["zeros", "projected"] = "zeros",
    indices: Sequence[int] | npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[np.float32]:
    """Corrupted copies of normalised clips (N, M, T, 17, 3).

    ``indices`` (N,): each clip's place in the data set, 0..N-1 by default; with seed and draw it decides the
    clip's random numbers. ``absent`` is the contract's. Raises ConfigError for an unknown corruption or a
    severity out of range, ShapeError for clips or indices that do not fit.
    """
    kind = get_corruption(cell.corruption)
    severity = _in_range(kind, cell.severity)
    result = np.array(check_clips(clips))
    places = np.arange(len(result)) if indices is None else np.asarray(indices)
    if places.shape != (len(result),) or (places < 0).any() or seed < 0 or draw < 0:
        raise ShapeError(
            f"{len(result)} clips came with indices of shape {places.shape}, seed {seed} and draw {draw}; "
            "expected one index a clip, and nothing below 0"
        )
    key = zlib.crc32(kind.name.encode())  # not hash(): that changes from process to process
    for position, place in enumerate(places):
        rng = np.random.Generator(np.random.SFC64([seed, key, draw, int(place)]))
        clip = result[position]
        there = kinds.present_persons(clip)
        if not there.any():
            continue
        gone = missing_joint(clip, absent)
        # the generator sees all slots, so that an absent one changes no draw of the others
        changed = kind.apply(clip.copy(), severity, rng, gone)
        clip[there] = changed[there]
    return result


def missing_joint(clip: npt.NDArray[np.float32], absent: str) -> npt.NDArray[np.float32]:
    """The values (3,) of a missing joint in a clip (M, T, 17, 3): see the module's description."""
    gone = np.zeros(3, np.float32)
    if absent == "projected":
        for person in clip[~kinds.present_persons(clip)][:1]:
            gone[:2] = person[0, 0, :2]
    return gone


def why_idle(corruption: str, clips: npt.NDArray[np.float32]) -> str:
    """Why a corruption would change nothing in any of such clips (N, M, T, 17, 3); "" where it would."""
    needs = get_corruption(corruption).needs
    return "" if needs is None else needs(clips)


def _severity(kind: Corruption, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ConfigError(
            f"{kind.name}: {text[:40]!r} is no severity; expected a number ({kind.unit}), as in "
            f"{Cell(kind.name, kind.severities[0]).spec}"
        ) from None
    return _in_range(kind, value)


def _in_range(kind: Corruption, value: float) -> float:
    if not math.isfinite(value) or not kind.low <= value <= kind.high or (kind.whole and value % 1):
        number = "a whole number" if kind.whole else "a number"
        raise ConfigError(
            f"{kind.name}:{value:g} cannot be; expected {number} from {kind.low:g} to {kind.high:g} "
            f"({kind.unit})"
        )
    return value
