"""The benchmarks' peer computes what ours computes: a ratio between different networks would mean nothing."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the peer is written in PyTorch")
from upstream_form import UpstreamClips, upstream_net, upstream_training  # noqa: E402

from maskclr_edge.model import build_model  # noqa: E402


@pytest.mark.parametrize("mask_token", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 2, 9), (1, 2, 40)])
def test_same_logits(random_checkpoint, shape, mask_token):
    checkpoint = random_checkpoint(mask_token=mask_token)
    clips = torch.from_numpy(np.random.default_rng(0).normal(0, 0.5, (*shape, 17, 3)).astype(np.float32))
    with torch.inference_mode():
        torch.testing.assert_close(
            upstream_net(checkpoint)(clips), build_model(checkpoint)(clips), rtol=1e-4, atol=1e-4
        )


def test_its_loop_learns(random_checkpoint):
    rng = np.random.default_rng(0)
    motions = rng.normal(0, 0.3, (8, 1, 6, 17, 3)).astype(np.float32)
    motions[..., 2] = 1
    clips = UpstreamClips(motions, np.arange(8) % 5, (1.0, 1.0))
    losses = upstream_training(upstream_net(random_checkpoint()), clips, batch=8, workers=0)
    seen = [next(losses) for _ in range(20)]
    assert np.isfinite(seen).all() and min(seen[10:]) < seen[0]
