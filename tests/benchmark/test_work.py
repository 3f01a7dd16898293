from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from grounded_ram.benchmark.networks import Part
from grounded_ram.benchmark.published_detector import build_published
from grounded_ram.benchmark.usual_way import published_sam, published_tagger, weights_of
from grounded_ram.benchmark.work import (
    Text,
    detector_flops,
    prompts_of,
    segmenter_flops,
    tagger_flops,
    text_of,
)
from tests.benchmark.quick import tiny_parts
from tests.truth_stages import Truth

NAMES = ("tree", "car", "red ball")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Part]:
    return tiny_parts(tmp_path_factory.mktemp("parts"))


def counted(run: Any) -> int:
    """Count while a network really runs, on numbers."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        run()
    return counter.get_total_flops()


def test_what_is_counted_for_the_tagger_is_what_the_published_network_does(
    parts: dict[str, Part],
) -> None:
    network = published_tagger(parts["tagger"])
    assert tagger_flops(parts["tagger"]) == counted(lambda: network(torch.zeros(1, 3, 256, 256)))


@pytest.mark.filterwarnings("ignore")
def test_what_is_counted_for_the_detector_is_what_the_published_network_does(
    parts: dict[str, Part],
) -> None:
    part = parts["detector"]
    config = cast(Any, part.config)
    network = build_published(
        config.model, weights_of(part.stage.network), cast(Path, part.vocabulary)
    )
    caption = " . ".join(sorted(NAMES)) + " ."
    pixels = torch.zeros(1, 3, 256, 341)  # what a picture of 96 x 128 is resized to
    expected = counted(lambda: network(pixels, captions=[caption]))
    assert detector_flops(part, (96, 128), prompts_of(part, NAMES)) == expected


def test_what_is_counted_for_the_segmenter_is_what_the_published_network_does(
    parts: dict[str, Part],
) -> None:
    part = parts["segmenter"]
    sam = published_sam(cast(Any, part.config), weights_of(part.stage.model))

    def decode() -> None:
        sparse, dense = sam.prompt_encoder(points=None, boxes=torch.ones(1, 4), masks=None)
        sam.mask_decoder(
            image_embeddings=torch.zeros(1, 128, 48, 48),
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )

    encode = counted(lambda: sam.image_encoder(torch.zeros(1, 3, 384, 384)))
    assert segmenter_flops(part) == (encode, counted(decode))


def test_counting_leaves_the_networks_as_they_are(parts: dict[str, Part]) -> None:
    network = parts["detector"].stage.network
    kinds = [type(module) for module in network.modules()]
    detector_flops(parts["detector"], (64, 64), prompts_of(parts["detector"], NAMES))
    assert [type(module) for module in network.modules()] == kinds
    assert all(weight.device.type == "cpu" for weight in network.parameters())
    assert all(type(weight) is torch.nn.Parameter for weight in network.parameters())


def test_the_image_backbone_is_counted_once_for_several_prompts(parts: dict[str, Part]) -> None:
    part = parts["detector"]
    many = [f"{color} {thing}" for color in ("red", "blue", "green") for thing in NAMES * 9]
    prompts = prompts_of(part, many)
    assert len(prompts) > 1
    apart = [detector_flops(part, (64, 64), [prompt]) or 0 for prompt in prompts]
    together = detector_flops(part, (64, 64), prompts) or 0
    backbone = detector_flops(part, (64, 64), []) or 0
    assert together == sum(apart) - (len(prompts) - 1) * backbone
    assert 0 < backbone < min(apart)


def test_the_text_is_counted_as_the_detector_reads_it(parts: dict[str, Part]) -> None:
    prompts = prompts_of(parts["detector"], ["car", "tree"])
    assert text_of(prompts) == Text(prompts=1, tokens=6)  # [CLS] car . tree . [SEP]


def test_nothing_is_counted_for_other_networks() -> None:
    other = Part("mine:own", Truth(), False)
    assert tagger_flops(other) is None
    assert segmenter_flops(other) is None
    assert detector_flops(other, (64, 64), []) is None
    assert prompts_of(other, NAMES) == []
    assert text_of([]) is None
