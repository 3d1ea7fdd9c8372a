"""Annotation files: what is read, what is refused and in which words, and that writing gives back what was
there.
"""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskclr_edge.data import (
    make_clips,
    read_annotations,
)
from maskclr_edge.errors import ConfigError, DataError
from maskclr_edge.skeleton import SkeletonContract


def _entry(
    name: str = "a", label: int = 0, persons: int = 1, frames: int = 4, **changes: Any
) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    entry: dict[str, Any] = {
        "frame_dir": name,
        "label": label,
        "img_shape": (480, 640),
        "original_shape": (480, 640),
        "total_frames": frames,
        "keypoint": rng.uniform(1, 400, (persons, frames, 17, 2)).astype(np.float32),
        "keypoint_score": rng.uniform(0.1, 1, (persons, frames, 17)).astype(np.float16),
    }
    return {key: value for key, value in (entry | changes).items() if value is not ...}


def _content(*entries: dict[str, Any], **keys: Any) -> dict[str, Any]:
    entries = entries or (_entry("a"), _entry("b", 1, persons=2))
    content = {
        "split": {"train": ["a"], "val": ["b"]},
        "annotations": list(entries),
        "classes": ["wave", "bow"],
    }
    return {key: value for key, value in (content | keys).items() if value is not ...}


def _write(folder: Path, content: Any) -> Path:
    path = folder / "file.pkl"
    path.write_bytes(pickle.dumps(content))
    return path


def test_a_file_is_read(tmp_path: Path) -> None:
    content = _content()
    first, second = content["annotations"]
    got = read_annotations(_write(tmp_path, content))
    assert [one.name for one in got.annotations] == ["a", "b"]
    assert got.class_names == ("wave", "bow") and not got.made_up and got.source == "file.pkl"
    one = got.annotations[0]
    assert one.layout == "coco17" and one.resolution_wh == (640, 480) and one.label == 0
    assert one.keypoints.shape == (1, 4, 17, 3) and one.keypoints.dtype == np.float32
    np.testing.assert_array_equal(one.keypoints[..., :2], first["keypoint"])
    np.testing.assert_array_equal(one.keypoints[..., 2], first["keypoint_score"].astype(np.float32))
    assert got.annotations[1].keypoints.shape == (*second["keypoint"].shape[:3], 3)


def test_splits_are_given_in_order_and_a_missing_one_names_the_others(tmp_path: Path) -> None:
    content = _content(split={"xsub_val": ["b", "a"], "xsub_train": [], "xview_val": ("a",)})
    got = read_annotations(_write(tmp_path, content))
    assert [one.name for one in got.split("xsub_val")] == ["b", "a"] and got.split("xsub_train") == []
    with pytest.raises(
        DataError, match=r"file\.pkl: has no split 'val'; its splits are: xsub_train, xsub_val, xview_val"
    ):
        got.split("val")
    got = read_annotations(_write(tmp_path, _content(split=...)))
    with pytest.raises(DataError, match="has no split 'val'; its splits are: none"):
        got.split("val")


def test_missing_scores_count_as_seen_and_missing_classes_are_numbered(tmp_path: Path) -> None:
    content = _content(_entry("a", 2, keypoint_score=...), classes=..., split={})
    got = read_annotations(_write(tmp_path, content))
    assert (got.annotations[0].keypoints[..., 2] == 1).all()
    assert got.class_names == ("class 0", "class 1", "class 2")
    assert read_annotations(_write(tmp_path, content), class_names=["x", "y", "z"]).class_names == (
        "x",
        "y",
        "z",
    )


def test_half_precision_stays_half(tmp_path: Path) -> None:
    entry = _entry()
    entry["keypoint"] = entry["keypoint"].astype(np.float16)
    got = read_annotations(_write(tmp_path, _content(entry, split={}))).annotations[0]
    assert got.keypoints.dtype == np.float16
    np.testing.assert_array_equal(got.keypoints[..., :2], entry["keypoint"])


@pytest.mark.parametrize("dtype", [np.float64, np.int32])
def test_other_numbers_become_float32(tmp_path: Path, dtype: type) -> None:
    entry = _entry()
    entry["keypoint"] = entry["keypoint"].astype(dtype)
    got = read_annotations(_write(tmp_path, _content(entry, split={}))).annotations[0]
    assert got.keypoints.dtype == np.float32
    np.testing.assert_array_equal(got.keypoints[..., :2], entry["keypoint"].astype(np.float32))


def test_other_layouts_are_read_by_name(tmp_path: Path) -> None:
    entry = _entry(keypoint=np.ones((1, 4, 25, 2), np.float32), keypoint_score=...)
    path = _write(tmp_path, _content(entry, split={}))
    assert read_annotations(path, layout="openpose25").annotations[0].layout == "openpose25"
    with pytest.raises(
        DataError,
        match=r"keypoint of shape \(1, 4, 25, 2\); expected \(persons, frames, 17, 2\) for layout coco17",
    ):
        read_annotations(path)
    with pytest.raises(ConfigError, match="unknown layout 'openpose'"):
        read_annotations(path, layout="openpose")


def _bad(array: np.ndarray, value: float) -> np.ndarray:
    array = array.copy()
    array[0, 2, 9] = value
    return array


BAD_ENTRIES: list[tuple[Any, str]] = [
    ("text", r"annotation 1 of 1 is a str; expected a dict"),
    (_entry(frame_dir=...), "annotation 1 of 1 has no frame_dir"),
    (_entry(frame_dir=""), "has no frame_dir; give it a unique name"),
    (_entry(frame_dir=7), "has no frame_dir"),
    (_entry(label=2), r"annotation 1 of 1 \('a'\) has label 2; expected a whole number from 0 to 1"),
    (_entry(label=-1), "has label -1"),
    (_entry(label="wave"), "has label 'wave'"),
    (_entry(label=True), "has label True"),
    (_entry(label=...), "has label None"),
    (
        _entry(keypoint=...),
        r"has a keypoint of shape none \(it is a NoneType\); expected \(persons, frames, 17, 2\)",
    ),
    (_entry(keypoint=[[1, 2]]), r"has a keypoint of shape none \(it is a list\)"),
    (_entry(keypoint=np.ones((4, 17, 2))), r"has a keypoint of shape \(4, 17, 2\)"),
    (_entry(keypoint=np.ones((1, 4, 17, 3))), r"has a keypoint of shape \(1, 4, 17, 3\)"),
    (
        _entry(keypoint_score=np.ones((1, 5, 17))),
        r"has a keypoint_score of shape \(1, 5, 17\); expected \(1, 4, 17\)",
    ),
    (_entry(frames=0), "has 0 frames; expected 1 to 100000, leave it out"),
    (_entry(persons=0), "has 0 persons; expected 1 or 2"),
    (_entry(persons=3), "has 3 persons; expected 1 or 2: keep those who act"),
    (_entry(total_frames=5), "says total_frames 5, its keypoint has 4 frames; make them agree"),
    (
        _entry(keypoint=_bad(_entry()["keypoint"], np.nan)),
        "has NaN or infinity at person 0, frame 2, joint left_wrist",
    ),
    (
        _entry(keypoint=_bad(_entry()["keypoint"].astype(float), 1e300)),
        "has NaN or infinity at person 0, frame 2",
    ),
    (
        _entry(keypoint_score=_bad(_entry()["keypoint_score"], np.inf)),
        "has NaN or infinity at person 0, frame 2",
    ),
    (_entry(keypoint=_bad(_entry()["keypoint"], 1e7)), "has a coordinate beyond 1000000; expected pixels"),
    (_entry(img_shape=...), r"has no img_shape; expected \(height, width\) in pixels"),
    (_entry(img_shape=(480,)), "has no img_shape"),
    (_entry(img_shape=(480, 0)), "has 0 in img_shape"),
    (_entry(img_shape=(480, 1e9)), "has 1000000000.0 in img_shape"),
    (_entry(img_shape=("a", "b")), "has 'a' in img_shape"),
]


@pytest.mark.parametrize(("entry", "message"), BAD_ENTRIES)
def test_a_bad_annotation_is_named_with_what_to_do(tmp_path: Path, entry: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_annotations(_write(tmp_path, _content(entry, split={})))
    text = str(caught.value)
    assert str(tmp_path / "file.pkl: annotation 1 of 1") in text and "\n" not in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds no annotations; expected a pyskl pickle"),
        ({"split": {}}, "holds no annotations"),
        (_content(annotations=[]), "holds no annotations"),
        (
            _content(_entry("a"), _entry("a"), split={}),
            "annotation 2 of 2 has the frame_dir 'a' of another one",
        ),
        (
            _content(split={"val": ["a", "nobody"]}),
            "split 'val' names 'nobody', which is no annotation of the file",
        ),
        (_content(split={"val": [3]}), "split 'val' names 3"),
        (_content(split=["a"]), "'split' must be a dict of lists"),
        (_content(split={"val": "a"}), "'split' must be a dict of lists"),
        (_content(classes=["wave", "wave"]), "'classes' must be different names"),
        (_content(classes=[]), "'classes' must list 1 to 10000 names"),
        (_content(classes=["wave", 3]), "'classes' must be different names"),
        (
            _content(classes=["wave"]),
            r"annotation 2 of 2 \('b'\) has label 1; expected a whole number from 0 to 0",
        ),
    ],
)
def test_a_bad_file_is_named_with_what_to_do(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_annotations(_write(tmp_path, content))
    assert str(tmp_path / "file.pkl") in str(caught.value) and "\n" not in str(caught.value)


def test_given_class_names_serve_files_without_their_own(tmp_path: Path) -> None:
    path = _write(tmp_path, _content())
    assert read_annotations(path, class_names=["x", "y", "z"]).class_names == ("wave", "bow")
    path = _write(tmp_path, _content(classes=...))
    assert read_annotations(path, class_names=["x", "y", "z"]).class_names == ("x", "y", "z")
    with pytest.raises(DataError, match=r"'b'\) has label 1; expected a whole number from 0 to 0"):
        read_annotations(path, class_names=["x"])


def test_a_name_from_the_file_cannot_break_the_line(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_annotations(_write(tmp_path, _content(_entry("evil\n\x1b[31m" * 20, label=9), split={})))
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value) and len(str(caught.value)) < 400


def test_real_files(shared_data: Path) -> None:
    penn = read_annotations(shared_data / "penn_action_coco17.pkl")
    assert len(penn.annotations) == 2326 and len(penn.class_names) == 15
    assert (len(penn.split("train")), len(penn.split("val"))) == (1258, 1068)
    sbu = read_annotations(shared_data / "sbu_coco17.pkl")
    assert {one.keypoints.shape[0] for one in sbu.annotations} == {2} and len(sbu.splits) == 10
    contract = SkeletonContract(sbu.class_names, frames=30)
    clips, labels = make_clips(sbu.split("val"), contract)
    assert clips.shape == (55, 2, 30, 17, 3) and labels.max() < 8
    assert (clips[..., 2].any(axis=(2, 3))).all(), "both persons are there in every clip"


# -- clips and classes ------------------------------------------------------------------------------------


def test_clips_and_labels(tmp_path: Path) -> None:
    got = read_annotations(_write(tmp_path, _content()))
    seen: list[tuple[int, int, str]] = []
    contract = SkeletonContract(got.class_names, frames=8)
    clips, labels = make_clips(got.annotations, contract, progress=lambda *state: seen.append(state))
    assert clips.shape == (2, 2, 8, 17, 3) and clips.dtype == np.float32
    assert labels.tolist() == [0, 1] and labels.dtype == np.int64
    assert not clips[0, 1].any() and clips[1, 1].any()
    assert seen == [(1, 2, "clips"), (2, 2, "clips")]
    single, _ = make_clips(got.annotations, replace(contract, persons=1))
    assert single.shape == (2, 1, 8, 17, 3)


def test_no_annotations_and_labels_beyond_the_model(tmp_path: Path) -> None:
    got = read_annotations(_write(tmp_path, _content()))
    with pytest.raises(DataError, match="no annotations to make clips of"):
        make_clips([], SkeletonContract(("x",), 8))
    with pytest.raises(DataError, match=r"annotation 'b' has label 1, the model knows 1 classes \(0 to 0\)"):
        make_clips(got.annotations, SkeletonContract(("x",), 8))
    broken = replace(got.annotations[0], resolution_wh=(0, 0))
    with pytest.raises(ConfigError, match="annotation 'a': resolution_wh is"):
        make_clips([broken], SkeletonContract(("x",), 8))


def test_relabelling_by_class_name(tmp_path: Path) -> None:
    got = read_annotations(_write(tmp_path, _content()))
    assert got.for_classes(("wave", "bow")) is got
    moved = got.for_classes(("jump", "bow", "wave"))
    assert [one.label for one in moved.annotations] == [2, 1] and moved.class_names == ("jump", "bow", "wave")
    assert moved.split("val")[0].label == 1
    with pytest.raises(
        DataError, match=r"file\.pkl: class 'bow' is not among the 2 classes expected \(closest: bowl, "
    ):
        got.for_classes(("wave", "bowl"))
