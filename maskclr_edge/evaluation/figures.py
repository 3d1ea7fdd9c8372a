"""Figures of evaluations as PNG files: accuracy against severity, and confusion matrices (matplotlib)."""

import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.errors import ConfigError, DataError
from maskclr_edge.evaluation.robustness import CellResult, clean_top1
from maskclr_edge.evaluation.row_store import CLEAN
from maskclr_edge.files import write_atomically
from maskclr_edge.optional import require

#: told apart by people who see few colours, and in print (Okabe and Ito)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^vPX"
_COLUMNS = 4
#: classes whose names and counts are written into a confusion matrix
_NAMED = 40
_COUNTED = 25


@dataclass(frozen=True)
class Curve:
    """Points (severity, mean, spread) of top-1 by corruption, clean accuracy first; what one line shows."""

    clean: tuple[float, float]
    points: Mapping[str, tuple[tuple[float, float, float], ...]]


def curve(runs: Sequence[Sequence[CellResult]]) -> Curve:
    """One line of a figure from the cells of one model, or of several seeds taken together.

    The spread is that over seeds, or over draws where there is one model. Raises DataError for no run.
    """
    if not runs:
        raise DataError("there is no run to draw a curve of")
    cleans = [clean_top1(run) for run in runs]
    groups: dict[str, dict[float, list[CellResult]]] = {}
    for run in runs:
        for cell in run:
            if cell.corruption != CLEAN:
                groups.setdefault(cell.corruption, {}).setdefault(cell.severity, []).append(cell)
    points = {}
    for corruption, by_severity in groups.items():
        points[corruption] = tuple(
            (severity, *_mean_and_spread([cell.top1 for cell in cells], cells[0].top1_spread))
            for severity, cells in sorted(by_severity.items())
        )
    return Curve(_mean_and_spread(cleans, 0.0), points)


def draw_robustness(path: str | Path, curves: Mapping[str, Curve], *, title: str = "") -> None:
    """Write a :func:`robustness_figure` as PNG. Raises as it does, or ConfigError when that fails."""
    save_figure(path, robustness_figure(curves, title=title))


def robustness_figure(curves: Mapping[str, Curve], *, title: str = "") -> Any:
    """One panel a corruption, one line a model: top-1 against severity, clean at the left.

    Bars are one standard deviation. Raises DataError for no corruption, MissingDependencyError without
    matplotlib.
    """
    from maskclr_edge.skeleton.corruption import get_corruption

    names = list(dict.fromkeys(name for one in curves.values() for name in one.points))
    if not names:
        raise DataError("there is no corruption to draw; name some with --corrupt")
    columns = min(_COLUMNS, len(names))
    rows = -(-len(names) // columns)
    figure = new_figure(3.1 * columns, 2.6 * rows + 0.9)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for place, panel in enumerate(panels.flat):
        if place >= len(names):
            panel.set_axis_off()
            continue
        kind = get_corruption(names[place])
        panel.set_title(kind.name, fontsize=10)
        panel.set_xlabel(kind.unit, fontsize=8)
        panel.tick_params(labelsize=8)
        panel.grid(alpha=0.3)
        if place % columns == 0:
            panel.set_ylabel("top-1 %", fontsize=9)
        for number, (label, one) in enumerate(curves.items()):
            points = ((kind.low, *one.clean), *one.points.get(kind.name, ()))
            severity, mean, spread = zip(*points, strict=True)
            style = {"color": COLOURS[number % len(COLOURS)], "marker": _MARKERS[number % len(_MARKERS)]}
            panel.errorbar(
                severity, mean, spread, label=label, capsize=2, markersize=4, linewidth=1.3, **style
            )
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), fontsize=9)
    figure.suptitle(title or "Top-1 accuracy under corruption", fontsize=12)
    return figure


def draw_confusion(
    path: str | Path, matrix: npt.NDArray[np.int64], class_names: Sequence[str], *, title: str = ""
) -> None:
    """Write a PNG of a confusion matrix (K, K): shares of each true class as shades, counts as numbers.

    Raises MissingDependencyError without matplotlib, ConfigError when the file cannot be written.
    """
    classes = len(class_names)
    side = min(24.0, 3.5 + 0.36 * classes)
    figure = new_figure(side + 1, side)
    panel = figure.subplots()
    totals = matrix.sum(axis=1, keepdims=True)
    shares = 100 * matrix / np.maximum(totals, 1)
    image = panel.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(image, ax=panel, shrink=0.8, label="% of the true class")
    panel.set(xlabel="answer", ylabel="true class", title=title or "Confusion matrix")
    if classes <= _NAMED:
        panel.set_xticks(range(classes), class_names, rotation=90, fontsize=8)
        panel.set_yticks(range(classes), class_names, fontsize=8)
    if classes <= _COUNTED:
        for row, column in np.argwhere(matrix):
            shade = "white" if shares[row, column] > 55 else "black"
            panel.text(
                column, row, str(matrix[row, column]), ha="center", va="center", fontsize=7, color=shade
            )
    save_figure(path, figure)


def save_figure(path: str | Path, figure: Any) -> None:
    """Write a matplotlib figure as PNG, whole or not at all. Raises ConfigError when that fails."""
    try:
        write_atomically(path, to_png(figure))
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}") from error


def to_png(figure: Any) -> bytes:
    """A matplotlib figure as PNG."""
    buffer = io.BytesIO()
    # no date and no version in the file: equal results give equal bytes
    figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    return buffer.getvalue()


def new_figure(width: float, height: float) -> Any:
    """A figure of its own: no window, and no state shared with other figures. Sizes in inches."""
    return require("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")


def _mean_and_spread(values: Sequence[float], alone: float) -> tuple[float, float]:
    spread = statistics.stdev(values) if len(values) > 1 else alone
    return statistics.fmean(values), spread
