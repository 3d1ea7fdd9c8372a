"""Preprocessing against a slow, literal re-statement of what upstream does, and the contracts of models
trained here.
"""

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskclr_edge.errors import ConfigError, ShapeError
from maskclr_edge.skeleton import SkeletonContract, check_keypoints, prepare, preprocess

UPSTREAM = SkeletonContract(("a",), frames=60, confidence_order="legacy", absent="projected")
OURS = SkeletonContract(("a",), frames=60)
#: H36M joint -> COCO joints it is the middle of; the belly is the middle of root and neck
FROM_COCO = {0: (11, 12), 1: (12,), 2: (14,), 3: (16,), 4: (11,), 5: (13,), 6: (15,), 8: (5, 6),
             9: (0,), 10: (1, 2), 11: (5,), 12: (7,), 13: (9,), 14: (6,), 15: (8,), 16: (10,)}  # fmt: skip


def restatement(
    xy: np.ndarray, score: np.ndarray, img_shape: tuple[int, int], frames: int, ratio: float
) -> np.ndarray:
    """The published preprocessing, one number at a time: pixels (M, T, 17, 2) and scores (M, T, 17) to a
    clip.
    """
    persons, total = xy.shape[:2]
    real = xy.dtype.type
    # 1. camera coordinates by the longer side, in the type of the file
    camera = np.empty_like(xy)
    for place in np.ndindex(xy.shape):
        camera[place] = xy[place] / real(max(img_shape)) * real(2) - real(1)
    # 2. identities: from each frame on where person 0 is nearer to the other's last place; coordinates only
    tracked: Any = camera
    if persons == 2:
        tracked = np.zeros(xy.shape)  # float64 from here on
        swapped = False
        for frame in range(total):
            if frame:
                stay = np.array(
                    [_distance(camera[0, frame, j], camera[0, frame - 1, j]) for j in range(17)]
                ).sum()
                switch = np.array(
                    [_distance(camera[0, frame, j], camera[1, frame - 1, j]) for j in range(17)]
                ).sum()
                swapped ^= bool(stay > switch)
            tracked[0, frame] = camera[int(swapped), frame]
            tracked[1, frame] = camera[1 - int(swapped), frame]
    # 3. joints, coordinates only; 4. resampling; 5. a second person of zeros
    clip = np.zeros((2, frames, 17, 3), np.float32)
    for person in range(persons):
        for place in range(frames):
            frame = math.floor(place * (total / frames))
            joints = tracked[person, frame]
            middle: dict[int, Any] = {
                joint: joints[at[0]]
                if len(at) == 1
                else (joints[at[0]] + joints[at[1]]) * tracked.dtype.type(0.5)
                for joint, at in FROM_COCO.items()
            }
            middle[7] = (middle[0].astype(np.float64) + middle[8].astype(np.float64)) * 0.5
            for joint in range(17):
                clip[person, place, joint, :2] = middle[joint]
                clip[person, place, joint, 2] = score[person, frame, joint]  # in COCO's order
    # 6. the box of all joints of non-zero confidence; every joint moves, everything is clipped
    seen = [clip[i] for i in np.ndindex(clip.shape[:3]) if clip[i][2] != 0]
    if len(seen) < 4:
        return np.zeros_like(clip)
    left, right = min(p[0] for p in seen), max(p[0] for p in seen)
    top, bottom = min(p[1] for p in seen), max(p[1] for p in seen)
    scale = float(max(right - left, bottom - top)) * ratio
    if scale == 0:
        return np.zeros_like(clip)
    corner = ((float(left + right) - scale) / 2, (float(top + bottom) - scale) / 2)
    out = np.zeros_like(clip)
    for i in np.ndindex(clip.shape[:3]):
        for axis in (0, 1):
            part = np.float32((float(clip[i][axis]) - corner[axis]) / scale)
            out[i][axis] = min(max((part - np.float32(0.5)) * np.float32(2), np.float32(-1)), np.float32(1))
        out[i][2] = min(max(clip[i][2], np.float32(-1)), np.float32(1))
    return out


def _distance(a: np.ndarray, b: np.ndarray) -> Any:
    d = a - b
    return np.sqrt(d[0] * d[0] + d[1] * d[1])


def _ours(
    xy: np.ndarray, score: np.ndarray, img_shape: tuple[int, int], contract: SkeletonContract
) -> np.ndarray:
    keypoints = np.concatenate((xy, score[..., None].astype(xy.dtype)), axis=-1)
    return preprocess(keypoints, contract, layout="coco17", resolution_wh=(img_shape[1], img_shape[0]))


@pytest.mark.parametrize(("file", "step"), [("sbu_coco17.pkl", 12), ("penn_action_coco17.pkl", 180)])
def test_upstream_contract_on_real_clips(shared_data: Path, file: str, step: int) -> None:
    with (shared_data / file).open("rb") as source:
        annotations = pickle.load(source)["annotations"]
    for annotation in annotations[::step]:
        given = annotation["keypoint"], annotation["keypoint_score"], annotation["img_shape"]
        np.testing.assert_array_equal(
            _ours(*given, UPSTREAM), restatement(*given, 60, 2.0), err_msg=annotation["frame_dir"]
        )


@given(
    seed=st.integers(0, 2**32 - 1),
    persons=st.integers(1, 2),
    total=st.integers(1, 40),
    frames=st.integers(1, 50),
    unseen=st.sampled_from([0.0, 0.2, 0.9, 1.0]),
    half=st.booleans(),
    ratio=st.sampled_from([1.0, 1.5, 2.0]),
    wide=st.booleans(),
)
def test_upstream_contract_on_made_up_clips(
    seed: int, persons: int, total: int, frames: int, unseen: float, half: bool, ratio: float, wide: bool
) -> None:
    rng = np.random.default_rng(seed)
    dtype = np.float16 if half else np.float32
    centre = rng.uniform(100, 500, (persons, 1, 1, 2)) + np.cumsum(
        rng.normal(0, 9, (persons, total, 1, 2)), axis=1
    )
    xy = (centre + rng.normal(0, 40, (persons, total, 17, 2))).astype(dtype)
    score = rng.uniform(0, 1.1, xy.shape[:3]).astype(dtype)
    score[rng.random(score.shape) < unseen] = 0
    if rng.random() < 0.3:
        xy[-1, total // 2 :], score[-1, total // 2 :] = 0, 0
    img_shape = (480, 640) if wide else (1080, 607)
    contract = SkeletonContract(
        ("a",), frames, confidence_order="legacy", absent="projected", scale_ratio=ratio
    )
    got, expected = _ours(xy, score, img_shape, contract), restatement(xy, score, img_shape, frames, ratio)
    np.testing.assert_array_equal(got, expected)


def _keypoints(seed: int = 0, persons: int = 1, frames: int = 40) -> np.ndarray:
    rng = np.random.default_rng(seed)
    xy = (
        rng.normal(0, 40, (persons, 1, 17, 2))
        + np.array([[150.0, 200], [450, 220], [300, 100]])[:persons, None, None]
    )
    xy = xy + np.cumsum(rng.normal(0, 1, (persons, frames, 17, 2)), axis=1)
    return np.concatenate((xy, rng.uniform(0.3, 1, (persons, frames, 17, 1))), axis=-1).astype(np.float32)


def _run(keypoints: np.ndarray, contract: SkeletonContract = OURS, **options: Any) -> np.ndarray:
    return preprocess(keypoints, contract, **({"layout": "coco17", "resolution_wh": (640, 480)} | options))


def test_shape_and_range() -> None:
    for persons in (1, 2):
        clip = _run(_keypoints(persons=persons))
        assert clip.shape == (2, 60, 17, 3) and clip.dtype == np.float32 and clip.flags.c_contiguous
        assert np.abs(clip).max() <= 1 and clip[0].any() and clip[1].any() == (persons == 2)


def test_zeros_contract_makes_absent_persons_and_unseen_joints_exact_zeros() -> None:
    keypoints = _keypoints(persons=2)
    keypoints[1, 10:] = 0
    keypoints[0, :, 9, 2] = 0  # left wrist: 13 in H36M
    keypoints[0, :, 1] = [7, 7, 0]  # left eye: half of the head, 10
    clip = _run(keypoints, frames=None)
    assert not clip[1, 10:].any() and clip[1, :10].all(axis=(1, 2)).any()
    assert not clip[0, :, [10, 13]].any()
    assert clip[0, :, [9, 12]].any()


def test_confidences_sit_on_their_joints_under_our_contract_only() -> None:
    keypoints = _keypoints()
    keypoints[..., 2] = np.linspace(0.1, 0.9, 17)
    ours, legacy = _run(keypoints)[0, 0, :, 2], _run(keypoints, UPSTREAM)[0, 0, :, 2]
    np.testing.assert_array_equal(legacy, keypoints[0, 0, :, 2])
    np.testing.assert_array_equal(ours[[1, 4, 9, 13]], keypoints[0, 0, [12, 11, 0, 9], 2])
    assert ours[0] == keypoints[0, 0, 11, 2] and ours[7] == keypoints[0, 0, 5, 2]


def test_an_all_absent_second_person_is_the_same_as_none() -> None:
    one = _keypoints()
    padded = np.concatenate((one, np.zeros_like(one)))
    np.testing.assert_array_equal(_run(padded), _run(one))
    np.testing.assert_array_equal(_run(padded[::-1])[::-1], _run(one))


def test_three_persons_are_refused() -> None:
    with pytest.raises(ShapeError, match="3 persons, a clip holds 1 or 2; keep those who act"):
        _run(_keypoints(persons=3))


def test_a_model_of_one_person_takes_the_more_confident_of_two() -> None:
    keypoints = _keypoints(persons=2)
    keypoints[0, ..., 2] *= 0.1
    single = SkeletonContract(("a",), 60, persons=1)
    np.testing.assert_array_equal(_run(keypoints, single), _run(keypoints[[1]], single))


def test_native_length_within_the_contract() -> None:
    assert _run(_keypoints(frames=40), frames=None).shape[1] == 40
    assert _run(_keypoints(frames=300), frames=None).shape[1] == 243
    narrow = SkeletonContract(("a",), 60, min_frames=50, max_frames=64)
    assert _run(_keypoints(frames=40), narrow, frames=None).shape[1] == 50
    assert _run(_keypoints(frames=40), frames=7).shape[1] == 7
    with pytest.raises(ShapeError, match="a clip of 244 frames was asked for, the contract allows 1 to 243"):
        _run(_keypoints(), frames=244)


def test_one_person_may_come_without_the_leading_axis() -> None:
    np.testing.assert_array_equal(_run(_keypoints()[0]), _run(_keypoints()))


@pytest.mark.parametrize(
    ("layout", "joints"), [("openpose25", 25), ("halpe26", 26), ("blazepose33", 33), ("h36m17", 17)]
)
def test_every_layout_goes_in(layout: str, joints: int) -> None:
    keypoints = np.random.default_rng(0).uniform(1, 400, (1, 9, joints, 3)).astype(np.float32)
    assert _run(keypoints, layout=layout).shape == (2, 60, 17, 3)
    with pytest.raises(ConfigError, match="defined for coco17 only"):
        _run(keypoints, UPSTREAM, layout=layout)


def test_prepare_is_what_training_keeps() -> None:
    kept = prepare(_keypoints(persons=2), OURS, layout="coco17", resolution_wh=(640, 480))
    assert kept.shape == (2, 40, 17, 3) and kept.dtype == np.float32
    np.testing.assert_allclose(kept[:, :, 9, :2], _keypoints(persons=2)[:, :, 0, :2] / 320 - 1, atol=1e-6)


def test_half_precision_and_whole_numbers_are_taken() -> None:
    keypoints = np.round(_keypoints()).astype(np.float32)
    keypoints[..., 2] = 1
    for dtype in (np.float16, np.float64, np.int32):
        np.testing.assert_allclose(_run(keypoints.astype(dtype)), _run(keypoints), atol=1e-6)


@pytest.mark.parametrize(
    ("keypoints", "message"),
    [
        (
            np.zeros((1, 5, 18, 3)),
            r"keypoints have shape \(1, 5, 18, 3\), layout coco17 needs \(persons, frames, 17, 3\)",
        ),
        (np.zeros((1, 5, 17, 2)), "or add confidences"),
        (np.zeros((0, 5, 17, 3)), "keypoints have 0 persons and 5 frames"),
        (np.zeros((1, 0, 17, 3)), "keypoints have 1 persons and 0 frames"),
        (np.full((1, 5, 17, 3), np.nan), "NaN or infinity at person 0, frame 0, joint nose"),
        (np.full((1, 5, 17, 3), 1e7), "coordinate beyond 1000000"),
        (np.zeros((1, 5, 17, 3), object), "keypoints have dtype object"),
        ([[1], [1, 2]], "keypoints are a ragged sequence"),
    ],
)
def test_bad_keypoints_get_one_clear_line(keypoints: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message) as caught:
        _run(keypoints)
    assert "\n" not in str(caught.value)


def test_unknown_layout_and_resolution() -> None:
    with pytest.raises(ConfigError, match="unknown layout 'coco'"):
        check_keypoints(_keypoints(), "coco")
    with pytest.raises(ConfigError, match="resolution_wh is"):
        _run(_keypoints(), resolution_wh=(0, 0))
