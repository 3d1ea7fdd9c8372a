"""One training step's forward pass: standard pathway, masked pathway, losses.

Both pathways share all weights. The standard pathway's attention says which joints the model leans on; the
masked pathway sees the same clips without (some of) them. Source: MaskCLR, figure 2.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskclr_edge.errors import ConfigError
from maskclr_edge.model import ActionNet
from maskclr_edge.model.masking import probabilistic_mask, targeted_mask
from maskclr_edge.training import distributed
from maskclr_edge.training.config import TrainConfig
from maskclr_edge.training.losses import class_contrastive, sample_contrastive


@dataclass(frozen=True, eq=False)
class PackedBatch:
    """Clips as the persons that are there, with the noise that their masks are drawn by.

    persons: (P, T, 17, 3); ``slots``: (N, M) rows of ``persons`` that fill each clip; all absent persons
    share one row of zeros, so that they cost one encoding a batch. uniform: (P, 17) in (0, 1), ratio: (P,).
    """

    persons: Tensor
    slots: Tensor
    labels: Tensor
    uniform: Tensor
    ratio: Tensor

    def to(self, device: torch.device) -> "PackedBatch":
        """The batch on a device."""
        return PackedBatch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def pack(
    clips: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    config: TrainConfig,
    rng: np.random.Generator,
    own: slice,
) -> PackedBatch:
    """Pack the clips ``own`` of a batch (N, M, T, 17, 3).

    The mask noise is drawn for every slot of the whole batch, so that neither packing nor the number of
    processes changes a draw.
    """
    uniform = rng.random((*clips.shape[:2], 17), dtype=np.float32)[own].reshape(-1, 17)
    ratio = rng.uniform(*config.mask_ratio, clips.shape[:2]).astype(np.float32)[own].reshape(-1)
    clips, labels = clips[own], labels[own]
    count, slots_per_clip = clips.shape[:2]
    flat = clips.reshape(-1, *clips.shape[2:])
    seen = flat.reshape(len(flat), -1).any(axis=1)
    present = seen if config.absent == "zeros" else np.ones_like(seen)
    rows = np.flatnonzero(present)
    slots = np.full(len(flat), len(rows), dtype=np.int64)
    slots[rows] = np.arange(len(rows))
    if len(rows) < len(flat):  # one absent slot stands for all of them
        rows = np.append(rows, np.flatnonzero(~present)[0])
    return PackedBatch(
        persons=torch.from_numpy(flat[rows]),
        slots=torch.from_numpy(slots.reshape(count, slots_per_clip)),
        labels=torch.from_numpy(labels),
        uniform=torch.from_numpy(uniform[rows]),
        ratio=torch.from_numpy(ratio[rows]),
    )


def pathway_mask(importance: Tensor, batch: PackedBatch, config: TrainConfig) -> Tensor:
    """Joints to hide, bool (P, T, 17), the same in every frame; from importance (P, T, 17)."""
    average = importance.mean(dim=1)  # (P, 17)
    if config.msk_type == "tm":
        mask = targeted_mask(average, config.mask_th)
    else:
        mask = probabilistic_mask(average, batch.uniform, batch.ratio, config.mask_tau)
    # an absent person stays absent: it has no joints to hide
    mask = mask & batch.persons.flatten(1).any(dim=1, keepdim=True)
    return mask[:, None, :].expand(importance.shape)


@dataclass(frozen=True, eq=False)
class StepResult:
    """Loss with gradient, its parts without, and standard logits and labels of the global batch."""

    loss: Tensor
    parts: dict[str, Tensor]
    logits: Tensor
    labels: Tensor


class Pathways(nn.Module):
    """The network with its training losses; what distributed training wraps."""

    def __init__(self, model: ActionNet, config: TrainConfig) -> None:
        super().__init__()
        if model.config.head != "class":
            raise ConfigError("model_version is 'embed'; classes are trained with 'class' (or use one-shot)")
        self.model, self.config = model, config

    def forward(self, batch: PackedBatch, masked: bool) -> StepResult:
        """Run one step; ``masked`` adds the masked pathway and its losses."""
        model, config = self.model, self.config
        if masked:
            representation, importance = model.backbone(batch.persons, importance=True)
        else:
            representation = model.backbone(batch.persons)
        features, labels = self._gather(representation, batch)
        hidden, logits = self._head(features)
        parts = {"ce": self._cross_entropy(logits, labels)}
        loss = parts["ce"]
        if masked:
            mask = self.mask(importance, batch)
            hidden_features, _ = self._gather(model.backbone(batch.persons, mask), batch)
            masked_hidden, masked_logits = self._head(hidden_features)
            if config.ce_type == "avgce":
                parts["ce_masked"] = self._cross_entropy(masked_logits, labels)
                loss = (loss + parts["ce_masked"]) / 2
            if config.scl:
                parts["scl"] = sample_contrastive(hidden, masked_hidden, config.sample_temperature)
                loss = loss + config.scl * parts["scl"]
            if config.ccl:
                parts["ccl"] = class_contrastive(hidden, masked_hidden, labels, config.class_temperature)
                loss = loss + config.ccl * parts["ccl"]
        detached = {name: value.detach() for name, value in parts.items()}
        return StepResult(loss, detached, logits.detach(), labels)

    def mask(self, importance: Tensor, batch: PackedBatch) -> Tensor:
        """Joints to hide, see ``pathway_mask``."""
        return pathway_mask(importance, batch, self.config)

    def _gather(self, representation: Tensor, batch: PackedBatch) -> tuple[Tensor, Tensor]:
        """Clip features (N, F) and labels (N,) of the global batch, with gradient."""
        per_person = self.model.pool(representation, 1)
        features = per_person[batch.slots].mean(dim=1)
        return distributed.gather(features), distributed.gather(batch.labels)

    def _head(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden features and logits, in float32: the head is small and its batch norm wants precision."""
        head = self.model.head
        with torch.autocast(features.device.type, enabled=False):
            hidden = head.hidden(features.float())
            return hidden, head.fc2(hidden)  # type: ignore[operator]  # a class head, see __init__

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, label_smoothing=self.config.label_smoothing)
