"""``maskclr-edge tune`` from the outside, and who says what it chose."""

import json
from pathlib import Path
from typing import Any

import pytest

from maskclr_edge.bench import tune as tune_module
from maskclr_edge.cli.main import main


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "150")
    monkeypatch.setenv("MASKCLR_EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tune_module, "CLIPS", 23)
    monkeypatch.setattr(tune_module, "PASSES", 1)
    return tmp_path / "cache"


def test_tune_measures_remembers_and_forgets(
    tiny_bundle: Any, quick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = str(tiny_bundle.write(precisions=("fp32", "int8")))
    arguments = ["tune", bundle, "--seconds", "0.01", "--runner", "onnxruntime"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    for word in ("int8", "chosen", "runner auto: by maskclr-edge tune", "23 clips compared"):
        assert word in out
    assert len(list(quick.rglob("*.json"))) == 1

    assert main([*arguments, "--json", "-"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["chosen"] in document["tuned"]["rows"]
    assert {row["precision"] for row in document["tuned"]["rows"]} == {"fp32", "int8"}
    assert Path(document["file"]).is_relative_to(quick)

    assert main(["tune", bundle, "--forget"]) == 0
    assert "forgot 1 measurement of" in capsys.readouterr().out
    assert not list(quick.rglob("*.json"))


def test_clips_of_ones_own_are_compared_some_of_many(
    tiny_bundle: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from maskclr_edge.data import made_up_clips, write_annotations

    write_annotations(tmp_path / "own.pkl", made_up_clips(10, classes=("clap", "bow")))
    arguments = ["tune", str(tiny_bundle.write()), "--seconds", "0.01", "--runner", "onnxruntime"]
    arguments += ["--data", str(tmp_path / "own.pkl")]
    for most, compared in ((256, 10), (4, 4)):
        monkeypatch.setattr("maskclr_edge.cli.tune.MOST_CLIPS", most)
        assert main(arguments) == 0
        assert f"{compared} clips compared" in capsys.readouterr().out
    assert main([*arguments, "--split", "none"]) == 2
    assert "none" in capsys.readouterr().err


def test_classify_says_who_chose(
    tiny_bundle: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np

    recording = tmp_path / "one.npz"
    keypoints = np.random.default_rng(0).uniform(0, 400, (1, 30, 17, 3)).astype(np.float32)
    np.savez(recording, keypoints=keypoints, layout="coco17", resolution_wh=np.array([640, 480]))
    bundle = str(tiny_bundle.write())
    for tuned, said in ((False, "not tuned: the first runner"), (True, "by maskclr-edge tune")):
        if tuned:
            assert main(["tune", bundle, "--seconds", "0.01", "--runner", "onnxruntime"]) == 0
        capsys.readouterr()
        assert main(["classify", str(recording), "--model", bundle]) == 0
        assert said in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--precision", "fp16"], "has no fp16 for onnxruntime, only fp32"),
        (["--runner", "none"], "unknown runner 'none'"),
        (["--frames", "244"], "244"),
        (["--data", "missing.pkl"], "missing.pkl"),
        (["--json", "no/such/folder/x.json"], "there is no folder"),
    ],
)
def test_what_cannot_be_tuned(
    tiny_bundle: Any, capsys: pytest.CaptureFixture[str], quick: Path, arguments: list[str], said: str
) -> None:
    bundle = str(tiny_bundle.write())
    if "--runner" not in arguments:
        arguments = [*arguments, "--runner", "onnxruntime"]
    assert main(["tune", bundle, *arguments, "--seconds", "0.01"]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not quick.exists()


def test_tune_needs_a_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", str(tmp_path)]) == 2
    assert "is not a bundle" in capsys.readouterr().err
