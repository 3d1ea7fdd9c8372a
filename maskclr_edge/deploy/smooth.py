"""Outliers moved from activations into weights before quantisation, after SmoothQuant.

Source: Xiao et al., ICML 2023, equation 4. Channel j of a LayerNorm's output is divided by s_j, inside its
own affine, and row j of the weight after it multiplied by s_j: the network computes the same, and one scale
fits all of its activations better.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import onnx

from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.checkpoint.config import ModelConfig
from maskclr_edge.deploy.calibrate import Floats, Progress, run_tensors
from maskclr_edge.errors import ConfigError

#: a channel that nothing reaches, or whose weights are nothing, keeps a scale that can be divided by
_LEAST = 1e-5


def followers(config: ModelConfig) -> dict[str, str]:
    """LayerNorm -> the one linear layer that takes its output."""
    found = {"backbone.norm": "backbone.pre_logits.fc"}
    for layer in range(config.depth):
        for stream in ("st", "ts"):
            block = f"backbone.blocks_{stream}.{layer}"
            for axis in "st":
                found[f"{block}.norm1_{axis}"] = f"{block}.attn_{axis}.qkv"
                found[f"{block}.norm2_{axis}"] = f"{block}.mlp_{axis}.fc1"
    return found


def output_of(norm: str) -> str:
    """The tensor that a LayerNorm gives in the encoder's graph."""
    return f"{norm}/LayerNormalization"


def smoothed(
    checkpoint: Checkpoint,
    model: onnx.ModelProto,
    persons: Sequence[Floats],
    strength: float,
    progress: Progress | None = None,
) -> Checkpoint:
    """An equal checkpoint with outliers moved into the weights.

    model: its encoder in float32, ``flat=False``. persons: arrays (P, T, 17, 3) that show which channels are
    large. strength: 0 leaves the weights' channels alike, 1 the activations'; 0.5 shares the burden. Raises
    ConfigError for another strength.
    """
    if not 0 <= strength <= 1:
        raise ConfigError(f"smooth is {strength:g}; expected a strength from 0 to 1, such as 0.5")
    tensors = [output_of(norm) for norm in followers(checkpoint.config)]
    largest = _channel_maxima(model, persons, tensors, progress)
    weights = dict(checkpoint.weights)
    for norm, layer in followers(checkpoint.config).items():
        name = f"{layer}.weight"
        rows = np.abs(weights[name]).max(axis=0)  # (out, in) -> (in,)
        reach = np.maximum(largest[output_of(norm)], _LEAST)
        scale = reach**strength / np.maximum(rows, _LEAST) ** (1 - strength)
        for part in ("weight", "bias"):
            weights[f"{norm}.{part}"] = weights[f"{norm}.{part}"] / scale
        weights[name] = weights[name] * scale
    return replace(checkpoint, weights=weights)


def _channel_maxima(
    model: onnx.ModelProto, persons: Sequence[Floats], tensors: Sequence[str], progress: Progress | None
) -> Mapping[str, npt.NDArray[np.float32]]:
    """Largest magnitude of each channel (D,) of some tensors."""
    found: dict[str, npt.NDArray[np.float32]] = {}
    total, done = sum(len(part) for part in persons), 0
    for count, values in run_tensors(model, persons, tensors):
        for tensor, value in values.items():
            here = np.abs(value).reshape(-1, value.shape[-1]).max(axis=0)
            found[tensor] = np.maximum(found[tensor], here) if tensor in found else here
        done += count
        if progress is not None:
            progress(done, total, "outliers")
    return found
