from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode

from grounded_ram.errors import InputError
from grounded_ram.ram.model import RAMConfig, tagging_weights
from grounded_ram.ram.plus import RAMPlus, RAMPlusConfig
from grounded_ram.training.losses import (
    asymmetric_loss,
    distillation_loss,
    text_alignment_loss,
)
from tests.golden_sizes import tagging_sizes

Arrays = dict[str, NDArray[np.float32]]


@pytest.fixture
def case(golden: Path) -> Path:
    return golden / "ram_plus_tagging"


@pytest.fixture
def state(case: Path) -> dict[str, torch.Tensor]:
    return {k: v.float() for k, v in load_file(case / "state_dict.safetensors").items()}


@pytest.fixture
def network(case: Path, state: dict[str, torch.Tensor]) -> RAMPlus:
    facts = json.loads((case / "config.json").read_text(encoding="utf-8"))
    sizes = tagging_sizes(facts) | {
        "descriptions": facts["descriptions_per_class"],
        "label_dim": facts["label_embed_dim"],
    }
    config = RAMPlusConfig.from_dict(sizes)
    built = RAMPlus(config).eval()
    built.load_state_dict(tagging_weights(state))
    return built


@pytest.fixture
def inputs(case: Path) -> dict[str, torch.Tensor]:
    stored = np.load(case / "inputs.npz")
    return {name: torch.from_numpy(stored[name]).float() for name in stored.files}


@pytest.fixture
def outputs(case: Path) -> Arrays:
    return dict(np.load(case / "outputs.npz"))


@pytest.fixture
def losses(case: Path) -> dict[str, torch.Tensor]:
    stored = np.load(case / "losses.npz")
    return {name: torch.from_numpy(stored[name]).float() for name in stored.files}


@pytest.fixture
def small(tiny_config: RAMConfig) -> RAMPlusConfig:
    sizes = {**dataclasses.asdict(tiny_config), "image_proj_dim": 20, "drop_path": 0.0}
    return RAMPlusConfig(**sizes, descriptions=3)


def test_logits_agree_with_the_official_model(
    network: RAMPlus, inputs: dict[str, torch.Tensor], outputs: Arrays
) -> None:
    with torch.inference_mode():
        logits = network(inputs["image"])
    np.testing.assert_allclose(logits, outputs["logits"], rtol=0, atol=1e-5)


def test_intermediate_values_agree_with_the_official_model(
    network: RAMPlus, inputs: dict[str, torch.Tensor], outputs: Arrays
) -> None:
    with torch.inference_mode():
        encoded = network.visual_encoder(inputs["image"]).tokens
        tokens = network.image_tokens(encoded)
        weights = network.description_weights(tokens[:, 0], network.descriptions())
        embeddings = network.label_embeddings(tokens[:, 0], network.descriptions())
        head = network.tagging_head(network.label_queries(embeddings), tokens)
    for found, stored in [
        (encoded, outputs["visual_encoder_output"]),
        (tokens[:, 0], outputs["image_cls_embed"]),
        (weights, outputs["description_weights"]),
        (head, outputs["tagging_head_output"]),
    ]:
        np.testing.assert_allclose(found, stored, rtol=0, atol=1e-5)


def test_open_set_tags_agree_with_the_official_model(
    network: RAMPlus, inputs: dict[str, torch.Tensor], outputs: Arrays
) -> None:
    block = inputs["openset_label_embed"].view(4, 51, 512)
    with torch.inference_mode():
        logits = network(inputs["image"], [block])
    np.testing.assert_allclose(logits, outputs["openset_logits"], rtol=0, atol=1e-5)


def test_losses_agree_with_the_official_training(
    network: RAMPlus, losses: dict[str, torch.Tensor]
) -> None:
    """The texts of the batch's captions are queries like those of tags: each fits its image."""
    with torch.inference_mode():
        tokens = network.image_tokens(network.visual_encoder(losses["image"]).tokens)
        logits = network.tag_logits(tokens)
        alignment = network.text_logits(tokens, losses["batch_text_embed"])
    np.testing.assert_allclose(logits, losses["tagging_logits"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(alignment, losses["alignment_logits"], rtol=0, atol=1e-5)
    for found, name in [
        (asymmetric_loss(logits, losses["image_tag"]), "loss_tag"),
        (text_alignment_loss(alignment), "loss_alignment"),
        (distillation_loss(tokens[:, 0], losses["clip_feature"]), "loss_dis"),
    ]:
        np.testing.assert_allclose(found, losses[name], rtol=1e-5)


def test_one_pass_over_the_image_serves_tags_and_texts(
    network: RAMPlus, inputs: dict[str, torch.Tensor]
) -> None:
    """A text is asked as a tag with one description is; how many are asked changes none."""
    texts = inputs["openset_label_embed"][:4]
    with torch.inference_mode():
        tokens = network.image_tokens(network.visual_encoder(inputs["image"]).tokens)
        np.testing.assert_array_equal(network.tag_logits(tokens), network(inputs["image"]))
        logits = network.text_logits(tokens, texts)
        as_tags = network.tag_logits(tokens, [texts[:, None]])
        np.testing.assert_allclose(logits, as_tags, rtol=0, atol=1e-5)
        np.testing.assert_allclose(
            network.text_logits(tokens, texts[1:2]), logits[:, 1:2], rtol=0, atol=1e-5
        )
        assert network.text_logits(tokens, texts[:0]).shape == (3, 0)


def test_blocks_of_one_pass_do_not_change_each_other(
    network: RAMPlus, inputs: dict[str, torch.Tensor], outputs: Arrays
) -> None:
    open_set = inputs["openset_label_embed"].view(4, 51, 512)
    fewer = open_set[:2, :3]
    with torch.inference_mode():
        together = network(inputs["image"], [network.descriptions(), fewer, open_set])
        alone = network(inputs["image"], [fewer])
    np.testing.assert_allclose(together[:, :14], outputs["logits"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(together[:, 14:16], alone, rtol=0, atol=1e-5)
    np.testing.assert_allclose(together[:, 16:], outputs["openset_logits"], rtol=0, atol=1e-5)
    assert np.abs(alone.numpy() - outputs["openset_logits"][:, :2]).max() > 1e-3


def test_one_description_is_the_tags_embedding_in_every_image(
    network: RAMPlus, inputs: dict[str, torch.Tensor]
) -> None:
    block = inputs["openset_label_embed"][:5, None]
    with torch.inference_mode():
        tokens = network.image_tokens(network.visual_encoder(inputs["image"]).tokens)
        found = network(inputs["image"], [block])
        expected = network.decode(tokens, network.label_queries(block[:, 0]))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_no_labels_give_no_logits(small: RAMPlusConfig) -> None:
    network = RAMPlus(small).eval()
    assert network(torch.zeros(2, 3, 96, 96), [torch.zeros(0, 3, 20)]).shape == (2, 0)


def test_every_parameter_learns(small: RAMPlusConfig) -> None:
    torch.manual_seed(0)
    network = RAMPlus(small).train()
    network(torch.randn(2, 3, 96, 96)).square().sum().backward()
    idle = {n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    assert idle == set()


class Largest(TorchDispatchMode):
    """The most numbers that one operation wrote to memory that is not the block's own."""

    def __init__(self, block: torch.Tensor) -> None:
        super().__init__()
        self.own = block.untyped_storage().data_ptr()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out.untyped_storage().data_ptr() != self.own:
            self.numbers = max(self.numbers, out.numel())
        return out


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_image_copies_the_descriptions(network: RAMPlus, dtype: torch.dtype) -> None:
    block = network.descriptions().detach()
    shorter = dtype != torch.float32
    with torch.autocast("cpu", dtype, enabled=shorter), Largest(block) as largest:
        network.label_embeddings(torch.ones(3, 512), block)
    assert largest.numbers == 3 * 14 * 512  # the result: 14 tags in 3 images


def test_autocast_does_not_reach_the_weights(network: RAMPlus) -> None:
    tokens, block = torch.linspace(-1, 1, 512)[None], network.descriptions().detach()
    expected = network.label_embeddings(tokens, block)
    with torch.autocast("cpu", torch.bfloat16):
        found = network.label_embeddings(tokens, block)
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(found.detach(), expected.detach())


def test_the_image_must_be_comparable_with_the_descriptions() -> None:
    with pytest.raises(InputError, match="got 256 and 512"):
        RAMPlusConfig(image_proj_dim=256)


def test_full_size_has_the_official_keys_and_shapes(shared: Path) -> None:
    """Nothing of RAM++ is tied or left unread; what follows from the sizes is left out."""
    manifest = (shared / "golden" / "manifest_ram_plus.json").read_text(encoding="utf-8")
    facts = json.loads(manifest)
    with torch.device("meta"):
        network = RAMPlus(RAMPlusConfig())
        state = {key: torch.empty(row["shape"]) for key, row in facts["keys"].items()}
    ours = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    theirs = {key: tuple(value.shape) for key, value in tagging_weights(state).items()}
    assert ours == theirs
    left_out = facts["keys"].keys() - theirs.keys()
    assert left_out == set(facts["buffers_that_can_be_recomputed"])
