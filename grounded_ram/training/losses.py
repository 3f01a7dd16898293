"""The losses that RAM and Tag2Text are trained with."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


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


def caption_loss(
    logits: Tensor, ids: Tensor, *, prompt: int = 4, pad_id: int = 0, smoothing: float = 0.1
) -> Tensor:
    """Return the mean cross-entropy of a caption's tokens, in float32 (Tag2Text, section 3).

    Each token but the prompt's and padding is predicted from those before it.

    Args:
        logits: (B, L, V): at each token, those of the one that follows it.
        ids: (B, L) token ids of the captions; one at least goes on after its prompt.
        prompt: tokens that every caption begins with, not learnt.
        pad_id: id of the padding at the end.
        smoothing: share of the target spread over the whole vocabulary.
    """
    targets = ids.masked_fill(ids == pad_id, -100)[:, prompt:]
    predicted = logits[:, prompt - 1 : -1].float()
    return functional.cross_entropy(
        predicted.flatten(0, 1), targets.flatten(), label_smoothing=smoothing
    )


def distillation_loss(class_tokens: Tensor, features: Tensor) -> Tensor:
    """Return the mean distance to CLIP's image features, in float32, as RAM is trained.

    Args:
        class_tokens: (B, C), the first of RAM's projected image tokens, not normalised.
        features: (B, C), what CLIP's image encoder makes of the same images.
    """
    return functional.l1_loss(class_tokens.float(), features.float())
