"""The tsne command: a figure, a table and JSON from a checkpoint and an annotation file."""

import json
from pathlib import Path
from typing import Any

import pytest

for package in ("torch", "sklearn", "matplotlib"):
    pytest.importorskip(package, reason=f"tsne needs {package}")
from maskclr_edge.checkpoint import write_checkpoint  # noqa: E402
from maskclr_edge.cli.main import main  # noqa: E402
from maskclr_edge.data import AnnotationSet, made_up_clips, write_annotations  # noqa: E402


@pytest.fixture
def words(tmp_path: Path, random_checkpoint: Any) -> list[str]:
    write_checkpoint(tmp_path / "model.safetensors", random_checkpoint(maxlen=12))
    made = made_up_clips(20, seed=3, frames=(10, 20)).annotations
    chosen = [type(one)(one.name, index % 5, one.keypoints, one.resolution_wh, one.layout)
              for index, one in enumerate(made)]  # fmt: skip
    names = tuple(f"class {index}" for index in range(5))
    everything = AnnotationSet(tuple(chosen), {"val": tuple(one.name for one in chosen)}, names, made_up=True)
    write_annotations(tmp_path / "data.pkl", everything)
    return [
        *("tsne", str(tmp_path / "model.safetensors"), "--data", str(tmp_path / "data.pkl")),
        *("--split", "val", "--out", str(tmp_path / "t.png")),
    ]


def test_a_figure_of_both_pathways_clean_and_corrupted(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--corrupt", "joints:6", "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
    assert [(view["clips"], view["features"]) for view in found["views"]] == [
        ("clean", "standard pathway"), ("clean", "masked pathway"),
        ("joints:6", "standard pathway"), ("joints:6", "masked pathway"),
    ]  # fmt: skip
    assert (found["count"], found["mask"]) == (20, "tm")
    assert all(0 <= view["own_class"] <= 100 for view in found["views"])


def test_fewer_classes_and_clips(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--classes", "3", "--per-class", "2"]) == 0
    text = capsys.readouterr().out
    assert "6 made-up clips" in text and "is written" in text and "masked pathway" in text


@pytest.mark.parametrize(
    ("more", "part"),
    [
        (["--split", "test"], "no split 'test'"),
        (["--corrupt", "joint:6"], "did you mean 'joints'?"),
        (["--corrupt", "joints"], "joints:1"),
        (["--out", "no/such/t.png"], "no/such"),
        (["--classes", "2", "--per-class", "2"], "4 clips"),
        (["--mask", "none"], "'none'"),
    ],
)
def test_what_does_not_fit_is_one_line_and_code_2(
    words: list[str], capsys: pytest.CaptureFixture[str], more: list[str], part: str
) -> None:
    assert main([*words, *more]) == 2
    captured = capsys.readouterr()
    assert part in captured.err and captured.err.count("\n") == 1


def test_a_bundle_is_no_checkpoint(words: list[str], tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "bundle").mkdir()
    words[1] = str(tmp_path / "bundle")
    assert main(words) == 2
    assert "checkpoint file" in capsys.readouterr().err
