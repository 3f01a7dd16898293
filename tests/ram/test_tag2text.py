from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from grounded_ram.errors import InputError
from grounded_ram.ram.tag2text import Tag2Text, Tag2TextConfig
from tests.golden_captions import golden_tag2text

TINY = Tag2TextConfig(
    image_size=48,
    patch_size=8,
    window=3,
    embed_dim=8,
    depths=(2, 2),
    heads=(1, 2),
    num_tags=5,
    head_width=12,
    head_heads=2,
    head_ffn=20,
)


def test_logits_agree_with_the_official_model(golden: Path, tmp_path: Path) -> None:
    network, _, _ = golden_tag2text(golden, tmp_path)
    images = torch.from_numpy(np.load(golden / "tag2text" / "inputs.npz")["image"]).float()
    expected = np.load(golden / "tag2text" / "outputs.npz")
    with torch.inference_mode():
        logits = network(images)
        tokens = network.visual_encoder(images).tokens
    np.testing.assert_allclose(logits, expected["tag_logits"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(tokens, expected["visual_encoder_output"], rtol=0, atol=1e-5)


def test_a_tag_is_asked_with_its_own_query_and_classifier() -> None:
    torch.manual_seed(0)
    network = Tag2Text(TINY).eval()
    torch.nn.init.normal_(network.fc.b)
    images = torch.randn(2, 3, 48, 48)
    every = network(images)
    for rows in ([3], [4, 0], [], [1, 1]):
        torch.testing.assert_close(network(images, torch.tensor(rows, dtype=int)), every[:, rows])
    assert (every[:, 0] - every[:, 1]).abs().max() > 0.01


def test_queries_are_the_tags_in_order() -> None:
    assert Tag2Text(TINY).label_queries().tolist() == [0, 1, 2, 3, 4]


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    network = Tag2Text(dataclasses.replace(TINY, drop_path=0.0)).train()
    network(torch.randn(2, 3, 48, 48)).square().sum().backward()
    idle = {n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    assert idle == set()


def test_the_head_looks_at_the_encoders_own_tokens() -> None:
    assert TINY.head_sizes().memory_dim == 16
    assert Tag2TextConfig().head_sizes().memory_dim == 1024


def test_config_survives_json() -> None:
    written = json.loads(json.dumps(dataclasses.asdict(TINY)))
    assert Tag2TextConfig.from_dict(written) == TINY


def test_a_head_that_does_not_split_is_refused() -> None:
    with pytest.raises(InputError, match="768 channels cannot be split over 5 heads"):
        Tag2TextConfig(head_heads=5)
