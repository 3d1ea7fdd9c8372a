"""The benchmark of the live pipeline, in seconds instead of minutes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mediapipe", reason="needs the extra live, which has no wheel for this Python")
ROOT = Path(__file__).resolve().parents[2]


def bench(*arguments: object) -> dict:
    out = Path(str(arguments[-1]))
    command = [sys.executable, ROOT / "benchmarks" / "live.py", *map(str, arguments[:-1]), "--out", out]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    return json.loads(next(out.glob("*.json")).read_text())


@pytest.mark.full
def test_rates_are_counted_and_a_soak_too_short_is_refused(shared_footage, tmp_path):
    video = shared_footage / "exercise.avi"
    row = bench("rates", video, "--seconds", 15, "--people", 1, tmp_path)["results"]["rows"][0]
    assert row["frames"] + row["dropped"] == 450 and row["persons"] >= 1 and row["processor_ms_per_frame"] > 0
    command = [sys.executable, ROOT / "benchmarks" / "live.py", "soak", video, "--minutes", "0.1"]
    refused = subprocess.run([*command, "--out", tmp_path], capture_output=True, text=True, cwd=ROOT)
    assert refused.returncode == 2 and "two minutes" in refused.stderr


@pytest.mark.slow
def test_marks_tell_a_switch(shared_footage, tmp_path, monkeypatch):
    copy = tmp_path / "benchmarks"
    shutil.copytree(ROOT / "benchmarks" / "marks", copy / "marks")
    shutil.copy(ROOT / "benchmarks" / "live.py", copy)
    path = copy / "marks" / "exercise_identities.json"
    marks = json.loads(path.read_text())
    for mark in marks["marks"][6:]:  # as if the left and the right person had changed places
        mark["left"], mark["right"] = mark["right"], mark["left"]
    path.write_text(json.dumps(marks))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    command = [sys.executable, copy / "live.py", "identities", shared_footage / "exercise.avi"]
    subprocess.run([*command, "--out", tmp_path], check=True, capture_output=True)
    rows = json.loads(next(tmp_path.glob("*live_identities.json")).read_text())["results"]["rows"]
    assert [row["switches"] for row in rows] == [2, 2, 2]
