"""Rows of a pool -> tensors for a network: resized, mirrored, brightened, normalised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from grounded_ram.runtime import normalised
from grounded_ram.training.pool import Pool


@dataclass(frozen=True, eq=False)
class Batch:
    """B scenes, ready to learn from.

    Args:
        images: (B, 3, S, S) float32 RGB in 0..255.
        owners: (B, H, W) uint8 slots at the pool's size.
        boxes: (B, 9, 4) float32 xyxy as shares of the picture, 0 to 1.
        looks: (B, 9, 4) int64.
        tags: (B, T) float32, 0 or 1.
    """

    images: Tensor
    owners: Tensor
    boxes: Tensor
    looks: Tensor
    tags: Tensor

    def normalised(self) -> Tensor:
        """Return the images scaled as ImageNet-trained networks expect them."""
        return normalised(self.images / 255)

    def owners_at(self, side: int) -> Tensor:
        """Return (B, side, side) int64 slots of the pixels in the middle of each cell of a map."""
        cells = torch.arange(side, device=self.owners.device)
        centres = ((cells + 0.5) * self.owners.shape[-1] / side).long()
        return self.owners[:, centres][:, :, centres].long()

    def to(self, device: torch.device) -> Batch:
        """Move to a device."""
        columns = (self.images, self.owners, self.boxes, self.looks, self.tags)
        return Batch(*(column.to(device, non_blocking=True) for column in columns))


def draw_batch(pool: Pool, rng: np.random.Generator, count: int, size: int) -> Batch:
    """Draw scenes at random, half of them mirrored, all of slightly changed brightness."""
    rows = np.sort(rng.choice(len(pool), count, replace=False))
    images = torch.from_numpy(pool.images[rows]).permute(0, 3, 1, 2)
    owners = torch.from_numpy(pool.owners[rows])
    boxes = torch.from_numpy(pool.boxes[rows] / np.float32(pool.images.shape[1]))
    mirrored = torch.from_numpy(rng.random(count) < 0.5)
    images = torch.where(mirrored.view(-1, 1, 1, 1), images.flip(-1), images)
    owners = torch.where(mirrored.view(-1, 1, 1), owners.flip(-1), owners)
    boxes = torch.where(mirrored.view(-1, 1, 1), _mirrored(boxes), boxes)
    return Batch(
        images=brightened(_resized(images, size), rng),
        owners=owners,
        boxes=boxes,
        looks=torch.from_numpy(pool.looks[rows].astype(np.int64)),
        tags=torch.from_numpy(pool.tags[rows].astype(np.float32)),
    )


def _resized(images: Tensor, size: int) -> Tensor:
    if images.shape[-1] == size:
        return images.float()
    resized = functional.interpolate(
        images.contiguous(), (size, size), mode="bilinear", antialias=True
    )
    return resized.float()


def _mirrored(boxes: Tensor) -> Tensor:
    x0, y0, x1, y1 = boxes.unbind(-1)
    return torch.stack([1 - x1, y0, 1 - x0, y1], -1)


def brightened(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Change the contrast and brightness of each of (B, 3, H, W) images in 0..255 a little."""
    gains: NDArray[np.float32] = rng.uniform(0.88, 1.12, (len(images), 1, 1, 1)).astype(np.float32)
    shifts: NDArray[np.float32] = rng.uniform(-12, 12, (len(images), 1, 1, 1)).astype(np.float32)
    return (images * torch.from_numpy(gains) + torch.from_numpy(shifts)).clamp(0, 255)
