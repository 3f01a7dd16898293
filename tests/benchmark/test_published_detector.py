from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from grounded_ram.benchmark.published_detector import bert_tokenizer, build_published
from grounded_ram.detection.config import GroundingDINOConfig
from grounded_ram.detection.network import Grounding, GroundingDINO
from grounded_ram.detection.text import PromptTokenizer
from grounded_ram.downloads import ASSETS
from grounded_ram.errors import WeightsError
from tests.benchmark.quick import tiny_parts

VOCABULARY = ASSETS / "tiny" / "vocab.txt"
CAPTIONS = ("car .", "tree . red ball . car . zebra .", "a person sitting . chair .")
WIDE = {
    "swin": {"embed_dim": 32, "depths": [1, 1], "num_heads": [2, 4], "out_indices": [0, 1]},
    "bert": {
        "vocab_size": 164,
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
    },
    "dim_feedforward": 64,
    "enc_layers": 1,
    "dec_layers": 2,
    "num_queries": 30,
    "num_feature_levels": 3,
}
"""A small network of the usual width, 256."""

# What the module warns of is for its developers.
pytestmark = pytest.mark.filterwarnings("ignore")


def ours(network: GroundingDINO, pixels: Tensor, caption: str) -> Grounding:
    tokenizer = PromptTokenizer(VOCABULARY)
    ids = [tokenizer.cls_id, *tokenizer.encode(caption), tokenizer.sep_id]
    with torch.inference_mode():
        return network(pixels, tokenizer.batch([ids]))


def assert_agree(network: GroundingDINO, published: nn.Module, caption: str, size: Any) -> None:
    pixels = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found: Any = published(pixels, captions=[caption])
    expected = ours(network, pixels, caption)
    tokens = expected.logits.shape[-1]
    assert expected.logits.std() > 0.1
    np.testing.assert_allclose(
        found["pred_logits"][..., :tokens], expected.logits, rtol=0, atol=1e-4
    )
    np.testing.assert_allclose(found["pred_boxes"], expected.boxes, rtol=0, atol=1e-4)
    assert found["pred_logits"][..., tokens:].isneginf().all()


@pytest.mark.parametrize("caption", CAPTIONS)
def test_the_module_answers_as_our_network_does(caption: str, tmp_path: Path) -> None:
    part: Any = tiny_parts(tmp_path)["detector"]
    network = part.stage.network
    published = build_published(part.config.model, network.state_dict(), VOCABULARY)
    assert_agree(network, published, caption, (256, 341))


def test_so_it_does_at_its_usual_width_in_which_nothing_of_it_is_replaced() -> None:
    config = GroundingDINOConfig.from_dict(WIDE)
    torch.manual_seed(0)
    network = GroundingDINO(config).eval()
    nn.init.normal_(network.state_dict()["bbox_embed.0.layers.2.weight"], std=0.2)
    published: Any = build_published(config, network.state_dict(), VOCABULARY)
    assert "forward" not in vars(published.transformer.encoder)
    assert "forward" not in vars(published.transformer.decoder)
    assert_agree(network, published, CAPTIONS[1], (96, 128))


def test_layers_are_the_module_s_and_weights_are_ours(tmp_path: Path) -> None:
    part: Any = tiny_parts(tmp_path)["detector"]
    state = part.stage.network.state_dict()
    published = build_published(part.config.model, state, VOCABULARY)
    homes = {type(m).__module__.split(".")[0] for m in published.modules() if m != published.bert}
    assert "grounded_ram" not in homes
    assert type(published).__module__ == "groundingdino.models.GroundingDINO.groundingdino"
    theirs = published.state_dict()
    assert theirs.keys() == state.keys()
    assert all(theirs[key].data_ptr() == state[key].data_ptr() for key in state)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    part: Any = tiny_parts(tmp_path)["detector"]
    config = GroundingDINOConfig.from_dict(WIDE)
    with pytest.raises(WeightsError, match="another Grounding-DINO"):
        build_published(config, part.stage.network.state_dict(), VOCABULARY)


def test_the_tokenizer_reads_as_ours_does() -> None:
    theirs, tokenizer = bert_tokenizer(VOCABULARY), PromptTokenizer(VOCABULARY)
    for text in (*CAPTIONS, "Qzk, Ball?"):
        read = theirs([text], return_tensors="pt")
        expected = [tokenizer.cls_id, *tokenizer.encode(text), tokenizer.sep_id]
        assert read["input_ids"].tolist() == [expected]
        assert read["token_type_ids"].tolist() == [[0] * len(expected)]
        assert read["attention_mask"].tolist() == [[1] * len(expected)]
    assert theirs.decode(tokenizer.encode("red ball")) == "red ball"
