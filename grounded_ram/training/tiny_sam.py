"""The tiny preset's SAM: the visible pixels of the object in a box, on picture-book scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from segment_anything.modeling import Sam
from torch import Tensor, nn
from torch.nn import functional

from grounded_ram.segmentation.sam import SAMConfig, build_sam
from grounded_ram.training.batches import Batch, draw_batch
from grounded_ram.training.loop import Schedule, train
from grounded_ram.training.pool import Pool

CONFIG = SAMConfig(
    image_size=384,
    patch_size=8,
    encoder_width=128,
    encoder_depth=6,
    encoder_heads=4,
    window_size=8,
    global_blocks=(2, 5),
    prompt_width=128,
    decoder_heads=4,
    decoder_mlp=256,
    iou_head_width=128,
)
SCHEDULE = Schedule(
    steps=6_000,
    learning_rate=8e-4,
    batch=8,
    warmup=200,
    weight_decay=0.02,
    clip=1.0,
    muon=False,
)

_BOXES_A_SCENE = 3
_CELLS = 4  # the auxiliary head looks at 4 x 4 sub-cells of each token
_MARGIN = 0.15  # of the box's sides: where pixels near the box still count in full
_OUTSIDE = 0.2  # weight of the pixels farther away


class OwnerHead(nn.Module):
    """Auxiliary: for each sub-cell of the embedding, is it an object, an edge, and in which box.

    It teaches the encoder to tell objects apart before the decoder knows how to ask; it is dropped
    after training.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(channels, (2 + 4) * _CELLS**2, 1)

    def forward(self, embedding: Tensor, batch: Batch) -> Tensor:
        """Return the loss over the (B, C, h, w) embedding of whole square pictures."""
        out = functional.pixel_shuffle(self.head(embedding).float(), _CELLS)
        owners = batch.owners_at(out.shape[-1])
        inside = (owners > 0).float()
        flat = functional.binary_cross_entropy_with_logits(out[:, 0], inside)
        flat = flat + functional.binary_cross_entropy_with_logits(out[:, 1], _edges(owners))
        rows = torch.arange(len(owners), device=owners.device).view(-1, 1, 1)
        boxes = batch.boxes[rows, owners].permute(0, 3, 1, 2)
        miss = (out[:, 2:] - boxes).abs().mean(1) * inside
        return flat + 4 * miss.sum() / inside.sum().clamp(min=1)


def _edges(owners: Tensor) -> Tensor:
    """Return (B, s, s) float 1 where a cell's owner differs from its right or lower neighbour's."""
    right = functional.pad(owners[:, :, 1:] != owners[:, :, :-1], (0, 1))
    lower = functional.pad(owners[:, 1:] != owners[:, :-1], (0, 0, 0, 1))
    return (right | lower).float()


def new_sam(seed: int) -> Sam:
    """Make an untrained segmenter."""
    torch.manual_seed(seed)
    return build_sam(CONFIG)


def train_sam(
    model: Sam,
    pool: Pool,
    state_path: Path,
    *,
    seed: int,
    device: torch.device,
    schedule: Schedule = SCHEDULE,
) -> Sam:
    """Train the segmenter in place and return it.

    Args:
        model: where it starts.
        pool: scenes to learn from.
        state_path: where the run is kept and resumed from.
        seed: of the auxiliary head and the batches.
        device: where it learns.
        schedule: how long and how fast.
    """
    torch.manual_seed(seed)
    modules = nn.ModuleDict({"model": model, "owners": OwnerHead(CONFIG.prompt_width)}).to(device)

    def step_loss(rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        batch = draw_batch(pool, rng, schedule.batch, CONFIG.image_size).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            pixels = (batch.images - model.pixel_mean) / model.pixel_std
            embeddings = model.image_encoder(pixels)
            owners = modules["owners"](embeddings, batch)
        losses = [
            _object_losses(model, embeddings[i], batch, i, rng)
            for i in range(len(embeddings))
            if bool((batch.looks[i, :, 0] >= 0).any())
        ]
        masks, quality, iou = torch.cat(losses).mean(0)
        facts = {"masks": masks.item(), "iou": iou.item(), "owners": owners.item()}
        return masks + 0.2 * quality + 0.3 * owners, facts

    train(modules, step_loss, schedule, state_path=state_path, seed=seed)
    return model


def _object_losses(
    model: Sam, embedding: Tensor, batch: Batch, row: int, rng: np.random.Generator
) -> Tensor:
    """Return (N, 3): mask loss, error of the predicted IoU, and the IoU, of up to three objects."""
    used = np.flatnonzero(batch.looks[row, :, 0].cpu().numpy() >= 0)
    slots = torch.from_numpy(rng.permutation(used)[:_BOXES_A_SCENE]).to(embedding.device)
    boxes = batch.boxes[row, slots]
    with torch.autocast(embedding.device.type, torch.bfloat16):
        sparse, dense = model.prompt_encoder(
            points=None, boxes=_shaken(boxes, rng) * CONFIG.image_size, masks=None
        )
        logits, quality = model.mask_decoder(
            image_embeddings=embedding[None],
            image_pe=model.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
    masks = (batch.owners[row][None] == slots[:, None, None]).float()
    targets = functional.interpolate(masks[:, None], logits.shape[-2:], mode="area")[:, 0]
    loss = _mask_loss(logits[:, 0].float(), targets, boxes)
    with torch.no_grad():
        found, true = logits[:, 0] > 0, targets > 0.5
        iou = (found & true).sum((1, 2)) / (found | true).sum((1, 2)).clamp(min=1)
    return torch.stack([loss, (quality[:, 0].float() - iou) ** 2, iou], 1)


def _shaken(boxes: Tensor, rng: np.random.Generator) -> Tensor:
    """Move the corners of half of the boxes by up to a tenth of the sides, as a detector may."""
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    noise = np.clip(rng.normal(0, 0.04, boxes.shape), -0.1, 0.1) * (
        rng.random((len(boxes), 1)) < 0.5
    )
    return (boxes + boxes.new_tensor(noise) * sides).clamp(0, 1)


def _mask_loss(logits: Tensor, targets: Tensor, boxes: Tensor) -> Tensor:
    """Return (N,) cross-entropy, mostly of the box's surroundings, plus dice."""
    near = _near(boxes, logits.shape[-1])
    cross = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    far = 1 - near
    mean_near = (cross * near).sum((1, 2)) / near.sum((1, 2)).clamp(min=1)
    mean_far = (cross * far).sum((1, 2)) / far.sum((1, 2)).clamp(min=1)
    share = logits.sigmoid()
    both = (share * targets).sum((1, 2))
    dice = 1 - (2 * both + 1) / (share.sum((1, 2)) + targets.sum((1, 2)) + 1)
    return mean_near + _OUTSIDE * mean_far + dice


def _near(boxes: Tensor, side: int) -> Tensor:
    """Return (N, side, side) float 1 in the boxes (shares of the picture) widened by the margin."""
    centres = (torch.arange(side, device=boxes.device) + 0.5) / side
    margin = _MARGIN * (boxes[:, 2:] - boxes[:, :2])
    low, high = boxes[:, :2] - margin, boxes[:, 2:] + margin
    x = (centres > low[:, :1]) & (centres < high[:, :1])
    y = (centres > low[:, 1:]) & (centres < high[:, 1:])
    return (y[:, :, None] & x[:, None, :]).float()
