"""Two runs of one measurement told apart: a permutation test and an interval over blocks of neighbours.

Latencies that follow each other are alike, so single samples say more than they know. A run is cut into
blocks of neighbours, or into its passes where there are enough of them, and whole blocks are what is drawn
(bootstrap, for the interval) or exchanged between the two runs (permutation, for the p-value: how often
runs that do not differ would differ as much).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from maskclr_edge.bench.statistics import CONFIDENCE, RESAMPLES, Samples

#: blocks of a run that is one pass; passes that are enough to be the blocks themselves
BLOCKS = 20
PASSES = 8
DRAWS = 1999
_CHUNK = 4_000_000

Ids = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Shift:
    """How a statistic moved, new / old - 1, with its 95 % interval and the p-value of "it did not".

    Of paired runs old and new are as measured, and the change is that at one speed of all passes.
    """

    old: float
    new: float
    change: float
    low: float
    high: float
    p_value: float


def block_ids(passes: Sequence[int]) -> Ids:
    """The block of each sample, 0, 1, ...: a pass each, or several of each pass where passes are few."""
    count = sum(passes)
    if len(passes) >= PASSES:
        return np.repeat(np.arange(len(passes)), passes)
    wanted = min(BLOCKS, count)
    parts, first = [], 0
    for length in passes:
        share = min(length, max(1, round(wanted * length / count)))
        parts.append(first + np.arange(length) * share // length)
        first += share
    return np.concatenate(parts)


def shifts(
    old: Samples, new: Samples, old_passes: Sequence[int], new_passes: Sequence[int],
    percentiles: Sequence[float], *, paired: bool = False, draws: int = DRAWS, seed: int = 0,
) -> list[Shift]:  # fmt: skip
    """The shift of each percentile, and last of all that of the mean, from old to new samples.

    paired: block i of both met the same machine, so both are brought to one speed, only the two are
    exchanged, and drawn together: what slowed a whole pass down cancels.
    """
    old_ids, new_ids = block_ids(old_passes), block_ids(new_passes)
    seen = [
        np.append(np.percentile(samples, list(percentiles), method="inverted_cdf"), samples.mean())
        for samples in (old, new)
    ]
    if paired:
        old, new = _at_one_speed(old, new, old_ids, new_ids)
    first, second = _Pool(old, old_ids), _Pool(new, new_ids)
    both = _Pool(np.concatenate((old, new)), np.concatenate((old_ids, first.blocks + new_ids)))
    rng = np.random.default_rng(seed)
    before = first.statistics(np.ones((1, first.blocks)), percentiles)[0]
    after = second.statistics(np.ones((1, second.blocks)), percentiles)[0]
    drawn = _drawn(rng, first.blocks)
    again = drawn if paired else _drawn(rng, second.blocks)
    spread = np.log(second.statistics(again, percentiles) / first.statistics(drawn, percentiles))
    if paired:
        swapped = rng.integers(0, 2, (draws, first.blocks)).astype(np.float64)
        chosen = np.concatenate((1 - swapped, swapped), axis=1)
    else:
        old_first = np.arange(both.blocks) < first.blocks
        chosen = rng.permuted(np.tile(old_first, (draws, 1)).astype(np.float64), axis=1)
    exchanged = np.log(both.statistics(1 - chosen, percentiles) / both.statistics(chosen, percentiles))
    observed = np.log(after / before)
    # the run as it is counts as one of the exchanges, so that p is never 0
    p_values = (1 + (np.abs(exchanged) >= np.abs(observed) * (1 - 1e-9)).sum(axis=0)) / (1 + draws)
    tail = (1 - CONFIDENCE) / 2 * 100
    low, high = np.percentile(spread, [tail, 100 - tail], axis=0)
    return [
        Shift(
            float(seen[0][at]), float(seen[1][at]), float(np.expm1(observed[at])),
            float(np.expm1(low[at])), float(np.expm1(high[at])), float(p_values[at]),
        )
        for at in range(len(percentiles) + 1)
    ]  # fmt: skip


def smallest_p(old_passes: Sequence[int], new_passes: Sequence[int], *, paired: bool, draws: int) -> float:
    """The least p-value that two runs can have: with few blocks there are few ways to exchange them."""
    blocks = [int(block_ids(passes).max()) + 1 for passes in (old_passes, new_passes)]
    ways = 2 ** blocks[0] if paired else math.comb(sum(blocks), blocks[0])
    return max(2 / ways, 1 / (1 + draws))


def _at_one_speed(old: Samples, new: Samples, old_ids: Ids, new_ids: Ids) -> tuple[Samples, Samples]:
    """Both runs with every pair of blocks divided by what is typical of the two together.

    The divisor is the same for both, so their ratio stays, and for whichever is called old: the two may
    still be exchanged. Percentiles of all passes together then no longer depend on which passes were slow.
    """
    typical = np.array(
        [
            np.sqrt(np.median(old[old_ids == block]) * np.median(new[new_ids == block]))
            for block in range(int(old_ids.max()) + 1)
        ]
    )
    return old / typical[old_ids], new / typical[new_ids]


def _drawn(rng: np.random.Generator, blocks: int) -> npt.NDArray[np.float64]:
    """How often each block is drawn, (resamples, blocks)."""
    return rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=RESAMPLES).astype(np.float64)


class _Pool:
    """Samples sorted once: percentiles of any weighting of their blocks are one matrix product away."""

    def __init__(self, samples: Samples, ids: Ids) -> None:
        order = np.argsort(samples, kind="stable")
        self.values = samples[order]
        self.blocks = int(ids.max()) + 1
        # (blocks, n): samples of each block up to each place; whole numbers that float32 holds exactly
        self._running = np.cumsum(np.arange(self.blocks)[:, None] == ids[order], axis=1, dtype=np.float32)
        self._counts = self._running[:, -1].astype(np.float64)
        self._sums = np.bincount(ids, weights=samples, minlength=self.blocks)

    def statistics(
        self, weights: npt.NDArray[np.float64], percentiles: Sequence[float]
    ) -> npt.NDArray[np.float64]:
        """(draws, percentiles + 1): nearest-rank percentiles and the mean for weights (draws, blocks)."""
        result = np.empty((len(weights), len(percentiles) + 1))
        totals = weights @ self._counts
        result[:, -1] = (weights @ self._sums) / totals
        step = max(1, _CHUNK // len(self.values))
        for start in range(0, len(weights), step):
            some = slice(start, start + step)
            below = weights[some].astype(np.float32) @ self._running  # (draws, n)
            for at, q in enumerate(percentiles):
                rank = np.ceil(q / 100 * totals[some] - 1e-6)[:, None]
                result[some, at] = self.values[np.count_nonzero(below < rank, axis=1)]
        return result
