"""Features of both pathways, how they are laid out in a plane, and the figure of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="features need PyTorch")
pytest.importorskip("sklearn", reason="t-SNE needs scikit-learn")
pytest.importorskip("matplotlib", reason="the figure needs matplotlib")
from maskclr_edge.errors import DataError  # noqa: E402
from maskclr_edge.model import build_model  # noqa: E402
from maskclr_edge.training.tsne import (  # noqa: E402
    draw_points,
    mask_config,
    neighbour_agreement,
    pathway_features,
    project,
)


def make_clips(count=6, frames=8):
    clips = np.zeros((count, 2, frames, 17, 3), np.float32)
    clips[:, 0] = np.random.default_rng(0).uniform(0.1, 0.9, (count, frames, 17, 3))
    return clips


def test_standard_features_are_those_of_the_network(random_checkpoint):
    checkpoint = random_checkpoint()
    model, config, clips = build_model(checkpoint), mask_config(checkpoint), make_clips()
    found = pathway_features(model, clips, config, batch=4)
    with torch.no_grad():
        wanted = model.head.hidden(model.features(torch.from_numpy(clips))).numpy()
    np.testing.assert_allclose(found.standard, wanted, rtol=1e-4, atol=1e-5)
    # ... and the logits come out of them
    logits = model.head.fc2(torch.from_numpy(found.standard)).detach().numpy()
    np.testing.assert_allclose(logits, model(torch.from_numpy(clips)).detach().numpy(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("msk_type", ["tm", "agpm"])
def test_masked_features_are_those_without_the_masked_joints(random_checkpoint, msk_type):
    checkpoint = random_checkpoint(mask_token=msk_type == "agpm")
    model, clips = build_model(checkpoint), make_clips()
    config = mask_config(checkpoint, msk_type)
    found = pathway_features(model, clips, config, seed=3)
    assert np.abs(found.masked - found.standard).max() > 1e-3
    again = pathway_features(model, clips, config, seed=3)
    np.testing.assert_array_equal(found.masked, again.masked)
    if msk_type == "tm":
        from maskclr_edge.model.masking import targeted_mask

        tensor = torch.from_numpy(clips)
        with torch.no_grad():
            _, importance = model.features_and_importance(tensor)
            mask = targeted_mask(importance.mean(dim=2), config.mask_th)  # (N, M, 17)
            mask &= tensor.flatten(2).any(dim=2)[..., None]
            everywhere = mask[:, :, None].expand(importance.shape)
            wanted = model.head.hidden(model.features(tensor, everywhere)).numpy()
        np.testing.assert_allclose(found.masked, wanted, rtol=1e-4, atol=1e-5)
    else:
        assert np.abs(found.masked - pathway_features(model, clips, config, seed=4).masked).max() > 1e-4


def test_the_mask_is_that_of_training_where_the_checkpoint_says_so(random_checkpoint):
    checkpoint = random_checkpoint()
    assert mask_config(checkpoint).msk_type == "tm"
    assert mask_config(random_checkpoint(mask_token=True)).msk_type == "agpm"
    trained = {"msk_type": "agpm", "mask_th": 0.3, "mask_ratio": [0.2, 0.4], "mask_tau": 0.5, "epochs": 9}
    config = mask_config(replace(checkpoint, info={"config": trained}))
    assert (config.msk_type, config.mask_ratio, config.mask_tau) == ("agpm", (0.2, 0.4), 0.5)
    assert mask_config(replace(checkpoint, info={"config": trained}), "tm").msk_type == "tm"
    without = {"config": trained | {"msk_type": "none"}}
    assert mask_config(replace(checkpoint, info=without)).msk_type == "tm"


def clusters():
    rng = np.random.default_rng(1)
    labels = np.arange(30) % 3
    return (10 * np.eye(3, 6)[labels] + rng.normal(size=(30, 6))).astype(np.float32), labels


def test_clusters_stay_clusters_and_the_plane_is_the_same_again():
    features, labels = clusters()
    features = np.concatenate((features, np.zeros((30, 2), np.float32)), axis=1)  # two dead units
    first, second = project([features, features + 0.01], seed=0)
    assert first.shape == second.shape == (30, 2) and np.isfinite(first).all()
    distances = np.linalg.norm(first[:, None] - first[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert (labels[distances.argmin(axis=1)] == labels).mean() > 0.9
    np.testing.assert_array_equal(project([features, features + 0.01], seed=0)[0], first)


def test_what_has_no_picture():
    with pytest.raises(DataError, match="4 clips"):
        project([np.eye(4, dtype=np.float32)])
    with pytest.raises(DataError, match="same features"):
        project([np.ones((9, 3), np.float32)])


def test_neighbours_by_hand():
    features = np.array([[1, 0], [2, 0.1], [0, 1], [0.1, 3], [1, 0.04]], np.float32)
    assert neighbour_agreement(features, np.array([0, 0, 1, 1, 0])) == 100
    # clips 0 and 1 are nearest to 4, and 4 to 1: only 2 and 3 keep to their own class
    assert neighbour_agreement(features, np.array([0, 0, 1, 1, 1])) == pytest.approx(40)


@pytest.mark.parametrize("classes", [3, 25])
def test_figures(tmp_path: Path, classes):
    points = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    labels = np.arange(50) % classes
    views = {(row, column): points for row in ("clean", "joints:6") for column in ("standard", "masked")}
    names = [f"class {index}" for index in range(classes)]
    draw_points(tmp_path / "t.png", views, labels, names, title="made up")
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
