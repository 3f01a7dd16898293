"""SAM-HQ: SAM with one more output token, which corrects the edges of the mask.

After Ke et al., "Segment Anything in High Quality", 2023, with the network of ``transformers``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import pad

from grounded_ram.images import Image
from grounded_ram.pretrained import load_pretrained, transformers_class
from grounded_ram.runtime import autocast
from grounded_ram.segmentation.boxes import BoxSegmenter, EmbeddedImage, scale_boxes
from grounded_ram.segmentation.pixels import IMAGENET, Pixels, read_pixels
from grounded_ram.segmentation.sam import resize_image
from grounded_ram.segmentation.upscaling import Step
from grounded_ram.weights import Checkpoint, fetch

_Features = tuple[torch.Tensor, torch.Tensor]
"""The encoder's (1, C, h, w) output, and (1, h, w, D) of its first block that sees all."""


class SAMHQSegmenter(BoxSegmenter[Any, _Features]):
    """A ``Segmenter`` that gives SAM-HQ one box a mask; see ``BoxSegmenter`` for the others.

    Args:
        model: A ``SamHQModel``.
        pixels: How it wants its pixels.
        hq_token_only: Take the new token's mask alone. Its authors do so for pictures of one
            object, and add it to SAM's for pictures of several and for their measurements.
        boxes_at_once: A box takes more memory here than in SAM.
    """

    def __init__(
        self,
        model: Any,
        *,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        pixels: Pixels = IMAGENET,
        hq_token_only: bool = False,
        batch_size: int = 1,
        boxes_at_once: int = 16,
    ) -> None:
        super().__init__(
            model, device=device, dtype=dtype, batch_size=batch_size, boxes_at_once=boxes_at_once
        )
        self._pixels = pixels
        self._hq_token_only = hq_token_only
        self._side: int = model.config.vision_config.image_size

    @torch.inference_mode()
    def embed(self, images: Sequence[Image]) -> list[EmbeddedImage[_Features]]:
        """Run the image encoder over B images together, one or more."""
        fitted = [resize_image(image, self._side) for image in images]
        batch = torch.stack([self._prepare(image) for image in fitted])
        with autocast(self._device, self._dtype):
            final, inner = self.model.get_image_embeddings(batch)
        final, early = final.float(), inner[0].float()
        return [
            EmbeddedImage(
                (final[i : i + 1], early[i : i + 1]), image.shape[:2], fitted[i].shape[:2]
            )
            for i, image in enumerate(images)
        ]

    def _prepare(self, fitted: Image) -> torch.Tensor:
        """Normalise an image and pad it, at the right and below, to the encoder's square."""
        pixels = torch.from_numpy(fitted).permute(2, 0, 1).to(self._device)
        height, width = fitted.shape[:2]
        return pad(self._pixels.normalise(pixels), (0, self._side - width, 0, self._side - height))

    @torch.inference_mode()
    def decode(
        self, image: EmbeddedImage[_Features], boxes_xyxy: NDArray[np.number]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give N boxes (in the image's pixels) their masks.

        Returns:
            (N, 1, 4h, 4w) mask logits over the padded square, and (N, 1) estimates of the IoU that
            SAM's own mask has: the new token brings none.
        """
        final, early = image.features
        scaled = scale_boxes(boxes_xyxy, image.size_hw, image.input_hw)
        found = self.model(
            image_embeddings=final,
            intermediate_embeddings=[early],
            input_boxes=torch.from_numpy(scaled).to(self._device)[None],
            multimask_output=False,
            hq_token_only=self._hq_token_only,
        )
        return found.pred_masks[0], found.iou_scores[0]

    def steps(self, image: EmbeddedImage[_Features]) -> tuple[Step, ...]:
        """Return the resizings that lead from mask logits to the image."""
        return Step((self._side, self._side), image.input_hw), Step(image.size_hw)


def load_sam_hq(
    checkpoint: Checkpoint, *, device: torch.device, dtype: torch.dtype
) -> SAMHQSegmenter:
    """Make the segmenter of a checkpoint: the factory behind every ``sam-hq:...`` name.

    Raises:
        MissingDependencyError: The installed transformers has no SAM-HQ.
        WeightsError: A file is absent or cannot be read, or the two do not fit each other.
    """
    model_class = transformers_class("SamHQModel", since="4.52")
    files = fetch(checkpoint)
    model = load_pretrained(model_class, files, checkpoint.name)
    pixels = read_pixels(files, IMAGENET)
    return SAMHQSegmenter(model, device=device, dtype=dtype, pixels=pixels)
