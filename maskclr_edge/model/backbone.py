"""DSTformer: two streams of spatial and temporal attention, fused after each layer.

Source: MotionBERT lib/model/DSTformer.py; the mask token: MaskCLR lib/model/maskformer.py.
"""

from collections import OrderedDict
from typing import Literal, cast, overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskclr_edge.checkpoint import ModelConfig
from maskclr_edge.errors import ShapeError
from maskclr_edge.model.blocks import NORM_EPS, Block, Regularisation, dropped


class DSTformer(nn.Module):
    """The backbone: persons ``(P, T, 17, 3)`` -> representation ``(P, T, 17, dim_rep)`` in (-1, 1).

    ``mask_token`` (MaskCLR v2) is there when the config asks for it. Initialised as upstream: truncated
    normal of standard deviation 0.02, zero biases, streams fused in equal parts.
    """

    def __init__(self, config: ModelConfig, regularisation: Regularisation | None = None) -> None:
        super().__init__()
        regularisation = regularisation or Regularisation()
        width = config.dim_feat
        self.config, self.drop = config, regularisation.drop
        depths = [
            regularisation.drop_path * layer / max(config.depth - 1, 1) for layer in range(config.depth)
        ]
        self.joints_embed = nn.Linear(3, width)
        self.pos_embed = nn.Parameter(torch.empty(1, config.num_joints, width))
        self.temp_embed = nn.Parameter(torch.empty(1, config.maxlen, 1, width))
        if config.mask_token:
            self.mask_token = nn.Parameter(torch.empty(1, 1, width))
        self.blocks_st = nn.ModuleList(Block(config, regularisation, "st", rate) for rate in depths)
        self.blocks_ts = nn.ModuleList(Block(config, regularisation, "ts", rate) for rate in depths)
        if config.att_fuse:
            self.ts_attn = nn.ModuleList(nn.Linear(2 * width, 2) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.pre_logits = nn.Sequential(OrderedDict(fc=nn.Linear(width, config.dim_rep), act=nn.Tanh()))
        self._initialise()

    @overload
    def forward(
        self, x: Tensor, mask: Tensor | None = None, importance: Literal[False] = False
    ) -> Tensor: ...

    @overload
    def forward(
        self, x: Tensor, mask: Tensor | None = None, *, importance: Literal[True]
    ) -> tuple[Tensor, Tensor]: ...

    def forward(
        self, x: Tensor, mask: Tensor | None = None, importance: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Persons ``(P, T, 17, 3)`` -> ``(P, T, 17, dim_rep)``.

        mask: bool ``(P, T, 17)``; where true, the embedded joint is replaced by the mask token, before the
        position embeddings. Without a mask token its coordinates are zeroed instead (MaskCLR v1).
        importance: also return ``(P, T, 17)``, a distribution over joints without gradient: the last layer's
        spatial attention of the "st" stream, mean over heads, sum over queries, softmax.
        Raises ShapeError for more frames than ``maxlen``.
        """
        frames = x.shape[1]
        if frames > self.config.maxlen:
            raise ShapeError(
                f"got {frames} frames; this network takes at most {self.config.maxlen}: resample the clip"
            )
        x = self._embed(x, mask) + (self.pos_embed + self.temp_embed[0, :frames])  # (P, T, J, D) + (T, J, D)
        x = dropped(x, self.drop, self.training)
        for layer, (block_st, block_ts) in enumerate(zip(self.blocks_st, self.blocks_ts, strict=True)):
            entered = x
            x = self._fuse(layer, block_st(x), block_ts(x))
        representation: Tensor = self.pre_logits(self.norm(x))
        if not importance:
            return representation
        return representation, cast(Block, self.blocks_st[-1]).joint_importance(entered.detach())

    def _embed(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Joints to tokens ``(P, T, J, D)``, masked ones replaced."""
        if mask is not None and not self.config.mask_token:
            x = x.masked_fill(mask.unsqueeze(-1), 0.0)
        embedded: Tensor = self.joints_embed(x)
        if mask is not None and self.config.mask_token:
            embedded = torch.where(mask.unsqueeze(-1), self.mask_token.to(embedded.dtype), embedded)
        return embedded

    def _fuse(self, layer: int, st: Tensor, ts: Tensor) -> Tensor:
        """Weighted mean of the streams, token by token; the weights are a softmax of two scores of both."""
        if not self.config.att_fuse:
            return (st + ts) * 0.5
        # the softmax of two scores is the sigmoid of their difference, which one row of weights gives
        score = cast(nn.Linear, self.ts_attn[layer])
        st_row, ts_row = (score.weight[:1] - score.weight[1:]).chunk(2, dim=1)  # (1, D) each
        difference = F.linear(st, st_row, score.bias[:1] - score.bias[1:]) + F.linear(ts, ts_row)
        return torch.lerp(ts, st, torch.sigmoid(difference).to(st.dtype))

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for parameter in self.parameters(recurse=False):  # position and frame embeddings, mask token
            nn.init.trunc_normal_(parameter, std=0.02)
        if self.config.att_fuse:
            for score in self.ts_attn:
                nn.init.zeros_(cast(nn.Linear, score).weight)
                nn.init.constant_(cast(nn.Linear, score).bias, 0.5)
