"""Segmenters that show their network boxes: one embedding an image, then its boxes in batches.

The embedding is passed on, never kept: a segmenter holds weights and nothing else, so images cannot
see each other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import supervision as sv
import torch
from numpy.typing import NDArray

from grounded_ram.errors import InputError
from grounded_ram.images import Image
from grounded_ram.runtime import in_batches
from grounded_ram.segmentation.masks import chunks, no_masks, pack, stability, with_masks
from grounded_ram.segmentation.upscaling import Step

ModelT = TypeVar("ModelT", bound=torch.nn.Module)
FeaturesT = TypeVar("FeaturesT")

MOST_ON_CPU = 4
"""Boxes that a CPU decodes together: their maps are then in memory that is used again and again,
where the system would have to hand out more of it page by page, which takes longer than decoding.
"""


@dataclass(frozen=True, eq=False)
class EmbeddedImage(Generic[FeaturesT]):
    """What the decoder needs to know of one image.

    Args:
        features: What the encoder says of it, in float32.
        size_hw: Size of the image.
        input_hw: Size of the image as the encoder sees it, without padding.
    """

    features: FeaturesT
    size_hw: tuple[int, int]
    input_hw: tuple[int, int]


class BoxSegmenter(ABC, Generic[ModelT, FeaturesT]):
    """A ``Segmenter`` that gives each box a mask; a family of networks fills in three steps.

    Args:
        model: The network; it is moved to ``device`` and set to eval mode.
        device: Where it runs.
        dtype: With a half-size type the image encoder runs under autocast. Prompts and decoder stay
            in float32: box corners need more than bfloat16's eight bits.
        batch_size: Images that go through the encoder together; with 1 an image's masks do not
            depend, to the last bit, on the images beside it.
        boxes_at_once: Boxes of one image that go through the decoder together; on a CPU no more
            than ``MOST_ON_CPU``.

    Raises:
        InputError: A batch is smaller than 1.
    """

    def __init__(
        self,
        model: ModelT,
        *,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        batch_size: int = 1,
        boxes_at_once: int = 64,
    ) -> None:
        if batch_size < 1 or boxes_at_once < 1:
            raise InputError(f"expected batches of 1 or more, got {batch_size}, {boxes_at_once}")
        self.model = model.to(device).eval()
        self._device = device
        self._dtype = dtype
        self.batch_size = batch_size
        self._boxes_at_once = (
            min(boxes_at_once, MOST_ON_CPU) if device.type == "cpu" else boxes_at_once
        )

    @torch.inference_mode()
    def segment(
        self, images: Sequence[Image], detections: Sequence[sv.Detections]
    ) -> list[sv.Detections]:
        """Return the same rows with ``mask``, ``data["mask_score"]`` and ``mask_stability``.

        The score is the network's own estimate of the mask's IoU, clipped to [0, 1]; for the
        stability see ``masks.stability``. An image without boxes is not looked at.

        Raises:
            InputError: There are not as many detections as images.
        """
        if len(images) != len(detections):
            raise InputError(
                f"expected one Detections per image, got {len(detections)} for {len(images)} images"
            )
        results = list(detections)
        with_boxes = [i for i, found in enumerate(detections) if len(found)]
        for i in set(range(len(images))).difference(with_boxes):
            height, width = images[i].shape[:2]
            nothing = np.zeros(0, np.float32)
            results[i] = with_masks(results[i], no_masks((height, width)), nothing, nothing)

        def cut(rows: Sequence[int]) -> list[sv.Detections]:
            embedded = self.embed([images[i] for i in rows])
            return [
                with_masks(detections[i], *self._cut(image, detections[i].xyxy))
                for i, image in zip(rows, embedded, strict=True)
            ]

        for i, found in zip(with_boxes, in_batches(self, with_boxes, cut), strict=True):
            results[i] = found
        return results

    def _cut(
        self, image: EmbeddedImage[FeaturesT], boxes_xyxy: NDArray[np.number]
    ) -> tuple[sv.CompactMask, NDArray[np.float32], NDArray[np.float32]]:
        """Return the masks of N boxes, their scores and their stability."""
        masks: list[sv.CompactMask] = []
        scores: list[NDArray[np.float32]] = []
        stable: list[NDArray[np.float32]] = []
        for boxes in chunks(boxes_xyxy, self._boxes_at_once):
            logits, iou = self.decode(image, boxes)
            scores.append(iou[:, 0].clamp(0, 1).cpu().numpy())
            stable.append(stability(logits))
            masks.append(pack(logits, self.steps(image)))
        return sv.CompactMask.merge(masks), np.concatenate(scores), np.concatenate(stable)

    @abstractmethod
    def embed(self, images: Sequence[Image]) -> list[EmbeddedImage[FeaturesT]]:
        """Run the image encoder over B images together."""

    @abstractmethod
    def decode(
        self, image: EmbeddedImage[FeaturesT], boxes_xyxy: NDArray[np.number]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give N boxes (in the image's pixels) their masks.

        Returns:
            (N, 1, h, w) mask logits over the encoder's input, and (N, 1) estimates of their IoU.
        """

    @abstractmethod
    def steps(self, image: EmbeddedImage[FeaturesT]) -> tuple[Step, ...]:
        """Return the resizings that lead from mask logits to the image."""


def scale_boxes(
    boxes_xyxy: NDArray[np.number], size_hw: tuple[int, int], input_hw: tuple[int, int]
) -> NDArray[np.float32]:
    """Move (N, 4) boxes from the image's pixels to those of the network's input."""
    x_scale, y_scale = input_hw[1] / size_hw[1], input_hw[0] / size_hw[0]
    scaled: NDArray[np.number] = boxes_xyxy * np.array([x_scale, y_scale, x_scale, y_scale])
    return scaled.astype(np.float32)
