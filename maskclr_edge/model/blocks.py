"""The parts of DSTformer: attention, MLP, and a block that attends over joints and over frames.

Tokens are kept so that the axis attended over is the last but one: ``(P, T, J, D)`` for joints and
``(P, J, T, D)`` for frames. Transposing the tokens once between the two halves of a block replaces
transposing queries, keys, values and result of each temporal attention, and all attention is 4-D.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskclr_edge.checkpoint import ModelConfig
from maskclr_edge.errors import ConfigError

NORM_EPS = 1e-6


@dataclass(frozen=True)
class Regularisation:
    """What is switched off at random in training: probabilities in [0, 1), none of which acts in eval mode.

    dropout: on the representation before it is pooled for the head (upstream's ``dropout_ratio``).
    drop: on embeddings, attention outputs and MLPs of the backbone. attn_drop: on attention weights.
    drop_path: stochastic depth, person by person, rising linearly from 0 in the first layer to this.
    """

    dropout: float = 0.0
    drop: float = 0.0
    attn_drop: float = 0.0
    drop_path: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
                raise ConfigError(f"{name} is {value!r}; expected a probability from 0 up to, but not, 1")


class Attention(nn.Module):
    """Multi-head self-attention over the last but one axis of 3-D tokens ``(B, L, D)``."""

    def __init__(self, config: ModelConfig, regularisation: Regularisation) -> None:
        super().__init__()
        width = config.dim_feat
        self.heads, self.scale = config.num_heads, config.scale
        self.attn_drop = regularisation.attn_drop
        self.qkv = nn.Linear(width, 3 * width, bias=config.qkv_bias)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Attend: ``(B, L, D)`` -> ``(B, L, D)``."""
        drop = self.attn_drop if self.training else 0.0
        query, key, value = self._split(self.qkv(x))
        if _products_are_faster(query):
            mixed = _products(query, key, value, self.scale, drop)
        else:
            mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=drop, scale=self.scale)
        result: Tensor = self.proj(mixed.transpose(1, 2).reshape(x.shape))
        return result

    @torch.no_grad()
    def importance(self, x: Tensor) -> Tensor:
        """How much each token is attended to: ``(B, L, D)`` -> ``(B, L)``, a distribution without gradient.

        Attention weights are averaged over heads, summed over queries and passed through a softmax.
        """
        query, key, _ = self._split(self.qkv(x))
        weights = _attention_weights(query.float(), key.float(), self.scale)  # (B, H, L, L)
        return torch.softmax(weights.mean(dim=1).sum(dim=1), dim=-1)

    def _split(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(B, L, 3 D)`` -> query, key, value, each ``(B, heads, L, D / heads)``."""
        batch, length, _ = qkv.shape
        query, key, value = qkv.view(batch, length, 3, self.heads, -1).unbind(2)
        return query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)


class Mlp(nn.Module):
    """Linear, GELU, linear, with dropout after each of the two."""

    def __init__(self, config: ModelConfig, regularisation: Regularisation) -> None:
        super().__init__()
        self.drop = regularisation.drop
        self.fc1 = nn.Linear(config.dim_feat, config.mlp_hidden)
        self.fc2 = nn.Linear(config.mlp_hidden, config.dim_feat)

    def forward(self, x: Tensor) -> Tensor:
        """``(..., D)`` -> ``(..., D)``."""
        x = dropped(F.gelu(self.fc1(x)), self.drop, self.training)
        return dropped(self.fc2(x), self.drop, self.training)


class Block(nn.Module):
    """One layer of a stream: attention and MLP over joints ("s") and frames ("t"), in the stream's order."""

    def __init__(
        self, config: ModelConfig, regularisation: Regularisation, stream: str, drop_path: float
    ) -> None:
        super().__init__()
        self.stream, self.drop, self.drop_path = stream, regularisation.drop, drop_path
        self.norm1_s, self.norm1_t = _norm(config), _norm(config)
        self.attn_s, self.attn_t = Attention(config, regularisation), Attention(config, regularisation)
        self.norm2_s, self.norm2_t = _norm(config), _norm(config)
        self.mlp_s, self.mlp_t = Mlp(config, regularisation), Mlp(config, regularisation)

    def forward(self, x: Tensor) -> Tensor:
        """``(P, T, J, D)`` -> ``(P, T, J, D)``."""
        for axis in self.stream:
            x = self._over_joints(x) if axis == "s" else self._over_frames(x)
        return x

    def joint_importance(self, x: Tensor) -> Tensor:
        """Importance of each joint in the spatial attention that opens an "st" block: -> ``(P, T, J)``."""
        return self.attn_s.importance(self.norm1_s(x).flatten(0, 1)).view(x.shape[:3])

    def _over_joints(self, x: Tensor) -> Tensor:
        attended = self.attn_s(self.norm1_s(x).flatten(0, 1)).view(x.shape)
        x = self._add(x, dropped(attended, self.drop, self.training))
        return self._add(x, self.mlp_s(self.norm2_s(x)))

    def _over_frames(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2).contiguous()  # (P, J, T, D)
        attended = self.attn_t(self.norm1_t(x).flatten(0, 1)).view(x.shape)
        x = self._add(x, dropped(attended, self.drop, self.training))
        return self._add(x, self.mlp_t(self.norm2_t(x))).transpose(1, 2).contiguous()

    def _add(self, x: Tensor, change: Tensor) -> Tensor:
        """Residual sum; in training a person's change is left out with probability ``drop_path``."""
        if not self.training or self.drop_path == 0.0:
            return x + change
        keep = 1.0 - self.drop_path
        kept = torch.empty((len(x), 1, 1, 1), dtype=x.dtype, device=x.device).bernoulli_(keep).div_(keep)
        return torch.addcmul(x, change.to(x.dtype), kept)


def _norm(config: ModelConfig) -> nn.LayerNorm:
    return nn.LayerNorm(config.dim_feat, eps=NORM_EPS)


def dropped(x: Tensor, probability: float, training: bool) -> Tensor:
    """Dropout that costs no kernel where there is nothing to drop."""
    return F.dropout(x, probability) if training and probability > 0 else x


def _products_are_faster(query: Tensor) -> bool:
    """Whether two products beat the fused attention: training on a CPU in half precision, or up to 64 tokens.

    There the fused backward pass is several times slower in half precision, and no faster for short rows.
    """
    trains_on_cpu = query.device.type == "cpu" and query.requires_grad
    return trains_on_cpu and (query.dtype != torch.float32 or query.shape[-2] <= 64)


def _products(query: Tensor, key: Tensor, value: Tensor, scale: float, drop: float) -> Tensor:
    """Attention as two matrix products of ``(B, heads, L, C)``."""
    if query.dtype == torch.bfloat16 and query.shape[-2] % 16:
        # rows of 17 joints fill half-precision vectors badly: single precision is faster
        query, key, value = query.float(), key.float(), value.float()
    weights = dropped(_attention_weights(query, key, scale), drop, drop > 0)
    with torch.autocast(query.device.type, enabled=False):
        return weights @ value


def _attention_weights(query: Tensor, key: Tensor, scale: float) -> Tensor:
    """``(B, heads, L, C)`` twice -> ``(B, heads, L, L)``, in the precision that comes in."""
    with torch.autocast(query.device.type, enabled=False):
        return torch.softmax((query * scale) @ key.transpose(-2, -1), dim=-1)
