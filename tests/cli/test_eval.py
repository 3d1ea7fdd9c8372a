"""The eval command on a small bundle and an annotation file of made-up motions."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskclr_edge.cli.main import main
from maskclr_edge.data import MADE_UP_CLASSES, AnnotationSet, made_up_clips, write_annotations
from maskclr_edge.runtime import open_runner

CLASSES = ("clap", "jump", "sit", "squat", "wave")  # those of the hand-made bundle


@pytest.fixture
def bundle(tiny_bundle: Any) -> str:
    return str(tiny_bundle.write(precisions=("fp32",)))


def _write(folder: Path, *, names: tuple[str, ...] = CLASSES, count: int = 12) -> str:
    made = made_up_clips(count, seed=3, frames=(10, 20), classes=None)
    chosen = AnnotationSet(
        tuple(type(one)(one.name, index % len(names), one.keypoints, one.resolution_wh, one.layout)
              for index, one in enumerate(made.annotations)),
        {"val": tuple(one.name for one in made.annotations), "few": (made.annotations[0].name,)},
        names,
        made_up=True,
    )  # fmt: skip
    path = folder / "made_up.pkl"
    write_annotations(path, chosen)
    return str(path)


def test_accuracy_is_that_of_the_logits(bundle: str, tmp_path: Path) -> None:
    data, target = _write(tmp_path), tmp_path / "result.json"
    assert main(["eval", bundle, "--data", data, "--split", "val", "--json", str(target)]) == 0
    result = json.loads(target.read_text())
    from maskclr_edge.data import make_clips, read_annotations

    with open_runner(bundle) as runner:
        clips, labels = make_clips(read_annotations(data).split("val"), runner.contract)
        hits = runner.infer(clips).argmax(axis=1) == labels
    assert result["top1"] == pytest.approx(100 * np.mean(hits))
    assert result["top5"] == 100.0
    assert result["clips"] == 12
    assert (result["runner"], result["precision"], result["made_up"]) == ("onnxruntime", "fp32", True)
    assert sum(entry["clips"] for entry in result["per_class"]) == 12


def test_what_it_shows(bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", bundle, "--data", _write(tmp_path), "--split", "val", "--per-class"]) == 0
    captured = capsys.readouterr()
    for word in ("top-1 %", "mean class %", "made-up clips", "onnxruntime", "Each class", *CLASSES):
        assert word in captured.out
    assert captured.err == ""


def test_json_alone(bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", _write(tmp_path), "--split", "few", "--json", "-", "--batch", "1", "--frames", "16"]
    assert main(["eval", bundle, *words]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["clips"], result["frames"]) == (1, 16)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--split", "test"], ["'test'", "few, val"]),
        (["--split", "val", "--runner", "abacus"], ["abacus", "onnxruntime"]),
        (["--split", "val", "--precision", "int8"], ["int8", "fp32"]),
        (["--split", "val", "--frames", "244"], ["244", "243"]),
        (["--split", "val", "--layout", "coco18"], ["coco18", "coco17"]),
        ([], ["--split"]),
    ],
)
def test_what_does_not_fit_is_one_line_and_code_2(
    bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], parts: list[str]
) -> None:
    assert main(["eval", bundle, "--data", _write(tmp_path), *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    for part in parts:
        assert part in captured.err


@pytest.mark.parametrize("names", [("read", "write"), tuple(f"class {index}" for index in range(6))])
def test_classes_that_differ(
    bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], names: tuple[str, ...]
) -> None:
    data = _write(tmp_path, names=names)
    assert main(["eval", bundle, "--data", data, "--split", "val"]) == 2
    text = capsys.readouterr().err
    assert "made_up.pkl" in text
    assert "5" in text


def test_a_file_that_is_no_annotation_file(
    bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.pkl"
    broken.write_bytes(b"not a pickle")
    for data in (broken, tmp_path / "absent.pkl", tmp_path):
        assert main(["eval", bundle, "--data", str(data), "--split", "val"]) == 2
        text = capsys.readouterr().err
        assert text.count("\n") == 1
        assert str(data) in text


def test_a_model_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", str(tmp_path / "none"), "--data", _write(tmp_path), "--split", "val"]) == 2
    assert "none" in capsys.readouterr().err


def test_made_up_motions_need_no_file(tiny_bundle: Any, capsys: pytest.CaptureFixture[str]) -> None:
    names = (*MADE_UP_CLASSES[:3], "swim", "fly")
    bundle = tiny_bundle.write(contract={"class_names": list(names)})
    assert main(["eval", str(bundle), "--data", "made-up", "--split", "val", "--json", "-"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["made_up"] is True
    assert result["clips"] == 30
    assert [entry["class"] for entry in result["per_class"]] == list(names[:3])


def test_a_model_that_knows_no_made_up_class(tiny_bundle: Any, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tiny_bundle.write(contract={"class_names": ["v", "w", "x", "y", "z"]})
    assert main(["eval", str(bundle), "--data", "made-up", "--split", "val"]) == 2
    assert "knows none of them (v, w, x, ...)" in capsys.readouterr().err


def test_clips_as_a_stream(tmp_path, capsys):
    clips = made_up_clips(
        6, seed=4, frames=(60, 60), classes=("jumping_jacks", "squat"), split_fractions={"val": 1.0}
    )
    write_annotations(tmp_path / "clips.pkl", clips)
    command = ["eval", "bundled", "--data", str(tmp_path / "clips.pkl"), "--split", "val", "--stream"]
    assert main([*command, "--json", "-"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["actions"] == 6 and facts["made_up"] and 0 < facts["detected_percent"] <= 100
    assert facts["minutes"] == 0.2 and set(facts["f1"]) == {"0.1", "0.25", "0.5"}
    assert main([*command, "--corrupt", "joints:6"]) == 2
    assert "--stream takes no" in capsys.readouterr().err


def test_mirror_images_give_the_mean_answer(
    bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from maskclr_edge.data import make_clips, read_annotations
    from maskclr_edge.skeleton import flip_clips

    data, target = _write(tmp_path), tmp_path / "result.json"
    command = ["eval", bundle, "--data", data, "--split", "val", "--mirror"]
    assert main([*command, "--json", str(target)]) == 0
    result = json.loads(target.read_text())
    assert "each clip and its mirror image" in capsys.readouterr().out
    with open_runner(bundle) as runner:
        clips, labels = make_clips(read_annotations(data).split("val"), runner.contract)
        both = [runner.infer(view) for view in (clips, flip_clips(clips))]
    odds = sum(np.exp(one) / np.exp(one).sum(axis=1, keepdims=True) for one in both)
    assert result["mirror"] is True
    assert result["top1"] == pytest.approx(100 * np.mean(np.argmax(odds, axis=1) == labels))
    assert main([*command, "--corrupt", "joints:3", "--draws", "1", "--json", str(target)]) == 0
    assert json.loads(target.read_text())["clips"] == 12
    assert main([*command, "--oneshot"]) == 2
    assert "no --mirror" in capsys.readouterr().err
