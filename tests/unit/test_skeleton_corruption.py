"""Corruptions: worked by hand on small clips, and properties that all of them share."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskclr_edge.errors import ConfigError, ShapeError
from maskclr_edge.skeleton import (
    CORRUPTIONS,
    H36M_JOINTS,
    H36M_LEFT,
    H36M_RIGHT,
    Cell,
    check_clips,
    corrupt_clips,
    parse_corruptions,
)
from maskclr_edge.skeleton.corruption import why_idle

EVERY = parse_corruptions(["all"])


def make(count=3, persons=2, frames=16, present=2, seed=0):
    rng = np.random.default_rng(seed)
    clips = np.zeros((count, persons, frames, 17, 3), np.float32)
    clips[:, :present, ..., :2] = rng.uniform(-0.5, 0.5, (count, present, frames, 17, 2))
    clips[:, :present, ..., 2] = rng.uniform(0.2, 1, (count, present, frames, 17))
    return clips


def corrupt(spec, clips=None, **keywords):
    (cell,) = parse_corruptions([spec])
    return corrupt_clips(make() if clips is None else clips, cell, **keywords)


def gone(clips):
    """Which joints are exact zeros: bool (N, M, T, 17)."""
    return ~clips.any(axis=-1)


@pytest.mark.parametrize("cell", EVERY, ids=lambda cell: cell.spec)
def test_every_cell_gives_clips_of_the_contract_and_leaves_the_input_alone(cell):
    clips = make(persons=2, present=1)
    clips[0, 0, 3, 5] = 0  # a joint that was missing before
    clips[2] = 0  # a clip in which nobody is seen
    before = clips.copy()
    result = corrupt_clips(clips, cell)
    np.testing.assert_array_equal(clips, before)
    check_clips(result)
    assert result.dtype == np.float32 and np.abs(result).max() <= 1
    assert not result[:, 1].any() and not result[2].any()  # absent persons stay exact zeros
    if cell.corruption not in ("swap", "rate"):
        assert not result[0, 0, 3, 5].any()
    unseen = result[..., 2] <= 0
    assert not result[unseen].any()  # missing is all zeros, never a place without confidence
    changed = not np.array_equal(result, before)
    assert changed == (cell.corruption != "identity")


@pytest.mark.parametrize("cell", EVERY, ids=lambda cell: cell.spec)
def test_draws_are_of_seed_draw_and_clip_alone(cell):
    clips = make(6)
    whole = corrupt_clips(clips, cell, seed=3, draw=1)
    np.testing.assert_array_equal(whole, corrupt_clips(clips, cell, seed=3, draw=1))
    part = corrupt_clips(clips[[4, 2]], cell, seed=3, draw=1, indices=[4, 2])
    np.testing.assert_array_equal(part, whole[[4, 2]])
    one_slot = corrupt_clips(clips[:, :1], cell, seed=3, draw=1)
    if cell.corruption not in ("box", "identity", "confidence-flat"):  # those look at both persons
        np.testing.assert_array_equal(one_slot, whole[:, :1])
    other = [corrupt_clips(clips, cell, seed=3, draw=2), corrupt_clips(clips, cell, seed=4, draw=1)]
    assert all(np.array_equal(whole, result) != CORRUPTIONS[cell.corruption].random for result in other)


@pytest.mark.parametrize(
    "name", ["joints", "limb", "side", "points", "frames-uniform", "frames-random", "frames-block", "box"]
)
@given(draw=st.integers(0, 1000), frames=st.integers(1, 40))
def test_a_higher_severity_takes_the_same_and_more(name, draw, frames):
    clips = make(1, frames=frames, seed=draw)
    lost = [
        gone(corrupt_clips(clips, Cell(name, severity), draw=draw))
        for severity in CORRUPTIONS[name].severities
    ]
    for less, more in pairwise(lost):
        assert not (less & ~more).any()


@given(count=st.integers(0, 17), draw=st.integers(0, 100))
def test_joints_are_missing_throughout_in_exact_number(count, draw):
    lost = gone(corrupt(f"joints:{count}", draw=draw))
    assert (lost.all(axis=2).sum(axis=-1) == count).all()
    assert (lost.any(axis=2) == lost.all(axis=2)).all()


def test_every_joint_is_drawn_equally_often():
    lost = gone(corrupt("joints:6", make(3000, 1, 1, 1)))[:, 0, 0]
    share = lost.mean(axis=0)
    assert np.abs(share - 6 / 17).max() < 0.05  # 5 standard deviations of 3000 draws


def test_limbs_are_whole_and_sides_are_those_of_one_side():
    arms_and_legs = {
        frozenset(H36M_JOINTS.index(f"{side}_{joint}") for joint in limb)
        for side in ("left", "right")
        for limb in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
    }
    seen = set()
    for person in gone(corrupt("limb:1", make(40))).reshape(-1, 16, 17):
        assert (person == person[0]).all()
        seen.add(frozenset(np.flatnonzero(person[0])))
    assert seen == arms_and_legs
    seen = set()
    for person in gone(corrupt("side:1", make(40))).reshape(-1, 16, 17):
        assert (person == person[0]).all()
        seen.add(frozenset(np.flatnonzero(person[0])))
    assert seen == {frozenset(H36M_LEFT), frozenset(H36M_RIGHT)}
    half = gone(corrupt("side:0.5", make(1)))[0, 0].any(axis=-1)
    assert half.sum() == 8 and np.ptp(np.flatnonzero(half)) == 7  # one block


def test_missing_frames_by_hand():
    lost = gone(corrupt("frames-uniform:0.25", make(1, 1, 8, 1)))[0, 0].all(axis=-1)
    assert lost.tolist() == [False, False, False, True] * 2
    lost = gone(corrupt("frames-uniform:0.75", make(1, 1, 8, 1)))[0, 0].all(axis=-1)
    assert lost.tolist() == [False, True, True, True] * 2
    for name in ("frames-random", "frames-block"):
        frames = gone(corrupt(f"{name}:0.5", make(20, 2, 9)))
        assert (frames.all(axis=-1).sum(axis=2) == 5).all()  # 4.5, rounded up; the same for both persons
        assert (frames[:, 0] == frames[:, 1]).all()
    blocks = gone(corrupt("frames-block:0.5", make(20, 1, 9, 1))).all(axis=-1)[:, 0]
    assert all(np.ptp(np.flatnonzero(block)) == 4 for block in blocks)
    assert not corrupt("frames-block:1").any()


def test_the_share_of_missing_points_is_that_asked_for():
    assert gone(corrupt("points:0.4", make(20))).mean() == pytest.approx(0.4, abs=0.02)


def test_noise_has_its_sigma_and_its_form():
    clips = make(40, 1, 32, 1) * np.float32([0.2, 0.2, 1])  # far from the edge of the crop
    for name, axes in (("noise", ()), ("noise-spatial", (2,)), ("noise-temporal", (3,))):
        moved = corrupt(f"{name}:0.1", clips) - clips
        assert np.abs(moved[..., 2]).max() == 0
        offsets = moved[..., :2]
        assert offsets.std() == pytest.approx(0.1, rel=0.1)
        assert abs(offsets.mean()) < 0.02
        for axis in (2, 3):
            spread = np.ptp(offsets, axis=axis).max()
            assert spread < 1e-6 if axis in axes else spread > 0.1
    wild = corrupt("noise:2", clips)
    assert np.abs(wild).max() == 1  # kept in the crop


def test_a_box_hides_a_square_of_the_picture():
    clips = np.zeros((50, 1, 2, 17, 3), np.float32)
    grid = np.stack(np.meshgrid(np.linspace(-0.4, 0.4, 4), np.linspace(-0.4, 0.4, 4)), -1).reshape(16, 2)
    clips[:, 0, :, :16, :2], clips[:, 0, :, :16, 2] = grid, 1
    lost = gone(corrupt("box:0.5", clips))[:, 0, :, :16]
    assert (lost[:, 0] == lost[:, 1]).all()  # it stands still
    kept = clips[0, 0, 0, :16, :2]
    for mask in lost[:, 0]:
        low, high = kept[mask].min(axis=0), kept[mask].max(axis=0)
        assert (high - low <= 0.4 + 1e-6).all()  # half of the persons' box of 0.8
        inside = ((kept >= low) & (kept <= high)).all(axis=1)
        assert (mask == inside).all()
    assert len({mask.tobytes() for mask in lost[:, 0]}) > 5
    assert gone(corrupt("box:4", clips)).all()


def test_swaps_by_hand():
    clips = make(1, frames=8)
    mirror = np.arange(17)
    mirror[[*H36M_LEFT, *H36M_RIGHT]] = [*H36M_RIGHT, *H36M_LEFT]
    result = corrupt("swap:0.25", clips)
    swapped = [np.array_equal(result[0, :, t], clips[0][:, t][:, mirror]) for t in range(8)]
    same = [np.array_equal(result[0, :, t], clips[0, :, t]) for t in range(8)]
    assert sum(swapped) == 2 and sum(same) == 6
    np.testing.assert_array_equal(corrupt("swap:1", corrupt("swap:1", clips)), clips)
    result = corrupt("identity:0.25", clips)
    exchanged = [np.array_equal(result[0, :, t], clips[0, ::-1, t]) for t in range(8)]
    assert sum(exchanged) == 2
    alone = make(1, frames=8, present=1)
    np.testing.assert_array_equal(corrupt("identity:0.5", alone), alone)
    assert "two persons" in why_idle("identity", alone)
    assert "two persons" in why_idle("identity", alone[:, :1])
    assert why_idle("identity", np.concatenate((alone, clips))) == ""
    assert why_idle("noise", alone) == ""


def test_rate_and_confidence_by_hand():
    clips = make(1, frames=7)
    held = corrupt("rate:3", clips)
    np.testing.assert_array_equal(held, clips[:, :, [0, 0, 0, 3, 3, 3, 6]])
    weak = corrupt("confidence:0.8", clips)
    np.testing.assert_array_equal(weak[..., :2], clips[..., :2])
    np.testing.assert_allclose(weak[..., 2], 0.2 * clips[..., 2], rtol=1e-5)
    clips[0, 0, 0, 0] = 0
    flat = corrupt("confidence-flat:1", clips)
    seen = clips[..., 2] > 0
    np.testing.assert_allclose(flat[..., 2][seen], clips[..., 2][seen].mean(), rtol=1e-5)
    assert not flat[0, 0, 0, 0].any()
    assert why_idle("confidence-flat", clips) == ""
    assert "equal" in why_idle("confidence-flat", flat)
    assert "equal" in why_idle("confidence-flat", np.zeros_like(clips))
    halfway = corrupt("confidence-flat:0.5", clips)
    np.testing.assert_allclose(halfway[..., 2], (clips[..., 2] + flat[..., 2]) / 2, atol=1e-6)


def test_missing_joints_of_projected_clips_lie_where_an_absent_person_lies():
    clips = make(2, present=1)
    clips[0, 1, ..., :2] = [0.3, -0.8]  # the empty slot as crop_scale moved it
    clips[1, 1, ..., :2] = [-1, 1]
    result = corrupt("joints:17", clips, absent="projected")
    assert (result[0] == np.float32([0.3, -0.8, 0])).all()
    assert (result[1] == np.float32([-1, 1, 0])).all()
    noisy = corrupt("noise:0.2", clips, absent="projected")
    np.testing.assert_array_equal(noisy[:, 1], clips[:, 1])
    both = make(1)
    assert not corrupt("frames-block:1", both, absent="projected").any()  # nothing shows where: the middle


def test_specs():
    assert parse_corruptions(["joints:6"]) == (Cell("joints", 6.0),)
    assert parse_corruptions(["noise:0.01, 0.3", "joints:6", "noise:0.01"]) == (
        Cell("noise", 0.01),
        Cell("noise", 0.3),
        Cell("joints", 6.0),
    )
    assert [cell.severity for cell in parse_corruptions(["limb"])] == [1, 2, 3]
    assert {cell.corruption for cell in EVERY} == set(CORRUPTIONS)
    assert len(EVERY) == len(set(EVERY)) == sum(len(kind.severities) for kind in CORRUPTIONS.values())
    assert all(parse_corruptions([cell.spec]) == (cell,) for cell in EVERY)
    assert all(3 <= len(kind.severities) <= 4 for kind in CORRUPTIONS.values())
    assert all(list(kind.severities) == sorted(kind.severities) for kind in CORRUPTIONS.values())


@pytest.mark.parametrize(
    ("specs", "parts"),
    [
        (["nose"], ["'nose'", "did you mean 'noise'?", "frames-block", "all"]),
        (["joint:3"], ["did you mean 'joints'?"]),
        ([""], ["unknown corruption"]),
        (["all:3"], ["unknown corruption 'all'"]),
        (["joints:18"], ["joints:18", "0 to 17"]),
        (["joints:2.5"], ["whole number"]),
        (["noise:-1"], ["noise:-1"]),
        (["noise:nan"], ["noise:nan"]),
        (["noise:"], ["''", "noise:0.01"]),
        (["noise:much"], ["'much'", "sigma"]),
        (["rate:0"], ["1 to 243"]),
        ([], ["no corruption"]),
    ],
)
def test_specs_that_are_refused(specs, parts):
    with pytest.raises(ConfigError) as caught:
        parse_corruptions(specs)
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_arguments_that_are_refused():
    cell = Cell("noise", 0.1)
    for keywords in ({"indices": [0]}, {"indices": [0, 1, -1]}, {"seed": -1}, {"draw": -1}):
        with pytest.raises(ShapeError, match="3 clips came with"):
            corrupt_clips(make(), cell, **keywords)
    with pytest.raises(ShapeError):
        corrupt_clips(make()[..., :2], cell)
    with pytest.raises(ConfigError, match="noise:5"):
        corrupt_clips(make(), Cell("noise", 5))
