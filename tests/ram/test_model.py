from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from grounded_ram.errors import InputError
from grounded_ram.ram.model import RAM, UNREAD_PREFIXES, RAMConfig, tagging_weights
from grounded_ram.training.losses import asymmetric_loss

SHARED = Path(__file__).parents[3] / "shared"


def test_logits_agree_with_the_official_model(
    golden_network: RAM,
    golden_inputs: dict[str, torch.Tensor],
    golden_outputs: dict[str, NDArray[np.float32]],
) -> None:
    with torch.inference_mode():
        logits = golden_network(golden_inputs["image"])
    np.testing.assert_allclose(logits, golden_outputs["logits"], rtol=0, atol=1e-5)


def test_intermediate_values_agree_with_the_official_model(
    golden_network: RAM,
    golden_inputs: dict[str, torch.Tensor],
    golden_outputs: dict[str, NDArray[np.float32]],
) -> None:
    with torch.inference_mode():
        tokens = golden_network.visual_encoder(golden_inputs["image"]).tokens
        projected = golden_network.image_tokens(tokens)
        queries = golden_network.label_queries().expand(3, -1, -1)
        head = golden_network.tagging_head(queries, projected)
    stored = golden_outputs
    np.testing.assert_allclose(projected[:, :3], stored["image_proj_output"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(projected[:, 0], stored["image_cls_embed"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(head, stored["tagging_head_output"], rtol=0, atol=1e-5)


def test_open_set_labels_agree_with_the_official_model(
    golden_network: RAM,
    golden_inputs: dict[str, torch.Tensor],
    golden_outputs: dict[str, NDArray[np.float32]],
) -> None:
    with torch.inference_mode():
        queries = golden_network.label_queries(golden_inputs["openset_label_embed"])
        logits = golden_network(golden_inputs["image"], queries)
    np.testing.assert_allclose(logits, golden_outputs["openset_logits"], rtol=0, atol=1e-5)


def test_gradients_agree_with_the_official_training(golden: Path, golden_network: RAM) -> None:
    """Only the tagging loss reaches these parameters, whatever the other two losses do."""
    stored = np.load(golden / "ram_losses" / "inputs.npz")
    losses = json.loads((golden / "ram_losses" / "outputs.json").read_text(encoding="utf-8"))
    gradients = np.load(golden / "ram_losses" / "gradients_of_sum.npz")
    tokens = golden_network.visual_encoder(torch.from_numpy(stored["image"]).float()).tokens
    projected = golden_network.image_tokens(tokens)
    logits = golden_network.decode(projected, golden_network.label_queries())
    loss = asymmetric_loss(logits, torch.from_numpy(stored["image_tag"]))
    loss.backward()
    np.testing.assert_allclose(loss.item(), losses["loss_tag"], rtol=1e-5)
    for name in ("fc.weight", "wordvec_proj.bias"):
        grad = golden_network.get_parameter(name).grad
        np.testing.assert_allclose(grad, gradients[name], rtol=1e-4, atol=1e-5)
    row = golden_network.label_embed.grad[0]
    np.testing.assert_allclose(row, gradients["label_embed_row0"], rtol=1e-4, atol=1e-5)


def test_every_parameter_learns(tiny_config: RAMConfig) -> None:
    torch.manual_seed(0)
    network = RAM(dataclasses.replace(tiny_config, drop_path=0.0)).train()
    network(torch.randn(2, 3, 96, 96)).square().sum().backward()
    idle = {n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    assert idle == set()


def test_no_labels_give_no_logits(tiny_config: RAMConfig) -> None:
    network = RAM(tiny_config).eval()
    assert network(torch.zeros(2, 3, 96, 96), torch.zeros(0, 16)).shape == (2, 0)


def test_a_head_that_does_not_split_is_refused() -> None:
    with pytest.raises(InputError, match="768 channels cannot be split over 5 heads"):
        RAMConfig(head_heads=5)


def test_tagging_weights_are_exactly_the_networks_keys(
    golden_network: RAM, golden_state: dict[str, torch.Tensor]
) -> None:
    assert tagging_weights(golden_state).keys() == golden_network.state_dict().keys()


def test_tagging_weights_keep_what_nobody_knows() -> None:
    value = torch.zeros(1)
    state = {"momentum_encoder.weight": value, "tag_encoder.weight": value}
    assert tagging_weights(state) == {"momentum_encoder.weight": value}


def test_tagging_weights_rename_the_head_of_older_files() -> None:
    state = {"vision_multi.encoder.layer.0.output.dense.bias": torch.zeros(1)}
    assert list(tagging_weights(state)) == ["tagging_head.encoder.layer.0.output.dense.bias"]


def test_full_size_has_the_official_keys_and_shapes() -> None:
    manifest = SHARED / "golden" / "manifest_ram.json"
    if not manifest.exists():
        pytest.skip(f"needs {manifest}, which is not in this clone")
    facts = json.loads(manifest.read_text(encoding="utf-8"))
    official = facts["keys"]
    with torch.device("meta"):
        network = RAM(RAMConfig())
        state = {key: torch.empty(row["shape"]) for key, row in official.items()}
    ours = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    theirs = {key: tuple(value.shape) for key, value in tagging_weights(state).items()}
    assert ours == theirs
    needed = {key for key, row in official.items() if row["used_for_tagging"]}
    unread = {key for key in official if key.startswith(UNREAD_PREFIXES)}
    copies = {copy for copy, original in facts["tied"] if original in ours}
    assert needed & unread == needed & copies
