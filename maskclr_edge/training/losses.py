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
    """Supervised contrastive loss over both views: clips of one class attract, others repel.

    For each view, the mean log probability of its positives (every other view of its class, its own second
    view among them), averaged over views. Source: MaskCLR, class contrastive loss; Khosla et al. 2020,
    equation 2.
    """
    similarity = _similarities(torch.cat((standard, masked)), temperature)
    log_probability = F.log_softmax(similarity, dim=1)
    both = torch.cat((labels, labels))
    positive = both[:, None] == both[None, :]
    positive.fill_diagonal_(False)
    # the diagonal is -inf and never positive; where() keeps inf * 0 out of the sum
    chosen = torch.where(positive, log_probability, log_probability.new_zeros(()))
    return -(chosen.sum(dim=1) / positive.sum(dim=1)).mean()


def _similarities(features: Tensor, temperature: float) -> Tensor:
    """Cosine similarities over temperature, (2N, 2N), with -inf for a view and itself; in float32."""
    unit = F.normalize(features.float(), dim=1)
    similarity = unit @ unit.T / temperature
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    return similarity.masked_fill(itself, float("-inf"))
