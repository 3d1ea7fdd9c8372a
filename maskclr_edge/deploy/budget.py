"""The accuracy budget: the fewest layers to leave in floating point so that quantisation loses little enough.

A budget is a promise about clips that nobody has measured, so it is held to what the measured ones can show:
of n held-out clips, quantisation makes k wrong that the float network has right; what it wins elsewhere by
luck does not count. The share lost is at most the upper end of the exact interval for k of n, with 95 %
confidence, and that must be within the budget. On clips that it was trained on a network is too sure of
itself for rounding to change an answer; so every clip is corrupted first, see ``harder``.
"""

import bisect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from maskclr_edge.deploy.sensitivity import Floats, HeldOut, Sensitivity
from maskclr_edge.errors import ConfigError, ExportError
from maskclr_edge.evaluation.metrics import top_k_accuracy
from maskclr_edge.optional import require
from maskclr_edge.skeleton.corruption import CORRUPTIONS, Cell, corrupt_clips

CONFIDENCE = 0.95
#: clips that a budget should survive losing: as many are taken as that needs, where there are so many
MAY_LOSE = 2
_MOST_CLIPS = 1_000_000
#: name of a runner -> logits (N, K) of its file with these modules in floating point
Runs = Mapping[str, Callable[[Sequence[str]], Floats]]


@dataclass(frozen=True)
class Measured:
    """What one runner's file gives on the held-out clips, in percent.

    lost: clips that are wrong and that float has right. drop_at_most: what share that may be of all there
    are, see ``loss_bound``.
    """

    top1: float
    agreement: float
    lost: int
    drop_at_most: float


@dataclass(frozen=True)
class Budgeted:
    """The modules to leave in floating point, and what that gives on each runner on ``clips`` clips.

    tried: number of groups kept -> clips lost on the worst runner. unmeasured: runner -> why it was not run.
    """

    skip: tuple[str, ...]
    max_drop: float
    clips: int
    float_top1: float
    measured: Mapping[str, Measured]
    unmeasured: Mapping[str, str]
    tried: Mapping[int, int]
    ranking: tuple[Sensitivity, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form for the manifest."""
        tried = [{"kept": kept, "lost": lost} for kept, lost in sorted(self.tried.items())]
        return asdict(self) | {"tried": tried, "confidence": CONFIDENCE}


def loss_bound(lost: int, clips: int) -> float:
    """Percent of all clips that may be lost where ``lost`` of so many were, with 95 % confidence.

    The one-sided exact interval of Clopper and Pearson, Biometrika 1934.
    """
    binomtest = require("scipy.stats").binomtest
    return 100 * float(binomtest(lost, clips, alternative="less").proportion_ci(CONFIDENCE).high)


def clips_needed(max_drop: float, lost: int = MAY_LOSE) -> int:
    """Clips on which a budget in points is met with so many lost.

    Raises ConfigError for a budget that no measurement can show.
    """
    if not 0 <= max_drop <= 100:
        raise ConfigError(f"max-drop is {max_drop:g}; expected points of top-1 accuracy from 0 to 100")
    if loss_bound(lost, _MOST_CLIPS) > max_drop:
        raise ConfigError(
            f"a drop of {max_drop:g} points cannot be shown: {_MOST_CLIPS} clips with none lost leave room "
            f"for {loss_bound(0, _MOST_CLIPS):.1g}; allow more, such as 0.5"
        )
    counts = range(lost + 1, _MOST_CLIPS)
    return counts[bisect.bisect_left(counts, -max_drop, key=lambda clips: -loss_bound(lost, clips))]


def may_lose(max_drop: float, clips: int) -> int:
    """How many of so many clips may be lost within a budget in points.

    Raises ConfigError where even none of them lost would not show it.
    """
    lost = bisect.bisect_right(range(clips + 1), max_drop, key=lambda lost: loss_bound(lost, clips)) - 1
    if lost < 0:
        least = loss_bound(0, clips)
        raise ConfigError(
            f"a drop of {max_drop:g} points cannot be shown on {clips} held-out clips: with none lost it "
            f"may still be {least:.2g}, with {100 * CONFIDENCE:.0f} % confidence; allow "
            f"{_rounded_up(least):g}, or give a split with {clips_needed(max_drop, 0)} clips beside those of "
            "calibration"
        )
    return lost


def harder(clips: Floats, absent: Literal["zeros", "projected"] = "zeros") -> Floats:
    """Corrupted copies of clips (N, M, T, 17, 3): the suite's kinds, as many clips each, at middle severity.

    Which clip gets which is drawn, always alike. absent: the contract's. Left out are the two that change
    nothing in some clips: persons exchanged and confidences made equal.
    """
    kinds = [kind for kind in CORRUPTIONS.values() if kind.needs is None]
    result: Floats = clips.copy()
    drawn = np.random.default_rng(0).permutation(len(clips)) % len(kinds)  # classes take turns too
    for turn, kind in enumerate(kinds):
        places = np.flatnonzero(drawn == turn)
        if len(places):
            cell = Cell(kind.name, kind.severities[len(kind.severities) // 2])
            result[places] = corrupt_clips(clips[places], cell, absent=absent, indices=places)
    return result


def within_budget(
    runs: Runs,
    held_out: HeldOut,
    ranked: Callable[[], Sequence[Sensitivity]],
    max_drop: float,
    *,
    room: float,
    unmeasured: Mapping[str, str] | None = None,
) -> Budgeted:
    """The fewest groups to keep in floating point, the worst first, that keep every runner in the budget.

    ranked: gives the groups, the worst first; asked only where something has to be kept, for it takes long.
    room: share of the weights that may stay in floating point before the file is quantised in name only.
    Raises ConfigError as ``may_lose``, ExportError for a budget that is not met with all the room taken.
    """
    clips = len(held_out.labels)
    allowed = may_lose(max_drop, clips)
    ranking: Sequence[Sensitivity] = ()
    most = 0
    found: dict[int, dict[str, Measured]] = {}

    def lost(kept: int) -> int:
        if kept not in found:
            skip = [one.module for one in ranking[:kept]]
            found[kept] = {runner: measured(run(skip), held_out) for runner, run in runs.items()}
        return max(one.lost for one in found[kept].values())

    low, high = 0, 0
    if lost(0) > allowed:
        ranking = ranked()
        most = int(np.searchsorted(np.cumsum([one.weights for one in ranking]), room, side="right"))
    while lost(high) > allowed:  # one, two, four and so on, then the fewest in between
        if high == most:
            best = min(found, key=lost)
            raise ExportError(
                f"a drop of {max_drop:g} points cannot be kept: with {best} of {len(ranking)} groups in "
                f"floating point ({most} may be) {lost(best)} of {clips} clips are lost, and {allowed} may "
                f"be; allow {_rounded_up(loss_bound(lost(best), clips)):g}, calibrate on more clips or with "
                "--method mse, or export fp16"
            )
        low, high = high + 1, min(max(1, 2 * high), most)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if lost(middle) <= allowed else (middle + 1, high)
    return Budgeted(
        skip=tuple(one.module for one in ranking[:high]),
        max_drop=max_drop,
        clips=clips,
        float_top1=top_k_accuracy(held_out.logits, held_out.labels),
        measured=found[high],
        unmeasured=dict(unmeasured or {}),
        tried={kept: lost(kept) for kept in found},
        ranking=tuple(ranking),
    )


def _rounded_up(points: float) -> float:
    return math.ceil(10 * points) / 10


def measured(logits: Floats, held_out: HeldOut) -> Measured:
    """Logits (N, K) of a quantised network held to those of the float one."""
    labels: npt.NDArray[np.int64] = held_out.labels
    lost = int(np.sum((held_out.logits.argmax(axis=1) == labels) & (logits.argmax(axis=1) != labels)))
    return Measured(
        top1=top_k_accuracy(logits, labels),
        agreement=held_out.agreement(logits),
        lost=lost,
        drop_at_most=round(loss_bound(lost, len(labels)), 4),
    )
