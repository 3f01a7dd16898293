"""The losses that RAM is trained with."""

from __future__ import annotations

import torch
from torch import Tensor


def asymmetric_loss(
    logits: Tensor,
    targets: Tensor,
    *,
    gamma_neg: float = 7.0,
    gamma_pos: float = 0.0,
    clip: float = 0.05,
    eps: float = 1e-8,
    detach_focus: bool = True,
) -> Tensor:
    """Sum the asymmetric loss of Ridnik et al. (2021) over images and tags, in float32.

    Absent tags are many and mostly easy: the focusing factor (1 - p)^gamma turns down what the
    model already knows, more for absent tags than for present ones, and absent tags scored below
    ``clip`` cost nothing. The defaults are RAM's.

    Args:
        logits: (B, L).
        targets: (B, L), 1 where the tag is present and 0 where it is not.
        gamma_neg: focusing of absent tags.
        gamma_pos: focusing of present tags.
        clip: shift of the absent tags' probability, in [0, 1).
        eps: probabilities are held above it before the logarithm.
        detach_focus: let no gradient flow through the focusing factor.
    """
    present = targets.float()
    score = logits.float().sigmoid()
    absent_score = (1 - score + clip).clamp(max=1) if clip > 0 else 1 - score
    log_likelihood = present * score.clamp(min=eps).log()
    log_likelihood = log_likelihood + (1 - present) * absent_score.clamp(min=eps).log()
    if gamma_neg > 0 or gamma_pos > 0:
        right = score * present + absent_score * (1 - present)
        gamma = gamma_pos * present + gamma_neg * (1 - present)
        focus = torch.pow(1 - right, gamma)
        log_likelihood = log_likelihood * (focus.detach() if detach_focus else focus)
    return -log_likelihood.sum()
