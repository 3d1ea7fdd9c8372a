"""Made-up motions: labelled, repeatable, and possible for a body."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskclr_edge.data import MADE_UP_CLASSES, made_up_clips, make_clips, read_annotations
from maskclr_edge.data.made_up.figure import Body, Figure, keys, reach, rotation
from maskclr_edge.data.made_up.generator import _MOTIONS
from maskclr_edge.errors import ConfigError
from maskclr_edge.skeleton import SkeletonContract

LIMBS = ((5, 7), (7, 9), (6, 8), (8, 10), (11, 13), (13, 15), (12, 14), (14, 16), (5, 6), (11, 12))


def test_a_set_says_that_it_is_made_up_and_the_classes_take_turns() -> None:
    made = made_up_clips(2 * len(MADE_UP_CLASSES) + 1)
    assert made.made_up and made.source.startswith("made-up motions") and made.class_names == MADE_UP_CLASSES
    labels = [one.label for one in made.annotations]
    assert labels == [i % len(MADE_UP_CLASSES) for i in range(len(labels))]
    assert all(
        made.class_names[one.label] in one.name and one.name.startswith("made-up-")
        for one in made.annotations
    )
    assert len({one.name for one in made.annotations}) == len(labels)


def test_equal_arguments_give_equal_clips_and_count_changes_none() -> None:
    first, longer, other = made_up_clips(6, seed=3), made_up_clips(9, seed=3), made_up_clips(6, seed=4)
    for one, same, different in zip(first.annotations, longer.annotations, other.annotations, strict=False):
        np.testing.assert_array_equal(one.keypoints, same.keypoints)
        assert one.keypoints.shape != different.keypoints.shape or not np.array_equal(
            one.keypoints, different.keypoints
        )


@given(
    seed=st.integers(0, 2**31),
    frames=st.tuples(st.integers(1, 60), st.integers(0, 9)),
    persons=st.sampled_from([(1, 1), (1, 2), (2, 2)]),
    classes=st.lists(st.sampled_from(MADE_UP_CLASSES), min_size=1, max_size=3, unique=True),
)
def test_any_length_persons_and_classes(
    seed: int, frames: tuple[int, int], persons: tuple[int, int], classes: list[str]
) -> None:
    low, high = frames[0], sum(frames)
    made = made_up_clips(3, seed=seed, frames=(low, high), persons=persons, classes=classes)
    assert made.class_names == tuple(classes)
    for one in made.annotations:
        number, length, joints, channels = one.keypoints.shape
        assert low <= length <= high and persons[0] <= number <= persons[1] and (joints, channels) == (17, 3)
        assert one.keypoints.dtype == np.float32 and np.isfinite(one.keypoints).all()
        xy, confidence = one.keypoints[..., :2], one.keypoints[..., 2]
        assert (xy >= 0).all() and (xy < one.resolution_wh).all()
        assert (confidence >= 0).all() and (confidence < 1).all() and not xy[confidence == 0].any()
        assert one.layout == "coco17" and one.resolution_wh == (640, 480)
    clips, _ = make_clips(made.annotations, SkeletonContract(made.class_names, 16))
    assert clips.any(axis=(2, 3, 4))[:, 0].all()


@pytest.mark.parametrize("frames", [1, 2, 243])
def test_extreme_lengths(frames: int) -> None:
    made = made_up_clips(len(MADE_UP_CLASSES), frames=(frames, frames))
    assert {one.keypoints.shape[1] for one in made.annotations} == {frames}


def test_confidences_are_those_of_a_detector() -> None:
    confidence = np.concatenate([one.keypoints[..., 2].ravel() for one in made_up_clips(40).annotations])
    assert len(np.unique(confidence)) > 1000
    assert 0.6 < np.median(confidence) < 0.97 and np.mean(confidence < 0.5) > 0.05


@pytest.mark.parametrize("name", MADE_UP_CLASSES)
def test_limbs_keep_their_length_and_nothing_jumps(name: str) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        figure = Figure(Body.drawn(rng), 120)
        _MOTIONS[name].perform(figure, np.linspace(0, 1, 120), rng)
        joints = figure.joints()
        assert np.isfinite(joints).all()
        for a, b in LIMBS:
            length = np.linalg.norm(joints[:, a] - joints[:, b], axis=-1)
            np.testing.assert_allclose(length, length[0], rtol=0.02)
        # a performance takes seconds: 120 frames apart, nothing moves a quarter of a metre from one to the
        # next
        assert np.linalg.norm(np.diff(joints, axis=0), axis=-1).max() < 0.25
        assert 1.0 < np.ptp(joints.reshape(-1, 3), axis=0).max() < 4.5
        assert joints[..., 1].min() > -0.35, "nobody sinks into the floor"


@pytest.mark.parametrize("name", MADE_UP_CLASSES)
def test_everybody_moves(name: str) -> None:
    rng = np.random.default_rng(1)
    figure = Figure(Body(), 60)
    _MOTIONS[name].perform(figure, np.linspace(0, 1, 60), rng)
    assert np.ptp(figure.joints(), axis=0).max() > 0.08


def test_the_classes_can_be_told_apart() -> None:
    made = made_up_clips(8 * len(MADE_UP_CLASSES), seed=5)
    contract = SkeletonContract(made.class_names, 24, persons=1)
    clips, labels = make_clips(made.annotations, contract)
    flat = clips[..., :2].reshape(len(clips), -1)
    distance = np.linalg.norm(flat[:, None] - flat[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    assert np.mean(labels[distance.argmin(axis=1)] == labels) > 0.75


def test_exercises_bear_penn_actions_names(shared_data: Path) -> None:
    penn = read_annotations(shared_data / "penn_action_coco17.pkl").class_names
    assert set(penn) <= set(MADE_UP_CLASSES)
    made = made_up_clips(30, classes=penn[::-1]).for_classes(penn)
    assert made.class_names == penn and made.made_up
    assert made.annotations[0].label == len(penn) - 1


def test_splits_cover_everything_once_in_their_shares() -> None:
    made = made_up_clips(500, frames=(1, 1))
    assert list(made.splits) == ["train", "val"]
    members = [name for split in made.splits.values() for name in split]
    assert sorted(members) == sorted(one.name for one in made.annotations)
    assert abs(len(made.splits["val"]) - 100) <= 2
    assert {one.label for one in made.split("val")} == set(range(len(MADE_UP_CLASSES)))
    thirds = made_up_clips(300, frames=(1, 1), split_fractions={"a": 1 / 3, "b": 1 / 3, "c": 1 / 3})
    assert all(abs(len(thirds.splits[name]) - 100) <= 2 for name in "abc")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ["sqat"]}, "no made-up class is called 'sqat'; did you mean squat"),
        ({"classes": []}, "at least one"),
        ({"classes": ["bow", "bow"]}, "each given once"),
        ({"count": -1}, "-1 made-up clips were asked for"),
        ({"frames": (0, 3)}, "frames of made-up clips are 0 to 3"),
        ({"frames": (9, 3)}, "frames of made-up clips are 9 to 3"),
        ({"persons": (1, 3)}, "persons of made-up clips are 1 to 3, expected a range within 1 to 2"),
        ({"split_fractions": {}}, "add up to 1"),
        ({"split_fractions": {"a": 0.5}}, "add up to 1"),
        ({"split_fractions": {"a": -0.5, "b": 1.5}}, "must be at least 0"),
    ],
)
def test_impossible_wishes_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made_up_clips(**({"count": 2} | options))  # type: ignore[arg-type]


def test_no_clips_is_an_empty_set() -> None:
    made = made_up_clips(0)
    assert made.annotations == () and made.split("val") == []


# -- the figure -------------------------------------------------------------------------------------------


@given(st.integers(0, 9999))
def test_reach_keeps_lengths_and_comes_as_near_as_it_can(seed: int) -> None:
    rng = np.random.default_rng(seed)
    base, target, pole = rng.normal(0, 0.5, (3, 5, 3))
    middle, end = reach(base, target, 0.3, 0.25, pole)
    np.testing.assert_allclose(np.linalg.norm(middle - base, axis=-1), 0.3, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(end - middle, axis=-1), 0.25, atol=1e-9)
    distance = np.linalg.norm(target - base, axis=-1)
    within = (distance > 0.08) & (distance < 0.54)
    np.testing.assert_allclose(end[within], target[within], atol=1e-9)


def test_keys_pass_through_their_values_without_overshoot() -> None:
    times, values = [0.0, 0.3, 0.5, 1.0], [0.0, 1.0, 1.0, -2.0]
    np.testing.assert_allclose(keys(np.array(times), times, values), values)
    curve = keys(np.linspace(-0.2, 1.2, 200), times, values)
    assert curve.max() <= 1 + 1e-9 and curve.min() >= -2 - 1e-9
    assert keys(np.array([0.1, 0.2]), [0, 1], [[0, 0, 0], [1, 2, 3]]).shape == (2, 3)


def test_rotations_turn_the_way_they_say() -> None:
    np.testing.assert_allclose(rotation(pitch=90)[:, 1], [0, 0, 1], atol=1e-12)  # up leans forward
    np.testing.assert_allclose(rotation(yaw=90)[:, 2], [1, 0, 0], atol=1e-12)  # forward turns left
    np.testing.assert_allclose(rotation(roll=90)[:, 1], [1, 0, 0], atol=1e-12)  # up tips to the left
    assert rotation(np.zeros(4), yaw=3).shape == (4, 3, 3)


def test_standing_is_upright_with_feet_on_the_floor() -> None:
    joints = Figure(Body(), 1).joints()[0]
    assert joints[0, 1] > joints[5, 1] > joints[11, 1] > joints[13, 1] > joints[15, 1] > -0.02
    assert joints[5, 0] > 0 > joints[6, 0] and joints[0, 2] > 0
    assert joints[9, 1] < joints[7, 1]
