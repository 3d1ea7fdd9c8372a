"""Training batches: made for many clips at once, and equal to what the single steps give."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs PyTorch")
from maskclr_edge.data import made_up_clips
from maskclr_edge.skeleton import crop_scale
from maskclr_edge.training import TrainConfig, find_config
from maskclr_edge.training.augment import crop_scale_batch, random_times, training_batch
from maskclr_edge.training.store import ClipStore


@pytest.fixture(scope="module")
def made_up():
    return made_up_clips(38, seed=3, frames=(5, 60), persons=(1, 2))


def make_store(made_up, **keys):
    config = TrainConfig.from_yaml(find_config("made_up_tiny"), {"persons": 2, **keys})
    return config, ClipStore.from_annotations(made_up.annotations, config.contract(made_up.class_names))


@pytest.mark.parametrize("absent", ["zeros", "projected"])
def test_batched_crop_equals_the_single_one(absent):
    rng = np.random.default_rng(0)
    clips = rng.normal(0.2, 0.5, (6, 2, 9, 17, 3)).astype(np.float32)
    clips[..., 2] = rng.random(clips.shape[:-1]) * (rng.random(clips.shape[:-1]) < 0.7)
    clips[1, 1] = 0
    clips[2, ..., 2] = 0  # nobody seen
    clips[3, ..., :2] = 0.25  # everything in one point
    ratios = rng.uniform(1, 3, 6)
    batch = crop_scale_batch(clips, ratios, projected=absent == "projected")
    single = np.stack([crop_scale(clip, ratio, absent) for clip, ratio in zip(clips, ratios, strict=True)])
    np.testing.assert_allclose(batch, single, atol=2e-6)


def test_times_stay_inside_the_recording_and_ascend():
    lengths = np.array([1, 2, 7, 24, 663])
    for time_crop in (1.0, 0.3):
        times = random_times(lengths, 24, time_crop, np.random.default_rng(1))
        assert times.shape == (5, 24) and times.min() >= 0
        assert (times < lengths[:, None]).all() and (np.diff(times, axis=1) >= 0).all()
    whole = random_times(lengths, 24, 1.0, np.random.default_rng(1))
    assert (whole[4, -1] - whole[4, 0]) > 600 and list(whole[3]) == list(range(24))


def test_gather_reads_the_right_frames(made_up):
    _, store = make_store(made_up)
    indices = np.array([4, 0])
    times = np.array([[0, 2], [1, 1]])
    clips = store.gather(indices, times)
    assert clips.shape == (2, 2, 2, 17, 3)
    np.testing.assert_array_equal(clips[0, :, 1], store.frames[store.offsets[4] + 2])


def test_unseen_joints_and_absent_persons_stay_exact_zeros(made_up):
    config, store = make_store(made_up, flip=True, time_crop=0.5)
    clips = training_batch(store, np.arange(38), config, np.random.default_rng(0))
    assert clips.shape == (38, 2, config.clip_len, 17, 3) and clips.dtype == np.float32
    assert not clips[clips[..., 2] == 0].any()
    alone = [i for i, annotation in enumerate(made_up.annotations) if len(annotation.keypoints) == 1]
    assert alone and not clips[alone, 1].any()
    assert np.abs(clips).max() <= 1


def test_a_batch_is_the_same_for_the_same_seed_and_new_for_another(made_up):
    config, store = make_store(made_up)
    first, again, other = (
        training_batch(store, np.arange(5), config, np.random.default_rng([0, 1, seed])) for seed in (2, 2, 3)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


@pytest.mark.parametrize("key", ["joint_dropout", "frame_dropout", "confidence_noise"])
def test_optional_losses_take_away_and_add_nothing(made_up, key):
    config, store = make_store(made_up)
    hard, _ = make_store(made_up, **{key: 0.5})
    clean = training_batch(store, np.arange(38), config, np.random.default_rng(0))
    worse = training_batch(store, np.arange(38), hard, np.random.default_rng(0))
    kept = worse[..., 2] > 0
    np.testing.assert_array_equal(worse[kept][:, :2], clean[kept][:, :2])
    assert (worse[..., 2] <= clean[..., 2]).all() and worse[..., 2].sum() < 0.9 * clean[..., 2].sum()


def test_an_upstream_contract_moves_every_joint(made_up):
    config, store = make_store(made_up, absent="projected")
    clips = training_batch(store, np.arange(38), config, np.random.default_rng(0))
    alone = next(i for i, annotation in enumerate(made_up.annotations) if len(annotation.keypoints) == 1)
    absent = clips[alone, 1]
    assert not absent[..., 2].any() and absent[..., :2].any()
