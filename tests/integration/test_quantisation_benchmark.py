"""The benchmark of quantisation: calibrators side by side, and budgets as a user types them."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from scripts import load_script

from maskclr_edge.checkpoint import read_checkpoint
from maskclr_edge.data import AnnotationSet, made_up_clips, write_annotations
from maskclr_edge.runtime.bundled import bundled_checkpoint

Rows = list[dict[str, object]]


@pytest.fixture
def script() -> ModuleType:
    return load_script("benchmarks/quantisation.py")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Made-up motions under the names of the bundled model's classes."""
    names = read_checkpoint(bundled_checkpoint()).contract.class_names
    made = made_up_clips(12, seed=3, frames=(10, 20)).annotations
    clips = tuple(replace(one, label=index % len(names)) for index, one in enumerate(made))
    split = {"train": tuple(one.name for one in clips)}
    write_annotations(tmp_path / "data.pkl", AnnotationSet(clips, split, names, made_up=True))
    return tmp_path / "data.pkl"


def run(script: ModuleType, monkeypatch: pytest.MonkeyPatch, what: str, data: Path) -> Rows:
    words = ["quantisation.py", what, "--data", str(data), "--out", str(data.parent / "results")]
    monkeypatch.setattr(sys, "argv", words)
    assert script.main() == 0
    (file,) = (data.parent / "results").glob(f"*_{what}.json")
    rows: Rows = json.loads(file.read_text())["results"]["rows"]
    return rows


def test_every_calibrator_has_a_row(script: ModuleType, monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    monkeypatch.setattr(script, "DEFAULT_COUNT", 4)
    monkeypatch.setattr(script, "METHODS", ("minmax", "entropy"))
    rows = run(script, monkeypatch, "calibrators", data)
    assert [(row["method"], row["smooth"]) for row in rows] == [
        ("minmax", None), ("entropy", None), ("minmax", 0.5), ("entropy", 0.5),
    ]  # fmt: skip
    assert len({row["mean_logit_error"] for row in rows}) == 4


def test_budgets_are_typed_and_a_run_goes_on(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, data: Path
) -> None:
    first, second = (("--precision", "int8", "--max-drop", points) for points in ("0", "0.1"))
    monkeypatch.setattr(script, "BUDGETS", (first,))
    (row,) = run(script, monkeypatch, "budgets", data)
    assert row["exit_code"] == 2
    assert str(row["said"]).startswith("error: a drop of 0 points cannot be shown")
    monkeypatch.setattr(script, "BUDGETS", (first, second))
    typed: list[tuple[str, ...]] = []

    def budget(arguments: object, options: tuple[str, ...]) -> dict[str, str]:
        typed.append(options)
        return {"options": "b"}

    monkeypatch.setattr(script, "budget", budget)
    assert [one["options"] for one in run(script, monkeypatch, "budgets", data)] == [row["options"], "b"]
    assert typed == [second]  # what is there is not run again
