from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from grounded_ram.ram.caption import CaptionTokenizer, Search, generate
from grounded_ram.ram.captioner import DERIVED_PREFIXES, CaptionNetworks, tied_keys
from grounded_ram.ram.tag2text import Tag2Text
from tests.golden_captions import golden_ram, golden_tag2text, read_json

CASES = (
    "beam3_predicted",
    "beam3_user",
    "greedy_predicted",
    "greedy_user",
    "beam5_user_rep",
    "beam2_short",
    "beam3_short_min10",
    "beam3_short_min1",
    "beam3_no_tags",
)

Golden = tuple[Tag2Text, CaptionNetworks, CaptionTokenizer]


@pytest.fixture(scope="module")
def networks(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> Golden:
    """The golden Tag2Text; tests leave it as it is."""
    return golden_tag2text(golden, tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="module")
def image_tokens(golden: Path, networks: Golden) -> torch.Tensor:
    images = torch.from_numpy(np.load(golden / "tag2text" / "inputs.npz")["image"]).float()
    with torch.inference_mode():
        return networks[0].image_tokens(networks[0].visual_encoder(images).tokens)


@pytest.fixture
def generation(golden: Path) -> dict[str, Any]:
    return dict(read_json(golden / "tag2text" / "outputs.json")["generation"])


def names(case: dict[str, Any]) -> list[list[str]]:
    return [[name for name in tags.split(" | ") if name] for tags in case["tags_in"]]


@pytest.mark.parametrize("name", CASES)
def test_official_token_ids_and_captions(
    networks: Golden, image_tokens: torch.Tensor, generation: dict[str, Any], name: str
) -> None:
    _, text, tokenizer = networks
    case = generation[name]
    search = Search(**case["arguments"])
    inputs = tokenizer.tag_inputs(names(case))
    with torch.inference_mode():
        memory = text.tag_encoder(inputs.ids, inputs.real, image_tokens)
        found = generate(text.text_decoder, memory, tokenizer.prompt_ids, tokenizer.sep_id, search)
        captions = text.write(names(case), image_tokens, tokenizer, search)
    longest = max(map(len, found))
    assert [row + [0] * (longest - len(row)) for row in found] == case["token_ids"]
    assert captions == case["caption"]


def test_every_golden_case_is_tested(generation: dict[str, Any]) -> None:
    assert sorted(generation) == sorted(CASES)


def test_a_caption_does_not_depend_on_the_images_beside_it(
    networks: Golden, image_tokens: torch.Tensor, generation: dict[str, Any]
) -> None:
    _, text, tokenizer = networks
    for case in generation.values():
        for i, expected in enumerate(case["caption"]):
            one = slice(i, i + 1)
            with torch.inference_mode():
                found = text.write(
                    names(case)[one], image_tokens[one], tokenizer, Search(**case["arguments"])
                )
            assert found == [expected]


def test_no_images_give_no_captions(networks: Golden, image_tokens: torch.Tensor) -> None:
    _, text, tokenizer = networks
    with torch.inference_mode():
        assert text.write([], image_tokens[:0], tokenizer, Search()) == []


def test_official_files_have_exactly_these_keys(golden: Path, networks: Golden) -> None:
    network, text, _ = networks
    official = load_file(golden / "tag2text" / "state_dict.safetensors")
    ours = network.state_dict() | text.state_dict()
    derived = {key for key in official.keys() - ours.keys() if "relative_position" not in key}
    assert ours.keys() <= official.keys()
    assert {key for key in derived if not key.endswith(".attn_mask")} == set(DERIVED_PREFIXES)


def test_tied_keys_are_the_official_ones(golden: Path, tmp_path: Path) -> None:
    for case, (network, text, _) in (
        ("tag2text", golden_tag2text(golden, tmp_path)),
        ("ram_tagging", golden_ram(golden, tmp_path)),
    ):
        tied = tied_keys(network.tagging_head)
        official = read_json(golden / case / "config.json")["tied_keys"]
        assert {frozenset(pair) for pair in tied} == {frozenset(pair) for pair in official}
        ours = {**network.state_dict(keep_vars=True), **text.state_dict(keep_vars=True)}
        for one, other in tied:
            assert ours[one] is ours[other]


def test_the_tagging_loss_reaches_what_the_tag_encoder_shares(golden: Path, tmp_path: Path) -> None:
    network, text, _ = golden_tag2text(golden, tmp_path)
    network(torch.randn(1, 3, 128, 128)).sum().backward()
    reached = {name for name, value in text.named_parameters() if value.grad is not None}
    assert len(reached) == 32
    assert all(name.startswith("tag_encoder.encoder.layer.") for name in reached)
