"""The losses that RAM and Tag2Text are trained with."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Gather = Callable[[Tensor], tuple[Tensor, int]]
"""Takes this process's (B, ...) rows; returns the (N, ...) rows of all processes, one process after
the other, and which of them is this process's first. Its rows need no gradient."""


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


def text_alignment_loss(logits: Tensor, groups: Tensor | None = None) -> Tensor:
    """Sum RAM++'s loss of image-text pairs over images and texts, in float32.

    A text is a tag that its own image has and the others lack (Huang et al., 2023, "Open-Set Image
    Tagging with Multi-Grained Text Supervision", section 3.2). No pairs cost 0; one has no wrong
    partner and is learnt as present.

    Args:
        logits: (B, B) of image i and text j, as ``RAMPlus.text_logits`` returned them.
        groups: (B,) integers; image i and text j fit if their groups are equal. None means that
            they fit only if i = j, as in the official training.
    """
    rows = _row_numbers(logits) if groups is None else groups
    return asymmetric_loss(logits, rows[:, None] == rows[None], gamma_neg=4.0)


def contrastive_loss(
    images: Tensor,
    texts: Tensor,
    temperature: Tensor | float,
    *,
    groups: Tensor | None = None,
    gather: Gather | None = None,
) -> Tensor:
    """Return the mean image-text contrastive loss of both directions, in float32 (ITC).

    Each image picks its text among all texts by cross-entropy, and each text its image. The others
    are those of the batch, of all processes if they are gathered; no momentum queue adds further
    ones. No pairs cost 0, and so does one pair alone, which has nothing to be told from.

    Args:
        images: (B, C) of unit length.
        texts: (B, C) of unit length, of the same pairs.
        temperature: what cosines are divided by.
        groups: (B,) integers; pairs of one group are equally right for each other. None means that
            only the given pairs fit.
        gather: None means that there is one process.
    """
    with torch.autocast(images.device.type, enabled=False):
        images, texts = images.float(), texts.float()
        every_image, _ = _of_all(images, gather)
        every_text, first = _of_all(texts, gather)
        if groups is None:
            others = _row_numbers(every_text)
            groups = others[first : first + len(images)]
        else:
            others, _ = _of_all(groups, gather)
        fitting = (groups[:, None] == others[None]).float()
        to_texts = (images @ every_text.T / temperature).log_softmax(1)
        to_images = (texts @ every_image.T / temperature).log_softmax(1)
        share = fitting / fitting.sum(1, keepdim=True)
        return -(share * (to_texts + to_images)).sum() / (2 * max(1, len(images)))


def matching_loss(logits: Tensor, matches: Tensor) -> Tensor:
    """Return the mean cross-entropy of whether pairs fit, in float32 (ITM); no pairs cost 0.

    Args:
        logits: (P, 2): apart, fitting.
        matches: (P,) 1 where image and text fit, else 0.
    """
    total = functional.cross_entropy(logits.float(), matches.long(), reduction="sum")
    return total / max(1, len(logits))


def _of_all(rows: Tensor, gather: Gather | None) -> tuple[Tensor, int]:
    """Return the rows of all processes, our own with their gradient, and which is our first."""
    if gather is None:
        return rows, 0
    every, first = gather(rows)
    return torch.cat([every[:first], rows, every[first + len(rows) :]]), first


def _row_numbers(rows: Tensor) -> Tensor:
    return torch.arange(len(rows), device=rows.device)
