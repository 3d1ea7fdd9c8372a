"""The optimiser and its learning rates: AdamW, one rate for the backbone, one for the head."""

import math

import torch
from torch import nn

from maskclr_edge.training.config import TrainConfig


def make_optimiser(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW over four groups: backbone and head, each with decay on matrices and none on vectors."""
    groups = []
    for part, rate in (("backbone", config.lr_backbone), ("head", config.lr_head)):
        module = model.get_submodule(part)
        for decayed in (True, False):
            parameters = [p for p in module.parameters() if (p.ndim > 1) == decayed]
            decay = config.weight_decay if decayed else 0.0
            groups.append({"params": parameters, "lr": rate, "base_lr": rate, "weight_decay": decay})
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), foreach=True)


def rate_factor(config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """What the base learning rates are multiplied by at optimiser step ``step`` (from 0)."""
    total = config.epochs * steps_per_epoch
    warmup = config.warmup_epochs * steps_per_epoch
    factor = min(1.0, (step + 1) / warmup) if warmup else 1.0
    if config.schedule == "cosine":
        return factor * 0.5 * (1 + math.cos(math.pi * step / total))
    return factor * config.lr_decay ** (step // steps_per_epoch)


def set_rates(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Multiply every group's base learning rate by ``factor``."""
    for group in optimiser.param_groups:
        group["lr"] = group["base_lr"] * factor


class MovingAverage:
    """Exponential moving average of a model's weights; young averages forget faster."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the model's weights after optimiser step ``step``; statistics are copied."""
        keep = min(self.decay, (1 + step) / (10 + step))
        named = dict(model.named_parameters())
        averages = [self.weights[name] for name in named]
        torch._foreach_lerp_(averages, [p.detach() for p in named.values()], 1 - keep)
        for name, value in model.named_buffers():
            self.weights[name].copy_(value)
