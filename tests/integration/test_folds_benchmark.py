"""The cross-validation benchmark: one checkpoint a fold in, each on its own split, the mean out."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from scripts import load_script

pytest.importorskip("torch", reason="checkpoints are run on PyTorch here")
from maskclr_edge.checkpoint import write_checkpoint
from maskclr_edge.data import AnnotationSet, made_up_clips, write_annotations

CONFIG = {"msk_type": "agpm", "epochs": 3, "seed": 0}


@pytest.fixture(scope="module")
def script():
    return load_script("benchmarks/folds.py")


def run(script, monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["folds.py", *map(str, words)])
    return script.main()


def test_each_fold_is_judged_on_its_own_split(script, monkeypatch, capsys, tmp_path, random_checkpoint):
    made = made_up_clips(10, seed=3, frames=(10, 20))
    clips = [replace(one, label=index % 5) for index, one in enumerate(made.annotations)]
    names = [one.name for one in clips]
    splits = {"val": tuple(names[:4]), "val_2": tuple(names[4:])}
    classes = tuple(f"class {index}" for index in range(5))
    write_annotations(tmp_path / "data.pkl", AnnotationSet(tuple(clips), splits, classes, made_up=True))
    for seed, split in enumerate(splits):
        checkpoint = random_checkpoint(seed, maxlen=12)
        checkpoint.info.update(val={"split": split}, split=split.replace("val", "train"), config=CONFIG)
        write_checkpoint(tmp_path / f"fold_{seed}.safetensors", checkpoint)
    words = ["--data", tmp_path / "data.pkl", "--out", tmp_path]
    assert run(script, monkeypatch, tmp_path / "fold_*.safetensors", *words) == 0
    document = json.loads(Path(capsys.readouterr().out.splitlines()[-1]).read_text())
    rows = document["results"]["rows"]
    assert [(row["split"], row["count"], row["trained_on"]) for row in rows] == [
        ("val", 4, "train"),
        ("val_2", 6, "train_2"),
    ]
    assert document["results"]["mean"]["top1"] == pytest.approx((rows[0]["top1"] + rows[1]["top1"]) / 2)
    (tmp_path / "fold_2.safetensors").write_bytes((tmp_path / "fold_0.safetensors").read_bytes())
    assert run(script, monkeypatch, tmp_path / "fold_*.safetensors", *words) == 2
    assert "give one a fold" in capsys.readouterr().err
    assert run(script, monkeypatch, tmp_path / "nothing*", *words) == 2
    assert "quote the pattern" in capsys.readouterr().err
