"""The Grounding-DINO detector: boxes, each labelled with the tag whose tokens fit it best."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import supervision as sv
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage
from torch import Tensor

from grounded_ram.annotation import Tags
from grounded_ram.detection.config import DetectorConfig
from grounded_ram.detection.network import GroundingDINO, load_weights
from grounded_ram.detection.text import PromptTokenizer
from grounded_ram.errors import InputError, WeightsError
from grounded_ram.images import Image
from grounded_ram.prompts import Prompt, make_prompts, tag_scores
from grounded_ram.runtime import groups
from grounded_ram.weights import Checkpoint, fetch, load_state_dict

_MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
_STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


@dataclass(frozen=True, eq=False)
class _Search:
    """One image's tags as prompts; ``order[row]`` is where the prompts' row is among the tags."""

    tags: Tags
    order: NDArray[np.int_]
    prompts: list[Prompt]


@dataclass(frozen=True, eq=False)
class _Answer:
    """What the network says to one prompt about one image.

    Args:
        probabilities: (Q, L) of each token.
        boxes: (Q, 4) cxcywh in [0, 1].
    """

    probabilities: NDArray[np.float32]
    boxes: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Found:
    """N boxes of one image, cxcywh in [0, 1], their scores and rows of the prompts' tags."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    rows: NDArray[np.int_]


class GroundingDINODetector:
    """Finds boxes for named things with Grounding-DINO.

    Tags that do not fit one prompt are searched for in several, over one pass of the image
    backbone. Each prompt is answered on its own, so one object may come back from each, with
    different labels: ``merging`` is what tells them apart.

    The order of the tags has no effect. With ``batch_size=1`` an image's result does not depend on
    its neighbours by one bit; larger batches, of images of one size, change scores' last digits.

    Args:
        network: the network, with its weights, on its device.
        tokenizer: the text encoder's tokenizer.
        short_side: an image is resized so that its shorter side has this many pixels,
        long_side: but its longer side no more than this many.
        dtype: torch.float32, or torch.bfloat16 to compute under autocast.
        batch_size: images, and prompts, taken at once.
    """

    def __init__(
        self,
        network: GroundingDINO,
        tokenizer: PromptTokenizer,
        *,
        short_side: int = 800,
        long_side: int = 1333,
        dtype: torch.dtype = torch.float32,
        batch_size: int = 1,
    ) -> None:
        self.network = network.eval()
        self._tokenizer = tokenizer
        self._sides = short_side, long_side
        self._dtype = dtype
        self._batch_size = batch_size
        self._device = network.feat_map.weight.device

    def detect(
        self, images: Sequence[Image], tags: Sequence[Tags], *, threshold: float
    ) -> list[sv.Detections]:
        """Return the boxes of each image, best first; see ``stages.Detector``.

        Raises:
            InputError: the numbers of images and tag lists differ, or a tag cannot be searched for.
        """
        if len(images) != len(tags):
            raise InputError(f"expected tags for {len(images)} images, got {len(tags)}")
        searches = [self._plan(of_image) for of_image in tags]
        sizes = [resized_hw(image.shape[:2], *self._sides) for image in images]
        asked = [index for index, search in enumerate(searches) if search.prompts]
        found: list[list[_Found]] = [[] for _ in images]
        for places in groups((sizes[index] for index in asked), self._batch_size):
            group = [asked[place] for place in places]
            pixels = torch.stack([preprocess(images[index], *self._sides) for index in group])
            questions = [(n, p) for n, index in enumerate(group) for p in searches[index].prompts]
            for (n, prompt), answer in zip(questions, self._ask(pixels, questions), strict=True):
                found[group[n]].append(_best_tags(answer, prompt, threshold))
        return [
            _detections(parts, search, image.shape[:2])
            for parts, search, image in zip(found, searches, images, strict=True)
        ]

    def _plan(self, tags: Tags) -> _Search:
        order = np.array(sorted(range(len(tags)), key=tags.names.__getitem__), int)
        config = self.network.config
        prompts = make_prompts(
            [tags.names[i] for i in order],
            self._tokenizer,
            max_tokens=config.max_text_len,
            max_tag_tokens=config.bert.max_position_embeddings - 1,  # the full stop has one too
        )
        return _Search(tags, order, prompts)

    @torch.inference_mode()
    def _ask(self, pixels: Tensor, questions: Sequence[tuple[int, Prompt]]) -> list[_Answer]:
        """Answer prompts about (B, 3, h, w) images, each told by its place in the batch."""
        autocast = torch.autocast(
            self._device.type, self._dtype, enabled=self._dtype != torch.float32
        )
        answers: list[_Answer] = []
        with autocast:
            features = self.network.image_features(pixels.to(self._device))
            for start in range(0, len(questions), self._batch_size):
                places, prompts = zip(*questions[start : start + self._batch_size], strict=True)
                batch = self._tokenizer.batch([prompt.ids for prompt in prompts])
                found = self.network.ground(features.take(places), batch.to(self._device))
                probabilities = found.layers[-1].logits.sigmoid().float().cpu().numpy()
                boxes = found.layers[-1].boxes.float().cpu().numpy()
                answers += map(_Answer, probabilities, boxes)
        return answers


def load_grounding_dino(
    checkpoint: Checkpoint, *, device: torch.device, dtype: torch.dtype
) -> GroundingDINODetector:
    """Build the detector of a checkpoint; files that are not there are downloaded.

    Raises:
        WeightsError: a file is absent, or does not fit the others.
    """
    files = fetch(checkpoint)
    config = DetectorConfig.from_dict(json.loads(files["config"].read_text("utf-8")))
    tokenizer = PromptTokenizer(files["vocab"])
    if len(tokenizer) > config.model.bert.vocab_size:
        raise WeightsError(
            f"{checkpoint.name}: the vocabulary has {len(tokenizer)} tokens, "
            f"the text encoder {config.model.bert.vocab_size}"
        )
    network = GroundingDINO(config.model)
    load_weights(network, load_state_dict(files["weights"]))
    return GroundingDINODetector(
        network.requires_grad_(False).to(device),
        tokenizer,
        short_side=config.short_side,
        long_side=config.long_side,
        dtype=dtype,
    )


def resized_hw(size_hw: tuple[int, ...], short_side: int, long_side: int) -> tuple[int, int]:
    """Return the (height, width) at which the network sees an image of the given size."""
    short, long = min(size_hw), max(size_hw)
    target = short_side
    if long / short * target > long_side:
        target = max(1, round(long_side * short / long))
    if short == target:
        return size_hw[0], size_hw[1]
    other = int(target * long / short)
    return (target, other) if size_hw[0] <= size_hw[1] else (other, target)


def preprocess(image: Image, short_side: int, long_side: int) -> Tensor:
    """Resize (bilinear, in 8 bits) and normalise an image: (3, h, w) float32."""
    height, width = resized_hw(image.shape[:2], short_side, long_side)
    resized = PILImage.fromarray(image).resize((width, height), PILImage.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(resized)).permute(2, 0, 1).float() / 255
    return (pixels - _MEAN) / _STD


def _best_tags(answer: _Answer, prompt: Prompt, threshold: float) -> _Found:
    """Give each query the prompt's best tag, and keep those above the threshold."""
    scores = tag_scores(answer.probabilities, prompt.spans)
    kept = scores.max(axis=1) > threshold
    best = scores[kept].argmax(axis=1)
    return _Found(answer.boxes[kept], scores[kept].max(axis=1), np.array(prompt.rows)[best])


def _detections(
    parts: Sequence[_Found], search: _Search, size_hw: tuple[int, ...]
) -> sv.Detections:
    """Join what the prompts of one image found: pixels, inside the image, best first."""
    boxes = np.concatenate([np.empty((0, 4), np.float32), *(part.boxes for part in parts)])
    scores = np.concatenate([np.empty(0, np.float32), *(part.scores for part in parts)])
    rows = np.concatenate([np.empty(0, int), *(part.rows for part in parts)])
    boxes = cxcywh_to_xyxy(boxes, size_hw)
    best_first = np.argsort(-scores, kind="stable")
    kept = best_first[(boxes[best_first, :2] < boxes[best_first, 2:]).all(axis=1)]
    class_id = search.order[rows[kept]]
    return sv.Detections(
        xyxy=boxes[kept],
        confidence=scores[kept],
        class_id=class_id,
        data={"class_name": np.array([search.tags.names[row] for row in class_id], dtype=str)},
    )


def cxcywh_to_xyxy(boxes: NDArray[np.float32], size_hw: tuple[int, ...]) -> NDArray[np.float32]:
    """Turn (N, 4) centre boxes in [0, 1] into corners in pixels, cut to the image."""
    centers, halves = boxes[:, :2], boxes[:, 2:] / 2
    scale = np.array([size_hw[1], size_hw[0]] * 2, np.float32)
    corners = np.concatenate([centers - halves, centers + halves], axis=1) * scale
    clipped: NDArray[np.float32] = corners.clip(0, scale)
    return clipped
