"""The losses of MaskCLR. Features are (N, D); labels (N,); each loss is a scalar with gradient."""

import torch
import torch.nn.functional as F
from torch import Tensor


def sample_contrastive(standard: Tensor, masked: Tensor, temperature: float = 0.5) -> Tensor:
    """NT-Xent over the two views of each clip: the other view attracts, all else in the batch repels.

    Cosine similarity. Source: MaskCLR, sample contrastive loss; SimCLR (Chen et al. 2020), equation 1.
    """
    count = len(standard)
    similarity = _similarities(torch.cat((standard, masked)), temperature)
    partner = torch.arange(2 * count, device=standard.device).roll(count)
    return F.cross_entropy(similarity, partner)


def class_contrastive(standard: Tensor, masked: Tensor, labels: Tensor, temperature: float = 0.07) -> Tensor:
    """Supervised contrastive loss over both views of each clip, its own second view among the positives.

    Source: MaskCLR, class contrastive loss.
    """
    return supervised_contrastive(torch.cat((standard, masked)), torch.cat((labels, labels)), temperature)


def supervised_contrastive(features: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Views (N, D) of one class attract, others repel.

    For each view, the mean log probability of its positives (every other view of its class), averaged over
    the views that have any. Source: Khosla et al. 2020, equation 2.
    """
    similarity = _similarities(features, temperature)
    log_probability = F.log_softmax(similarity, dim=1)
    positive = labels[:, None] == labels[None, :]
    positive.fill_diagonal_(False)
    count = positive.sum(dim=1)
    # the diagonal is -inf and never positive; where() keeps inf * 0 out of the sum
    chosen = torch.where(positive, log_probability, log_probability.new_zeros(())).sum(dim=1)
    return -(chosen / count.clamp_min(1)).sum() / (count > 0).sum().clamp_min(1)


def _similarities(features: Tensor, temperature: float) -> Tensor:
    """Cosine similarities over temperature, (2N, 2N), with -inf for a view and itself; in float32."""
    unit = F.normalize(features.float(), dim=1)
    similarity = unit @ unit.T / temperature
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    return similarity.masked_fill(itself, float("-inf"))
