"""The eval command beyond one split of clean clips: corruption, several models and splits, one-shot."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskclr_edge.checkpoint import Checkpoint, write_checkpoint
from maskclr_edge.cli.main import main
from maskclr_edge.data import AnnotationSet, made_up_clips, make_clips, read_annotations, write_annotations
from maskclr_edge.evaluation import run_suite
from maskclr_edge.runtime import open_runner
from maskclr_edge.skeleton import CORRUPTIONS, parse_corruptions

CLASSES = ("clap", "jump", "sit", "squat", "wave")  # those of the hand-made bundle
PNG = b"\x89PNG"


@pytest.fixture
def bundle(tiny_bundle: Any) -> str:
    return str(tiny_bundle.write())


def relabelled(count: int, labels: list[int], **keywords: Any) -> list[Any]:
    made = made_up_clips(count, seed=3, frames=(10, 20), **keywords).annotations
    return [type(one)(one.name, label, one.keypoints, one.resolution_wh, one.layout)
            for one, label in zip(made, labels, strict=True)]  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> str:
    annotations = relabelled(12, [index % 5 for index in range(12)])
    names = tuple(one.name for one in annotations)
    splits = {"val": names, "val_1": names[:5], "val_2": names[5:]}
    write_annotations(tmp_path / "data.pkl", AnnotationSet(tuple(annotations), splits, CLASSES, made_up=True))
    return str(tmp_path / "data.pkl")


def test_corruption_is_that_of_the_suite(bundle: str, data: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", data, "--split", "val", "--corrupt", "joints:9", "--corrupt", "rate", "--draws", "2"]
    assert main(["eval", bundle, *words, "--seed", "4", "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    with open_runner(bundle) as runner:
        clips, labels = make_clips(read_annotations(data).split("val"), runner.contract)
        cells = parse_corruptions(["joints:9", "rate"])
        wanted = run_suite(runner.infer, clips, labels, cells, draws=2, seed=4)
    assert [row["top1"] for row in found["rows"]] == [row.top1 for row in wanted.rows]
    assert [cell["corruption"] for cell in found["corruptions"]] == ["clean", "joints", *["rate"] * 3]
    assert [cell["draws"] for cell in found["corruptions"]] == [1, 2, 1, 1, 1]
    assert (found["top1"], found["draws"], found["seed"]) == (wanted.rows[0].top1, 2, 4)


def test_several_models_in_one_table_and_one_figure(
    tiny_bundle: Any, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    one = tiny_bundle.write("one")
    tiny_bundle.w2 = -tiny_bundle.w2
    two = tiny_bundle.write("two")
    plot = tmp_path / "plot.png"
    words = ["--data", data, "--split", "val", "--corrupt", "joints:3,9", "--corrupt", "identity"]
    assert main(["eval", str(one), "--against", str(two), *words, "--plot", str(plot)]) == 0
    captured = capsys.readouterr()
    assert plot.read_bytes().startswith(PNG)
    for word in ("one", "two", "clean", "joints", "±", "made-up clips", "identity left out"):
        assert word in captured.out
    assert captured.err == ""


def test_finished_passes_are_kept(
    bundle: str,
    data: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ["--data", data, "--split", "val", "--corrupt", "joints:3", "--keep", str(tmp_path / "rows")]
    from maskclr_edge.runtime import Runner

    infer, calls = Runner.infer, []

    def stopping(self: Runner, clips: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return infer(self, clips)

    monkeypatch.setattr(Runner, "infer", stopping)
    assert main(["eval", bundle, *words]) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert main(["eval", bundle, *words, "--json", "-"]) == 0
    assert len(calls) == 3 + 2  # the clean pass and the first draw were kept
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 4


def test_several_splits_have_a_mean_and_a_spread(
    bundle: str, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["eval", bundle, "--data", data, "--split", "val_1", "--split", "val_2"]
    target = tmp_path / "result.json"
    assert main([*words, "--json", str(target)]) == 0
    text = capsys.readouterr().out
    assert "Over 2 splits" in text and "val_1" in text
    found = json.loads(target.read_text())
    accuracies = [entry["top1"] for entry in found["results"]]
    assert [entry["clips"] for entry in found["results"]] == [5, 7]
    over = found["over_splits"][bundle]["top1"]
    assert over["mean"] == pytest.approx(np.mean(accuracies))
    assert over["spread"] == pytest.approx(np.std(accuracies, ddof=1))


def test_confusion_matrix(bundle: str, data: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    words = ["eval", bundle, "--data", data, "--split", "val_1", "--split", "val_2"]
    assert main([*words, "--confusion", str(tmp_path / "c.png")]) == 0
    assert (tmp_path / "c.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--corrupt", "joint:3"], ["did you mean 'joints'?", "frames-block"]),
        (["--corrupt", "joints:18"], ["joints:18", "0 to 17"]),
        (["--plot", "a.png"], ["--plot", "--corrupt"]),
        (["--keep", "rows"], ["--keep", "--corrupt"]),
        (["--corrupt", "joints", "--split", "val_1"], ["one --split"]),
        (["--corrupt", "joints", "--per-class"], ["--per-class"]),
        (["--corrupt", "joints", "--oneshot"], ["--oneshot"]),
        (["--oneshot"], ["class head", "embed"]),
        (["--against", "other", "--confusion", "c.png"], ["--against"]),
        (["--corrupt", "joints", "--plot", "none/here/a.png"], ["none/here"]),
        (["--corrupt", "joints", "--draws", "0"], ["0"]),
    ],
)
def test_what_does_not_fit_is_one_line_and_code_2(
    bundle: str, data: str, capsys: pytest.CaptureFixture[str], words: list[str], parts: list[str]
) -> None:
    assert main(["eval", bundle, "--data", data, "--split", "val", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    for part in parts:
        assert part in captured.err


def test_every_corruption_is_named_where_one_is_unknown(
    bundle: str, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", bundle, "--data", data, "--split", "val", "--corrupt", "?"]) == 2
    text = capsys.readouterr().err
    assert all(name in text for name in CORRUPTIONS)


@pytest.fixture
def embedding_model(tmp_path: Path, random_checkpoint: Any) -> str:
    pytest.importorskip("torch", reason="the embedding head is run on PyTorch here")
    checkpoint: Checkpoint = random_checkpoint(num_classes=0, head="embed")
    write_checkpoint(tmp_path / "embed.safetensors", checkpoint)
    return str(tmp_path / "embed.safetensors")


@pytest.fixture
def oneshot_data(tmp_path: Path) -> str:
    """The form of ntu120_hrnet_oneshot.pkl: one exemplar of every sixth class, labels of 120, no names."""
    import pickle

    labels = [*range(0, 24, 6), *(6 * (index % 4) for index in range(10))]
    annotations = relabelled(14, labels, persons=(1, 2))
    names = [one.name for one in annotations]
    entries = [
        {
            "frame_dir": one.name, "label": one.label, "img_shape": one.resolution_wh[::-1],
            "original_shape": one.resolution_wh[::-1], "total_frames": one.keypoints.shape[1],
            "keypoint": one.keypoints[..., :2].astype(np.float16),
            "keypoint_score": one.keypoints[..., 2].astype(np.float16),
        }
        for one in annotations
    ]  # fmt: skip
    content = {"split": {"oneshot_train": names[:4], "oneshot_val": names[4:]}, "annotations": entries}
    (tmp_path / "oneshot.pkl").write_bytes(pickle.dumps(content))
    return str(tmp_path / "oneshot.pkl")


def test_oneshot_is_the_nearest_exemplar(
    embedding_model: str, oneshot_data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", embedding_model, "--oneshot", "--data", oneshot_data, "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    from dataclasses import replace

    known = read_annotations(oneshot_data)
    with open_runner(embedding_model) as runner:
        contract = replace(runner.contract, class_names=known.class_names)
        anchors, anchor_labels = make_clips(known.split("oneshot_train"), contract)
        clips, labels = make_clips(known.split("oneshot_val"), contract)
        similarity = runner.infer(clips) @ runner.infer(anchors).T
    assert found["top1"] == pytest.approx(100 * np.mean(anchor_labels[similarity.argmax(axis=1)] == labels))
    assert (found["split"], found["exemplars"], found["clips"]) == ("oneshot_val", 4, 10)
    assert [entry["class"] for entry in found["per_class"]] == [f"class {6 * index}" for index in range(4)]
    assert main(["eval", embedding_model, "--oneshot", "--data", oneshot_data, "--split", "oneshot_val"]) == 0
    assert "exemplars" in capsys.readouterr().out


def test_oneshot_needs_its_splits_and_its_model(
    embedding_model: str, data: str, oneshot_data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", embedding_model, "--oneshot", "--data", data]) == 2
    assert "oneshot_train" in capsys.readouterr().err
    assert main(["eval", embedding_model, "--data", oneshot_data, "--split", "oneshot_val"]) == 2
    assert "--oneshot" in capsys.readouterr().err
