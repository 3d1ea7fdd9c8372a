"""Keypoint recordings: what is read, what is refused, and in which words."""

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from maskclr_edge.data.recording import Recording, read_recording, read_recordings, write_recording
from maskclr_edge.errors import ConfigError, DataError


def keypoints(persons: int = 1, frames: int = 4, joints: int = 17) -> np.ndarray:
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 400, (persons, frames, joints, 3)).astype(np.float32)
    points[..., 2] = rng.uniform(0, 1, points.shape[:-1])
    return points


def write_json(path: Path, **fields: object) -> Path:
    path.write_text(json.dumps(fields))
    return path


def test_npz_round_trip(tmp_path: Path) -> None:
    before = Recording(keypoints(2), "coco17", (640, 480), 25.0, "squat")
    write_recording(tmp_path / "a.npz", before)
    after = read_recording(tmp_path / "a.npz")
    assert np.array_equal(after.keypoints, before.keypoints)
    assert (after.layout, after.resolution_wh, after.fps, after.name) == ("coco17", (640, 480), 25.0, "squat")
    assert after.frames == 4
    assert [file.name for file in tmp_path.iterdir()] == ["a.npz"]


def test_json_of_one_person_and_defaults(tmp_path: Path) -> None:
    path = write_json(tmp_path / "walk.json", keypoints=keypoints()[0].tolist(), resolution_wh=[640, 480])
    recording = read_recording(path, layout="coco17")
    assert recording.keypoints.shape == (1, 4, 17, 3)
    assert recording.keypoints.dtype == np.float32
    assert (recording.fps, recording.name) == (30.0, "walk")


def test_plain_savez_from_a_user(tmp_path: Path) -> None:
    np.savez(tmp_path / "u.npz", keypoints=keypoints().astype(np.float64), fps=12, layout="coco17")
    recording = read_recording(tmp_path / "u.npz", resolution_wh=(320, 240), fps=10)
    assert (recording.fps, recording.resolution_wh) == (10.0, (320, 240))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"keypoints": []}, "none 0"),
        ({"keypoints": [[[[1, 2]]]]}, "none 0"),
        ({"keypoints": [[[[1, 2, 3]], [[1, 2, 3], [4, 5, 6]]]]}, "ragged"),
        ({"keypoints": [[[["a", "b", "c"]]]]}, "numbers were expected"),
        ({"keypoints": [[[[1e308, 0, 0]] * 17]]}, "beyond"),
        ({}, "no key 'keypoints'"),
        ({"keypoint": [[]]}, "did you mean keypoints"),
        ({"resolution_wh": [0, 480]}, "resolution_wh"),
        ({"resolution_wh": [True, 480]}, "resolution_wh"),
        ({"resolution_wh": 640}, "resolution_wh"),
        ({"fps": 0}, "fps"),
        ({"fps": "30"}, "fps"),
        ({"layout": 17}, "layout"),
        ({"keypoints": keypoints(joints=18).tolist()}, "18 joints"),
        ({"keypoints": keypoints(persons=65, frames=1).tolist()}, "65 persons"),
    ],
)
def test_json_that_is_refused(tmp_path: Path, fields: dict[str, object], says: str) -> None:
    whole = {"keypoints": keypoints().tolist(), "resolution_wh": [640, 480], "layout": "coco17"}
    if not fields:
        del whole["keypoints"]
    path = write_json(tmp_path / "bad.json", **{**whole, **fields})
    with pytest.raises(DataError, match=says) as caught:
        read_recording(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "[1]", "{", '{"fps": NaN}', '{"fps": 1, "fps": 2}', "[" * 100_000, "\ud800", "\x00"]
)
def test_not_json(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(DataError, match=r"JSON"):
        read_recording(tmp_path / "bad.json")


def test_silence_and_contradiction(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", keypoints=keypoints().tolist())
    with pytest.raises(DataError, match=r"layout; give one \(17 joints: .*coco17.*h36m17"):
        read_recording(path)
    with pytest.raises(DataError, match="image size"):
        read_recording(path, layout="coco17")
    with pytest.raises(ConfigError, match="coco17"):
        read_recording(path, layout="coco71")
    points = keypoints().tolist()
    path = write_json(tmp_path / "b.json", keypoints=points, layout="coco17", resolution_wh=[640, 480])
    with pytest.raises(DataError, match="layout is coco17 in the file and h36m17 was given"):
        read_recording(path, layout="h36m17")
    with pytest.raises(DataError, match="resolution_wh"):
        read_recording(path, resolution_wh=(480, 640))
    assert read_recording(path, layout="coco17", resolution_wh=(640, 480)).name == "b"


def test_infinity_and_objects_in_npz(tmp_path: Path) -> None:
    bad = keypoints()
    bad[0, 0, 0, 0] = np.nan
    np.savez(tmp_path / "nan.npz", keypoints=bad, layout="coco17", resolution_wh=(640, 480))
    with pytest.raises(DataError, match="NaN"):
        read_recording(tmp_path / "nan.npz")
    np.savez(tmp_path / "pickle.npz", keypoints=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="objects"):
        read_recording(tmp_path / "pickle.npz")


def test_npz_that_claims_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (2**40, 17, 3)}
    np.lib.format.write_array_header_1_0(stream, header)
    with zipfile.ZipFile(tmp_path / "claim.npz", "w") as archive:
        archive.writestr("keypoints.npy", stream.getvalue())
    with pytest.raises(DataError, match="claims more"):
        read_recording(tmp_path / "claim.npz")
    monkeypatch.setattr("maskclr_edge.data.recording.MAX_FILE_BYTES", 1_000_000)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("keypoints", "layout"):
            archive.writestr(f"{name}.npy", bytes(600_000))
    with pytest.raises(DataError, match="unpacks to more"):
        read_recording(tmp_path / "bomb.npz")


@pytest.mark.parametrize("cut", [0, 1, 30, 200])
def test_truncated_npz(tmp_path: Path, cut: int) -> None:
    write_recording(tmp_path / "a.npz", Recording(keypoints(), "coco17", (640, 480)))
    data = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(data[:cut] if cut < 200 else data[:-cut])
    with pytest.raises(DataError, match="npz recording"):
        read_recording(tmp_path / "a.npz")


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\.npz, \.json or \.pkl"):
        read_recording(tmp_path / "a.txt")
    with pytest.raises(DataError, match="cannot be read"):
        read_recording(tmp_path / "none.json")
    with pytest.raises(DataError, match="no splits"):
        read_recordings(write_json(tmp_path / "a.json"), split="val")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(DataError, match="not a regular file"):
        read_recording(tmp_path / "pipe.npz")


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    recording = Recording(keypoints(), "coco17", (640, 480))
    with pytest.raises(DataError, match="cannot be written"):
        write_recording(tmp_path / "missing" / "a.npz", recording)
    (tmp_path / "taken.npz").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        write_recording(tmp_path / "taken.npz", recording)
    assert [file.name for file in tmp_path.iterdir()] == ["taken.npz"]
