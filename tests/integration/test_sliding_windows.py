"""What overlapping windows share: nothing in the network can be carried from one to the next exactly."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.optional import available
from maskclr_edge.runtime import open_runner
from maskclr_edge.skeleton import SkeletonContract, preprocess

FRAMES, STRIDE = 12, 3
needs_torch = pytest.mark.skipif(not available("torch"), reason="torch is not installed")


def walk(frames: int = FRAMES + STRIDE) -> np.ndarray:
    """Someone who crosses the picture, (1, T, 17, 3) in pixels."""
    standing = np.random.default_rng(1).uniform(100, 200, (17, 3))
    points = np.repeat(standing[None], frames, axis=0)
    points[..., 0] += 8 * np.arange(frames)[:, None]
    points[..., 2] = 0.9
    return points[None]


def window(keypoints: np.ndarray, start: int) -> np.ndarray:
    contract = SkeletonContract(("a",), FRAMES)
    return preprocess(
        keypoints[:, start : start + FRAMES], contract, layout="coco17", resolution_wh=(640, 480)
    )[:1]


def test_a_frame_is_normalised_by_all_frames_of_its_window() -> None:
    moving, standing = walk(), np.repeat(walk()[:, :1], FRAMES + STRIDE, axis=1)
    first, second = window(standing, 0), window(standing, STRIDE)
    assert np.array_equal(first[:, STRIDE:], second[:, :-STRIDE])  # the same box: the same numbers
    moving[:, -1, 0, 1] += 150  # one joint of a new frame reaches out: the box grows, and every frame with it
    first, second = window(moving, 0), window(moving, STRIDE)
    assert np.abs(first[:, STRIDE:] - second[:, :-STRIDE]).max(axis=(0, 2, 3)).min() > 0.01


@needs_torch
@pytest.mark.parametrize("positions", [True, False])
def test_the_first_spatial_block_depends_on_where_a_frame_stands(
    random_checkpoint: Callable[..., Checkpoint], positions: bool
) -> None:
    """Of equal frames, at other places in their windows; without frame embeddings it would not."""
    import torch

    from maskclr_edge.model import build_model

    checkpoint = random_checkpoint()
    if not positions:
        checkpoint.weights["backbone.temp_embed"][:] = 0
    backbone = build_model(checkpoint).backbone
    clip = np.random.default_rng(0).normal(size=(1, FRAMES + STRIDE, 17, 3)).astype(np.float32)
    block: Any = backbone.blocks_st[0]
    outputs = []
    with torch.inference_mode():
        for start in (0, STRIDE):
            x = torch.from_numpy(clip[:, start : start + FRAMES])
            x = backbone._embed(x, None) + (backbone.pos_embed + backbone.temp_embed[0, :FRAMES])
            outputs.append(block._over_joints(x).numpy())
    first, second = outputs
    apart = np.abs(first[:, STRIDE:] - second[:, :-STRIDE]).max(axis=(0, 2, 3))
    assert (apart.min() > 0.1) if positions else (apart.max() < 1e-5)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_windows_of_all_tracks_are_one_call(tiny_bundle: Any, backend: str) -> None:
    if not available(backend):
        pytest.skip(f"{backend} is not installed")
    windows = np.random.default_rng(0).uniform(-1, 1, (5, 1, FRAMES, 17, 3)).astype(np.float32)
    with open_runner(tiny_bundle.write(), backend, threads=1) as runner:
        alone = np.concatenate([runner.infer(one) for one in windows])
        assert np.allclose(runner.infer(windows), alone, atol=1e-5)
