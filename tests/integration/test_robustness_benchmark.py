"""The robustness benchmark: groups of checkpoints in, one comparison out, resumed after a stop."""

import json
import sys
from pathlib import Path

import pytest
from scripts import load_script

pytest.importorskip("matplotlib", reason="the figure needs matplotlib")
pytest.importorskip("torch", reason="checkpoints are run on PyTorch here")
from maskclr_edge.checkpoint import write_checkpoint
from maskclr_edge.data import AnnotationSet, made_up_clips, write_annotations


@pytest.fixture(scope="module")
def script():
    return load_script("benchmarks/robustness.py")


@pytest.fixture
def words(tmp_path, random_checkpoint):
    for seed in range(4):
        name = f"{'ce' if seed < 2 else 'maskclr'}_s{seed % 2}"
        (tmp_path / name).mkdir()
        write_checkpoint(tmp_path / name / "best.safetensors", random_checkpoint(seed, maxlen=12))
    made = made_up_clips(10, seed=3, frames=(10, 20))
    names = tuple(f"class {index}" for index in range(5))
    chosen = [
        type(one)(one.name, index % 5, one.keypoints, one.resolution_wh, one.layout)
        for index, one in enumerate(made.annotations)
    ]
    everything = AnnotationSet(tuple(chosen), {"val": tuple(one.name for one in chosen)}, names, made_up=True)
    write_annotations(tmp_path / "data.pkl", everything)
    return [
        *("--data", str(tmp_path / "data.pkl"), "--baseline", f"ce={tmp_path}/ce_s*/best.safetensors"),
        *("--method", f"MaskCLR={tmp_path}/maskclr_s*/best.safetensors", "--corrupt", "joints:3,9"),
        *("--corrupt", "identity", "--draws", "2", "--keep", str(tmp_path / "keep"), "--threads", "1"),
        *("--out", str(tmp_path / "out"), "--plots", str(tmp_path / "docs")),
    ]


def run(script, monkeypatch, words):
    monkeypatch.setattr(sys, "argv", ["robustness.py", *words])
    return script.main()


def test_groups_in_a_comparison_out(script, monkeypatch, capsys, tmp_path, words):
    assert run(script, monkeypatch, [*words, "--missing"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4 * (1 + 2 * 2)
    assert run(script, monkeypatch, words) == 0
    captured = capsys.readouterr()
    path = Path(captured.out.splitlines()[-1])
    assert path.parent == tmp_path / "out" and path.name.endswith("_robustness.json")
    document = json.loads(path.read_text())
    results = document["results"]
    assert [group["name"] for group in results["groups"]] == ["ce", "MaskCLR"]
    first, second = results["groups"][0]["models"]
    assert (first["model"], second["model"]) == ("ce_s0/best.safetensors", "ce_s1/best.safetensors")
    assert first["sha256"] != second["sha256"] and first["runner"] == "torch"
    assert [cell["corruption"] for cell in first["cells"]] == ["clean", "joints", "joints"]
    assert list(results["skipped"]) == ["identity"]
    (comparison,) = results["comparisons"]
    assert comparison["method"] == "MaskCLR" and len(comparison["cells"]) + len(comparison["spared"]) == 2
    assert str(tmp_path) not in path.read_text()
    assert (tmp_path / "docs" / "robustness.png").read_bytes().startswith(b"\x89PNG")
    assert "won back" in captured.out
    # all is kept: nothing is missing, and a second run computes nothing
    assert run(script, monkeypatch, [*words, "--missing"]) == 0
    assert capsys.readouterr().out == ""
    assert run(script, monkeypatch, words) == 0
    assert capsys.readouterr().err == ""


def test_what_training_held_out_is_judged_apart(script, monkeypatch, capsys, tmp_path, words):
    assert run(script, monkeypatch, [*words, "--holdout", "0.5", "--name", "ablation"]) == 0
    path = Path(capsys.readouterr().out.splitlines()[-1])
    document = json.loads(path.read_text())
    assert path.name.endswith("_ablation.json") and document["settings"]["holdout"] == 0.5
    tops = {model["cells"][0]["top1"] for group in document["results"]["groups"] for model in group["models"]}
    assert all(top % 20 == 0 for top in tops)  # five clips: the second of the two of each class
    assert (tmp_path / "docs" / "ablation.png").is_file()


def test_an_interrupted_run_says_where_its_rows_are(script, monkeypatch, capsys, tmp_path, words):
    from maskclr_edge.runtime import Runner

    calls, infer = [], Runner.infer

    def stopping(self, clips):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return infer(self, clips)

    monkeypatch.setattr(Runner, "infer", stopping)
    assert run(script, monkeypatch, words) == 130
    assert "kept in" in capsys.readouterr().err
    monkeypatch.undo()
    assert run(script, monkeypatch, [*words, "--missing"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 20 - 3
    assert lines[0].startswith("ce ") and lines[0].endswith("ce_s0/best.safetensors: joints:9 draw 0")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (["--baseline", "nothing/*.safetensors"], "quote the pattern"),
        (["--corrupt", "joint"], "did you mean 'joints'?"),
        (["--split", "test"], "no split 'test'"),
        (["--draws", "0"], "draws is 0"),
    ],
)
def test_what_does_not_fit_is_one_line(script, monkeypatch, capsys, words, change, part):
    assert run(script, monkeypatch, [*words, *change]) == 2
    text = capsys.readouterr().err.splitlines()[-1]
    assert part in text
