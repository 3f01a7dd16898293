from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from grounded_ram.ram.alignment import text_inputs
from grounded_ram.training.feed import ExampleBatch, Feed, Reading
from grounded_ram.training.losses import asymmetric_loss
from grounded_ram.training.objectives import ExampleLesson, Objective, Parts, tag_logits
from tests.training.small import coloured_pictures, small_networks

TAGS = ("red", "green", "blue")
CPU = torch.device("cpu")


class Seer:
    """A teacher that sees mean colours."""

    dim = 16

    def images(self, images: Tensor) -> Tensor:
        return images.mean((2, 3)).repeat(1, 6)[:, :16]

    def texts(self, texts: Sequence[str]) -> Tensor:
        rows = torch.tensor([[float(len(text))] * 16 for text in texts])
        return torch.nn.functional.normalize(rows, dim=-1)


def objective(folder: Path, adapter: str, *, teacher: bool = True) -> Objective:
    networks = small_networks(folder, adapter, TAGS)
    parts = Parts(
        text=networks.text,
        alignment=networks.alignment,
        tokenizer=networks.tokenizer,
        teacher=Seer() if teacher else None,
    )
    return Objective(networks.network, parts)


def batch_of(folder: Path, count: int = 6) -> ExampleBatch:
    examples = coloured_pictures(folder / "pictures", count)
    return Feed(examples, TAGS, Reading(image_size=32), batch=count, seed=0).batch(0)


def losses_of(learner: Objective, batch: ExampleBatch) -> dict[str, float]:
    learner.eval()
    return learner(batch, np.random.default_rng(0))[1]


@pytest.mark.parametrize(
    ("adapter", "expected"),
    [
        ("ram", {"tags", "caption", "distillation"}),
        ("ram-plus", {"tags", "distillation", "alignment"}),
        ("tag2text", {"tags", "caption", "contrastive", "matching"}),
    ],
)
def test_each_network_learns_what_its_paper_says(
    tmp_path: Path, adapter: str, expected: set[str]
) -> None:
    learner, batch = objective(tmp_path, adapter), batch_of(tmp_path)
    losses = losses_of(learner, batch)
    assert set(losses) == expected
    untold = replace(batch, captions=("",) * len(batch), caption_tags=((),) * len(batch))
    assert set(losses_of(learner, untold)) == expected & {"tags", "distillation"}


@pytest.mark.parametrize("adapter", ["ram", "ram-plus", "tag2text"])
def test_every_part_learns(tmp_path: Path, adapter: str) -> None:
    learner = objective(tmp_path, adapter).train()
    loss, _ = learner(batch_of(tmp_path), np.random.default_rng(0))
    loss.backward()
    still = [name for name, p in learner.named_parameters() if p.grad is None or not p.grad.any()]
    # Biases of keys change no attention; a description's weight changes none where all are alike.
    assert [name for name in still if not name.endswith("key.bias")] == []


def test_tags_are_learnt_by_the_published_loss_for_one_picture(tmp_path: Path) -> None:
    learner, batch = objective(tmp_path, "ram").eval(), batch_of(tmp_path)
    with torch.no_grad():
        tokens = learner.network.image_tokens(learner.network.visual_encoder(batch.images).tokens)
        expected = asymmetric_loss(tag_logits(learner.network, tokens), batch.tags) / 6
    assert losses_of(learner, batch)["tags"] == pytest.approx(float(expected))


def test_the_loss_of_tags_weighs_as_much_as_that_of_captions(tmp_path: Path) -> None:
    learner, batch = objective(tmp_path, "ram", teacher=False).eval(), batch_of(tmp_path)
    loss, facts = learner(batch, np.random.default_rng(0))
    assert float(loss.detach()) == pytest.approx(2 * facts["caption"], rel=1e-5)
    loss.backward()
    together = learner.network.fc.weight.grad.clone()
    learner.zero_grad()
    untold = replace(batch, captions=("",) * len(batch))
    alone, _ = learner(untold, np.random.default_rng(0))
    alone.backward()
    ratio = facts["caption"] / facts["tags"]
    torch.testing.assert_close(together, learner.network.fc.weight.grad * ratio)


def test_distillation_counts_as_much_as_its_weight_says(tmp_path: Path) -> None:
    once, batch = objective(tmp_path, "ram"), batch_of(tmp_path)
    thrice = Objective(once.network, once.parts, distil_weight=3.0)
    found = losses_of(once, batch), losses_of(thrice, batch)
    assert found[1]["distillation"] == pytest.approx(3 * found[0]["distillation"])
    assert found[1]["tags"] == found[0]["tags"]


def test_equal_captions_are_no_wrong_pairs(tmp_path: Path) -> None:
    learner, batch = objective(tmp_path, "tag2text").eval(), batch_of(tmp_path, 4)
    alike = replace(batch, captions=("a red square",) * 4)
    alignment, tokenizer = learner.parts.alignment, learner.parts.tokenizer
    assert alignment is not None
    assert tokenizer is not None
    with torch.no_grad():
        tokens = learner.network.image_tokens(learner.network.visual_encoder(batch.images).tokens)
        texts = text_inputs(tokenizer, alike.captions)
        logits = alignment.match(texts, tokens, torch.arange(4))
    expected = float(torch.nn.functional.cross_entropy(logits, torch.ones(4, dtype=torch.long)))
    assert losses_of(learner, alike)["matching"] == pytest.approx(expected, rel=1e-5)


def test_a_step_in_parts_is_the_step(tmp_path: Path) -> None:
    examples = coloured_pictures(tmp_path / "pictures", 6)
    gradients = []
    for at_once in (6, 4):
        learner = objective(tmp_path, "ram-plus", teacher=False).eval()
        feed = Feed(examples, TAGS, Reading(image_size=32), batch=6, seed=0)
        lesson = ExampleLesson(learner, feed, device=CPU, dtype=torch.float32, at_once=at_once)
        parts = lesson.draw(0, np.random.default_rng(0))
        total = 0.0
        for part in parts:
            loss, facts = part()
            loss.backward()
            total += facts["tags"]
        gradients.append((len(parts), total, learner.network.fc.weight.grad))
    (one, whole, a), (two, summed, b) = gradients
    assert (one, two) == (1, 2)
    assert summed == pytest.approx(whole, rel=1e-5)
    torch.testing.assert_close(a, b)


def test_halving_ends_at_one_picture(tmp_path: Path) -> None:
    feed = Feed(coloured_pictures(tmp_path, 1), TAGS, Reading(image_size=32), batch=1, seed=0)
    learner = objective(tmp_path, "ram")
    lesson = ExampleLesson(learner, feed, device=CPU, dtype=torch.float32, at_once=5)
    assert [lesson.halve() for _ in range(4)] == [True, True, True, False]
    assert lesson.at_once == 1
