"""The benchmark's peers: each computes what ours computes, and an ended run goes on where it was."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the peers are written in PyTorch")
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
import peer_nets  # noqa: E402

from maskclr_edge.data import AnnotationSet, made_up_clips, write_annotations  # noqa: E402
from maskclr_edge.model import build_model  # noqa: E402


def load(name):
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def clips(slots, frames=7):
    made = np.random.default_rng(0).normal(0, 0.5, (1, slots, frames, 17, 3)).astype(np.float32)
    made[:, 1:] = 0
    return made


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize(
    "peer", [peer for peer in peer_nets.peers() if "compile" not in peer.name], ids=lambda peer: peer.name
)
def test_a_peer_computes_the_network(peer, slots, random_checkpoint):
    checkpoint, given = random_checkpoint(), clips(slots)
    with torch.inference_mode():
        expected = build_model(checkpoint)(torch.from_numpy(given)).numpy()
    with peer.open(peer_nets.Setting(checkpoint, 7, slots, 1)) as call:
        error = np.abs(call(given) - expected).max() / np.abs(expected).max()
    # OpenVINO as it comes runs float32 in bfloat16 where the processor has that
    assert error < (0.1 if "bf16" in peer.name or "OpenVINO" in peer.name else 1e-4)


def test_what_cannot_run_here_has_its_reason():
    missing = peer_nets.absent()
    assert all(missing.values())
    compiled = any("compile" in peer.name for peer in peer_nets.peers())
    assert compiled != ("torch.compile" in missing)


def test_an_ended_run_goes_on_and_ends_as_one_result(monkeypatch, capsys, tmp_path):
    made = made_up_clips(6, seed=3, frames=(10, 20), persons=(1, 1))
    names = tuple(one.name for one in made.annotations)
    splits = {"train": names, "val": names}
    annotations = tuple(replace(one, label=0) for one in made.annotations)
    write_annotations(
        tmp_path / "data.pkl", AnnotationSet(annotations, splits, ("baseball_pitch",), made_up=True)
    )
    script = load("peers")
    monkeypatch.setattr(script, "agreement", lambda arguments: [])
    words = ["--data", str(tmp_path / "data.pkl"), "--keep", str(tmp_path / "keep"), "--out", str(tmp_path)]
    words += ["--small", "--frames", "5", "--seconds", "0.01", "--min-samples", "2", "--threads", "1"]
    words += ["--precision", "fp32,int8"]
    run(script, monkeypatch, *words, "--peer", "eager")
    first = json.loads(Path(capsys.readouterr().out.splitlines()[-1]).read_text())
    rows = first["results"]["rows"]
    assert [(row["slots"], row["frames"]) for row in rows] == [(2, 5), (1, 5)]
    assert all(row["ratio"]["low"] <= row["ratio"]["value"] <= row["ratio"]["high"] for row in rows)
    run(script, monkeypatch, *words, "--peer", "onnxruntime int8")
    second = json.loads(Path(capsys.readouterr().out.splitlines()[-1]).read_text())
    assert second["results"]["rows"][:2] == rows
    assert second["results"]["rows"][2]["peer"] == "ours, onnxruntime int8"
    assert str(tmp_path) not in json.dumps(second)
    table = load("readme").performance(second["results"])
    assert "upstream's form, PyTorch eager fp32 | and the padded second |" in table
    assert "Not run: trtexec" in table or "trtexec" not in second["results"]["absent"]


def run(script, monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["peers.py", *words])
    assert script.main() == 0
