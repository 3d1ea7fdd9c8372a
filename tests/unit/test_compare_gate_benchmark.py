"""The benchmark of compare's gate: what it plants is what it says, and it counts the verdicts."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from scripts import load_script


@pytest.fixture
def script() -> ModuleType:
    return load_script("benchmarks/compare_gate.py")


def test_a_slowed_call_takes_so_much_longer(script: ModuleType) -> None:
    now = [0.0]

    def tick() -> float:
        now[0] += 0.001  # looking at the clock takes a little
        return now[0]

    def infer(clips: Any) -> None:
        now[0] += 10.0

    script.slowed(SimpleNamespace(infer=infer), None, 1.1, tick)()
    assert now[0] == pytest.approx(11.0, abs=0.01)


def test_it_measures_in_turns_and_counts(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["--runs", "1", "--passes", "2", "--calls", "20", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["compare_gate.py", *words])
    script.main()  # what a busy machine makes of two passes is not asserted
    (path,) = tmp_path.glob("*_compare_gate.json")
    assert str(path) in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["compare_gate.py", *words, "--clock", "cpu", "--threads", "2"])
    assert script.main() == 2
    assert "--threads 1" in capsys.readouterr().err
    results = json.loads(path.read_text())["results"]
    assert [run["run"] for run in results["runs"]] == ["equal 0", "slower 0"]
    assert results["of"] == 1
    verdicts = {run["run"].split()[0]: run["verdict"] for run in results["runs"]}
    assert results["slower_caught"] == (verdicts["slower"] == "failed")
    assert results["equal_passed"] == (verdicts["equal"] in ("passed", "within noise"))
