"""How many operations the published networks need: counted on tensors without numbers.

Counted are matrix products, convolutions and attention; a product and a sum are two operations.
Our own layers fold some of that work away where no gradients are wanted; here they compute as
published. What only depends on the tags is counted with every picture, as the published networks
have it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from grounded_ram.benchmark.networks import Part
from grounded_ram.detection.config import DetectorConfig
from grounded_ram.detection.deformable import SummedAttention
from grounded_ram.detection.grounding_dino import GroundingDINODetector
from grounded_ram.detection.prompted import resized_hw
from grounded_ram.detection.text import PromptTokenizer
from grounded_ram.prompts import Prompt, make_prompts
from grounded_ram.ram.model import RAM
from grounded_ram.ram.plus import RAMPlus
from grounded_ram.ram.tag2text import Tag2Text
from grounded_ram.runtime import recast
from grounded_ram.segmentation.sam import SAMSegmenter

NetworkT = TypeVar("NetworkT", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class Text:
    """What a detector reads.

    Args:
        prompts: how many.
        tokens: in all of them, [CLS] and [SEP] counted.
    """

    prompts: int
    tokens: int


def prompts_of(part: Part, names: Sequence[str]) -> list[Prompt]:
    """Return the prompts in which a Grounding-DINO is asked for some tags; none for others."""
    if part.vocabulary is None or not isinstance(part.config, DetectorConfig):
        return []
    sizes = part.config.model
    return make_prompts(
        sorted(names),
        PromptTokenizer(part.vocabulary),
        max_tokens=sizes.max_text_len,
        max_tag_tokens=sizes.bert.max_position_embeddings - 1,
    )


def text_of(prompts: Sequence[Prompt]) -> Text | None:
    """Count what some prompts hold; None where there are none."""
    tokens = sum(len(prompt.ids) for prompt in prompts)
    return Text(prompts=len(prompts), tokens=tokens) if prompts else None


def tagger_flops(part: Part) -> int | None:
    """Count what a tagger of the RAM family does for one image; None for others."""
    network = getattr(part.stage, "network", None)
    if not isinstance(network, RAM | RAMPlus | Tag2Text):
        return None
    side = network.config.image_size
    with FakeTensorMode():
        shadow, image = _shadow(network), torch.empty(1, 3, side, side)
        return _count(lambda: shadow(image))


def detector_flops(part: Part, size_hw: tuple[int, int], prompts: Sequence[Prompt]) -> int | None:
    """Count what Grounding-DINO does for one image; None for others.

    Args:
        part: the detector.
        size_hw: size of the image.
        prompts: what it is asked; the image backbone runs once for all of them.
    """
    config = part.config
    if not isinstance(part.stage, GroundingDINODetector) or not isinstance(config, DetectorConfig):
        return None
    tokenizer = PromptTokenizer(cast("Path", part.vocabulary))
    asked = [tokenizer.batch([prompt.ids]) for prompt in prompts]
    seen_hw = resized_hw(size_hw, config.short_side, config.long_side)
    with FakeTensorMode(allow_non_fake_inputs=True):
        shadow = _shadow(part.stage.network)
        recast(shadow, {SummedAttention: _Projections})
        pixels = torch.empty(1, 3, *seen_hw)

        def run() -> None:
            image = shadow.image_features(pixels)
            for prompt in asked:
                shadow.ground(image, prompt)

        return _count(run)


def segmenter_flops(part: Part) -> tuple[int, int] | None:
    """Count what SAM does for one image, and for each box in it; None for others."""
    if not isinstance(part.stage, SAMSegmenter):
        return None
    with FakeTensorMode():
        model = _shadow(part.stage.model)
        side = model.image_encoder.img_size
        image, box = torch.empty(1, 3, side, side), torch.empty(1, 4)

        def decode() -> None:
            sparse, dense = model.prompt_encoder(points=None, boxes=box, masks=None)
            model.mask_decoder(
                image_embeddings=torch.empty(1, *sparse.shape[-1:], *dense.shape[-2:]),
                image_pe=model.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=False,
            )

        return _count(lambda: model.image_encoder(image)), _count(decode)


class _Projections(SummedAttention):
    """Deformable attention without its samples, which are no products and need numbers."""

    def forward(self, query: Tensor, *, value: Tensor, **others: Any) -> Tensor:
        """Return (B, Q, C) for (B, Q, C) queries."""
        for project, rows in (
            (self.value_proj, value),
            (self.sampling_offsets, query),
            (self.attention_weights, query),
        ):
            project(rows)
        out: Tensor = self.output_proj(query)
        return out


def _shadow(network: NetworkT) -> NetworkT:
    """Return the same network on the CPU with tensors that have a shape and no numbers.

    It is called while such tensors are made.
    """
    memo: dict[int, Any] = {
        id(weight): nn.Parameter(torch.empty(weight.shape), requires_grad=False)
        for weight in network.parameters()
    }
    memo |= {id(table): torch.empty(table.shape, dtype=table.dtype) for table in network.buffers()}
    return deepcopy(network, memo)


def _count(run: Callable[[], object]) -> int:
    counter = FlopCounterMode(display=False)
    # With gradients our layers compute as published; some kernels of attention are not counted.
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        run()
    return int(counter.get_total_flops())
