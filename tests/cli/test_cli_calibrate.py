"""Scale tables and targets as the commands make, take and refuse them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from maskclr_edge.checkpoint import Checkpoint, write_checkpoint
from maskclr_edge.cli.main import main
from maskclr_edge.data import made_up_clips, write_annotations
from maskclr_edge.deploy import targets
from maskclr_edge.deploy.scale_table import read_table
from maskclr_edge.runtime import Bundle

ROOT = Path(__file__).resolve().parents[2]
INT8 = "encoder.int8.onnx"


@pytest.fixture
def checkpoint(random_checkpoint: Callable[..., Checkpoint], tmp_path: Path) -> str:
    made = random_checkpoint(depth=1, maxlen=60, dim_feat=64, num_heads=1)  # so wide that scores are in int8
    file = tmp_path / "best.safetensors"
    write_checkpoint(file, replace(made, contract=replace(made.contract, frames=20)))
    return str(file)


@pytest.fixture
def data(tmp_path: Path) -> str:
    write_annotations(tmp_path / "data.pkl", made_up_clips(30, seed=3))
    return str(tmp_path / "data.pkl")


def test_a_table_gives_the_bytes_that_its_clips_give(
    checkpoint: str, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = str(tmp_path / "table.json")
    clips = ["--split", "train", "--clips", "6", "--method", "percentile"]
    assert main(["calibrate", checkpoint, "--data", data, "--out", table, *clips]) == 0
    captured = capsys.readouterr()
    assert "6 clips" in captured.out
    assert "not covered by the calibration clips: 2 persons" in captured.err
    words = ["export", checkpoint, "--precision", "int8", "--calibration"]
    assert main([*words, data, "--out", str(tmp_path / "a"), *clips]) == 0
    assert main([*words, table, "--out", str(tmp_path / "b")]) == 0
    assert (tmp_path / "a" / INT8).read_bytes() == (tmp_path / "b" / INT8).read_bytes()
    built_by = Bundle.open(tmp_path / "b").built_by["calibration"]
    assert built_by["method"] == "percentile"
    assert built_by["table_sha256"] == read_table(table).sha256()
    assert "names" not in built_by["clips"]
    first = Path(table).read_bytes()
    assert main(["calibrate", checkpoint, "--data", data, "--out", table, *clips]) == 0
    assert Path(table).read_bytes() == first


def test_what_is_refused(
    checkpoint: str, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, cut = str(ROOT / "calibration" / "penn_action_small.json"), tmp_path / "cut.json"
    cut.write_bytes(Path(kept).read_bytes()[:300])
    export = ["export", checkpoint, "--out", str(tmp_path / "b"), "--precision", "int8", "--calibration"]
    calibrate = ["calibrate", checkpoint, "--data", data]
    for words, expected in (
        ([*export, kept], "the scale table is of model"),
        ([*export, str(cut)], "not whole JSON"),
        ([*export, kept, "--split", "train"], "--split is for an annotation file"),
        ([*calibrate, "--split", "train", "--out", str(tmp_path / "t.txt")], "ends in .json"),
        ([*calibrate, "--split", "train", "--out", str(tmp_path / "no" / "t.json")], "make it first"),
        ([*calibrate, "--split", "vall", "--out", str(tmp_path / "t.json")], "train, val"),
        (["export", checkpoint, "--out", str(tmp_path / "b"), "--target", "rtx-41"], "did you mean"),
        (["export", checkpoint, "--out", str(tmp_path / "b"), "--target", "l4", "--sm", "86"], "which is 89"),
    ):
        assert main(words) == 2, words
        error = capsys.readouterr().err
        assert expected in error, words
        assert len(error.strip().splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"best.safetensors", "data.pkl", "cut.json"}


def test_targets(
    checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(targets, "rtx_here", lambda: False)
    out = str(tmp_path / "my bundle")
    words = ["export", checkpoint, "--out", out, "--precision", "fp32", "--json", "-"]
    assert main([*words, "--target", "cpu-intel", "--target", "rtx-40", "--target", "jetson-orin-nano"]) == 0
    captured = capsys.readouterr()
    finish = json.loads(captured.out)["finish"]
    again = f"maskclr-edge export '{out}' --out '{out}'"
    assert finish["rtx-40"] == f"{again} --target rtx-40 --engine tensorrt-rtx"
    assert finish["jetson-orin-nano"] == f"{again} --target jetson-orin-nano --engine tensorrt"
    assert "jetson-orin-nano: to finish on the device, maskclr-edge export" in captured.err
    assert Bundle.open(out).precisions("onnxruntime") == ("fp32",)
    assert main(["export", out, "--out", out, "--precision", "fp32", "--target", "h100"]) == 0
    assert main(["export", out, "--out", out, "--target", "h100"]) == 0  # with the precisions that it has
    assert "h100: to finish on the device" in capsys.readouterr().err


def test_the_help_lists_the_targets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--help"]) == 0
    text = capsys.readouterr().out
    for name in targets.target_names():
        assert f"  {name} " in text


def test_the_bundled_model_from_its_table_and_from_its_data(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, table = str(shared_data / "penn_action_coco17.pkl"), str(tmp_path / "table.json")
    assert main(["calibrate", "bundled", "--data", data, "--split", "train", "--out", table]) == 0
    words = ["export", "bundled", "--precision", "int8", "--calibration"]
    assert main([*words, data, "--split", "train", "--out", str(tmp_path / "a")]) == 0
    assert main([*words, table, "--out", str(tmp_path / "b")]) == 0
    assert (tmp_path / "a" / INT8).read_bytes() == (tmp_path / "b" / INT8).read_bytes()
    # the one that was made elsewhere differs at most by another processor's rounding
    kept, made = read_table(ROOT / "calibration" / "penn_action_small.json"), read_table(table)
    assert kept.clips == made.clips
    assert list(kept.ranges) == list(made.ranges)
    np.testing.assert_allclose(list(kept.ranges.values()), list(made.ranges.values()), rtol=1e-3)
