"""``maskclr-edge classify`` on hand-made bundles."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskclr_edge.cli.main import main
from maskclr_edge.data.recording import Recording, write_recording


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    keypoints = np.random.default_rng(1).uniform(0, 400, (1, 40, 17, 3)).astype(np.float32)
    keypoints[..., 2] = 0.9
    write_recording(tmp_path / "walk.npz", Recording(keypoints, "coco17", (640, 480)))
    return tmp_path / "walk.npz"


def test_table(recording: Path, tiny_bundle: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classify", str(recording), "--model", str(tiny_bundle.write()), "--top", "2"]) == 0
    out = capsys.readouterr().out
    assert "walk: 40 frames, 1 in view" in out
    assert out.count("%") == 2
    assert "on onnxruntime, fp32" in out


def test_json_alone(recording: Path, tiny_bundle: Any, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = str(tiny_bundle.write())
    assert main(["classify", str(recording), "--model", bundle, "--threads", "1", "--json", "-"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["model"], result["runner"], result["precision"]) == (bundle, "onnxruntime", "fp32")
    (one,) = result["recordings"]
    assert (one["name"], one["frames"], one["persons"]) == ("walk", 40, 1)
    probabilities = [answer["probability"] for answer in one["answers"]]
    assert len(probabilities) == 5
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1)
    assert {answer["label"] for answer in one["answers"]} == {"clap", "jump", "sit", "squat", "wave"}


def test_json_recording_with_options(
    tmp_path: Path, tiny_bundle: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    keypoints = np.random.default_rng(1).uniform(1, 400, (5, 26, 3)).tolist()
    (tmp_path / "a.json").write_text(json.dumps({"keypoints": keypoints}))
    arguments = ["classify", str(tmp_path / "a.json"), "--model", str(tiny_bundle.write())]
    assert main([*arguments, "--layout", "halpe26", "--resolution", "1920x1080"]) == 0
    capsys.readouterr()
    assert main(arguments) == 2
    assert "halpe26" in capsys.readouterr().err
    assert main([*arguments, "--layout", "halpe26", "--resolution", "1920"]) == 2
    assert "1920x1080" in capsys.readouterr().err


def test_annotation_file(tmp_path: Path, tiny_bundle: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from maskclr_edge.data import made_up_clips, write_annotations

    made_up = made_up_clips(40)
    write_annotations(tmp_path / "set.pkl", made_up)
    arguments = ["classify", str(tmp_path / "set.pkl"), "--model", str(tiny_bundle.write()), "--json", "-"]
    assert main(arguments) == 0
    rows = json.loads(capsys.readouterr().out)["recordings"]
    assert [row["name"] for row in rows] == [annotation.name for annotation in made_up.annotations]
    split = next(iter(made_up.splits))
    assert main([*arguments, "--split", split]) == 0
    rows = json.loads(capsys.readouterr().out)["recordings"]
    assert [row["name"] for row in rows] == list(made_up.splits[split])
    assert main([*arguments[:-2], "--split", "nowhere"]) == 2
    err = capsys.readouterr().err
    assert split in err and err.count("\n") == 1


def test_what_is_refused(
    recording: Path, tmp_path: Path, tiny_bundle: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = str(tiny_bundle.write())
    for arguments, says, code in (
        ([str(recording), "--model", str(tmp_path / "none")], "no such bundle", 2),
        ([str(recording), "--model", bundle, "--runner", "tpu"], "unknown runner 'tpu'", 2),
        ([str(recording), "--model", bundle, "--runner", "tensorrt"], "nothing for runner tensorrt", 2),
        ([str(recording), "--model", bundle, "--precision", "int4"], "in int4", 2),
        ([str(recording), "--model", bundle, "--layout", "halpe26"], "layout is coco17 in the file", 2),
        ([str(recording), "--model", bundle, "--split", "val"], "no splits", 2),
        ([str(tmp_path / "none.npz")], "none.npz", 2),
        ([str(tmp_path / "bundle" / "manifest.json"), "--model", bundle], "unknown key", 2),
    ):
        assert main(["classify", *arguments]) == code, arguments
        captured = capsys.readouterr()
        assert says in captured.err
        assert (captured.out, captured.err.count("\n")) == ("", 1)
