"""Corruptions on real recordings of one and of two persons, under both contracts."""

from pathlib import Path

import numpy as np
import pytest

from maskclr_edge.data import make_clips, read_annotations
from maskclr_edge.skeleton import SkeletonContract, check_clips, corrupt_clips, parse_corruptions
from maskclr_edge.skeleton.corruption import missing_joint, why_idle

EVERY = parse_corruptions(["all"])


def make(path: Path, absent: str) -> np.ndarray:
    data = read_annotations(path)
    contract = SkeletonContract(data.class_names, frames=24, absent=absent)
    return make_clips(data.annotations[:: len(data.annotations) // 8], contract)[0]


@pytest.mark.parametrize("name", ["penn_action_coco17.pkl", "sbu_coco17.pkl"])
@pytest.mark.parametrize("absent", ["zeros", "projected"])
def test_every_cell_gives_clips_of_the_contract(shared_data: Path, name: str, absent: str) -> None:
    clips = make(shared_data / name, absent)
    two = name.startswith("sbu")
    for cell in EVERY:
        result = check_clips(corrupt_clips(clips, cell, absent=absent))
        assert np.abs(result).max() <= 1
        idle = why_idle(cell.corruption, clips)
        # both data sets know only seen and unseen joints
        assert bool(idle) == (
            cell.corruption == "confidence-flat" or (cell.corruption == "identity" and not two)
        )
        assert np.array_equal(result, clips) == bool(idle)
        if absent == "zeros":
            assert not result[result[..., 2] <= 0].any()
        if not two:  # nobody appears in an empty slot
            np.testing.assert_array_equal(result[:, 1], clips[:, 1])


def test_the_empty_slot_says_where_a_missing_joint_lies(shared_data: Path) -> None:
    for clip in make(shared_data / "penn_action_coco17.pkl", "projected"):
        gone = missing_joint(clip, "projected")
        assert gone[2] == 0 and (clip[1] == gone).all()
