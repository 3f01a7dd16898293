"""Losses of a query-based detector that reads a prompt: matching, token focal loss, boxes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torchvision.ops import (
    box_convert,
    generalized_box_iou,
    generalized_box_iou_loss,
    sigmoid_focal_loss,
)

from grounded_ram.detection.network import Grounding

_ALPHA, _GAMMA = 0.25, 2.0
_TOKEN, _L1, _GIOU = 2.0, 5.0, 2.0  # the weights of Grounding-DINO's paper, section 4.1


@dataclass(frozen=True, eq=False)
class Truth:
    """What one image holds.

    Args:
        boxes: (M, 4) cxcywh in [0, 1].
        tokens: (M, L) float, 1 on the tokens of the object's name.
    """

    boxes: Tensor
    tokens: Tensor


def match(found: Grounding, row: int, truth: Truth) -> tuple[Tensor, Tensor]:
    """Give every true object its own query, at the lowest total cost.

    Returns:
        (M,) queries and (M,) rows of the truth.
    """
    with torch.no_grad():
        boxes = found.boxes[row]
        score = found.logits[row, :, : truth.tokens.shape[1]].sigmoid()  # without padding
        gain = _ALPHA * (1 - score) ** _GAMMA * -(score + 1e-8).log()
        waste = (1 - _ALPHA) * score**_GAMMA * -(1 - score + 1e-8).log()
        share = truth.tokens / truth.tokens.sum(1, keepdim=True)
        cost = _TOKEN * (gain - waste) @ share.T
        cost = cost + _L1 * torch.cdist(boxes, truth.boxes, p=1)
        cost = cost - _GIOU * generalized_box_iou(_xyxy(boxes), _xyxy(truth.boxes))
        queries, rows = linear_sum_assignment(cost.cpu().numpy())
    to = truth.boxes.device
    return torch.as_tensor(queries, device=to), torch.as_tensor(rows, device=to)


def near_cells(anchors: Tensor, truth: Truth) -> tuple[Tensor, Tensor]:
    """Give every true object the four cells nearest its middle, on each level of a square picture.

    Args:
        anchors: (S, 4) cxcywh of the cells; each level has its own width of anchor.
        truth: a cell claimed twice goes to the smaller object.

    Returns:
        (P,) cells and (P,) rows of the truth.
    """
    owner = torch.full((len(anchors),), -1, device=anchors.device)
    largest_first = truth.boxes[:, 2:].prod(1).argsort(descending=True)
    for level in sorted(set(anchors[:, 2].tolist())):
        cells = (anchors[:, 2] == level).nonzero()[:, 0]
        distance = torch.cdist(truth.boxes[:, :2], anchors[cells, :2])
        nearest = distance.topk(min(4, len(cells)), largest=False).indices
        for row in largest_first.tolist():
            owner[cells[nearest[row]]] = row
    claimed = (owner >= 0).nonzero()[:, 0]
    return claimed, owner[claimed]


def grounding_loss(
    found: Grounding,
    truths: list[Truth],
    pairs: list[tuple[Tensor, Tensor]],
    counted: Tensor,
) -> Tensor:
    """Return the loss of one layer, per true object (or per positive, where there are more).

    Args:
        found: B images' queries or cells.
        truths: B truths.
        pairs: for each image which query stands for which object.
        counted: (B, N, L) bool, the logits that take part.
    """
    targets = torch.zeros_like(found.logits)
    guesses, answers = [], []
    for row, (truth, (queries, rows)) in enumerate(zip(truths, pairs, strict=True)):
        targets[row, queries, : truth.tokens.shape[1]] = truth.tokens[rows]
        guesses.append(found.boxes[row, queries])
        answers.append(truth.boxes[rows])
    guess, answer = torch.cat(guesses), torch.cat(answers)
    positives = max(1, len(guess))
    boxes = _L1 * (guess - answer).abs().sum()
    boxes = boxes + _GIOU * generalized_box_iou_loss(_xyxy(guess), _xyxy(answer), reduction="sum")
    tokens = sigmoid_focal_loss(
        found.logits[counted], targets[counted], alpha=_ALPHA, gamma=_GAMMA, reduction="sum"
    )
    loss: Tensor = (_TOKEN * tokens + boxes) / positives
    return loss


def _xyxy(boxes: Tensor) -> Tensor:
    converted: Tensor = box_convert(boxes, "cxcywh", "xyxy")
    return converted
