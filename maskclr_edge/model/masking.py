"""Which joints the masked pathway hides: those that the standard pathway leans on, clip by clip.

Source: MaskCLR, section 3 (targeted masking), and its second version (attention-guided probabilistic
masking). The published code compares importances across the whole batch; here each person of each clip is
masked by its own importances, so that a clip's mask does not depend on what else is in the batch.
"""

import torch
from torch import Tensor


def targeted_mask(importance: Tensor, threshold: float) -> Tensor:
    """Hide joints whose importance, relative to the person's most important joint, exceeds ``threshold``.

    importance: non-negative (..., J). Returns bool (..., J). One joint always stays: the least important.
    """
    relative = importance / importance.amax(dim=-1, keepdim=True).clamp_min(1e-12)
    mask = relative > threshold
    keep = relative.argmin(dim=-1, keepdim=True)
    return mask & ~torch.zeros_like(mask).scatter_(-1, keep, True)


def probabilistic_mask(importance: Tensor, uniform: Tensor, ratio: Tensor, tau: float) -> Tensor:
    """Hide a share ``ratio`` of the joints, drawn without replacement with odds that rise with importance.

    importance: (..., J); uniform: noise in (0, 1) of that shape; ratio: (...,) in [0, 1).
    Gumbel top-k: the k largest of log softmax(importance / (tau max importance)) + Gumbel noise are a
    sample without replacement from the softmax (Kool et al. 2019). Returns bool (..., J).
    """
    joints = importance.shape[-1]
    relative = importance / importance.amax(dim=-1, keepdim=True).clamp_min(1e-12)
    log_odds = torch.log_softmax(relative / tau, dim=-1)
    gumbel = -torch.log(-torch.log(uniform.clamp(1e-9, 1 - 1e-7)))
    rank = (log_odds + gumbel).argsort(dim=-1, descending=True).argsort(dim=-1)
    hidden = torch.round(ratio * joints).clamp(0, joints - 1)
    return rank < hidden.unsqueeze(-1)
