"""How much of what corruption costs a baseline a method wins back, over seeds of both."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from maskclr_edge.errors import DataError
from maskclr_edge.evaluation.robustness import CellResult, clean_top1
from maskclr_edge.evaluation.row_store import CLEAN
from maskclr_edge.skeleton.corruption import Cell

#: points that a baseline must lose for a cell to count
LEAST_LOSS = 5.0


@dataclass(frozen=True)
class CellRecovery:
    """Top-1 of both at one corruption and severity, means over seeds, in percent.

    ``lost``: points that the baseline loses against its own clean accuracy; ``won_back``: points that the
    method is above the baseline, ``share`` of them in what was lost (1 is all of it, below 0 is worse still).
    """

    corruption: str
    severity: float
    baseline: float
    method: float
    lost: float
    won_back: float
    share: float | None


@dataclass(frozen=True)
class Recovery:
    """A method against its baseline. Only ``cells``, those that count, make the shares.

    ``spared``: cells where the baseline loses less than ``least_loss`` points. ``missing``: cells that not
    every run has. ``mean_share``: mean over cells; ``pooled_share``: points won back over points lost, all
    cells together; ``pooled_by_pair``: the same for each baseline run with the method run at its place, empty
    where they differ in number. The shares are None where no cell counts.
    """

    baseline_clean: float
    method_clean: float
    mean_share: float | None
    pooled_share: float | None
    pooled_by_pair: tuple[float, ...]
    cells: tuple[CellRecovery, ...]
    spared: tuple[CellRecovery, ...]
    missing: tuple[str, ...]
    least_loss: float

    @property
    def clean_difference(self) -> float:
        """Points by which the method is ahead on clean data."""
        return self.method_clean - self.baseline_clean


def recovery(
    baseline: Sequence[Sequence[CellResult]],
    method: Sequence[Sequence[CellResult]],
    *,
    least_loss: float = LEAST_LOSS,
) -> Recovery:
    """Compare runs of a baseline with runs of a method, one sequence of cells a seed.

    A cell counts where the baseline's mean over seeds is ``least_loss`` points or more below its own clean
    mean. Raises DataError when a side has no run or a run no clean row.
    """
    if not baseline or not method:
        raise DataError("a comparison needs at least one run of the baseline and one of the method")
    runs = [*baseline, *method]
    tables = [{(cell.corruption, cell.severity): cell.top1 for cell in run} for run in runs]
    cleans = [clean_top1(run) for run in runs]
    split = len(baseline)
    baseline_clean = statistics.fmean(cleans[:split])
    counted: list[CellRecovery] = []
    spared: list[CellRecovery] = []
    missing: list[str] = []
    for key in dict.fromkeys(key for table in tables for key in table if key[0] != CLEAN):
        if not all(key in table for table in tables):
            missing.append(Cell(*key).spec)
            continue
        values = [table[key] for table in tables]
        cell = _cell(key, baseline_clean, values[:split], values[split:])
        (counted if cell.lost >= least_loss else spared).append(cell)
    keys = [(cell.corruption, cell.severity) for cell in counted]
    shares = [cell.share for cell in counted if cell.share is not None]
    return Recovery(
        baseline_clean=baseline_clean,
        method_clean=statistics.fmean(cleans[split:]),
        mean_share=statistics.fmean(shares) if shares else None,
        pooled_share=_ratio(sum(cell.won_back for cell in counted), sum(cell.lost for cell in counted)),
        pooled_by_pair=_by_pair(tables, cleans, split, keys),
        cells=tuple(counted),
        spared=tuple(spared),
        missing=tuple(missing),
        least_loss=least_loss,
    )


def _cell(
    key: tuple[str, float], clean: float, baseline: Sequence[float], method: Sequence[float]
) -> CellRecovery:
    before, after = statistics.fmean(baseline), statistics.fmean(method)
    lost, won_back = clean - before, after - before
    return CellRecovery(*key, before, after, lost, won_back, _ratio(won_back, lost))


def _by_pair(
    tables: Sequence[Mapping[tuple[str, float], float]],
    cleans: Sequence[float],
    split: int,
    keys: Sequence[tuple[str, float]],
) -> tuple[float, ...]:
    if 2 * split != len(tables):
        return ()
    ratios = []
    for index in range(split):
        before, after = tables[index], tables[split + index]
        lost = sum(cleans[index] - before[key] for key in keys)
        ratios.append(_ratio(sum(after[key] - before[key] for key in keys), lost))
    return tuple(ratio for ratio in ratios if ratio is not None)


def _ratio(won_back: float, lost: float) -> float | None:
    return won_back / lost if lost > 0 else None
