from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from grounded_ram.ram.alignment import AlignmentConfig
from grounded_ram.ram.bert import TextConfig
from grounded_ram.ram.captioner import DERIVED_PREFIXES
from grounded_ram.ram.model import tagging_weights
from grounded_ram.ram.tag2text import Tag2TextConfig
from grounded_ram.ram.tag2text_networks import Tag2TextNetworks
from tests.golden_captions import golden_tag2text, read_json, tag2text_files


@pytest.fixture
def network(golden: Path, tmp_path: Path) -> Tag2TextNetworks:
    """The sizes of the golden Tag2Text, random weights."""
    settings = read_json(tag2text_files(golden, tmp_path)["config"])
    sizes = Tag2TextConfig.from_dict(settings["model"])
    torch.manual_seed(0)
    return Tag2TextNetworks(sizes, TextConfig(**settings["text"]), AlignmentConfig(dim=8)).eval()


def test_it_is_the_official_tag2text_once_its_weights_are_in(
    golden: Path, tmp_path: Path, network: Tag2TextNetworks
) -> None:
    official = load_file(golden / "tag2text" / "state_dict.safetensors")
    state = tagging_weights(official, DERIVED_PREFIXES)
    report = network.load_state_dict(state, strict=False)
    assert report.unexpected_keys == []
    assert all(key.startswith("alignment.") for key in report.missing_keys)
    stored = np.load(golden / "tag2text" / "inputs.npz")
    images = torch.from_numpy(stored["image"]).float()
    _, text, tokenizer = golden_tag2text(golden, tmp_path)
    tags, ids = tokenizer.tag_inputs([["dog"], [], ["cat"]]), tokenizer.caption_ids(["a", "b", "c"])
    with torch.inference_mode():
        tokens = network.image_tokens(network.visual_encoder(images).tokens)
        logits = network(images)
        words, expected = network.caption_logits(tags, ids, tokens), text(tags, ids, tokens)
    outputs = np.load(golden / "tag2text" / "outputs.npz")
    np.testing.assert_allclose(logits, outputs["tag_logits"], rtol=0, atol=1e-5)
    torch.testing.assert_close(words, expected, rtol=0, atol=1e-5)


def test_a_state_dict_goes_into_another_network(network: Tag2TextNetworks) -> None:
    other = copy.deepcopy(network)
    for value in other.parameters():
        torch.nn.init.normal_(value)
    other.load_state_dict({key: value.clone() for key, value in network.state_dict().items()})
    for key, value in other.state_dict().items():
        assert torch.equal(value, network.state_dict()[key]), key


def test_a_copy_writes_captions_with_its_own_weights(network: Tag2TextNetworks) -> None:
    other = copy.deepcopy(network)
    assert other.captioner.text_decoder is other.text_decoder
    assert other.captioner.tag_encoder is other.tag_encoder
    assert other.text_decoder is not network.text_decoder


def test_full_size_has_the_official_keys_and_shapes_and_new_ones(shared: Path) -> None:
    manifest = (shared / "golden" / "manifest_tag2text.json").read_text(encoding="utf-8")
    facts = json.loads(manifest)
    with torch.device("meta"):
        network = Tag2TextNetworks(Tag2TextConfig(), TextConfig(), AlignmentConfig())
        state = {key: torch.empty(row["shape"]) for key, row in facts["keys"].items()}
    ours = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    official = tagging_weights(state, DERIVED_PREFIXES)
    theirs = {key: tuple(value.shape) for key, value in official.items()}
    new = {key for key in ours if key.startswith("alignment.")}
    assert {key: ours[key] for key in ours.keys() - new} == theirs
    assert {key.split(".")[1] for key in new} == {
        "text_encoder",
        "vision_proj",
        "text_proj",
        "itm_head",
        "temp",
    }
