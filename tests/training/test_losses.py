from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from grounded_ram.training.losses import asymmetric_loss

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
