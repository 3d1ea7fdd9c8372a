"""The benchmark of the runners' own settings: each comparison in one row, and nobody left behind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from scripts import load_script

from maskclr_edge.optional import available


def test_every_comparison_is_a_row(tiny_bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = load_script("benchmarks/runtime_settings.py")
    monkeypatch.setattr(script, "ROUNDS", 2)
    words = [str(tiny_bundle.write()), "--frames", "6", "--seconds", "0.01", "--threads", "2"]
    monkeypatch.setattr(sys, "argv", ["runtime_settings.py", *words, "--out", str(tmp_path)])
    assert script.main() == 0
    (written,) = tmp_path.glob("*_runtime_settings.json")
    rows = json.loads(written.read_text())["results"]["rows"]
    assert [row["what"].split()[0] for row in rows] == [
        *(["compiled", "8"] if available("openvino") else []), "threads", "the", "bound",
    ]  # fmt: skip
    for row in rows:
        assert row["wall"]["low"] <= row["wall"]["value"] <= row["wall"]["high"]
        assert row["rounds"] >= 2 and min(row["median_ms"]) > 0


def test_the_busy_process_is_busy_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    script, started = load_script("benchmarks/runtime_settings.py"), []

    def popen(*given, **named):
        started.append(real(*given, **named))
        return started[-1]

    real = subprocess.Popen
    monkeypatch.setattr(script.subprocess, "Popen", popen)
    with pytest.raises(RuntimeError), script.busy_process():
        assert started[0].poll() is None
        raise RuntimeError
    assert started[0].poll() is not None
