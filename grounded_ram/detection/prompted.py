"""What detectors share that read many tags in one prompt: the Grounding-DINO family.

Each network says how well every token of the prompt fits each of its boxes; a tag is scored over
its own tokens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import supervision as sv
import torch
from numpy.typing import NDArray
from torch import Tensor

from grounded_ram.annotation import Tags
from grounded_ram.detection.answers import Found, above, name_order, to_detections
from grounded_ram.detection.text import PromptBatch, PromptTokenizer
from grounded_ram.errors import InputError, WeightsError
from grounded_ram.images import Image
from grounded_ram.prompts import Prompt, make_prompts, tag_scores
from grounded_ram.runtime import (
    autocast,
    groups,
    in_batches,
    normalised,
    resized,
    to_device,
)

SeenT = TypeVar("SeenT")


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


class PromptedDetector(ABC, Generic[SeenT]):
    """Finds boxes for named things with a network that reads prompts.

    Tags that do not fit one prompt are searched for in several, over one pass of the image
    backbone. Each prompt is answered on its own, so one object may come back from each, with
    different labels: ``merging`` is what tells them apart.

    The order of the tags has no effect. With ``batch_size=1`` an image's result does not depend on
    its neighbours by one bit; larger batches, of images of one size, change scores' last digits.

    Args:
        tokenizer: the text encoder's tokenizer.
        max_text_len: longest prompt in tokens, [CLS] and [SEP] counted.
        max_positions: positions of the text encoder, which counts them anew in each tag.
        device: where the network is.
        short_side: an image is resized so that its shorter side has this many pixels,
        long_side: but its longer side no more than this many.
        dtype: torch.float32, or torch.bfloat16 to compute under autocast.
        batch_size: images, and prompts, taken at once.
    """

    def __init__(
        self,
        tokenizer: PromptTokenizer,
        *,
        max_text_len: int,
        max_positions: int,
        device: torch.device,
        short_side: int,
        long_side: int,
        dtype: torch.dtype,
        batch_size: int,
    ) -> None:
        self._tokenizer = tokenizer
        self._max_tokens = max_text_len
        self._max_tag_tokens = max_positions - 1  # the full stop has one too
        self._device = device
        self._sides = short_side, long_side
        self._dtype = dtype
        self.batch_size = batch_size

    @abstractmethod
    def _see(self, pixels: Tensor) -> SeenT:
        """Run the image backbone over (B, 3, h, w) normalised images."""

    @abstractmethod
    def _answer(
        self, seen: SeenT, rows: Sequence[int], prompts: PromptBatch
    ) -> tuple[Tensor, Tensor]:
        """Answer P prompts about the images of the given P rows, which may repeat.

        Returns:
            The tokens' logits (P, Q, at least L) and the boxes (P, Q, 4) cxcywh in [0, 1].
        """

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
        found: list[list[Found]] = [[] for _ in images]
        search = partial(self._search, images, searches, threshold)
        for places in groups((sizes[index] for index in asked), self.batch_size):
            group = [asked[place] for place in places]
            for index, parts in zip(group, in_batches(self, group, search), strict=True):
                found[index] = parts
        return [
            to_detections(parts, search.tags, search.order, image.shape[:2], threshold)
            for parts, search, image in zip(found, searches, images, strict=True)
        ]

    def _plan(self, tags: Tags) -> _Search:
        order = name_order(tags)
        prompts = make_prompts(
            [tags.names[row] for row in order],
            self._tokenizer,
            max_tokens=self._max_tokens,
            max_tag_tokens=self._max_tag_tokens,
        )
        return _Search(tags, order, prompts)

    def _search(
        self,
        images: Sequence[Image],
        searches: Sequence[_Search],
        threshold: float,
        group: Sequence[int],
    ) -> list[list[Found]]:
        """Search some images, which the network sees at one size."""
        pixels = torch.stack([preprocess(images[index], *self._sides) for index in group])
        questions = [(n, p) for n, index in enumerate(group) for p in searches[index].prompts]
        found: list[list[Found]] = [[] for _ in group]
        for (n, prompt), answer in zip(questions, self._ask(pixels, questions), strict=True):
            found[n].append(_fitting(answer, prompt, threshold))
        return found

    @torch.inference_mode()
    def _ask(self, pixels: Tensor, questions: Sequence[tuple[int, Prompt]]) -> list[_Answer]:
        """Answer prompts about (B, 3, h, w) images, each told by its place in the batch."""
        with autocast(self._device, self._dtype):
            seen = self._see(to_device(pixels, self._device))
            return in_batches(self, questions, partial(self._answer_all, seen))

    def _answer_all(self, seen: SeenT, questions: Sequence[tuple[int, Prompt]]) -> list[_Answer]:
        """Answer a few prompts about images that were seen."""
        places, prompts = zip(*questions, strict=True)
        batch = self._tokenizer.batch([prompt.ids for prompt in prompts])
        logits, boxes = self._answer(seen, places, batch.to(self._device))
        probabilities = logits.sigmoid().float().cpu().numpy()
        return [*map(_Answer, probabilities, boxes.float().cpu().numpy())]


def read_tokenizer(vocab: Path, vocab_size: int, name: str) -> PromptTokenizer:
    """Read a text encoder's vocabulary.

    Args:
        vocab: BERT's ``vocab.txt``.
        vocab_size: how many tokens the text encoder knows.
        name: the backend's name, for messages.

    Raises:
        WeightsError: it is no BERT vocabulary, or larger than the text encoder's.
    """
    tokenizer = PromptTokenizer(vocab)
    if len(tokenizer) > vocab_size:
        raise WeightsError(
            f"{name}: the vocabulary has {len(tokenizer)} tokens, the text encoder {vocab_size}"
        )
    return tokenizer


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
    return normalised(resized(image, resized_hw(image.shape[:2], short_side, long_side)))


def _fitting(answer: _Answer, prompt: Prompt, threshold: float) -> Found:
    """Score the prompt's tags for each query, and keep the queries that one fits."""
    scores = tag_scores(answer.probabilities, prompt.spans)
    return above(answer.boxes, scores, np.array(prompt.rows), threshold)
