import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskclr_edge.errors import ShapeError
from maskclr_edge.skeleton import track_identity

FRAMES = 24


def _two_walkers(seed: int = 0) -> np.ndarray:
    """Two well separated people (2, T, 17, 3) who move a little from frame to frame."""
    rng = np.random.default_rng(seed)
    shape = rng.uniform(-0.15, 0.15, (2, 1, 17, 2)) + np.array([[-0.5, 0.0], [0.5, 0.1]])[:, None, None]
    walk = np.cumsum(rng.normal(0, 0.004, (2, FRAMES, 1, 2)), axis=1)
    xy = shape + walk + rng.normal(0, 0.002, (2, FRAMES, 17, 2))
    return np.concatenate((xy, rng.uniform(0.3, 1, (2, FRAMES, 17, 1))), axis=-1).astype(np.float32)


def _swap(keypoints: np.ndarray, frames: np.ndarray) -> np.ndarray:
    out = keypoints.copy()
    out[:, frames] = keypoints[::-1, frames]
    return out


@pytest.mark.parametrize("absent", ["zeros", "projected"])
@given(swapped=st.lists(st.booleans(), min_size=FRAMES - 1, max_size=FRAMES - 1), seed=st.integers(0, 20))
def test_swaps_are_undone(absent: str, swapped: list[bool], seed: int) -> None:
    truth = _two_walkers(seed)
    mixed = _swap(truth, np.array([False, *swapped]))
    np.testing.assert_array_equal(track_identity(mixed, absent), truth)  # type: ignore[arg-type]


@given(
    swapped=st.lists(st.booleans(), min_size=FRAMES, max_size=FRAMES),
    gone=st.lists(st.booleans(), min_size=FRAMES - 2, max_size=FRAMES - 2),
    who=st.integers(0, 1),
)
def test_a_person_who_comes_and_goes_keeps_the_identity(
    swapped: list[bool], gone: list[bool], who: int
) -> None:
    truth = _two_walkers()
    truth[who, [False, False, *gone]] = 0
    mixed = _swap(truth, np.array([False, *swapped[1:]]))
    np.testing.assert_array_equal(track_identity(mixed, "zeros"), truth)


def test_a_second_person_who_enters_late_does_not_take_the_first_ones_place() -> None:
    truth = _two_walkers(3)
    truth[1, :10] = 0
    mixed = _swap(truth, np.arange(FRAMES) >= 10)
    np.testing.assert_array_equal(track_identity(mixed, "zeros"), truth)


def test_a_lone_person_who_changes_slots_is_still_one_person() -> None:
    truth = _two_walkers(4)
    truth[1, 3:] = 0
    truth[1, :3] = 0
    truth[1, 20:] = _two_walkers(4)[1, 20:]
    mixed = _swap(truth, (np.arange(FRAMES) >= 8) & (np.arange(FRAMES) < 15))
    np.testing.assert_array_equal(track_identity(mixed, "zeros"), truth)


def test_somebody_else_in_the_other_slot_stays_somebody_else() -> None:
    keypoints = _two_walkers(5)
    keypoints[0, 12:] = 0
    keypoints[1, :12] = 0
    np.testing.assert_array_equal(track_identity(keypoints, "zeros"), keypoints)


def test_nobody_for_a_while() -> None:
    truth = _two_walkers(6)
    truth[:, 5:9] = 0
    mixed = _swap(truth, np.arange(FRAMES) >= 9)
    np.testing.assert_array_equal(track_identity(mixed, "zeros"), truth)


def test_an_absent_person_fools_upstreams_rule_and_not_ours() -> None:
    keypoints = _two_walkers(7)
    keypoints[1] = 0
    keypoints[0, :, :, 0] += (
        np.linspace(0, 1, FRAMES)[:, None] ** 2
    )  # crosses the image's centre, where zeros lie
    np.testing.assert_array_equal(track_identity(keypoints, "zeros"), keypoints)
    centred = keypoints.copy()
    centred[0, 11, :, :2] = 0
    assert not np.array_equal(track_identity(centred, "projected"), centred)


def test_unseen_joints_do_not_count() -> None:
    truth = _two_walkers(8)
    for frame in range(FRAMES):
        truth[frame % 2, frame, ::2] = [9, 9, 0]
    mixed = _swap(truth, np.arange(FRAMES) % 3 == 1)
    np.testing.assert_array_equal(track_identity(mixed, "zeros"), truth)


def test_one_person_one_frame_and_no_common_joint_change_nothing() -> None:
    keypoints = _two_walkers()
    for same in (keypoints[:1], keypoints[:, :1]):
        assert track_identity(same) is same
    keypoints[:, ::2, 8:, 2] = 0
    keypoints[:, 1::2, :8, 2] = 0
    np.testing.assert_array_equal(track_identity(keypoints, "zeros"), keypoints)


@pytest.mark.parametrize("shape", [(3, 5, 17, 3), (5, 17, 3), (2, 5, 17, 4)])
def test_refuses_what_it_cannot_track(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="with 1 or 2 persons; keep two"):
        track_identity(np.zeros(shape))
