from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from grounded_ram.errors import InputError
from grounded_ram.ram.model import RAM
from grounded_ram.ram.swin import SwinConfig, SwinEncoder


def test_tokens_agree_with_the_official_encoder(
    golden_network: RAM,
    golden_inputs: dict[str, torch.Tensor],
    golden_outputs: dict[str, NDArray[np.float32]],
) -> None:
    with torch.inference_mode():
        tokens = golden_network.visual_encoder(golden_inputs["image"]).tokens
    np.testing.assert_allclose(tokens, golden_outputs["visual_encoder_output"], rtol=0, atol=1e-5)


def test_maps_have_the_size_of_each_stage(tiny_config: SwinConfig) -> None:
    features = SwinEncoder(tiny_config)(torch.zeros(2, 3, 96, 96))
    assert [tuple(m.shape) for m in features.maps] == [
        (2, 8, 12, 12),
        (2, 16, 6, 6),
        (2, 32, 3, 3),
    ]
    assert features.tokens.shape == (2, 1 + 9, 32)


def test_each_map_is_what_the_next_stage_starts_from(tiny_config: SwinConfig) -> None:
    torch.manual_seed(0)
    encoder = SwinEncoder(tiny_config).eval()
    images = torch.randn(1, 3, 96, 96)
    maps = [stage_map.permute(0, 2, 3, 1) for stage_map in encoder(images).maps]
    first, second, third = encoder.layers
    torch.testing.assert_close(maps[0], first.blocks(encoder.patch_embed(images)))
    torch.testing.assert_close(maps[1], second.blocks(first.downsample(maps[0])))
    torch.testing.assert_close(maps[2], third.blocks(second.downsample(maps[1])))


def test_tokens_are_the_normalised_last_map_after_its_mean(tiny_config: SwinConfig) -> None:
    torch.manual_seed(0)
    encoder = SwinEncoder(tiny_config).eval()
    features = encoder(torch.randn(2, 3, 96, 96))
    cells = encoder.norm(features.maps[-1].permute(0, 2, 3, 1)).reshape(2, 9, 32)
    torch.testing.assert_close(features.tokens[:, 1:], cells)
    torch.testing.assert_close(features.tokens[:, 0], cells.mean(1))


def test_every_parameter_learns_from_the_maps_and_tokens(tiny_config: SwinConfig) -> None:
    torch.manual_seed(0)
    encoder = SwinEncoder(dataclasses.replace(tiny_config, drop_path=0.0)).train()
    features = encoder(torch.randn(1, 3, 96, 96))
    (sum(m.square().sum() for m in features.maps) + features.tokens[:, 0].sum()).backward()
    idle = [n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def test_drop_path_is_for_training_only(tiny_config: SwinConfig) -> None:
    torch.manual_seed(0)
    encoder = SwinEncoder(dataclasses.replace(tiny_config, drop_path=0.5))
    images = torch.randn(1, 3, 96, 96)
    for training in (True, False):
        encoder.train(training)
        first, second = encoder(images).tokens, encoder(images).tokens
        assert torch.equal(first, second) is not training


def test_images_of_another_size_are_refused(tiny_config: SwinConfig) -> None:
    with pytest.raises(InputError, match=r"expected images \(B, 3, 96, 96\), got \(1, 3, 64, 96\)"):
        SwinEncoder(tiny_config)(torch.zeros(1, 3, 64, 96))


def test_config_survives_json(tiny_config: SwinConfig) -> None:
    written = json.loads(json.dumps(dataclasses.asdict(tiny_config)))
    assert type(tiny_config).from_dict(written) == tiny_config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"windows": 7}, "SwinConfig has no field windows"),
        ({"heads": [6, 12]}, "as many heads as depths"),
        ({"depths": [], "heads": []}, "as many heads as depths"),
        ({"image_size": 100}, "multiple of 32, got 100"),
        ({"embed_dim": 100}, "100 channels cannot be split over 6 heads"),
    ],
)
def test_sizes_that_contradict_each_other_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SwinConfig.from_dict(values)
