"""Written annotation files: they come back equal, say when they are made up, and are whole or not there."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskclr_edge.data import Annotation, AnnotationSet, made_up_clips, read_annotations, write_annotations
from maskclr_edge.errors import DataError
from maskclr_edge.skeleton import LAYOUTS


@given(
    sizes=st.lists(st.tuples(st.integers(1, 2), st.integers(1, 5)), min_size=1, max_size=4),
    layout=st.sampled_from(sorted(LAYOUTS)),
    half=st.booleans(),
    made_up=st.booleans(),
)
def test_written_sets_come_back_equal(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[tuple[int, int]],
    layout: str,
    half: bool,
    made_up: bool,
) -> None:
    path = tmp_path_factory.mktemp("written") / "set.pkl"
    rng = np.random.default_rng(len(sizes))
    joints = len(LAYOUTS[layout].joints)
    annotations = tuple(
        Annotation(
            f"clip {i}",
            i % 2,
            rng.uniform(0, 1, (persons, frames, joints, 3)).astype(np.float16 if half else np.float32),
            (640, 400 + i),
            layout,
        )
        for i, (persons, frames) in enumerate(sizes)
    )
    before = AnnotationSet(
        annotations, {"val": (annotations[0].name,), "none": ()}, ("x", "y"), made_up, "here"
    )
    write_annotations(path, before)
    after = read_annotations(path, layout=layout)
    assert (after.splits, after.class_names, after.made_up) == (before.splits, before.class_names, made_up)
    for one, other in zip(after.annotations, before.annotations, strict=True):
        assert (one.name, one.label, one.resolution_wh, one.layout) == (
            other.name,
            other.label,
            other.resolution_wh,
            other.layout,
        )
        assert one.keypoints.dtype == other.keypoints.dtype
        np.testing.assert_array_equal(one.keypoints, other.keypoints)


def test_a_made_up_set_says_so_in_its_file(tmp_path: Path) -> None:
    write_annotations(tmp_path / "made.pkl", made_up_clips(3))
    with (tmp_path / "made.pkl").open("rb") as file:
        content = pickle.load(file)
    assert content["made_up"] is True and content["note"].startswith("MADE-UP")
    assert read_annotations(tmp_path / "made.pkl").made_up


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.pkl"
    write_annotations(path, made_up_clips(3))
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        DataError, match=r"file\.pkl: cannot be written \(No space left on device\); nothing was changed"
    ):
        write_annotations(path, made_up_clips(2))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
