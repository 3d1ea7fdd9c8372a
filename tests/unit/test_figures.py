"""Figures are PNG files of what they were given, and are written whole or not at all."""

from pathlib import Path

import numpy as np
import pytest

from maskclr_edge.errors import ConfigError, DataError
from maskclr_edge.evaluation import CLEAN, CellResult

pytest.importorskip("matplotlib", reason="figures need matplotlib")
from maskclr_edge.evaluation.figures import curve, draw_confusion, draw_robustness

PNG = b"\x89PNG\r\n\x1a\n"


def run(clean: float, *cells: tuple[str, float, float]) -> list[CellResult]:
    found = [CellResult(CLEAN, 0.0, 1, clean, 0.0, 100.0, clean)]
    return found + [CellResult(name, severity, 3, top1, 2.0, 100.0, top1) for name, severity, top1 in cells]


def test_a_curve_over_seeds_and_of_one_model() -> None:
    one = curve([run(90, ("joints", 6, 60), ("joints", 3, 80))])
    assert one.clean == (90, 0)
    assert one.points == {"joints": ((3, 80, 2.0), (6, 60, 2.0))}  # its spread over draws
    two = curve([run(90, ("joints", 6, 60)), run(94, ("joints", 6, 64))])
    assert two.clean == (92, pytest.approx(8**0.5))
    assert two.points["joints"] == ((6, 62, pytest.approx(8**0.5)),)  # over seeds
    with pytest.raises(DataError):
        curve([])


def test_figures_are_the_same_bytes_again(tmp_path: Path) -> None:
    curves = {
        "baseline": curve([run(90, ("joints", 6, 60), ("rate", 4, 88))]),
        "maskclr": curve([run(92, ("joints", 6, 75))]),  # one panel without this line's points
    }
    for path in (tmp_path / "a.png", tmp_path / "b.png"):
        draw_robustness(path, curves, title="made up")
    assert (tmp_path / "a.png").read_bytes().startswith(PNG)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize("classes", [2, 45])
def test_confusion_matrices_of_few_and_many_classes(tmp_path: Path, classes: int) -> None:
    matrix = np.eye(classes, dtype=np.int64) * 3
    matrix[0] = 0  # a class without clips
    draw_confusion(tmp_path / "c.png", matrix, [f"class {index}" for index in range(classes)])
    assert (tmp_path / "c.png").read_bytes().startswith(PNG)


def test_what_cannot_be_drawn(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--corrupt"):
        draw_robustness(tmp_path / "a.png", {"clean alone": curve([run(90)])})
    with pytest.raises(ConfigError, match="cannot write"):
        draw_confusion(tmp_path / "none" / "c.png", np.eye(2, dtype=np.int64), ["a", "b"])
