"""The benchmark of INT8 scores: both files are of the same network, and only one has them."""

import json
import sys
from pathlib import Path

import pytest
from scripts import load_script

pytest.importorskip("torch", reason="its networks are made by PyTorch")
pytest.importorskip("openvino", reason="what it measures")
from maskclr_edge.checkpoint import write_checkpoint


def test_each_network_with_and_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, random_checkpoint
) -> None:
    script, shares = load_script("benchmarks/int8_scores.py"), []

    def exported(*given, **named):
        bundle = export(*given, **named)
        encoder = next(a for a in bundle.artifacts if a.runners == ("openvino",))
        shares.append(encoder.read_back["gemm_flops"]["int8"])
        return bundle

    export = script.export_bundle
    monkeypatch.setattr(script, "export_bundle", exported)
    monkeypatch.setattr(script, "NETWORKS", ((16, 2),))
    write_checkpoint(tmp_path / "own.safetensors", random_checkpoint())
    words = ["--frames", "7", "--seconds", "0.01", "--model", str(tmp_path / "own.safetensors")]
    monkeypatch.setattr(sys, "argv", ["int8_scores.py", *words, "--out", str(tmp_path)])
    assert script.main() == 0
    (written,) = tmp_path.glob("*_int8_scores.json")
    rows = json.loads(written.read_text())["results"]["rows"]
    assert [(row["width"], row["head_dim"], row["weights"]) for row in rows] == [
        (16, 8, "random, seed 0"), (16, 8, "trained"),
    ]  # fmt: skip
    assert shares[1] > shares[0] and shares[3] > shares[2]
    assert all(row["faster"]["low"] <= row["faster"]["value"] <= row["faster"]["high"] for row in rows)
