import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskclr_edge.errors import ConfigError, ShapeError
from maskclr_edge.skeleton import crop_scale, pad_persons, resample_indices, select_persons, to_camera


def _clip(seed: int, persons: int = 1, frames: int = 6) -> np.ndarray:
    rng = np.random.default_rng(seed)
    clip = rng.uniform(-0.9, 0.9, (persons, frames, 17, 3)).astype(np.float32)
    clip[..., 2] = rng.uniform(0.1, 1, clip.shape[:-1])
    return clip


def test_camera_uses_the_longer_side_for_both_axes() -> None:
    np.testing.assert_allclose(
        to_camera(np.array([[0.0, 0], [640, 480], [320, 320]]), (640, 480)), [[-1, -1], [1, 0.5], [0, 0]]
    )
    np.testing.assert_allclose(to_camera(np.array([[480.0, 640]]), (480, 640)), [[0.5, 1]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_camera_keeps_the_float_type_whatever_the_type_of_the_resolution(dtype: type) -> None:
    assert to_camera(np.ones((3, 2), dtype), (np.int64(640), np.int64(480))).dtype == dtype  # type: ignore[arg-type]


@pytest.mark.parametrize("resolution", [(0, 480), (640, -1), (640,), None, ("a", "b"), (float("nan"), 3)])
def test_camera_refuses_a_bad_resolution(resolution: object) -> None:
    with pytest.raises(ConfigError, match=r"expected \(width, height\) of the image"):
        to_camera(np.ones((3, 2)), resolution)  # type: ignore[arg-type]


@given(st.integers(1, 700), st.integers(1, 243), st.none() | st.integers(0, 99))
def test_resampling_gives_frames_that_exist_in_order(total: int, frames: int, seed: int | None) -> None:
    indices = resample_indices(total, frames, None if seed is None else np.random.default_rng(seed))
    assert indices.shape == (frames,) and indices.dtype == np.int64
    assert indices.min() >= 0 and indices.max() < total and (np.diff(indices) >= 0).all()
    if seed is None:
        expected = np.floor(np.linspace(0, total, frames, endpoint=False))
        np.testing.assert_array_equal(indices, expected)
    elif total >= frames:
        starts = np.arange(frames) * total / frames
        assert (indices >= np.floor(starts)).all() and (indices <= np.ceil(starts + total / frames)).all()
    else:
        assert (np.abs(indices - np.arange(frames) * total / frames) <= 1).all()


def test_resampling_keeps_a_clip_of_the_right_length() -> None:
    np.testing.assert_array_equal(resample_indices(30, 30), np.arange(30))
    assert len({tuple(resample_indices(90, 30, np.random.default_rng(seed))) for seed in range(5)}) == 5


@pytest.mark.parametrize(("total", "frames"), [(0, 5), (5, 0), (-1, 1)])
def test_resampling_refuses_nothing(total: int, frames: int) -> None:
    with pytest.raises(ConfigError, match="both must be at least 1"):
        resample_indices(total, frames)


def test_the_most_confident_persons_are_kept_in_their_order() -> None:
    keypoints = np.ones((4, 3, 17, 3), np.float32)
    for person, confidence in enumerate((0.2, 0.9, 0.1, 0.5)):
        keypoints[person] = confidence
    np.testing.assert_array_equal(select_persons(keypoints, 2), keypoints[[1, 3]])
    np.testing.assert_array_equal(select_persons(keypoints, 1), keypoints[[1]])
    assert select_persons(keypoints, 4) is keypoints


def test_padding_adds_zero_persons() -> None:
    clip = _clip(0)
    padded = pad_persons(clip, 2)
    np.testing.assert_array_equal(padded[:1], clip)
    assert padded.shape[0] == 2 and not padded[1].any() and padded.dtype == np.float32
    assert pad_persons(padded, 2) is padded
    with pytest.raises(ShapeError, match="clip has 2 persons, expected at most 1"):
        pad_persons(padded, 1)


@given(st.integers(0, 999), st.integers(1, 2), st.floats(1, 3))
def test_crop_centres_the_box_and_gives_it_the_ratio(seed: int, persons: int, ratio: float) -> None:
    clip = _clip(seed, persons)
    cropped = crop_scale(clip, ratio)
    low, high = cropped[..., :2].reshape(-1, 2).min(axis=0), cropped[..., :2].reshape(-1, 2).max(axis=0)
    np.testing.assert_allclose(low + high, 0, atol=1e-5)
    np.testing.assert_allclose((high - low).max(), 2 / ratio, rtol=1e-5)
    np.testing.assert_array_equal(cropped[..., 2], clip[..., 2])
    assert cropped.dtype == np.float32 and np.abs(cropped).max() <= 1


@given(st.integers(0, 999), st.floats(0.5, 20), st.floats(-3, 3))
def test_crop_does_not_depend_on_place_and_size(seed: int, size: float, shift: float) -> None:
    clip = _clip(seed)
    moved = clip.copy()
    moved[..., :2] = moved[..., :2] * np.float32(size) + np.float32(shift)
    np.testing.assert_allclose(crop_scale(moved), crop_scale(clip), atol=2e-4)


def test_unseen_joints_do_not_stretch_the_box_and_end_as_the_contract_says() -> None:
    clip = _clip(3, persons=2)
    clip[1] = 0
    clip[0, :, 4] = [50, 50, 0]
    rest = np.delete(clip[:1], 4, axis=2)
    zeros, projected = crop_scale(clip, absent="zeros"), crop_scale(clip, absent="projected")
    np.testing.assert_array_equal(np.delete(zeros[:1], 4, axis=2), crop_scale(rest))
    assert not zeros[1].any() and not zeros[0, :, 4].any()
    np.testing.assert_array_equal(projected[0, :, 4], np.tile(np.float32([1, 1, 0]), (6, 1)))
    assert (projected[1] == projected[1, 0, 0]).all() and projected[1, 0, 0, 2] == 0 and projected[1].any()


@pytest.mark.parametrize("absent", ["zeros", "projected"])
def test_too_few_visible_joints_or_a_single_point_give_zeros(absent: str) -> None:
    clip = np.zeros((1, 3, 17, 3), np.float32)
    clip[0, 0, :3] = np.random.default_rng(0).random((3, 3)) + 0.1
    assert not crop_scale(clip, absent=absent).any()  # type: ignore[arg-type]
    clip[0, 1, 5] = [0.3, 0.1, 0.9]
    assert crop_scale(clip, absent=absent).any()  # type: ignore[arg-type]
    clip[..., :2] = 0.25
    clip[..., 2] = 1
    assert not crop_scale(clip, absent=absent).any()  # type: ignore[arg-type]


def test_confidence_is_clipped_as_upstream_does() -> None:
    clip = _clip(5)
    clip[0, 0, 0, 2], clip[0, 0, 1, 2] = 1.7, -0.5
    projected, zeros = crop_scale(clip, absent="projected"), crop_scale(clip, absent="zeros")
    assert projected[0, 0, 0, 2] == 1 and projected[0, 0, 1, 2] == -0.5
    assert zeros[0, 0, 0, 2] == 1 and not zeros[0, 0, 1].any()


@pytest.mark.parametrize("ratio", [0, -1, float("nan"), float("inf")])
def test_crop_refuses_an_impossible_ratio(ratio: float) -> None:
    with pytest.raises(ConfigError, match="must be a number above 0"):
        crop_scale(_clip(0), ratio)


def test_crop_leaves_its_input_alone() -> None:
    clip = _clip(7)
    before = clip.copy()
    crop_scale(clip)
    np.testing.assert_array_equal(clip, before)
