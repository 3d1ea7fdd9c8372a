"""The peer of the benchmarks: network and training loop in the form in which MotionBERT and MaskCLR run.

Written anew from their description, with their arrangement kept: attention products of (B, heads, L, d)
scaled after the product, temporal attention in 5-D, both person slots run whether anybody is there or not,
and each clip augmented on its own in Python. tests/unit/test_upstream_form.py holds its numbers to ours.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from maskclr_edge.checkpoint import Checkpoint, ModelConfig
from maskclr_edge.skeleton import crop_scale


class UpstreamAttention(nn.Module):
    """Attention over joints or over frames of tokens (P*T, J, D)."""

    def __init__(self, config: ModelConfig, over: str) -> None:
        super().__init__()
        self.heads, self.scale, self.over = config.num_heads, config.scale, over
        self.qkv = nn.Linear(config.dim_feat, 3 * config.dim_feat, bias=config.qkv_bias)
        self.proj = nn.Linear(config.dim_feat, config.dim_feat)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """(P*T, J, D) -> (P*T, J, D)."""
        rows, joints, width = x.shape
        qkv = self.qkv(x).reshape(rows, joints, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        if self.over == "t":  # (P, heads, J, T, d)
            qkv = qkv.reshape(3, -1, frames, self.heads, joints, width // self.heads).permute(
                0, 1, 3, 4, 2, 5
            )
        query, key, value = qkv[0], qkv[1], qkv[2]
        weights = ((query @ key.transpose(-2, -1)) * self.scale).softmax(dim=-1)
        mixed = weights @ value
        order = (0, 3, 2, 1, 4) if self.over == "t" else (0, 2, 1, 3)
        result: Tensor = self.proj(mixed.permute(*order).reshape(rows, joints, width))
        return result


class UpstreamBlock(nn.Module):
    """Spatial and temporal attention with their MLPs, in the stream's order."""

    def __init__(self, config: ModelConfig, order: str, drop_path: float) -> None:
        super().__init__()
        self.order, self.drop_path = order, drop_path
        for axis in "st":
            self.add_module(f"norm1_{axis}", nn.LayerNorm(config.dim_feat, eps=1e-6))
            self.add_module(f"attn_{axis}", UpstreamAttention(config, axis))
            self.add_module(f"norm2_{axis}", nn.LayerNorm(config.dim_feat, eps=1e-6))
            mlp = nn.Sequential()
            mlp.add_module("fc1", nn.Linear(config.dim_feat, config.mlp_hidden))
            mlp.add_module("act", nn.GELU())
            mlp.add_module("fc2", nn.Linear(config.mlp_hidden, config.dim_feat))
            self.add_module(f"mlp_{axis}", mlp)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """(P*T, J, D) -> (P*T, J, D)."""
        for axis in self.order:
            part = self.get_submodule(f"attn_{axis}")(self.get_submodule(f"norm1_{axis}")(x), frames)
            x = x + self._path(part)
            x = x + self._path(self.get_submodule(f"mlp_{axis}")(self.get_submodule(f"norm2_{axis}")(x)))
        return x

    def _path(self, x: Tensor) -> Tensor:
        if not self.training or self.drop_path == 0:
            return x
        keep = 1 - self.drop_path
        return x / keep * x.new_empty((len(x), 1, 1)).bernoulli_(keep)


class UpstreamNet(nn.Module):
    """DSTformer and class head, (N, M, T, 17, 3) -> (N, K); its state dict has the published names."""

    def __init__(self, config: ModelConfig, dropout: float = 0.0, drop_path: float = 0.0) -> None:
        super().__init__()
        self.config = config
        width, depth = config.dim_feat, config.depth
        rates = [drop_path * layer / max(depth - 1, 1) for layer in range(depth)]
        body = nn.Module()
        body.joints_embed = nn.Linear(3, width)
        body.pos_embed = nn.Parameter(torch.zeros(1, 17, width))
        body.temp_embed = nn.Parameter(torch.zeros(1, config.maxlen, 1, width))
        body.blocks_st = nn.ModuleList(UpstreamBlock(config, "st", rate) for rate in rates)
        body.blocks_ts = nn.ModuleList(UpstreamBlock(config, "ts", rate) for rate in rates)
        body.ts_attn = nn.ModuleList(nn.Linear(2 * width, 2) for _ in range(depth))
        body.norm = nn.LayerNorm(width, eps=1e-6)
        body.pre_logits = nn.Sequential()
        body.pre_logits.add_module("fc", nn.Linear(width, config.dim_rep))
        body.pre_logits.add_module("act", nn.Tanh())
        head = nn.Module()
        head.bn = nn.BatchNorm1d(config.hidden_dim)
        head.fc1 = nn.Linear(config.feature_size, config.hidden_dim)
        head.fc2 = nn.Linear(config.hidden_dim, config.num_classes)
        self.backbone, self.head, self.dropout = body, head, nn.Dropout(dropout)

    def forward(self, clips: Tensor) -> Tensor:
        """(N, M, T, 17, 3) -> (N, K)."""
        count, persons, frames = clips.shape[:3]
        body, head = self.backbone, self.head
        x = body.joints_embed(clips.reshape(-1, 17, 3)) + body.pos_embed
        x = x.reshape(-1, frames, 17, x.shape[-1]) + body.temp_embed[:, :frames]
        x = x.reshape(-1, 17, x.shape[-1])
        for st_block, ts_block, score in zip(body.blocks_st, body.blocks_ts, body.ts_attn, strict=True):
            st, ts = st_block(x, frames), ts_block(x, frames)
            alpha = score(torch.cat([st, ts], dim=-1)).softmax(dim=-1)
            x = st * alpha[..., 0:1] + ts * alpha[..., 1:2]
        x = body.pre_logits(body.norm(x)).reshape(count, persons, frames, 17, -1)
        pooled = self.dropout(x).permute(0, 1, 3, 4, 2).mean(dim=-1).reshape(count, persons, -1).mean(dim=1)
        logits: Tensor = head.fc2(torch.relu(head.bn(head.fc1(pooled))))
        return logits


def upstream_net(checkpoint: Checkpoint) -> UpstreamNet:
    """The upstream form of a checkpoint, in eval mode."""
    network = UpstreamNet(checkpoint.config)
    state = {name: torch.tensor(value) for name, value in checkpoint.weights.items()}
    state.pop("backbone.mask_token", None)  # what stands for a masked joint in training, and here nothing is
    network.load_state_dict(state | {"head.bn.num_batches_tracked": torch.tensor(0)})
    return network.eval()


class UpstreamClips(Dataset[tuple[np.ndarray, int]]):
    """Clips resampled once, augmented one at a time as they are asked for: motions (N, M, T, 17, 3)."""

    def __init__(self, motions: np.ndarray, labels: np.ndarray, scale_range: tuple[float, float]) -> None:
        self.motions, self.labels, self.scale_range = motions, labels, scale_range

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        moved = move_frame_by_frame(self.motions[index])
        return crop_scale(moved, np.random.uniform(*self.scale_range)), int(self.labels[index])


def move_frame_by_frame(motion: np.ndarray) -> np.ndarray:
    """Random rotation, scale and shift, linear over time, one frame after the other."""
    frames = motion.shape[1]
    ramps = [
        np.linspace(*np.random.uniform(low, high, 2), frames)
        for low, high in ((-10, 10), (0.9, 1.1), (-0.1, 0.1), (-0.1, 0.1))
    ]
    angle, scale, shift_x, shift_y = ramps[0] * np.pi / 180, *ramps[1:]
    moved = motion.copy()
    for frame in range(frames):
        turn = np.array(
            [[np.cos(angle[frame]), -np.sin(angle[frame])], [np.sin(angle[frame]), np.cos(angle[frame])]]
        )
        points = motion[:, frame, :, :2].reshape(-1, 2) @ (turn * scale[frame]).T
        points += (shift_x[frame], shift_y[frame])
        moved[:, frame, :, :2] = points.reshape(motion.shape[0], 17, 2)
    return moved.astype(np.float32)


def upstream_training(
    network: UpstreamNet, clips: UpstreamClips, batch: int, workers: int
) -> Iterator[float]:
    """Steps of the upstream loop in float32, endlessly; gives the loss of each."""
    groups = [
        {"params": network.backbone.parameters(), "lr": 1e-4},
        {"params": network.head.parameters(), "lr": 1e-3},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
    loader = DataLoader(
        clips, batch_size=batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    network.train()
    while True:
        for motions, labels in loader:
            loss = nn.functional.cross_entropy(network(motions), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            yield loss.item()
