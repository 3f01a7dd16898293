from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from grounded_ram.detection.config import DetectorConfig, GroundingDINOConfig
from grounded_ram.detection.network import Grounding, GroundingDINO, load_weights
from grounded_ram.detection.text import PromptBatch, PromptTokenizer
from grounded_ram.errors import InputError, WeightsError

LOGITS, BOXES = 1e-4, 1e-5

TINY = {
    "swin": {
        "patch_size": 8,
        "embed_dim": 32,
        "depths": [2, 2, 2],
        "num_heads": [2, 4, 8],
        "window_size": 6,
        "out_indices": [1, 2],
    },
    "bert": {
        "vocab_size": 1225,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "max_position_embeddings": 32,
    },
    "hidden_dim": 64,
    "nheads": 4,
    "dim_feedforward": 128,
    "enc_layers": 2,
    "dec_layers": 3,
    "num_queries": 40,
    "num_feature_levels": 2,
    "embed_init_tgt": False,
}


@pytest.fixture
def tiny() -> GroundingDINO:
    """A network of unofficial width, levels, patch and stages; the box head is not zero."""
    torch.manual_seed(0)
    network = GroundingDINO(GroundingDINOConfig.from_dict(TINY)).eval()
    torch.nn.init.normal_(network.state_dict()["bbox_embed.0.layers.2.weight"], std=0.2)
    return network


def prompts(tokenizer: PromptTokenizer, *texts: str) -> PromptBatch:
    rows = [[tokenizer.cls_id, *tokenizer.encode(text), tokenizer.sep_id] for text in texts]
    return tokenizer.batch(rows)


def golden_images(case: Path) -> list[torch.Tensor]:
    stored = np.load(case / "inputs.npz")
    return [torch.from_numpy(stored[name]).float() for name in ("image0", "image1")]


def assert_same(ours: Grounding, logits: Any, boxes: Any) -> None:
    np.testing.assert_allclose(ours.logits, logits, rtol=0, atol=LOGITS)
    np.testing.assert_allclose(ours.boxes, boxes, rtol=0, atol=BOXES)


@pytest.mark.parametrize("row", [0, 1])
def test_single_images_give_the_official_answers(
    row: int,
    case: Path,
    network: GroundingDINO,
    tokenizer: PromptTokenizer,
    captions: list[str],
) -> None:
    stored = np.load(case / "outputs.npz")
    with torch.inference_mode():
        ours = network(golden_images(case)[row][None], prompts(tokenizer, captions[row]))
    assert_same(ours, stored[f"single{row}_pred_logits"], stored[f"single{row}_pred_boxes"])


def test_a_batch_of_unlike_sizes_and_prompts_gives_the_mask_order_put_right(
    case: Path, network: GroundingDINO, tokenizer: PromptTokenizer, captions: list[str]
) -> None:
    stored = np.load(case / "outputs.npz")
    padding = torch.from_numpy(np.load(case / "inputs.npz")["batch_mask"])
    pixels = torch.zeros(2, 3, *padding.shape[1:])
    for row, image in enumerate(golden_images(case)):
        pixels[row, :, : image.shape[1], : image.shape[2]] = image
    with torch.inference_mode():
        text = network.text_features(prompts(tokenizer, *captions))
        ours = network(pixels, prompts(tokenizer, *captions), padding)
    expected = stored["encoded_text_after_feat_map"]
    np.testing.assert_allclose(text.tokens, expected, rtol=0, atol=LOGITS)
    assert_same(ours, stored["pred_logits_mask_order_fixed"], stored["pred_boxes_mask_order_fixed"])
    in_official_order = torch.from_numpy(stored["pred_boxes"])
    assert (ours.boxes - in_official_order).abs().max() > 0.1


def test_prompts_beside_it_do_not_change_an_images_answer(
    case: Path, network: GroundingDINO, tokenizer: PromptTokenizer, captions: list[str]
) -> None:
    image = golden_images(case)[0][None]
    with torch.inference_mode():
        features = network.image_features(image)
        together = network.ground(features.take([0, 0]), prompts(tokenizer, *captions)).layers[-1]
        for row, caption in enumerate(captions):
            alone = network(image, prompts(tokenizer, caption))
            tokens = alone.logits.shape[2]
            found = Grounding(together.logits[row : row + 1, :, :tokens], together.boxes[[row]])
            assert_same(found, alone.logits, alone.boxes)
            assert together.logits[row, :, tokens:].isneginf().all()


def test_features_of_padding_tokens_do_not_matter(
    case: Path, network: GroundingDINO, tokenizer: PromptTokenizer, captions: list[str]
) -> None:
    asked = prompts(tokenizer, *captions)
    with torch.inference_mode():
        image = network.image_features(golden_images(case)[0][None]).take([0, 0])
        text = network.text_features(asked)
        expected = network.ground(image, asked).layers[-1]
        assert (~text.real).any()
        for value in (0.0, 100.0):
            tokens = text.tokens.masked_fill(~text.real[..., None], value)
            found = network.ground_text(image, replace(text, tokens=tokens)).layers[-1]
            assert_same(found, expected.logits, expected.boxes)


def test_every_layer_is_shown_and_the_last_one_is_the_answer(
    tiny: GroundingDINO, tokenizer: PromptTokenizer
) -> None:
    pixels, asked = torch.randn(2, 3, 96, 144), prompts(tokenizer, "dog . train .", "dog .")
    with torch.inference_mode():
        found = tiny.forward_all_layers(pixels, asked)
        answer = tiny(pixels, asked)
    cells = 6 * 9 + 3 * 5
    assert len(found.layers) == 3
    assert all(layer.logits.shape == (2, 40, 6) for layer in found.layers)
    assert found.proposals.logits.shape == (2, cells, 6)
    assert found.anchors.shape == found.proposals.boxes.shape == (2, cells, 4)
    assert_same(answer, found.layers[-1].logits, found.layers[-1].boxes)
    assert all(0 <= layer.boxes.min() <= layer.boxes.max() <= 1 for layer in found.layers)
    differences = (found.layers[0].boxes - found.layers[1].boxes).abs()
    assert differences.max() > 1e-3
    np.testing.assert_allclose(found.anchors[0, 0], [0.5 / 9, 0.5 / 6, 0.05, 0.05], rtol=1e-5)
    assert found.usable.all()


def test_padding_is_not_usable_and_the_rest_is(
    tiny: GroundingDINO, tokenizer: PromptTokenizer
) -> None:
    padding = torch.zeros(1, 96, 96, dtype=torch.bool)
    padding[:, :, 48:] = True
    with torch.inference_mode():
        found = tiny.forward_all_layers(
            torch.randn(1, 3, 96, 96), prompts(tokenizer, "dog ."), padding
        )
    first_level = found.usable[0, :36].reshape(6, 6)
    assert first_level[:, :3].all()
    assert not first_level[:, 3:].any()


@pytest.mark.parametrize("start_from_learned_vectors", [False, True])
def test_gradients_reach_every_parameter_in_use(
    start_from_learned_vectors: bool, tokenizer: PromptTokenizer
) -> None:
    torch.manual_seed(0)
    settings = TINY | {"embed_init_tgt": start_from_learned_vectors}
    network = GroundingDINO(GroundingDINOConfig.from_dict(settings)).train()
    for parameter in network.parameters():  # some start at zero, and let no gradient through
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    batch = prompts(tokenizer, "fire hydrant . train .", "dog .")
    found = network.forward_all_layers(torch.randn(2, 3, 96, 96), batch)
    parts = (*found.layers, found.proposals)
    logits = [part.logits[part.logits.isfinite()] for part in parts]
    weighted = [part.boxes * torch.randn(part.boxes.shape) for part in parts]
    everything = torch.cat([t.flatten() for t in (*logits, *weighted)])
    torch.autograd.backward((everything + everything.square()).sum())
    still = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.isfinite().all() or not parameter.grad.any()
    ]
    assert still == ["bert.pooler.dense.weight", "bert.pooler.dense.bias"]


@pytest.mark.parametrize("size_hw", [(96, 8), (1, 96), (1, 1), (7, 97)])
def test_slivers_have_fewer_queries(
    size_hw: tuple[int, int], tiny: GroundingDINO, tokenizer: PromptTokenizer
) -> None:
    with torch.inference_mode():
        found = tiny.forward_all_layers(torch.randn(1, 3, *size_hw), prompts(tokenizer, "dog ."))
    cells = found.anchors.shape[1]
    assert cells < 40
    assert found.layers[-1].boxes.shape == (1, cells, 4)
    assert found.layers[-1].boxes.isfinite().all()


def test_bfloat16_comes_close(
    case: Path, network: GroundingDINO, tokenizer: PromptTokenizer, captions: list[str]
) -> None:
    image, asked = golden_images(case)[0][None], prompts(tokenizer, captions[0])
    with torch.inference_mode():
        exact = network.forward_all_layers(image, asked).proposals
        with torch.autocast("cpu", torch.bfloat16):
            found = network.forward_all_layers(image, asked)
    assert found.layers[-1].logits.dtype == found.layers[-1].boxes.dtype == torch.float32
    usable = found.usable[0]
    errors = (exact.logits - found.proposals.logits)[0, usable].abs()
    assert errors.median() < 0.05 * exact.logits[0, usable].std()


def test_building_asks_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    GroundingDINO(GroundingDINOConfig.from_dict(TINY))


@pytest.mark.parametrize("file", ["grounding_dino_swin_t", "grounding_dino_swin_b"])
def test_full_size_keys_and_shapes_are_the_official_ones(file: str, shared: Path) -> None:
    assets = Path(__file__).parents[2] / "grounded_ram" / "assets" / "configs"
    settings = json.loads((assets / f"{file}.json").read_text("utf-8"))
    manifest = {"grounding_dino_swin_t": "swint_ogc", "grounding_dino_swin_b": "swinb"}[file]
    stored = json.loads(
        (shared / f"golden/manifest_grounding_dino_{manifest}.json").read_text("utf-8")
    )
    network = GroundingDINO(DetectorConfig.from_dict(settings).model)
    expected = {name: tuple(row["shape"]) for name, row in stored["keys"].items()}
    del expected["bert.embeddings.position_ids"]  # a buffer that transformers no longer stores
    assert {name: tuple(t.shape) for name, t in network.state_dict().items()} == expected


class TestLoadWeights:
    @pytest.fixture
    def fresh(self, model_settings: dict[str, Any]) -> GroundingDINO:
        return GroundingDINO(GroundingDINOConfig.from_dict(model_settings))

    def test_box_head_may_be_stored_once_and_unused_tensors_are_ignored(
        self, fresh: GroundingDINO, golden_weights: dict[str, torch.Tensor]
    ) -> None:
        once = {
            name: tensor
            for name, tensor in golden_weights.items()
            if "bbox_embed" not in name or name.startswith(("bbox_embed.0.", "transformer.enc_out"))
        }
        assert len(once) < len(golden_weights)
        load_weights(fresh, once | {"label_enc.weight": torch.zeros(3)})
        for name, tensor in fresh.state_dict().items():
            torch.testing.assert_close(tensor, golden_weights[name], rtol=0, atol=0)

    def test_other_weights_are_refused_by_name(
        self, fresh: GroundingDINO, golden_weights: dict[str, torch.Tensor]
    ) -> None:
        before = {name: tensor.clone() for name, tensor in fresh.state_dict().items()}
        wrong = dict(golden_weights)
        del wrong["feat_map.bias"]
        wrong["feat_map.weight"] = torch.zeros(2, 2)
        wrong["caption_head.weight"] = torch.zeros(2)
        with pytest.raises(WeightsError) as caught:
            load_weights(fresh, wrong)
        for part in (
            "1 missing (feat_map.bias)",
            "1 unknown (caption_head.weight)",
            "1 of another shape (feat_map.weight is (2, 2), expected (256, 48))",
        ):
            assert part in str(caught.value)
        for name, tensor in fresh.state_dict().items():
            torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


class TestConfig:
    def test_unknown_keys_are_refused_at_every_depth(self) -> None:
        with pytest.raises(InputError, match=r"unknown keys in swin: dephts; known: depths"):
            GroundingDINOConfig.from_dict({"swin": {"dephts": [2]}})
        with pytest.raises(InputError, match="unknown keys in model: width"):
            GroundingDINOConfig.from_dict({"width": 3})
        with pytest.raises(InputError, match="unknown keys in the detector's config: size"):
            DetectorConfig.from_dict({"size": 3})

    @pytest.mark.parametrize(
        "settings",
        [{"hidden_dim": 100}, {"nheads": 3, "hidden_dim": 96}, {"num_feature_levels": 2}],
    )
    def test_sizes_that_do_not_fit_are_refused(self, settings: dict[str, Any]) -> None:
        with pytest.raises(InputError, match=r"got hidden_dim=|is fewer than"):
            GroundingDINOConfig.from_dict(settings)

    def test_lists_become_tuples_so_that_configs_compare(self) -> None:
        config = GroundingDINOConfig.from_dict({"swin": {"depths": [2, 2, 6, 2]}})
        assert config == GroundingDINOConfig()


def test_cells_at_the_very_rim_are_not_usable(
    tiny: GroundingDINO, tokenizer: PromptTokenizer
) -> None:
    with torch.inference_mode():
        wide = tiny.forward_all_layers(torch.randn(1, 3, 16, 16 * 51), prompts(tokenizer, "dog ."))
    expected = [False, *[True] * 49, False]  # half a cell of 51 is less than .01 of the width
    assert wide.usable[0, :51].tolist() == expected
    np.testing.assert_array_equal(wide.proposals.boxes[0, :51][~wide.usable[0, :51]], 1.0)
