"""Fixtures of the unit tests."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from maskclr_edge.checkpoint import Checkpoint, ModelConfig, weight_shapes
from maskclr_edge.skeleton import SkeletonContract

SIZES = {"dim_feat": 16, "dim_rep": 24, "depth": 2, "num_heads": 2, "hidden_dim": 20, "maxlen": 40}


@pytest.fixture(scope="session")
def random_checkpoint() -> Callable[..., Checkpoint]:
    """Maker of small checkpoints with random weights: ``random_checkpoint(seed=0, depth=1, ...)``.

    The weights are large enough for attention, fusion and norms all to matter in the result.
    """

    def make(seed: int = 0, **changes: Any) -> Checkpoint:
        config = ModelConfig(**({"num_classes": 5} | SIZES | changes))
        rng = np.random.default_rng(seed)
        weights = {}
        for name, shape in weight_shapes(config).items():
            value = rng.standard_normal(shape) * (1.5 / np.sqrt(shape[-1]) if len(shape) == 2 else 0.5)
            if "norm" in name or name.startswith("head.bn"):
                value = value * 0.2 + (0 if name.endswith(("bias", "mean")) else 1)
            weights[name] = value.astype(np.float32)
        names = tuple(f"class {index}" for index in range(max(config.num_classes, 1)))
        frames = min(config.maxlen, 243)
        contract = SkeletonContract(names, frames=frames, max_frames=frames)
        return Checkpoint(config, contract, weights, {"seed": seed})

    return make
