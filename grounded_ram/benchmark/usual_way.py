"""The usual way to chain RAM, Grounding-DINO and SAM, over the same libraries and weights.

It runs them as the best-known script does: one picture at a time, in float32, the layers as
published; the text encoder and the queries of the tags run for every picture; all masks are blown
up together, as numbers; matplotlib draws. Networks are loaded once, as ours are. Between the tags
of a caption there are full stops, so that both read the same text.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
import torchvision
from numpy.typing import NDArray
from segment_anything import SamPredictor
from segment_anything.modeling import Sam
from torch import Tensor, nn

from grounded_ram.benchmark.networks import Part
from grounded_ram.benchmark.published_detector import build_published
from grounded_ram.benchmark.stand_ins import apart
from grounded_ram.benchmark.timing import Clock
from grounded_ram.detection.answers import cxcywh_to_xyxy
from grounded_ram.detection.config import DetectorConfig
from grounded_ram.detection.grounding_dino import GroundingDINODetector
from grounded_ram.errors import InputError, MissingDependencyError
from grounded_ram.images import Image
from grounded_ram.prompts import prompt_text
from grounded_ram.ram.model import RAM
from grounded_ram.ram.plus import RAMPlus
from grounded_ram.ram.tag2text import Tag2Text
from grounded_ram.runtime import IMAGENET_MEAN, IMAGENET_STD, recast
from grounded_ram.segmentation.sam import SAMConfig, SAMSegmenter, build_sam, fill

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it has unescaped backslashes
    import groundingdino.datasets.transforms as transforms
    from groundingdino.util.utils import get_phrases_from_posmap

BOX_THRESHOLD, TEXT_THRESHOLD, NMS_IOU = 0.25, 0.2, 0.5
"""The script's own."""


class UsualWay:
    """The usual chain; what it takes is put down to "tag", "detect", "segment", "draw", "all".

    Args:
        parts: our detector, segmenter and perhaps tagger, by stage; their weights are shared.
        names: what is looked for.
        boxes: how many of the best boxes are segmented, as ``TopBoxes`` chooses them; None means
            those above the script's threshold.
        device: where the networks are.
        clock: measures.

    Raises:
        InputError: the stages are no RAM, Grounding-DINO and SAM of the official layout.
    """

    def __init__(
        self,
        parts: Mapping[str, Part],
        names: Sequence[str],
        *,
        boxes: int | None,
        device: torch.device,
        clock: Clock,
    ) -> None:
        detector, segmenter = parts["detector"], parts["segmenter"]
        if not (
            isinstance(detector.stage, GroundingDINODetector)
            and isinstance(detector.config, DetectorConfig)
            and detector.vocabulary is not None
            and isinstance(segmenter.stage, SAMSegmenter)
            and isinstance(segmenter.config, SAMConfig)
        ):
            raise InputError(
                "the usual way is that of Grounding-DINO and SAM, got "
                f"{detector.name!r} and {segmenter.name!r}; leave --baseline out, or choose "
                "--detector grounding-dino:swin-t --segmenter sam:vit-h"
            )
        self._device, self._clock, self._boxes = device, clock, boxes
        self._caption = " . ".join(map(prompt_text, names)) + " ."
        self._tagger = published_tagger(parts["tagger"]) if "tagger" in parts else None
        self._table = parts["tagger"].stage.table if "tagger" in parts else None
        self.detector: Any = build_published(
            detector.config.model, weights_of(detector.stage.network), detector.vocabulary
        ).to(device)
        sam = published_sam(segmenter.config, weights_of(segmenter.stage.model))
        self.predictor = SamPredictor(sam.to(device))
        normalised = transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)
        sides = transforms.RandomResize([detector.config.short_side], detector.config.long_side)
        self._transform = transforms.Compose([sides, transforms.ToTensor(), normalised])

    @torch.no_grad()
    def run(self, image: Image, draw_to: Path | None = None) -> NDArray[np.bool_]:
        """Tag, find and cut what is in one picture, and draw it if a file is named.

        Returns:
            (N, H, W) masks.
        """
        measure = self._clock.measure
        with warnings.catch_warnings(), measure("all"):
            warnings.simplefilter("ignore")  # the module's own, of torch.meshgrid and autocast
            picture = PIL.Image.fromarray(image)
            if self._tagger is not None:
                with measure("tag"):
                    self._tag(picture)
            with measure("detect"):
                boxes, phrases = self._detect(picture)
            with measure("segment"):
                masks = self.segment(image, boxes)
            if draw_to is not None:
                with measure("draw"):
                    draw(image, masks, boxes, phrases=phrases, path=draw_to)
        return masks

    def _tag(self, picture: PIL.Image.Image) -> str:
        """Return the tags as one text."""
        network: Any = self._tagger
        side = network.config.image_size
        prepared = torchvision.transforms.Compose(
            [
                torchvision.transforms.Resize((side, side)),
                torchvision.transforms.ToTensor(),
                torchvision.transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
            ]
        )(picture)
        scores = network(prepared[None].to(self._device))[0].sigmoid().cpu().numpy()
        table: Any = self._table
        return ", ".join(table.above(scores, None).names)

    def _detect(self, picture: PIL.Image.Image) -> tuple[NDArray[np.float32], list[str]]:
        """Return N boxes xyxy in pixels, and what each of them shows."""
        pixels, _ = self._transform(picture, None)
        found = self.detector(pixels[None].to(self._device), captions=[self._caption])
        probabilities = found["pred_logits"].cpu().sigmoid()[0]
        boxes = cxcywh_to_xyxy(
            found["pred_boxes"].cpu()[0].numpy(), (picture.height, picture.width)
        )
        scores = probabilities.max(1).values
        if self._boxes is not None:
            best_first = scores.argsort(descending=True).numpy()
            size_hw = picture.height, picture.width
            rows, chosen = apart(boxes[best_first], self._boxes, size_hw)
            return chosen, self._phrases(probabilities[best_first[rows]])
        likely = torch.nonzero(scores > BOX_THRESHOLD)[:, 0]
        phrases = self._phrases(probabilities[likely])
        some = torch.from_numpy(boxes)[likely]
        kept = torchvision.ops.nms(some, scores[likely], NMS_IOU).tolist()
        return some[kept].numpy(), [phrases[row] for row in kept]

    def _phrases(self, probabilities: Tensor) -> list[str]:
        tokenizer = self.detector.tokenizer
        tokenized = tokenizer(self._caption)
        return [
            f"{get_phrases_from_posmap(row > TEXT_THRESHOLD, tokenized, tokenizer)}"
            f"({float(row.max()):.2f})"
            for row in probabilities
        ]

    @torch.no_grad()
    def segment(self, image: Image, boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return the (N, H, W) masks of (N, 4) boxes xyxy."""
        if not len(boxes):
            return np.zeros((0, *image.shape[:2]), bool)
        self.predictor.set_image(image)
        scaled = self.predictor.transform.apply_boxes_torch(
            torch.from_numpy(boxes), image.shape[:2]
        ).to(self._device)
        masks, _, _ = self.predictor.predict_torch(
            point_coords=None, point_labels=None, boxes=scaled, multimask_output=False
        )
        cut: NDArray[np.bool_] = masks[:, 0].cpu().numpy()
        return cut


def draw(
    image: Image,
    masks: NDArray[np.bool_],
    boxes: NDArray[np.float32],
    *,
    phrases: Sequence[str],
    path: Path,
) -> None:
    """Draw masks, boxes and texts by matplotlib, at 300 dots an inch, into a file.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "the usual way draws by matplotlib; type: pip install matplotlib"
        ) from error
    rng = np.random.default_rng(0)
    figure = Figure(figsize=(10, 10))
    axes = figure.add_subplot()
    axes.imshow(image)
    for mask in masks:
        axes.imshow(mask[..., None] * np.append(rng.random(3), 0.6))
    for (x0, y0, x1, y1), phrase in zip(boxes.tolist(), phrases, strict=True):
        frame = Rectangle((x0, y0), x1 - x0, y1 - y0, edgecolor="green", facecolor="none", lw=2)
        axes.add_patch(frame)
        axes.text(x0, y0, phrase)
    axes.axis("off")
    figure.savefig(path, bbox_inches="tight", dpi=300, pad_inches=0.0)


def published_tagger(part: Part) -> nn.Module:
    """Return the network of a tagger with attention as timm ships it, over the same weights.

    Raises:
        InputError: it is none of the RAM family.
    """
    network = getattr(part.stage, "network", None)
    if not isinstance(network, RAM | RAMPlus | Tag2Text):
        raise InputError(
            f"the usual way tags by RAM, got {part.name!r}; leave --baseline out, or choose "
            "--tagger ram:swin-l, or --no-tagger"
        )
    twin: nn.Module = deepcopy(
        network, {id(t): t for t in (*network.parameters(), *network.buffers())}
    )
    modules: Iterator[Any] = twin.modules()
    for module in modules:
        if hasattr(module, "fused_attn"):
            module.fused_attn = False
    return twin.eval()


def published_sam(config: SAMConfig, weights: Mapping[str, Tensor]) -> Sam:
    """Return SAM of the published layers; its weights are the given tensors themselves."""
    with torch.device("meta"):
        model = build_sam(config)
    ours = {type(module) for module in model.modules() if _is_ours(type(module))}
    recast(model, {kind: _published(kind) for kind in ours})
    fill(model, config, weights, source="SAM")
    return model.requires_grad_(False).eval()


def _is_ours(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == __name__.partition(".")[0]


def _published(kind: type) -> type:
    """Return the layer whose faster form a layer of ours is."""
    return next(base for base in kind.__mro__ if not _is_ours(base))


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a network in float32: themselves where they are that already."""
    state = network.state_dict()
    return {name: t.float() if t.is_floating_point() else t for name, t in state.items()}
