"""The names and shapes of a network's weights, and the checks that a set of weights is whole and finite."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from maskclr_edge.checkpoint.config import ModelConfig
from maskclr_edge.errors import CheckpointError

FloatArray = NDArray[np.float32]

#: nothing larger is read: the reference model has 6e7 parameters
MAX_PARAMETERS = 1_000_000_000


def weight_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor of the network. Names are upstream's, without prefix.

    Linear weights are (out, in). Only what the network uses is listed: not upstream's idle
    ``blocks_*.ts_attn``, ``backbone.head`` and ``backbone.proj_head``, nor the batch counters of BatchNorm.
    """
    width = config.dim_feat
    shapes: dict[str, tuple[int, ...]] = {}

    def linear(name: str, inputs: int, outputs: int, bias: bool = True) -> None:
        shapes[f"{name}.weight"] = (outputs, inputs)
        if bias:
            shapes[f"{name}.bias"] = (outputs,)

    def norm(name: str, size: int) -> None:
        shapes[f"{name}.weight"] = (size,)
        shapes[f"{name}.bias"] = (size,)

    linear("backbone.joints_embed", 3, width)
    shapes["backbone.pos_embed"] = (1, config.num_joints, width)
    shapes["backbone.temp_embed"] = (1, config.maxlen, 1, width)
    if config.mask_token:
        shapes["backbone.mask_token"] = (1, 1, width)
    for layer in range(config.depth):
        for stream in ("st", "ts"):
            for axis in stream:
                block = f"backbone.blocks_{stream}.{layer}"
                norm(f"{block}.norm1_{axis}", width)
                linear(f"{block}.attn_{axis}.qkv", width, 3 * width, config.qkv_bias)
                linear(f"{block}.attn_{axis}.proj", width, width)
                norm(f"{block}.norm2_{axis}", width)
                linear(f"{block}.mlp_{axis}.fc1", width, config.mlp_hidden)
                linear(f"{block}.mlp_{axis}.fc2", config.mlp_hidden, width)
        if config.att_fuse:
            linear(f"backbone.ts_attn.{layer}", 2 * width, 2)
    norm("backbone.norm", width)
    linear("backbone.pre_logits.fc", width, config.dim_rep)
    linear("head.fc1", config.feature_size, config.hidden_dim)
    if config.head == "class":
        norm("head.bn", config.hidden_dim)
        shapes["head.bn.running_mean"] = (config.hidden_dim,)
        shapes["head.bn.running_var"] = (config.hidden_dim,)
        linear("head.fc2", config.hidden_dim, config.num_classes)
    return shapes


def parameter_count(config: ModelConfig) -> int:
    """How many numbers the network's weights hold."""
    return sum(int(np.prod(shape, dtype=np.int64)) for shape in weight_shapes(config).values())


def check_shapes(
    config: ModelConfig, shapes: Mapping[str, tuple[int, ...]], source: str, prefix: str = ""
) -> None:
    """Raise CheckpointError, naming the first tensor that differs, unless ``shapes`` is the network's.

    prefix: only the network's tensors of that prefix are expected, such as ``backbone.``.
    """
    count = parameter_count(config)
    if count > MAX_PARAMETERS:
        raise CheckpointError(
            f"{source}: its config asks for {count} parameters; at most {MAX_PARAMETERS} are read"
        )
    expected = {name: shape for name, shape in weight_shapes(config).items() if name.startswith(prefix)}
    for name, shape in expected.items():
        if name not in shapes:
            raise CheckpointError(f"{source}: has no tensor {name}; expected one of shape {shape}")
        if tuple(shapes[name]) != shape:
            raise CheckpointError(
                f"{source}: {name} has shape {tuple(shapes[name])}; expected {shape} by its config"
            )
    extra = sorted(set(shapes) - set(expected))
    if extra:
        raise CheckpointError(
            f"{source}: holds a tensor {extra[0]!r} that this network lacks ({len(extra)} such in all)"
        )


def check_values(weights: Mapping[str, FloatArray], source: str) -> None:
    """Refuse NaN, infinity and negative variances. Raises CheckpointError naming the tensor."""
    for name, value in weights.items():
        if not np.isfinite(value).all():
            raise CheckpointError(
                f"{source}: {name} holds NaN or infinity; the checkpoint is damaged or its training diverged"
            )
        if name.endswith("running_var") and (value < 0).any():
            raise CheckpointError(f"{source}: {name} holds a negative variance; the checkpoint is damaged")
