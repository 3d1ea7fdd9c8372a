"""The network in plain NumPy: slow, and short enough to read. What every other form of it is held to.

Source: DSTformer and the action heads of MotionBERT (lib/model).
Tensors are x: (P, T, 17, D).
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from maskclr_edge.checkpoint import Checkpoint

Array = npt.NDArray[np.float64]


def logits(checkpoint: Checkpoint, clips: npt.NDArray[Any]) -> Array:
    """Clips (N, M, T, 17, 3) -> logits (N, K), the mean taken over the M persons given."""
    count, persons = clips.shape[:2]
    features = encode(checkpoint, clips.reshape(-1, *clips.shape[2:]))
    return head(checkpoint, features.reshape(count, persons, -1))


def encode(checkpoint: Checkpoint, persons: npt.NDArray[Any]) -> Array:
    """Persons (P, T, 17, 3) -> features (P, F): the representation after tanh, as a mean over frames."""
    network = _Network(checkpoint)
    x = network.backbone(persons.astype(np.float64))  # (P, T, 17, R)
    features: Array = x.mean(axis=1).reshape(len(x), -1)
    return features


def head(checkpoint: Checkpoint, features: npt.NDArray[Any]) -> Array:
    """Features (N, S, F) -> logits (N, K), or the normalised embedding (N, hidden)."""
    network = _Network(checkpoint)
    x = network.linear(features.astype(np.float64).mean(axis=1), "head.fc1")
    if checkpoint.config.head == "embed":
        x /= np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)
        return x
    w = network.weights
    x = (x - w["head.bn.running_mean"]) / np.sqrt(w["head.bn.running_var"] + 1e-5)
    x = x * w["head.bn.weight"] + w["head.bn.bias"]
    return network.linear(np.maximum(x, 0), "head.fc2")


class _Network:
    def __init__(self, checkpoint: Checkpoint) -> None:
        self.config = checkpoint.config
        self.weights = {name: value.astype(np.float64) for name, value in checkpoint.weights.items()}

    def backbone(self, x: Array) -> Array:
        x = self.linear(x, "backbone.joints_embed") + self.weights["backbone.pos_embed"]
        x = x + self.weights["backbone.temp_embed"][:, : x.shape[1]]
        for layer in range(self.config.depth):
            st = ts = x
            for axis in "st":
                st = self.block(st, f"backbone.blocks_st.{layer}", axis)
            for axis in "ts":
                ts = self.block(ts, f"backbone.blocks_ts.{layer}", axis)
            if self.config.att_fuse:
                scores = self.linear(np.concatenate([st, ts], axis=-1), f"backbone.ts_attn.{layer}")
                share = _softmax(scores)  # (P, T, 17, 2)
                x = st * share[..., :1] + ts * share[..., 1:]
            else:
                x = (st + ts) * 0.5
        return np.tanh(self.linear(self.norm(x, "backbone.norm"), "backbone.pre_logits.fc"))

    def block(self, x: Array, block: str, axis: str) -> Array:
        x = x + self.attention(self.norm(x, f"{block}.norm1_{axis}"), f"{block}.attn_{axis}", axis)
        hidden = self.linear(self.norm(x, f"{block}.norm2_{axis}"), f"{block}.mlp_{axis}.fc1")
        return x + self.linear(_gelu(hidden), f"{block}.mlp_{axis}.fc2")

    def attention(self, x: Array, path: str, axis: str) -> Array:
        if axis == "t":  # along the frames of each joint
            x = x.swapaxes(1, 2)
        heads = self.config.num_heads
        qkv = self.linear(x, f"{path}.qkv").reshape(*x.shape[:3], 3, heads, -1)
        query, key, value = np.moveaxis(qkv, (3, 4), (0, 3))  # each (P, ., heads, tokens, C)
        weights = _softmax(query @ key.swapaxes(-1, -2) * self.config.scale)
        y = (weights @ value).swapaxes(2, 3).reshape(x.shape)
        y = self.linear(y, f"{path}.proj")
        return y.swapaxes(1, 2) if axis == "t" else y

    def norm(self, x: Array, path: str) -> Array:
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6)
        y: Array = scaled * self.weights[f"{path}.weight"] + self.weights[f"{path}.bias"]
        return y

    def linear(self, x: Array, path: str) -> Array:
        bias = self.weights.get(f"{path}.bias")
        y: Array = x @ self.weights[f"{path}.weight"].T
        if bias is not None:
            y += bias
        return y


def _softmax(x: Array) -> Array:
    powers: Array = np.exp(x - x.max(axis=-1, keepdims=True))
    powers /= powers.sum(axis=-1, keepdims=True)
    return powers


def _gelu(x: Array) -> Array:
    return x * 0.5 * (1 + _erf(x / math.sqrt(2)))


def _erf(x: Array) -> Array:
    """Error function to 1.5e-7. Source: Abramowitz and Stegun, 7.1.26."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    series = np.polyval([1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592, 0.0], t)
    result: Array = np.sign(x) * (1 - series * np.exp(-(x**2)))
    return result
