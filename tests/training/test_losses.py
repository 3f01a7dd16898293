from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from grounded_ram.ram.caption import TagInputs
from grounded_ram.training.losses import (
    asymmetric_loss,
    caption_loss,
    contrastive_loss,
    distillation_loss,
    matching_loss,
    text_alignment_loss,
)
from tests.golden_captions import golden_ram, golden_tag2text, read_json

SETTINGS = (
    "neg7_pos0_clip0.05_detached",
    "neg4_pos0_clip0.05_detached",
    "neg4_pos1_clip0.05_detached",
    "neg7_pos0_clip0.0_detached",
    "neg0_pos0_clip0.05_detached",
    "neg2_pos2_clip0.2_detached",
    "neg4_pos1_clip0.05_full",
)


@pytest.mark.parametrize("name", SETTINGS)
def test_agrees_with_the_official_loss_and_gradient(golden: Path, name: str) -> None:
    data = np.load(golden / "asymmetric_loss" / "data.npz")
    case = json.loads((golden / "asymmetric_loss" / "outputs.json").read_text())[name]
    logits = torch.from_numpy(data["logits"]).requires_grad_()
    loss = asymmetric_loss(
        logits,
        torch.from_numpy(data["targets"]),
        gamma_neg=case["gamma_neg"],
        gamma_pos=case["gamma_pos"],
        clip=case["clip"],
        eps=case["eps"],
        detach_focus=case["focal_weight_detached"],
    )
    loss.backward()
    assert logits.grad is not None
    np.testing.assert_allclose(loss.item(), case["loss"], rtol=1e-5)
    np.testing.assert_allclose(logits.grad.numpy(), data[f"grad_{name}"], rtol=1e-5, atol=1e-6)


def test_every_golden_setting_is_tested(golden: Path) -> None:
    cases = json.loads((golden / "asymmetric_loss" / "outputs.json").read_text())
    assert sorted(cases) == sorted(SETTINGS)


def test_is_the_binary_cross_entropy_without_focus_and_clip() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 5, generator=generator)
    targets = (torch.rand(3, 5, generator=generator) > 0.5).float()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, targets, reduction="sum"
    )
    loss = asymmetric_loss(logits, targets, gamma_neg=0, gamma_pos=0, clip=0)
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("detach_focus", [True, False])
def test_leaves_the_grad_mode_as_it_was(grad: bool, detach_focus: bool) -> None:
    with torch.set_grad_enabled(grad):
        loss = asymmetric_loss(
            torch.zeros(1, 2, requires_grad=True), torch.ones(1, 2), detach_focus=detach_focus
        )
        assert torch.is_grad_enabled() is grad
    assert loss.requires_grad is grad


def test_is_zero_for_no_images_and_for_no_tags() -> None:
    assert asymmetric_loss(torch.zeros(0, 4), torch.zeros(0, 4)).item() == 0
    assert asymmetric_loss(torch.zeros(4, 0), torch.zeros(4, 0)).item() == 0


def test_is_computed_in_float32_under_autocast() -> None:
    logits = torch.linspace(-4, 4, 8)[None]
    targets = torch.tensor([[0.0, 1.0] * 4])
    loss = asymmetric_loss(logits.bfloat16(), targets)
    expected = asymmetric_loss(logits.bfloat16().float(), targets)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected, rtol=0, atol=0)


def test_losses_and_gradients_of_ram_are_the_official_ones(golden: Path, tmp_path: Path) -> None:
    """Tagging, captions and distillation in one step, as RAM is trained."""
    network, text, _ = golden_ram(golden, tmp_path)
    case = golden / "ram_losses"
    stored = {k: torch.from_numpy(v) for k, v in np.load(case / "inputs.npz").items()}
    tokens = network.image_tokens(network.visual_encoder(stored["image"].float()).tokens)
    tags = TagInputs(stored["encoder_input_ids"], stored["encoder_attention_mask"].bool())
    ids = stored["decoder_input_ids"]
    logits = network.decode(tokens, network.label_queries())
    losses = (
        caption_loss(text(tags, ids, tokens), ids),
        asymmetric_loss(logits, stored["image_tag"]),
        distillation_loss(tokens[:, 0], stored["clip_feature"]),
    )
    expected = read_json(case / "outputs.json")
    for loss, name in zip(losses, ("loss_t2t", "loss_tag", "loss_dis"), strict=True):
        np.testing.assert_allclose(loss.item(), expected[name], rtol=1e-5)
    sum(losses, torch.zeros(())).backward()
    of_sum = dict(np.load(case / "gradients_of_sum.npz"))
    found = dict(network.named_parameters()) | dict(text.named_parameters())
    row = found["label_embed"].grad[0]
    np.testing.assert_allclose(row, of_sum.pop("label_embed_row0"), rtol=1e-4, atol=1e-5)
    assert len(of_sum) == 5
    for name, gradient in of_sum.items():
        np.testing.assert_allclose(found[name].grad, gradient, rtol=1e-4, atol=1e-5, err_msg=name)


def test_losses_of_tag2text_are_the_official_ones(golden: Path, tmp_path: Path) -> None:
    network, text, tokenizer = golden_tag2text(golden, tmp_path)
    stored = np.load(golden / "tag2text" / "inputs.npz")
    present = stored["loss_tag_target"]
    names = read_json(golden / "tag2text" / "config.json")["tag_list"]
    expected = read_json(golden / "tag2text" / "outputs.json")["losses"]
    captions = [text.removeprefix("a picture of ") for text in expected["captions"]]
    ids = tokenizer.caption_ids(captions)
    tags = tokenizer.tag_inputs([[names[i] for i in np.flatnonzero(row)] for row in present])
    with torch.inference_mode():
        tokens = network.visual_encoder(torch.from_numpy(stored["image"]).float()).tokens
        logits = network.decode(tokens, network.label_queries())
        losses = (
            caption_loss(text(tags, ids, tokens), ids),
            asymmetric_loss(logits, torch.from_numpy(present)),
        )
    np.testing.assert_allclose(losses, expected["values"], rtol=1e-5)


def test_caption_loss_is_the_mean_of_the_smoothed_log_likelihoods() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 6, 9, generator=generator)
    ids = torch.tensor([[7, 1, 2, 5, 8, 3], [7, 1, 2, 4, 0, 0]])
    terms = []
    for row, place in ((0, 3), (0, 4), (0, 5), (1, 3)):
        log_likelihood = logits[row, place - 1].log_softmax(0)
        terms.append(0.8 * log_likelihood[ids[row, place]] + 0.2 * log_likelihood.mean())
    loss = caption_loss(logits, ids, prompt=3, smoothing=0.2)
    torch.testing.assert_close(loss, -torch.stack(terms).mean())


def test_caption_loss_trains_no_padding_prompt_or_last_token() -> None:
    logits = torch.zeros(2, 6, 9, requires_grad=True)
    ids = torch.tensor([[7, 1, 2, 5, 8, 3], [7, 1, 2, 4, 0, 0]])
    caption_loss(logits, ids, prompt=3).backward()
    assert logits.grad is not None
    moved = logits.grad.any(dim=2).tolist()
    assert moved == [[False, False, True, True, True, False], [False] * 2 + [True] + [False] * 3]


def test_distillation_loss_is_the_mean_distance() -> None:
    ours = torch.tensor([[1.0, -2.0], [0.5, 4.0]], requires_grad=True)
    loss = distillation_loss(ours, torch.tensor([[1.0, 2.0], [1.0, 1.0]]))
    assert loss.item() == pytest.approx((0 + 4 + 0.5 + 3) / 4)
    loss.backward()
    assert ours.grad.tolist() == [[0, -0.25], [-0.25, 0.25]]


@pytest.mark.parametrize("name", ["caption", "distillation"])
def test_the_other_losses_are_computed_in_float32_too(name: str) -> None:
    values = torch.linspace(-4, 4, 24).reshape(1, 6, 4).bfloat16()
    ids = torch.tensor([[3, 3, 3, 3, 1, 2]])

    def loss(x: torch.Tensor) -> torch.Tensor:
        return caption_loss(x, ids) if name == "caption" else distillation_loss(x, x.flip(1))

    assert loss(values).dtype == torch.float32
    torch.testing.assert_close(loss(values), loss(values.float()), rtol=0, atol=0)


def directions(pairs: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and texts of unit length."""
    drawn = torch.randn(2, pairs, 6, generator=torch.Generator().manual_seed(seed))
    images, texts = torch.nn.functional.normalize(drawn, dim=-1)
    return images, texts


def test_contrastive_loss_is_the_mean_of_both_cross_entropies() -> None:
    images, texts = directions(4)
    terms = []
    for i in range(4):
        to_texts = torch.stack([images[i] @ text for text in texts]) / 0.1
        to_images = torch.stack([image @ texts[i] for image in images]) / 0.1
        terms += [to_texts.log_softmax(0)[i], to_images.log_softmax(0)[i]]
    expected = -torch.stack(terms).mean()
    torch.testing.assert_close(contrastive_loss(images, texts, 0.1), expected)


def test_contrastive_loss_is_least_where_pairs_agree() -> None:
    images, texts = directions(4)
    assert contrastive_loss(images, images, 0.05) < contrastive_loss(images, texts, 0.05)
    assert contrastive_loss(images, images, 0.01).item() == pytest.approx(0, abs=1e-4)


def test_pairs_of_one_group_share_the_target() -> None:
    images, texts = directions(3)
    groups = torch.tensor([5, 5, 2])
    target = torch.tensor([[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]])
    logits = images @ texts.T / 0.2
    expected = sum(torch.nn.functional.cross_entropy(rows, target) for rows in (logits, logits.T))
    found = contrastive_loss(images, texts, 0.2, groups=groups)
    torch.testing.assert_close(found, torch.as_tensor(expected) / 2)


@pytest.mark.parametrize("grouped", [False, True])
def test_processes_that_gather_learn_as_one_does(grouped: bool) -> None:
    """Two processes of unlike sizes would weigh pairs unlike, so both have as many."""
    images, texts = (rows.requires_grad_() for rows in directions(6))
    temperature = torch.tensor(0.1, requires_grad=True)
    groups = torch.tensor([0, 1, 2, 1, 3, 0]) if grouped else None
    whole = contrastive_loss(images, texts, temperature, groups=groups)
    expected = torch.autograd.grad(whole, [images, texts, temperature])
    losses = []
    for first in (0, 3):
        own = slice(first, first + 3)

        def gather(
            rows: torch.Tensor, first: int = first, own: slice = own
        ) -> tuple[torch.Tensor, int]:
            every = next(x for x in (images, texts, groups) if x is not None and is_part(rows, x))
            # Our own rows are torn out: the loss must put in those that it was given.
            torn = torch.full_like(rows, 99)
            return torch.cat([every[:first], torn, every[first + 3 :]]), first

        def is_part(rows: torch.Tensor, x: torch.Tensor, own: slice = own) -> bool:
            return torch.equal(rows, x[own])

        part = None if groups is None else groups[own]
        losses.append(
            contrastive_loss(images[own], texts[own], temperature, groups=part, gather=gather)
        )
    mean = torch.stack(losses).mean()
    torch.testing.assert_close(mean, whole)
    for found, right in zip(
        torch.autograd.grad(mean, [images, texts, temperature]), expected, strict=True
    ):
        torch.testing.assert_close(found, right)


@pytest.mark.parametrize("pairs", [0, 1])
def test_contrastive_loss_is_zero_without_another_pair(pairs: int) -> None:
    images, texts = (rows.requires_grad_() for rows in directions(pairs))
    loss = contrastive_loss(images, texts, 0.07)
    loss.backward()
    assert loss.item() == 0
    assert images.grad is not None
    assert not images.grad.any()


def test_contrastive_loss_is_computed_in_float32_under_autocast() -> None:
    images, texts = (rows.bfloat16() for rows in directions(5))
    expected = contrastive_loss(images.float(), texts.float(), 0.07)
    with torch.autocast("cpu", torch.bfloat16):
        found = contrastive_loss(images, texts, 0.07)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_matching_loss_is_the_mean_cross_entropy() -> None:
    logits = torch.tensor([[2.0, -1.0], [0.5, 0.0], [-3.0, 4.0]])
    apart, fitting = logits.log_softmax(1).T
    expected = -(fitting[0] + apart[1] + fitting[2]) / 3
    torch.testing.assert_close(matching_loss(logits, torch.tensor([1, 0, 1])), expected)
    alone = matching_loss(logits[:1], torch.tensor([1]))
    torch.testing.assert_close(alone, -fitting[0])
    assert matching_loss(logits[:0], torch.tensor([])).item() == 0


@pytest.mark.parametrize("autocast", [False, True])
def test_matching_loss_is_computed_in_float32(autocast: bool) -> None:
    logits = torch.linspace(-4, 4, 8).reshape(4, 2).bfloat16()
    matches = torch.tensor([1, 0, 0, 1])
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found = matching_loss(logits, matches)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, matching_loss(logits.float(), matches), rtol=0, atol=0)


def test_text_alignment_loss_is_the_official_one(golden: Path) -> None:
    stored = np.load(golden / "ram_plus_tagging" / "losses.npz")
    loss = text_alignment_loss(torch.from_numpy(stored["alignment_logits"]))
    np.testing.assert_allclose(loss.item(), stored["loss_alignment"], rtol=1e-5)


def test_text_alignment_takes_pairs_of_one_group_for_present() -> None:
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    present = torch.tensor([[1, 0, 1], [0, 1, 0], [1, 0, 1]])
    expected = asymmetric_loss(logits, present, gamma_neg=4)
    found = text_alignment_loss(logits, torch.tensor([4, 2, 4]))
    torch.testing.assert_close(found, expected)


def test_text_alignment_of_no_pair_is_zero_and_of_one_learns_presence() -> None:
    assert text_alignment_loss(torch.zeros(0, 0)).item() == 0
    logits = torch.zeros(1, 1, requires_grad=True)
    text_alignment_loss(logits).backward()
    assert logits.grad is not None
    assert logits.grad.item() < 0
