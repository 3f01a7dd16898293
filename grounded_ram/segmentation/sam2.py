"""SAM 2.1 and EdgeTAM on single images: masks for boxes, with the networks of ``transformers``.

SAM 2.1 after Ravi et al., "SAM 2: Segment Anything in Images and Videos", 2024; EdgeTAM, the same
decoder behind a small encoder, after Zhou et al., "EdgeTAM: On-Device Track Anything Model", 2025.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from grounded_ram.images import Image
from grounded_ram.pretrained import load_pretrained, transformers_class
from grounded_ram.runtime import autocast
from grounded_ram.segmentation.boxes import BoxSegmenter, EmbeddedImage, scale_boxes
from grounded_ram.segmentation.pixels import IMAGENET, Pixels, read_pixels, to_square
from grounded_ram.segmentation.upscaling import Step
from grounded_ram.weights import Checkpoint, fetch

_Features = list[torch.Tensor]
"""Three (1, C, h, w) maps, the finest first."""


class SAM2Segmenter(BoxSegmenter[Any, _Features]):
    """A ``Segmenter`` that gives SAM 2 one box a mask; see ``BoxSegmenter`` for the others.

    A box names one object, so one mask is asked for; the network itself takes the best of three
    where that mask is unstable (``dynamic_multimask_via_stability`` of its config).

    Args:
        model: A ``Sam2Model``, or one of the same methods.
        pixels: How it wants its pixels.
    """

    def __init__(
        self,
        model: Any,
        *,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        pixels: Pixels = IMAGENET,
        batch_size: int = 1,
        boxes_at_once: int = 64,
    ) -> None:
        super().__init__(
            model, device=device, dtype=dtype, batch_size=batch_size, boxes_at_once=boxes_at_once
        )
        self._pixels = pixels
        self._side: int = model.config.prompt_encoder_config.image_size

    @torch.inference_mode()
    def embed(self, images: Sequence[Image]) -> list[EmbeddedImage[_Features]]:
        """Run the image encoder over B images together, one or more."""
        squares = torch.stack([to_square(image, self._side) for image in images]).to(self._device)
        with autocast(self._device, self._dtype):
            maps = self.model.get_image_embeddings(self._pixels.normalise(squares))
        return [
            EmbeddedImage(
                [one[i : i + 1].float() for one in maps], image.shape[:2], (self._side, self._side)
            )
            for i, image in enumerate(images)
        ]

    @torch.inference_mode()
    def decode(
        self, image: EmbeddedImage[_Features], boxes_xyxy: NDArray[np.number]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give N boxes (in the image's pixels) their masks.

        Returns:
            (N, 1, 4h, 4w) mask logits over the square, and (N, 1) estimates of their IoU.
        """
        scaled = scale_boxes(boxes_xyxy, image.size_hw, image.input_hw)
        found = self.model(
            image_embeddings=image.features,
            input_boxes=torch.from_numpy(scaled).to(self._device)[None],
            multimask_output=False,
        )
        return found.pred_masks[0], found.iou_scores[0]

    def steps(self, image: EmbeddedImage[_Features]) -> tuple[Step, ...]:
        """Return the resizing that leads from mask logits to the image."""
        return (Step(image.size_hw),)


def load_sam2(checkpoint: Checkpoint, *, device: torch.device, dtype: torch.dtype) -> SAM2Segmenter:
    """Make the segmenter of a checkpoint: the factory behind every ``sam2:...`` name.

    Raises:
        MissingDependencyError: The installed transformers has no SAM 2.
        WeightsError: A file is absent or cannot be read, or the two do not fit each other.
    """
    return _load("Sam2Model", "4.56", checkpoint, device=device, dtype=dtype)


def load_edgetam(
    checkpoint: Checkpoint, *, device: torch.device, dtype: torch.dtype
) -> SAM2Segmenter:
    """Make the segmenter of a checkpoint: the factory behind every ``edgetam:...`` name.

    Raises:
        MissingDependencyError: The installed transformers has no EdgeTAM.
        WeightsError: A file is absent or cannot be read, or the two do not fit each other.
    """
    return _load("EdgeTamModel", "4.57", checkpoint, device=device, dtype=dtype)


def _load(
    model_class: str,
    since: str,
    checkpoint: Checkpoint,
    *,
    device: torch.device,
    dtype: torch.dtype,
) -> SAM2Segmenter:
    network = transformers_class(model_class, since)
    files = fetch(checkpoint)
    model = load_pretrained(network, files, checkpoint.name)
    pixels = read_pixels(files, IMAGENET)
    return SAM2Segmenter(model, device=device, dtype=dtype, pixels=pixels)
