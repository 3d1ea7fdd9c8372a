"""The network against a second statement of it: slow, literal: NumPy, float64, a head at a time.

The reference is written from the published description and shares nothing with the package's arrangement.
"""

from math import erf, sqrt

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from maskclr_edge.model import build_model  # noqa: E402


class Reference:
    def __init__(self, config, weights):
        self.c = config
        self.w = {name: np.asarray(value, dtype=np.float64) for name, value in weights.items()}

    def linear(self, name, x):
        y = x @ self.w[f"{name}.weight"].T
        return y + self.w[f"{name}.bias"] if f"{name}.bias" in self.w else y

    def norm(self, name, x):
        mean = x.mean(-1, keepdims=True)
        variance = ((x - mean) ** 2).mean(-1, keepdims=True)
        return (x - mean) / np.sqrt(variance + 1e-6) * self.w[f"{name}.weight"] + self.w[f"{name}.bias"]

    def attend(self, name, tokens):
        """Self-attention among the rows of ``tokens`` (L, D); also the weights (heads, L, L)."""
        qkv = self.linear(f"{name}.qkv", tokens)
        width = self.c.dim_feat
        size = width // self.c.num_heads
        scale = self.c.qk_scale or size**-0.5
        columns, maps = [], []
        for head in range(self.c.num_heads):
            q = qkv[:, head * size : (head + 1) * size]
            k = qkv[:, width + head * size : width + (head + 1) * size]
            v = qkv[:, 2 * width + head * size : 2 * width + (head + 1) * size]
            weights = softmax(q @ k.T * scale)
            columns.append(weights @ v)
            maps.append(weights)
        return self.linear(f"{name}.proj", np.concatenate(columns, axis=1)), np.stack(maps)

    def mlp(self, name, x):
        return self.linear(f"{name}.fc2", gelu(self.linear(f"{name}.fc1", x)))

    def spatial(self, block, x):
        """Attention among the joints of each frame, then the MLP; x is (T, J, D)."""
        normed = self.norm(f"{block}.norm1_s", x)
        x, maps = x.copy(), []
        for frame in range(len(x)):
            change, weights = self.attend(f"{block}.attn_s", normed[frame])
            x[frame] += change
            maps.append(weights)
        return x + self.mlp(f"{block}.mlp_s", self.norm(f"{block}.norm2_s", x)), np.stack(maps)

    def temporal(self, block, x):
        """Attention among the frames of each joint, then the MLP."""
        normed = self.norm(f"{block}.norm1_t", x)
        x = x.copy()
        for joint in range(x.shape[1]):
            x[:, joint] += self.attend(f"{block}.attn_t", normed[:, joint])[0]
        return x + self.mlp(f"{block}.mlp_t", self.norm(f"{block}.norm2_t", x))

    def backbone(self, person, mask=None):
        """(T, 17, 3) -> representation (T, 17, R), joint importance (T, 17)."""
        x = self.linear("backbone.joints_embed", np.asarray(person, dtype=np.float64))
        if mask is not None:
            x[mask] = self.w["backbone.mask_token"][0, 0]
        x = x + self.w["backbone.pos_embed"][0] + self.w["backbone.temp_embed"][0, : len(x)]
        for layer in range(self.c.depth):
            st, maps = self.spatial(f"backbone.blocks_st.{layer}", x)
            st = self.temporal(f"backbone.blocks_st.{layer}", st)
            ts = self.temporal(f"backbone.blocks_ts.{layer}", x)
            ts, _ = self.spatial(f"backbone.blocks_ts.{layer}", ts)
            if self.c.att_fuse:
                alpha = softmax(self.linear(f"backbone.ts_attn.{layer}", np.concatenate([st, ts], axis=-1)))
                x = st * alpha[..., :1] + ts * alpha[..., 1:]
            else:
                x = (st + ts) / 2
        importance = softmax(maps.mean(axis=1).sum(axis=1))  # heads, then queries
        return np.tanh(self.linear("backbone.pre_logits.fc", self.norm("backbone.norm", x))), importance

    def __call__(self, clips):
        """(N, M, T, 17, 3) -> (N, K) logits or (N, hidden) unit vectors."""
        results = []
        for clip in clips:
            pooled = np.mean([self.backbone(person)[0].mean(axis=0).reshape(-1) for person in clip], axis=0)
            hidden = self.linear("head.fc1", pooled)
            if self.c.head == "embed":
                results.append(hidden / np.sqrt((hidden**2).sum()))
                continue
            spread = np.sqrt(self.w["head.bn.running_var"] + 1e-5)
            hidden = (hidden - self.w["head.bn.running_mean"]) / spread
            hidden = hidden * self.w["head.bn.weight"] + self.w["head.bn.bias"]
            results.append(self.linear("head.fc2", np.maximum(hidden, 0)))
        return np.stack(results)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(erf)(x / sqrt(2)))


def clips_of(*shape, seed=1):
    return np.random.default_rng(seed).uniform(-1, 1, (*shape, 17, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("changes", "shape"),
    [
        ({}, (2, 2, 7)),
        ({"att_fuse": False}, (1, 2, 5)),
        ({"head": "embed", "num_classes": 0}, (2, 1, 9)),
        ({"qkv_bias": False, "mlp_ratio": 4.0, "qk_scale": 0.3}, (1, 1, 6)),
        ({"mlp_ratio": 1.3, "num_heads": 8, "depth": 1}, (1, 2, 17)),
        ({"num_heads": 1, "depth": 3}, (3, 1, 1)),
        ({"mask_token": True}, (1, 1, 2)),
        ({"maxlen": 243, "depth": 1}, (1, 1, 243)),
    ],
)
def test_equals_the_published_network(random_checkpoint, changes, shape):
    checkpoint = random_checkpoint(**changes)
    clips = clips_of(*shape)
    expected = Reference(checkpoint.config, checkpoint.weights)(clips)
    with torch.no_grad():
        actual = build_model(checkpoint)(torch.from_numpy(clips)).numpy()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))


def test_training_arithmetic_equals_it_too(random_checkpoint):
    """With gradients and not in float32, attention on a CPU takes another way; held in float64."""
    checkpoint = random_checkpoint()
    person = clips_of(1, 4)
    backbone = build_model(checkpoint).backbone.double()
    actual = backbone(torch.from_numpy(person).double()).detach().numpy()
    expected, _ = Reference(checkpoint.config, checkpoint.weights).backbone(person[0])
    np.testing.assert_allclose(actual[0], expected, rtol=0, atol=1e-9)


def test_joint_importance_is_that_of_the_last_spatial_attention(random_checkpoint):
    checkpoint = random_checkpoint(depth=3)
    person = clips_of(2, 5)
    with torch.no_grad():
        plain = build_model(checkpoint).backbone(torch.from_numpy(person))
        representation, importance = build_model(checkpoint).backbone(
            torch.from_numpy(person), importance=True
        )
    assert torch.equal(plain, representation)
    for index in range(2):
        _, expected = Reference(checkpoint.config, checkpoint.weights).backbone(person[index])
        np.testing.assert_allclose(importance[index].numpy(), expected, rtol=1e-5)


def test_masked_joints_become_the_mask_token_before_the_position_embeddings(random_checkpoint):
    checkpoint = random_checkpoint(mask_token=True)
    person = clips_of(1, 6)
    mask = np.random.default_rng(5).random((1, 6, 17)) < 0.4
    expected, _ = Reference(checkpoint.config, checkpoint.weights).backbone(person[0], mask[0])
    with torch.no_grad():
        actual = build_model(checkpoint).backbone(torch.from_numpy(person), torch.from_numpy(mask))
    np.testing.assert_allclose(actual[0].numpy(), expected, rtol=0, atol=1e-5)


def test_without_a_mask_token_masked_joints_have_zero_coordinates(random_checkpoint):
    checkpoint = random_checkpoint()
    person = clips_of(1, 6)
    mask = np.random.default_rng(5).random((1, 6, 17)) < 0.4
    zeroed = np.where(mask[..., None], np.float32(0), person)
    expected, _ = Reference(checkpoint.config, checkpoint.weights).backbone(zeroed[0])
    with torch.no_grad():
        actual = build_model(checkpoint).backbone(torch.from_numpy(person), torch.from_numpy(mask))
    np.testing.assert_allclose(actual[0].numpy(), expected, rtol=0, atol=1e-5)
