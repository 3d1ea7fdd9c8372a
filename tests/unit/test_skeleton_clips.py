import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskclr_edge.errors import ShapeError
from maskclr_edge.skeleton import H36M_LEFT, H36M_RIGHT, check_clips, flip_clips


def test_a_right_array_is_not_copied() -> None:
    clips = np.zeros((2, 2, 30, 17, 3), np.float32)
    assert check_clips(clips) is clips


@pytest.mark.parametrize("frames", [1, 2, 243])
@pytest.mark.parametrize("persons", [1, 2])
def test_one_clip_gains_the_leading_axis(persons: int, frames: int) -> None:
    checked = check_clips(np.zeros((persons, frames, 17, 3), np.float64))
    assert checked.shape == (1, persons, frames, 17, 3)
    assert checked.dtype == np.float32 and checked.flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int8, np.uint16, np.int64])
def test_numbers_of_any_type_become_float32(dtype: type) -> None:
    checked = check_clips(np.ones((1, 1, 4, 17, 3), dtype)[:, :, ::2])
    assert checked.dtype == np.float32 and checked.flags.c_contiguous and (checked == 1).all()


def test_nested_lists_are_accepted() -> None:
    assert check_clips([[[[0.5, 0.5, 1.0]] * 17] * 3]).shape == (1, 1, 3, 17, 3)


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        (np.zeros((1, 1, 0, 17, 3)), "clips have 0 frames, expected 1 to 243; resample them"),
        (np.zeros((1, 1, 244, 17, 3)), "clips have 244 frames, expected 1 to 243; resample them"),
        (np.zeros((1, 3, 5, 17, 3)), "clips have 3 persons, expected 1 to 2; keep 2 of each clip"),
        (np.zeros((1, 0, 5, 17, 3)), "clips have 0 persons"),
        (np.zeros((0, 1, 5, 17, 3)), "expected at least 1 clip"),
        (
            np.zeros((1, 1, 5, 18, 3)),
            r"clips have 18 joints of 3 values, expected 17 H36M joints of \(x, y, confidence\)",
        ),
        (np.zeros((1, 1, 5, 17, 2)), "clips have 17 joints of 2 values"),
        (np.zeros((5, 17, 3)), r"clips have shape \(5, 17, 3\), expected \(clips, persons, frames, 17, 3\)"),
        (np.zeros((1, 1, 1, 5, 17, 3)), "add or remove the leading axis"),
        (np.zeros((1, 1, 5, 17, 3), object), r"clips have dtype object, expected float32 numbers; convert"),
        (np.zeros((1, 1, 5, 17, 3), complex), "clips have dtype complex128"),
        (np.zeros((1, 1, 5, 17, 3), bool), "clips have dtype bool"),
        ("abc", "clips have dtype <U3"),
        (None, "clips have dtype object"),
        ([[1.0], [1.0, 2.0]], "clips are a ragged sequence"),
    ],
)
def test_what_came_what_was_expected_what_to_do(clips: object, message: str) -> None:
    with pytest.raises(ShapeError, match=message) as caught:
        check_clips(clips)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_not_finite_is_found_and_placed(bad: float) -> None:
    clips = np.zeros((2, 2, 5, 17, 3))
    clips[1, 0, 3, 9, 1] = bad
    with pytest.raises(ShapeError, match="clip 1 has NaN or infinity at person 0, frame 3, joint nose"):
        check_clips(clips)


def test_limits_of_a_contract() -> None:
    clips = np.zeros((1, 2, 10, 17, 3), np.float32)
    with pytest.raises(ShapeError, match="10 frames, expected 1 to 9"):
        check_clips(clips, max_frames=9)
    with pytest.raises(ShapeError, match="2 persons, expected 1; keep 1 of"):
        check_clips(clips, max_persons=1)


@given(st.integers(0, 2**32 - 1))
def test_flip_mirrors_and_undoes_itself(seed: int) -> None:
    clips = np.random.default_rng(seed).normal(size=(2, 1, 4, 17, 3)).astype(np.float32)
    flipped = flip_clips(clips)
    np.testing.assert_array_equal(flip_clips(flipped), clips)
    np.testing.assert_array_equal(flipped[..., H36M_LEFT, 0], -clips[..., H36M_RIGHT, 0])
    np.testing.assert_array_equal(flipped[..., H36M_LEFT, 1:], clips[..., H36M_RIGHT, 1:])
    middle = [0, 7, 8, 9, 10]
    np.testing.assert_array_equal(flipped[..., middle, 0], -clips[..., middle, 0])
    np.testing.assert_array_equal(flipped[..., middle, 1:], clips[..., middle, 1:])


def test_flip_leaves_the_input_and_exact_zeros_alone() -> None:
    clips = np.zeros((1, 2, 3, 17, 3), np.float32)
    clips[0, 0] = 1
    before = clips.copy()
    flipped = flip_clips(clips)
    np.testing.assert_array_equal(clips, before)
    assert not np.signbit(flipped[0, 1]).any()
