"""The benchmark of precisions: ratios against fp32 in turns, and nothing that a CPU only emulates."""

import json
import sys
from types import ModuleType

import pytest
from scripts import load_script

pytest.importorskip("onnx", reason="bundles are exported here")
from maskclr_edge.deploy import export_bundle
from maskclr_edge.deploy.calibration_set import made_up_calibration


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("benchmarks/precision_speed.py")


def run(script: ModuleType, monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["precision_speed.py", *map(str, words)])
    code: int = script.main()
    return code


def test_ratios_are_against_fp32_of_the_same_runner(script, monkeypatch, tmp_path, random_checkpoint):
    checkpoint = random_checkpoint(maxlen=12)
    export_bundle(
        checkpoint, tmp_path / "bundle", precisions=("fp32", "int8", "fp8"),
        calibration=made_up_calibration(checkpoint.contract, count=8)[0],
    )  # fmt: skip
    words = (tmp_path / "bundle", "--frames", "4,7", "--runner", "onnxruntime", "--seconds", 0.05)
    assert run(script, monkeypatch, *words, "--threads", 1, "--out", tmp_path) == 0
    (written,) = tmp_path.glob("*_precision_speed.json")
    rows = json.loads(written.read_text())["results"]["rows"]
    assert [(row["frames"], row["precision"]) for row in rows] == [
        (4, "fp32"), (4, "int8"), (7, "fp32"), (7, "int8"),
    ]  # fmt: skip
    for row in rows:
        assert row["faster"]["low"] <= row["faster"]["value"] <= row["faster"]["high"]
        assert row["precision"] != "fp32" or row["faster"]["value"] == 1


def test_a_bundle_of_one_precision_has_nothing_to_compare(
    script, monkeypatch, capsys, tmp_path, random_checkpoint
):
    export_bundle(random_checkpoint(maxlen=12), tmp_path / "bundle")
    assert run(script, monkeypatch, tmp_path / "bundle", "--out", tmp_path) == 2
    assert "no runner here with fp32 and another precision" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.json"))
