"""The OWLv2 detector: one query a tag, and a box for each patch of the image.

Minderer et al., "Scaling Open-Vocabulary Object Detection" (2023). Queries are written as its
authors and ``transformers`` write them, "a photo of a dog", and cut into tokens by CLIP's own
vocabulary, which open_clip carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import supervision as sv
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from grounded_ram.annotation import Tags
from grounded_ram.detection.answers import Found, above, name_order, to_detections
from grounded_ram.errors import InputError
from grounded_ram.images import Image
from grounded_ram.prompts import prompt_text
from grounded_ram.runtime import autocast, normalised, resized

QUERY = "a photo of a {}"

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)


class QueryTokenizer:
    """CLIP's tokenizer, which cuts the texts of queries.

    Args:
        max_tokens: longest query, with the tokens at its ends.
    """

    def __init__(self, max_tokens: int) -> None:
        from open_clip.tokenizer import SimpleTokenizer

        self._clip = SimpleTokenizer()
        self._max_tokens = max_tokens

    def batch(self, names: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return token ids (T, L) of the queries for T names, and 1 where they are not padding.

        Raises:
            InputError: a name has no text that a query can hold, or is too long.
        """
        queries = [self._encode(name) for name in names]
        longest = max(map(len, queries))
        ids = [[*query, *[0] * (longest - len(query))] for query in queries]
        real = [[1] * len(query) + [0] * (longest - len(query)) for query in queries]
        return torch.tensor(ids), torch.tensor(real)

    def _encode(self, name: str) -> list[int]:
        text = prompt_text(name)
        if not text:
            raise InputError(f"tag {name!r} has no text that a query can hold; leave it out")
        tokens = self._clip.encode(QUERY.format(text))
        if len(tokens) > self._max_tokens - 2:
            raise InputError(
                f"tag {name!r} makes a query of {len(tokens)} tokens, "
                f"at most {self._max_tokens - 2} fit; shorten it"
            )
        return [self._clip.sot_token_id, *tokens, self._clip.eot_token_id]


class OWLv2Detector:
    """Finds boxes for named things with OWLv2.

    All tags are asked for at once, over one pass of the image encoder; the order of the tags has no
    effect. Images are taken one by one, so that none depends on its neighbours.

    Args:
        network: ``Owlv2ForObjectDetection`` of ``transformers``, with its weights, on its device.
        dtype: torch.float32, or torch.bfloat16 to compute under autocast.
    """

    def __init__(self, network: Any, *, dtype: torch.dtype = torch.float32) -> None:
        self.network = network.eval()
        self._side: int = network.config.vision_config.image_size
        self._tokenizer = QueryTokenizer(network.config.text_config.max_position_embeddings)
        self._dtype = dtype

    def detect(
        self, images: Sequence[Image], tags: Sequence[Tags], *, threshold: float
    ) -> list[sv.Detections]:
        """Return the boxes of each image, best first; see ``stages.Detector``.

        Raises:
            InputError: the numbers of images and tag lists differ, or a tag cannot be searched for.
        """
        if len(images) != len(tags):
            raise InputError(f"expected tags for {len(images)} images, got {len(tags)}")
        orders = [name_order(of_image) for of_image in tags]
        queries = [
            self._tokenizer.batch([of_image.names[row] for row in order]) if len(order) else None
            for of_image, order in zip(tags, orders, strict=True)
        ]
        found: list[sv.Detections] = []
        for image, of_image, order, query in zip(images, tags, orders, queries, strict=True):
            parts = [] if query is None else [self._ask(image, query, threshold)]
            found.append(to_detections(parts, of_image, order, image.shape[:2], threshold))
        return found

    @torch.inference_mode()
    def _ask(self, image: Image, query: tuple[Tensor, Tensor], threshold: float) -> Found:
        pixels, filled = preprocess(image, self._side)
        network, device = self.network, self.network.device
        with autocast(device, self._dtype):
            texts, patches, _ = network.image_text_embedder(
                input_ids=query[0].to(device),
                pixel_values=pixels[None].to(device),
                attention_mask=query[1].to(device),
            )
        # The heads in float32: under bfloat16 a box in a large photograph would be pixels off.
        patches = patches.float()
        cells = patches.flatten(1, 2)
        logits = network.class_predictor(cells, texts.float()[None])[0][0]
        boxes = network.box_predictor(cells, patches)[0].cpu().numpy()
        scores = logits.sigmoid().cpu().numpy()
        rows = np.arange(scores.shape[1])
        return above(boxes / np.tile(filled, 2), scores, rows, threshold)


def preprocess(image: Image, side: int) -> tuple[Tensor, NDArray[np.float32]]:
    """Fit an image into a square, at its top left, and normalise it as CLIP does.

    The rest is black, as in the authors' evaluation; versions of ``transformers`` before 5 fill it
    with grey, and find less.

    Args:
        image: the image.
        side: pixels a side of the square.

    Returns:
        The square, (3, side, side) float32, and which part of its (width, height) the image fills.
    """
    height, width = (max(1, round(n * side / max(image.shape[:2]))) for n in image.shape[:2])
    square = functional.pad(resized(image, (height, width)), (0, side - width, 0, side - height))
    return normalised(square, _MEAN, _STD), np.array([width / side, height / side], np.float32)
