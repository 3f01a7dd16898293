"""SAM 3: tags straight to masks, and boxes to masks, with the networks of ``transformers``.

After Carion et al., "SAM 3: Segment Anything with Concepts", 2025. Each tag is one prompt, and the
image is encoded once for all of them. Boxes go to SAM 3's tracker: a SAM 2 behind the same encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import supervision as sv
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from grounded_ram.annotation import Tags
from grounded_ram.detection.answers import name_order
from grounded_ram.errors import InputError, WeightsError
from grounded_ram.images import Image
from grounded_ram.pretrained import load_pretrained, transformers_class
from grounded_ram.runtime import autocast
from grounded_ram.segmentation.masks import no_masks, pack
from grounded_ram.segmentation.pixels import Pixels, read_pixels, to_square
from grounded_ram.segmentation.sam2 import SAM2Segmenter
from grounded_ram.segmentation.upscaling import Step
from grounded_ram.weights import Checkpoint, fetch

HALVES = Pixels((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True, eq=False)
class _Found:
    """What one tag found, one row an object; ``row`` is the tag's among all."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    mask: sv.CompactMask
    row: int


class SAM3:
    """A ``Detector`` whose boxes come with masks, and a ``Segmenter`` of others' boxes.

    Args:
        model: A ``Sam3Model``; it is moved to ``device`` and set to eval mode.
        tracker: A ``Sam3TrackerModel``, likewise.
        tokenizer: The text encoder's.
        device: Where both run.
        dtype: With a half-size type the image encoder runs under autocast, all else in float32.
        pixels: How they want their pixels.
    """

    def __init__(
        self,
        model: Any,
        tracker: Any,
        tokenizer: Tokenizer,
        *,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        pixels: Pixels = HALVES,
    ) -> None:
        self.model = model.to(device).eval()
        self.tracker = SAM2Segmenter(tracker, device=device, dtype=dtype, pixels=pixels)
        self._tokenizer = tokenizer
        self._device = device
        self._dtype = dtype
        self._pixels = pixels
        self._side: int = model.config.vision_config.image_size

    @torch.inference_mode()
    def detect(
        self, images: Sequence[Image], tags: Sequence[Tags], *, threshold: float
    ) -> list[sv.Detections]:
        """Return the objects of each image, best first; see ``stages.Detector``.

        They come with ``mask`` and ``data["mask_score"]`` as ``stages.Segmenter`` has them. SAM 3
        gives an object one score: it is the box's and the mask's. The order of the tags has no
        effect, and no tag has any on another's objects.

        Raises:
            InputError: The numbers of images and tag lists differ.
        """
        if len(images) != len(tags):
            raise InputError(f"expected tags for {len(images)} images, got {len(tags)}")
        return [self._find(*pair, threshold) for pair in zip(images, tags, strict=True)]

    def segment(
        self, images: Sequence[Image], detections: Sequence[sv.Detections]
    ) -> list[sv.Detections]:
        """Return the same rows with masks: those they have, else the tracker's for their boxes.

        Raises:
            InputError: There are not as many detections as images.
        """
        if len(images) != len(detections):
            raise InputError(
                f"expected one Detections per image, got {len(detections)} for {len(images)} images"
            )
        results = list(detections)
        bare = [i for i, found in enumerate(detections) if "mask_score" not in found.data]
        cut = self.tracker.segment([images[i] for i in bare], [detections[i] for i in bare])
        for i, found in zip(bare, cut, strict=True):
            results[i] = found
        return results

    def _find(self, image: Image, tags: Tags, threshold: float) -> sv.Detections:
        """Ask for one tag after the other."""
        if not len(tags):
            return _join([], tags, image)
        seen = self._see(image)
        answers = ((row, self._ask(seen, tags.names[row])) for row in name_order(tags).tolist())
        return _join([_take(one, row, image, threshold) for row, one in answers], tags, image)

    def _see(self, image: Image) -> Any:
        """Encode an image; all that comes out is float32."""
        square = to_square(image, self._side).to(self._device)
        with autocast(self._device, self._dtype):
            seen = self.model.get_vision_features(self._pixels.normalise(square)[None])
        maps = [one.float() for one in seen.fpn_hidden_states]
        # Autocast would leave positions, too, with the eight bits of bfloat16.
        position = self.model.vision_encoder.neck.position_encoding
        seen.fpn_hidden_states = tuple(maps)
        seen.fpn_position_encoding = tuple(position(m.shape, m.device, m.dtype) for m in maps)
        return seen

    def _ask(self, seen: Any, name: str) -> Any:
        """Look for all objects of one name."""
        ids = torch.tensor([self._tokenizer.encode(name).ids], device=self._device)
        return self.model(vision_embeds=seen, input_ids=ids)


def load_sam3(checkpoint: Checkpoint, *, device: torch.device, dtype: torch.dtype) -> SAM3:
    """Make detector and segmenter of a checkpoint: the factory behind every ``sam3:...`` name.

    Raises:
        MissingDependencyError: The installed transformers has no SAM 3.
        WeightsError: A file is absent or cannot be read, or they do not fit each other.
    """
    network, tracker_network = (
        transformers_class(name, since="5.0") for name in ("Sam3Model", "Sam3TrackerModel")
    )
    files = fetch(checkpoint)
    if "tokenizer" not in files:
        raise WeightsError(f"{checkpoint.name}: expected a tokenizer.json, there is none")
    model = load_pretrained(network, files, checkpoint.name)
    tracker = load_pretrained(tracker_network, files, checkpoint.name)
    # The same weights: one copy is enough.
    tracker.vision_encoder.backbone = model.vision_encoder.backbone
    tokenizer = open_tokenizer(files["tokenizer"], model.config.text_config)
    pixels = read_pixels(files, HALVES)
    return SAM3(model, tracker, tokenizer, device=device, dtype=dtype, pixels=pixels)


def open_tokenizer(path: Path, config: Any) -> Tokenizer:
    """Read a tokenizer.json; a text too long for the text encoder loses its end.

    Args:
        path: The file.
        config: Of the text encoder.

    Raises:
        WeightsError: It cannot be read, or knows more tokens than the text encoder.
    """
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more precise
        raise WeightsError(f"{path}: expected a tokenizer.json, got {error!r}") from error
    if tokenizer.get_vocab_size() > config.vocab_size:
        raise WeightsError(
            f"{path} has {tokenizer.get_vocab_size()} tokens, the text encoder {config.vocab_size}"
        )
    tokenizer.no_padding()
    tokenizer.enable_truncation(config.max_position_embeddings)
    return tokenizer


def _take(answer: Any, row: int, image: Image, threshold: float) -> _Found:
    """Keep what is above the threshold, in pixels inside the image."""
    size_hw = image.shape[0], image.shape[1]
    scores = (answer.pred_logits.sigmoid() * answer.presence_logits.sigmoid())[0]
    scale = torch.tensor([size_hw[1], size_hw[0]] * 2, device=scores.device)
    boxes = answer.pred_boxes[0].clamp(0, 1) * scale
    kept = (scores > threshold) & (boxes[:, :2] < boxes[:, 2:]).all(dim=1)
    mask = pack(answer.pred_masks[0, kept, None], [Step(size_hw)])
    return _Found(boxes[kept].cpu().numpy(), scores[kept].cpu().numpy(), mask, row)


def _join(parts: Sequence[_Found], tags: Tags, image: Image) -> sv.Detections:
    """Join what the tags of one image found, best first."""
    nothing = no_masks((image.shape[0], image.shape[1]))
    scores = np.concatenate([np.empty(0, np.float32), *(part.scores for part in parts)])
    rows = np.repeat([part.row for part in parts], [len(part.scores) for part in parts]).astype(int)
    found = sv.Detections(
        np.concatenate([np.empty((0, 4), np.float32), *(part.boxes for part in parts)]),
        mask=sv.CompactMask.merge([nothing, *(part.mask for part in parts)]),
        confidence=scores,
        class_id=rows,
        data={
            "class_name": np.array([tags.names[row] for row in rows], dtype=str),
            "mask_score": scores.copy(),
        },
    )
    return found.select(np.argsort(-scores, kind="stable"))
