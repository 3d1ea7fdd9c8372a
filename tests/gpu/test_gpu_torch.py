"""The torch runner's CUDA graphs on a real GPU."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the runner is PyTorch's")

from maskclr_edge.model import build_model  # noqa: E402
from maskclr_edge.runtime import open_runner  # noqa: E402

pytestmark = pytest.mark.gpu


def test_replayed_clips_get_the_logits_of_the_cpu(random_checkpoint):
    if not torch.cuda.is_available():
        pytest.skip("PyTorch has no GPU here")
    checkpoint = random_checkpoint()
    given = np.random.default_rng(0).normal(0, 0.5, (5, 1, 2, 6, 17, 3)).astype(np.float32)
    with torch.inference_mode():
        network = build_model(checkpoint)
        expected = [network(torch.from_numpy(clips)).numpy() for clips in given]
    with open_runner(checkpoint, "torch") as runner:
        for clips, logits in zip(given, expected, strict=True):
            assert np.allclose(runner.infer(clips), logits, atol=1e-3)
        assert runner.details["cuda_graphs"] is True
