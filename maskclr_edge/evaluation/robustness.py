"""The robustness suite: one pass over all clips for each corruption, severity and draw, on any model."""

import hashlib
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from maskclr_edge.errors import ConfigError, DataError, ShapeError
from maskclr_edge.evaluation.evaluate import Infer, score
from maskclr_edge.evaluation.row_store import CLEAN, Row, RowStore, Task
from maskclr_edge.skeleton.corruption import CORRUPTIONS, Cell, corrupt_clips, why_idle

MAX_DRAWS = 100


@dataclass(frozen=True)
class CellResult:
    """A corruption at one severity: means over its draws, in percent, and top-1's standard deviation.

    The spread is that of a sample, and 0 for a single draw. ``corruption`` is "clean" for no corruption.
    """

    corruption: str
    severity: float
    draws: int
    top1: float
    top1_spread: float
    top5: float
    mean_class: float


@dataclass(frozen=True)
class SuiteResult:
    """Finished rows in the order of the plan, and which corruptions do nothing to this data, and why."""

    rows: tuple[Row, ...]
    skipped: Mapping[str, str]

    @property
    def cells(self) -> list[CellResult]:
        """The rows, draws taken together; the clean one first."""
        return summarise(self.rows)


def plan(cells: Sequence[Cell], draws: int) -> list[Task]:
    """Every pass that a suite takes, the clean one first; a corruption without chance is drawn once.

    Raises ConfigError for a number of draws out of range.
    """
    if isinstance(draws, bool) or not 1 <= draws <= MAX_DRAWS:
        raise ConfigError(f"draws is {draws!r}, expected a number from 1 to {MAX_DRAWS}")
    tasks = [Task(CLEAN, 0.0, 0)]
    for cell in cells:
        count = draws if CORRUPTIONS[cell.corruption].random else 1
        tasks += [Task(cell.corruption, cell.severity, draw) for draw in range(count)]
    return tasks


def run_suite(
    infer: Infer,
    clips: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    cells: Sequence[Cell],
    *,
    draws: int = 3,
    seed: int = 0,
    absent: Literal["zeros", "projected"] = "zeros",
    batch: int = 64,
    keep: Path | None = None,
    of: Mapping[str, Any] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> SuiteResult:
    """Evaluate ``infer`` on clips (N, M, T, 17, 3) without corruption and with every cell, draw by draw.

    ``absent`` is the contract's. ``keep``: folder in which each finished row is written at once, and from
    which rows of the same model, clips and seed are taken instead of being computed; ``of`` must then name
    what ``infer`` is (its digest, runner and precision). ``progress`` is called with (clips done, in all,
    what). Raises as ``evaluate`` and ``corrupt_clips`` do.
    """
    if len(clips) == 0 or np.shape(labels) != (len(clips),):
        raise ShapeError(
            f"{len(clips)} clips came with labels of shape {np.shape(labels)}, expected one each"
        )
    usable, skipped = usable_cells(cells, clips)
    tasks = plan(usable, draws)
    store = open_store(keep, of or {}, clips, labels, seed=seed)
    missing = [task for task in tasks if task not in store.rows]
    for number, task in enumerate(missing):
        parts = []
        for start in range(0, len(clips), batch):
            part = clips[start : start + batch]
            if task.corruption != CLEAN:
                places = np.arange(start, start + len(part))
                cell = Cell(task.corruption, task.severity)
                part = corrupt_clips(part, cell, seed=seed, draw=task.draw, absent=absent, indices=places)
            parts.append(np.asarray(infer(part), dtype=np.float32))
            if progress is not None:
                done = number * len(clips) + min(start + batch, len(clips))
                progress(done, len(missing) * len(clips), str(task))
        result = score(np.concatenate(parts), labels)
        accuracies = (result.top1, result.top5, result.mean_class)
        store.add(Row(task.corruption, task.severity, task.draw, *accuracies, clips=len(clips)))
    return SuiteResult(tuple(store.rows[task] for task in tasks), skipped)


def usable_cells(cells: Sequence[Cell], clips: npt.NDArray[np.float32]) -> tuple[list[Cell], dict[str, str]]:
    """The cells that can change something in such clips, and why the other corruptions cannot."""
    reasons = {name: why_idle(name, clips) for name in dict.fromkeys(cell.corruption for cell in cells)}
    skipped = {name: reason for name, reason in reasons.items() if reason}
    return [cell for cell in cells if cell.corruption not in skipped], skipped


def open_store(
    keep: Path | None,
    of: Mapping[str, Any],
    clips: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    *,
    seed: int,
) -> RowStore:
    """The rows that are there already for a model on these clips."""
    if keep is None:
        return RowStore(None, of)
    return RowStore(keep, {**of, **facts_of_clips(clips, labels), "seed": seed})


def facts_of_clips(
    clips: npt.NDArray[np.float32], labels: npt.NDArray[np.int64] | None = None
) -> dict[str, Any]:
    """What kept results say of the clips, and labels, that they are of."""
    digest = hashlib.sha256(np.ascontiguousarray(clips).tobytes())
    if labels is not None:
        digest.update(np.ascontiguousarray(labels).tobytes())
    return {"clips": list(clips.shape), "clips_sha256": digest.hexdigest()}


def summarise(rows: Sequence[Row]) -> list[CellResult]:
    """Rows with the draws of each corruption and severity taken together, in their order."""
    groups: dict[tuple[str, float], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.corruption, row.severity), []).append(row)
    return [
        CellResult(
            corruption=corruption,
            severity=severity,
            draws=len(group),
            top1=statistics.fmean(row.top1 for row in group),
            top1_spread=statistics.stdev(row.top1 for row in group) if len(group) > 1 else 0.0,
            top5=statistics.fmean(row.top5 for row in group),
            mean_class=statistics.fmean(row.mean_class for row in group),
        )
        for (corruption, severity), group in groups.items()
    ]


def clean_top1(cells: Sequence[CellResult]) -> float:
    """Top-1 without corruption. Raises DataError where there is no such row."""
    for cell in cells:
        if cell.corruption == CLEAN:
            return cell.top1
    raise DataError("the results have no clean row to compare with; run the suite again, it begins with one")
