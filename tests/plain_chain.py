"""The usual way to chain RAM, Grounding-DINO and SAM, to compare with.

It does what the best-known script for it does (``automatic_label_ram_demo`` of Grounded-Segment-
Anything): every tag of every kind in one caption, cut silently at 256 tokens; a box where any token
is likely enough; for a label, whatever tokens are likely enough; one of the boxes that overlap,
whatever they are called; a mask for each. Only the commas between the tags are full stops here,
which is what the detector is trained with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import supervision as sv
import torch
from numpy.typing import NDArray
from tokenizers.decoders import WordPiece
from torchvision.ops import nms

from grounded_ram.annotation import Tags
from grounded_ram.detection.answers import cxcywh_to_xyxy
from grounded_ram.detection.grounding_dino import GroundingDINODetector
from grounded_ram.detection.prompted import preprocess
from grounded_ram.images import Image
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.prompts import Prompt

BOX_THRESHOLD, TEXT_THRESHOLD = 0.25, 0.2
"""The script's own."""
MAX_TOKENS = 256
_NMS_IOU = 0.5


@dataclass(frozen=True, eq=False)
class Seen:
    """What the chain saw in a picture: N boxes with masks, best first, no two of which overlap.

    Args:
        found: the boxes, with masks; ``confidence`` is that of each box's likeliest token.
        tokens: L tokens of the caption, [CLS] first.
        probabilities: (N, L) of each token for each box.
    """

    found: sv.Detections
    tokens: tuple[str, ...]
    probabilities: NDArray[np.float32]

    def phrases(self, text_threshold: float) -> list[str]:
        """Return each box's label."""
        return [decode(self.tokens, row, text_threshold) for row in self.probabilities]

    def detections(self, box_threshold: float, text_threshold: float) -> sv.Detections:
        """Return the boxes above one threshold, with the labels that the other one gives.

        Boxes are thinned out best first, so that a higher threshold takes none back: it is the
        same as to apply the threshold first and thin out what remains.
        """
        names = np.array(self.phrases(text_threshold), dtype=str)
        named = replace(self.found, data={**self.found.data, "class_name": names})
        return named.select(np.flatnonzero(np.asarray(named.confidence) > box_threshold))


class PlainChain:
    """The usual chain over the networks of a model whose detector is Grounding-DINO.

    Args:
        model: its tagger, detector and segmenter are used, none of its thresholds.
        box_threshold: a box stays if its likeliest token is likelier.
        text_threshold: a token is part of a label if it is likelier.
    """

    def __init__(
        self,
        model: GroundedRAM,
        *,
        box_threshold: float = BOX_THRESHOLD,
        text_threshold: float = TEXT_THRESHOLD,
    ) -> None:
        self._model = model
        self._thresholds = box_threshold, text_threshold

    def annotate(self, image: Image) -> sv.Detections:
        """Return what the chain finds: boxes, masks, and any text as ``class_name``."""
        box_threshold, text_threshold = self._thresholds
        return self.see(image, box_threshold).detections(box_threshold, text_threshold)

    def see(self, image: Image, least: float) -> Seen:
        """Run the chain with a box threshold that is at most the one to be applied later."""
        detector = self._model.detector
        assert isinstance(detector, GroundingDINODetector)
        (tags,) = self._model.tagger.tag([image])
        ids = caption_ids(tags, detector)
        pixels = preprocess(image, *detector._sides)[None]
        (answer,) = detector._ask(pixels, [(0, Prompt((), (), ids))])
        probabilities = answer.probabilities[:, : len(ids)]
        boxes = cxcywh_to_xyxy(answer.boxes, image.shape[:2])
        scores = probabilities.max(axis=1)
        rows = np.flatnonzero(scores > least)
        kept = rows[nms(torch.tensor(boxes[rows]), torch.tensor(scores[rows]), _NMS_IOU).numpy()]
        found = sv.Detections(boxes[kept], confidence=scores[kept])
        (found,) = self._model.segmenter.segment([image], [found])
        text = {number: token for token, number in detector._tokenizer.ids.items()}
        return Seen(found, tuple(text[token] for token in ids), probabilities[kept])


def caption_ids(tags: Tags, detector: GroundingDINODetector) -> tuple[int, ...]:
    """Return the token ids of all tags in one caption, in the order given; what is over is lost."""
    tokenizer = detector._tokenizer
    caption = " . ".join(tags.names) + " ."
    ids = (tokenizer.cls_id, *tokenizer.encode(caption), tokenizer.sep_id)
    return ids[:MAX_TOKENS]


def decode(
    tokens: tuple[str, ...], probabilities: NDArray[np.float32], text_threshold: float
) -> str:
    """Return the text of all likely tokens, wherever in the caption they are; it may be empty.

    The first place, [CLS], is never read, nor is the last that a caption can have; any other is,
    also full stops and [SEP].
    """
    likely = probabilities > text_threshold
    likely[[0, *range(MAX_TOKENS - 1, len(likely))]] = False
    said = [token for token, is_said in zip(tokens, likely, strict=True) if is_said]
    text: str = WordPiece().decode(said)
    return text
