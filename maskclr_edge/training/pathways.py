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

from maskclr_edge.model import ActionNet
from maskclr_edge.model.action import ClassHead
from maskclr_edge.model.masking import probabilistic_mask, targeted_mask
from maskclr_edge.training import distributed
from maskclr_edge.training.config import TrainConfig
from maskclr_edge.training.losses import class_contrastive, sample_contrastive, supervised_contrastive


@dataclass(frozen=True, eq=False)
class PackedBatch:
    """Clips as the persons that are there, with the noise that their masks are drawn by.

    persons: (P, T, 17, 3); ``slots``: (N, M) rows of ``persons`` that fill each clip; all absent persons
    share one row of zeros, so that they cost one encoding a batch. uniform: (P, T, 17) in (0, 1), ratio:
    (P, T), both equal in frames that share a mask; span: (P, T), the first frame of those.
    """

    persons: Tensor
    slots: Tensor
    labels: Tensor
    uniform: Tensor
    ratio: Tensor
    span: Tensor

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
    uniform, ratio, span = (
        part[own].reshape(-1, *part.shape[2:]) for part in mask_noise(clips.shape, config, rng)
    )
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
        span=torch.from_numpy(span[rows]),
    )


def mask_noise(
    shape: tuple[int, ...], config: TrainConfig, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Noise (N, M, T, 17), ratios (N, M, T) and first frames (N, M, T) of masks of clips of a shape.

    A mask holds for the whole clip ("clip"), for one frame ("frame"), or ("mixed") for stretches whose
    length is drawn for each person, log-uniformly from one frame up; a fifth of the persons keep one mask.
    """
    slots, frames = shape[:2], shape[2]
    if config.mask_span == "mixed":
        lengths = np.minimum(frames, frames ** rng.uniform(0, 1.25, slots)).astype(np.int64)
    else:
        lengths = np.full(slots, 1 if config.mask_span == "frame" else frames)
    time = np.arange(frames)
    span = time - time % lengths[..., None]  # (N, M, T)
    uniform = rng.random((*slots, frames, 17), dtype=np.float32)
    ratio = rng.uniform(*config.mask_ratio, (*slots, frames)).astype(np.float32)
    return np.take_along_axis(uniform, span[..., None], 2), np.take_along_axis(ratio, span, 2), span


def pathway_mask(importance: Tensor, batch: PackedBatch, config: TrainConfig) -> Tensor:
    """Joints to hide, bool (P, T, 17), from importance (P, T, 17), which is averaged where a mask holds."""
    shared = _span_means(importance, batch.span)
    if config.msk_type == "tm":
        mask = targeted_mask(shared, config.mask_th)
    else:
        mask = probabilistic_mask(shared, batch.uniform, batch.ratio, config.mask_tau)
    # an absent person stays absent: it has no joints to hide
    return mask & batch.persons.flatten(1).any(dim=1)[:, None, None]


def _span_means(importance: Tensor, span: Tensor) -> Tensor:
    """Each frame's importance (P, T, 17) replaced by the mean over the frames that share its mask."""
    where = span[..., None].expand_as(importance)
    means = torch.zeros_like(importance).scatter_reduce(1, where, importance, "mean", include_self=False)
    return means.gather(1, where)


@dataclass(frozen=True, eq=False)
class StepResult:
    """Loss with gradient, its parts without, and labels and standard logits of the global batch.

    logits: None for an embedding head.
    """

    loss: Tensor
    parts: dict[str, Tensor]
    logits: Tensor | None
    labels: Tensor


class Pathways(nn.Module):
    """The network with its training losses; what distributed training wraps.

    A class head learns by cross-entropy, an embedding head (one-shot) by the supervised contrastive loss.
    """

    def __init__(self, model: ActionNet, config: TrainConfig) -> None:
        super().__init__()
        self.model, self.config = model, config
        self.objective = "ce" if isinstance(model.head, ClassHead) else "supcon"

    def forward(self, batch: PackedBatch, masked: bool) -> StepResult:
        """Run one step; ``masked`` adds the masked pathway and its losses."""
        model, config = self.model, self.config
        if masked:
            representation, importance = model.backbone(batch.persons, importance=True)
        else:
            representation = model.backbone(batch.persons)
        features, labels = self._gather(representation, batch)
        hidden = self._hidden(features)
        logits = self._logits(hidden)
        loss = self._objective(hidden, logits, labels)
        parts = {self.objective: loss}
        if masked:
            mask = self.mask(importance, batch)
            masked_features, _ = self._gather(model.backbone(batch.persons, mask), batch)
            masked_hidden = self._hidden(masked_features, remember=False)
            if config.ce_type == "avgce":
                masked_loss = self._objective(masked_hidden, self._logits(masked_hidden), labels)
                parts[f"{self.objective}_masked"] = masked_loss
                loss = (loss + masked_loss) / 2
            if config.scl:
                parts["scl"] = sample_contrastive(hidden, masked_hidden, config.sample_temperature)
                loss = loss + config.scl * parts["scl"]
            if config.ccl:
                parts["ccl"] = class_contrastive(hidden, masked_hidden, labels, config.class_temperature)
                loss = loss + config.ccl * parts["ccl"]
        detached = {name: value.detach() for name, value in parts.items()}
        return StepResult(loss, detached, None if logits is None else logits.detach(), labels)

    def mask(self, importance: Tensor, batch: PackedBatch) -> Tensor:
        """Joints to hide, see ``pathway_mask``."""
        return pathway_mask(importance, batch, self.config)

    def _gather(self, representation: Tensor, batch: PackedBatch) -> tuple[Tensor, Tensor]:
        """Clip features (N, F) and labels (N,) of the global batch, with gradient."""
        per_person = self.model.pool(representation, 1)
        features = per_person[batch.slots].mean(dim=1)
        return distributed.gather(features), distributed.gather(batch.labels)

    def _hidden(self, features: Tensor, *, remember: bool = True) -> Tensor:
        """Hidden features (N, H) in float32: the head is small and its batch norm wants precision.

        The batch norm remembers the standard pathway's statistics alone. Evaluation masks nothing: with the
        masked pathway's mixed in, whole clips are normalised by a mean that lies half a deviation off.
        """
        with torch.autocast(features.device.type, enabled=False):
            return self.model.head.hidden(features.float(), remember=remember)

    def _logits(self, hidden: Tensor) -> Tensor | None:
        head = self.model.head
        with torch.autocast(hidden.device.type, enabled=False):
            return head.fc2(hidden) if isinstance(head, ClassHead) else None

    def _objective(self, hidden: Tensor, logits: Tensor | None, labels: Tensor) -> Tensor:
        """What one pathway is trained for."""
        if logits is None:
            return supervised_contrastive(hidden, labels, self.config.class_temperature)
        return F.cross_entropy(logits, labels, label_smoothing=self.config.label_smoothing)
