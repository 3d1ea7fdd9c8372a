"""The benchmark's peers: each computes what ours computes, and an ended run goes on where it was."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scripts import load_script

torch = pytest.importorskip("torch", reason="the peers are written in PyTorch")
import peer_nets  # noqa: E402

from maskclr_edge.checkpoint import write_checkpoint  # noqa: E402
from maskclr_edge.data import AnnotationSet, made_up_clips, write_annotations  # noqa: E402
from maskclr_edge.model import build_model  # noqa: E402


def load(name):
    return load_script(f"benchmarks/{name}.py")


def clips(slots, frames=7):
    made = np.random.default_rng(0).normal(0, 0.5, (1, slots, frames, 17, 3)).astype(np.float32)
    made[:, 1:] = 0
    return made


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize(
    "peer", [peer for peer in peer_nets.peers() if "compile" not in peer.name], ids=lambda peer: peer.name
)
def test_a_peer_computes_the_network(peer, slots, random_checkpoint, tmp_path):
    checkpoint, given = random_checkpoint(), clips(slots)
    with torch.inference_mode():
        expected = build_model(checkpoint)(torch.from_numpy(given)).numpy()
    with peer.open(peer_nets.Setting(checkpoint, 7, slots, 1, tmp_path)) as call:
        error = np.abs(call(given) - expected).max() / np.abs(expected).max()
    # OpenVINO as it comes runs float32 in bfloat16 where the processor has that
    assert error < (0.1 if "bf16" in peer.name or "OpenVINO" in peer.name else 1e-4)


def test_what_cannot_run_here_has_its_reason():
    missing = peer_nets.absent()
    assert all(missing.values())
    compiled = any("compile" in peer.name for peer in peer_nets.peers())
    assert compiled != ("torch.compile" in missing)


def test_a_naive_export_is_made_once(random_checkpoint, tmp_path, monkeypatch):
    setting = peer_nets.Setting(random_checkpoint(), 5, 2, 1, tmp_path)
    path = peer_nets.naive_export(setting)
    monkeypatch.setattr(torch.onnx, "export", None)
    assert peer_nets.naive_export(setting) == path
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_what_a_gpu_would_run_is_told_apart():
    """On a CPU only which peers there would be can be checked, not what they compute."""
    if not peer_nets.can_compile():
        pytest.skip("torch.compile needs a C++ compiler")
    assert not any("CUDA" in peer.name for peer in peer_nets.peers("cpu"))
    assert peer_nets.absent("cpu")["torch.compile with CUDA graphs"]
    assert "torch.compile with CUDA graphs" not in peer_nets.absent("cuda")


@pytest.fixture
def words(tmp_path):
    """A command line for a tiny network and made-up data."""
    made = made_up_clips(6, seed=3, frames=(10, 20), persons=(1, 1))
    names = tuple(one.name for one in made.annotations)
    annotations = tuple(replace(one, label=0) for one in made.annotations)
    found = AnnotationSet(annotations, {"train": names, "val": names}, ("baseball_pitch",), made_up=True)
    write_annotations(tmp_path / "data.pkl", found)
    asked = {
        "data": tmp_path / "data.pkl", "keep": tmp_path / "keep", "out": tmp_path, "frames": "5",
        "seconds": "0.01", "min-samples": "2", "threads": "1", "precision": "fp32,int8",
    }  # fmt: skip
    return ["--small", *(word for name, value in asked.items() for word in (f"--{name}", str(value)))]


@pytest.fixture
def script(monkeypatch):
    loaded = load("peers")
    monkeypatch.setattr(loaded, "REST_S", 0.0)
    return loaded


def test_an_ended_run_goes_on_and_ends_as_one_result(script, words, monkeypatch, capsys, tmp_path):
    first = run(script, monkeypatch, capsys, *words, "--peer", "eager")
    rows = first["results"]["rows"]
    assert [(row["slots"], row["frames"]) for row in rows] == [(2, 5), (1, 5)]
    assert all(row["ratio"]["low"] <= row["ratio"]["value"] <= row["ratio"]["high"] for row in rows)
    agreed = first["results"]["agreement"]
    assert agreed["of"] == "bundled" and {row["precision"] for row in agreed["rows"]} == {"int8"}
    monkeypatch.setattr(script, "agreeing", None)  # it is kept, and not measured again
    second = run(script, monkeypatch, capsys, *words, "--peer", "onnxruntime int8")
    assert second["results"]["rows"][:2] == rows
    assert second["results"]["rows"][2]["peer"] == "ours, onnxruntime int8"
    assert second["results"]["agreement"] == agreed
    assert str(tmp_path) not in json.dumps(second)
    table = load("readme_speed").performance(second["results"])
    assert "upstream's form, PyTorch eager fp32 | and the padded second |" in table
    assert "Not run: trtexec" in table or "trtexec" not in second["results"]["absent"]


def test_agreement_needs_no_quiet_machine(script, words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["peers.py", *words, "--prepare", "--peer", "eager"])
    assert script.main() == 0
    monkeypatch.setattr(script, "agreeing", None)  # it is kept, and not measured again
    results = run(script, monkeypatch, capsys, *words, "--peer", "eager", "--frames", "5,8")["results"]
    assert len(results["rows"]) == 4 and results["agreement"]["rows"]
    grown = results["growth"]
    assert grown["frames"] == [5, 8] and 1.5 < grown["flops"] < 1.7
    assert grown["latency"]["low"] <= grown["latency"]["value"] <= grown["latency"]["high"]
    assert [(row["peer"], row["slots"]) for row in grown["peers"]] == [
        ("upstream's form, PyTorch eager fp32", slots) for slots in (2, 1)
    ]


def test_what_fails_and_what_is_missing_is_named(script, words, monkeypatch, capsys):
    """One peer raises, and Ctrl-C is hit in the next: the result holds the first row, and says the rest."""

    def raises(error):
        def opened(setting):
            raise error

        return opened

    monkeypatch.setattr(script, "agreeing", lambda *_: {"of": "bundled", "rows": []})
    peers = [
        script.Peer("eager", peer_nets._eager("cpu", autocast=False), (1,)),
        script.Peer("broken", raises(RuntimeError("no kernel\nmore")), (1,)),
        script.Peer("stopped", raises(KeyboardInterrupt()), (1,)),
    ]
    monkeypatch.setattr(script, "peers", lambda device: peers)
    monkeypatch.setattr(script, "own_variants", lambda *_: [])
    results = run(script, monkeypatch, capsys, *words)["results"]
    assert [row["peer"] for row in results["rows"]] == ["eager"]
    assert results["failed"] == {"T=5, 1 person slots, broken": "RuntimeError: no kernel"}
    assert results["missing"] == ["T=5, 1 person slots, stopped"]


def test_another_network_in_the_folder_is_refused(
    script, words, monkeypatch, capsys, tmp_path, random_checkpoint
):
    (tmp_path / "keep").mkdir()
    write_checkpoint(tmp_path / "keep" / "checkpoint.safetensors", random_checkpoint(seed=1))
    write_checkpoint(tmp_path / "trained.safetensors", random_checkpoint())
    monkeypatch.setattr(sys, "argv", ["peers.py", *words, "--model", str(tmp_path / "trained.safetensors")])
    assert script.main() == 2
    assert "not the network that was asked for; name another --keep" in capsys.readouterr().err


def run(script, monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["peers.py", *words])
    assert script.main() == 0
    return json.loads(Path(capsys.readouterr().out.splitlines()[-1]).read_text())
