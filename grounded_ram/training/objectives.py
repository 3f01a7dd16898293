"""What a tagger of the RAM family learns from a batch: tags, captions, CLIP's view, alignment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from grounded_ram.ram.alignment import Alignment, TextInputs, text_inputs
from grounded_ram.ram.caption import CaptionTokenizer, TagInputs
from grounded_ram.ram.captioner import CaptionNetworks
from grounded_ram.ram.clip_teacher import Teacher
from grounded_ram.ram.model import RAM
from grounded_ram.ram.plus import RAMPlus
from grounded_ram.ram.tag2text import Tag2Text
from grounded_ram.runtime import autocast
from grounded_ram.training.feed import ExampleBatch, Feed
from grounded_ram.training.loop import Loss
from grounded_ram.training.losses import (
    Gather,
    asymmetric_loss,
    caption_loss,
    contrastive_loss,
    distillation_loss,
    matching_loss,
    text_alignment_loss,
)

if TYPE_CHECKING:
    from typing_extensions import Self

Network = RAM | RAMPlus | Tag2Text


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What learns beside a tagging network; each may be absent.

    Args:
        text: the networks that write captions.
        alignment: Tag2Text's image-text alignment, which reads with the same tokenizer.
        tokenizer: of both.
        teacher: CLIP. RAM and RAM++ learn its view of a picture, RAM++ its view of captions, too.
        gather: how the contrastive loss sees other processes' pairs.
    """

    text: CaptionNetworks | None = None
    alignment: Alignment | None = None
    tokenizer: CaptionTokenizer | None = None
    teacher: Teacher | None = None
    gather: Gather | None = None


class Objective(nn.Module):
    """The losses of a batch, as the papers add them up.

    - Tags: the asymmetric loss, here for one image; the official training sums over the batch.
    - Captions (RAM, Tag2Text): guided by the tags of the caption itself, in random order. The loss
      of tags is scaled to theirs, as in the official training.
    - Distillation (RAM, RAM++) and text alignment (RAM++): as in the official training, the latter
      for one image. No published code aligns Tag2Text's texts: there the sum follows the paper.

    Args:
        network: of the RAM family.
        parts: what learns beside it.
        gamma_neg: of the asymmetric loss; RAM's and Tag2Text's by default.
        distil_weight: factor on the loss of distillation; the official training has none.
    """

    def __init__(
        self,
        network: Network,
        parts: Parts,
        *,
        gamma_neg: float = 7.0,
        distil_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.distil_weight = distil_weight
        self.network = network
        self.parts = parts
        self.gamma_neg = gamma_neg
        if parts.text is not None:
            self.text = parts.text
        if parts.alignment is not None:
            self.alignment = parts.alignment

    def train(self, mode: bool = True) -> Self:
        """Set all to learn but a frozen encoder, which leaves out none of its blocks either."""
        super().train(mode)
        encoder = self.network.visual_encoder
        encoder.train(mode and any(p.requires_grad for p in encoder.parameters()))
        return self

    def forward(self, batch: ExampleBatch, rng: np.random.Generator) -> Loss:
        """Return the loss of a batch, a mean over its images, and its parts by name.

        Args:
            batch: B examples.
            rng: draws the negatives of image-text matching.
        """
        seen = batch.images  # by a frozen encoder before, or not yet
        if seen.ndim == 4:
            seen = self.network.visual_encoder(seen).tokens
        tokens = self.network.image_tokens(seen)
        told = torch.tensor([i for i, text in enumerate(batch.captions) if text], dtype=torch.long)
        losses = {"tags": self._tags(tokens, batch)}
        if self.parts.text is not None and len(told):
            losses["caption"] = self._captions(self.parts.text, tokens, batch, told)
        if self.parts.teacher is not None and not isinstance(self.network, Tag2Text):
            seen_by_teacher = self.parts.teacher.images(batch.images)
            away = distillation_loss(tokens[:, 0], seen_by_teacher)
            losses["distillation"] = self.distil_weight * away
            if isinstance(self.network, RAMPlus) and len(told):
                losses["alignment"] = self._text_alignment(self.network, tokens, batch, told)
        # Other processes wait for ours to tell its pairs, though there be none.
        if self.parts.alignment is not None and (len(told) or self.parts.gather):
            losses |= self._alignment(self.parts.alignment, tokens, batch, told, rng)
        return _sum(losses), {name: float(loss.detach()) for name, loss in losses.items()}

    def _tags(self, tokens: Tensor, batch: ExampleBatch) -> Tensor:
        logits = tag_logits(self.network, tokens)
        loss = asymmetric_loss(logits, batch.tags, gamma_neg=self.gamma_neg)
        return loss / max(1, len(batch))

    def _captions(
        self, text: CaptionNetworks, tokens: Tensor, batch: ExampleBatch, told: Tensor
    ) -> Tensor:
        tokenizer = _known(self.parts.tokenizer)
        device = tokens.device
        ids = tokenizer.caption_ids([batch.captions[i] for i in told]).to(device)
        tags = tokenizer.tag_inputs([batch.caption_tags[i] for i in told])
        inputs = TagInputs(tags.ids.to(device), tags.real.to(device))
        return caption_loss(
            text(inputs, ids, tokens[told.to(device)]), ids, pad_id=tokenizer.pad_id
        )

    def _text_alignment(
        self, network: RAMPlus, tokens: Tensor, batch: ExampleBatch, told: Tensor
    ) -> Tensor:
        texts = [batch.captions[i] for i in told]
        embeddings = _known(self.parts.teacher).texts(texts).to(tokens.device)
        logits = network.text_logits(tokens[told.to(tokens.device)], embeddings)
        groups = _same(texts).to(tokens.device)
        return text_alignment_loss(logits, groups) / len(told)

    def _alignment(
        self,
        alignment: Alignment,
        tokens: Tensor,
        batch: ExampleBatch,
        told: Tensor,
        rng: np.random.Generator,
    ) -> dict[str, Tensor]:
        texts = [batch.captions[i] for i in told]
        inputs: TextInputs = text_inputs(_known(self.parts.tokenizer), texts).to(tokens.device)
        groups = _same(texts).to(tokens.device)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        found = alignment(
            inputs, tokens[told.to(tokens.device)], groups=groups, generator=generator
        )
        contrastive = contrastive_loss(
            found.images,
            found.texts,
            alignment.temperature,
            groups=groups,
            gather=self.parts.gather,
        )
        return {
            "contrastive": contrastive,
            "matching": matching_loss(found.match_logits, found.matches),
        }


def tag_logits(network: Network, tokens: Tensor) -> Tensor:
    """Return the (B, L) logits of a network's own tags for its image tokens."""
    if isinstance(network, RAMPlus):
        return network.tag_logits(tokens)
    return network.decode(tokens, network.label_queries())


class ExampleLesson:
    """Steps over a feed of examples; see ``loop.Lesson``.

    Args:
        objective: on its device.
        feed: gives the batch of a step.
        device: where the objective computes.
        dtype: float32, or a shorter type to run under autocast.
        at_once: pictures whose activations are in memory together; gradients add up.
    """

    def __init__(
        self,
        objective: Objective,
        feed: Feed,
        *,
        device: torch.device,
        dtype: torch.dtype,
        at_once: int,
    ) -> None:
        self.objective, self.feed = objective, feed
        self.device, self.dtype = device, dtype
        self.at_once = at_once

    def draw(self, step: int, rng: np.random.Generator) -> Sequence[Callable[[], Loss]]:
        """Return the parts of a step, each weighed by its share of the pictures."""
        batch = self.feed.batch(step)
        return [
            partial(self._loss, part, len(part) / len(batch), rng)
            for part in batch.split(self.at_once)
        ]

    def halve(self) -> bool:
        """Put half as many pictures into memory at once from now on."""
        if self.at_once == 1:
            return False
        self.at_once = (self.at_once + 1) // 2
        return True

    def _loss(self, part: ExampleBatch, share: float, rng: np.random.Generator) -> Loss:
        with autocast(self.device, self.dtype):
            loss, facts = self.objective(part.to(self.device), rng)
        return share * loss, {name: share * value for name, value in facts.items()}


def _sum(losses: dict[str, Tensor]) -> Tensor:
    """Add losses up; that of the tags is scaled to that of the captions, if there is one."""
    tags, caption = losses["tags"], losses.get("caption")
    if caption is not None:
        tags = tags / (tags / caption).detach().clamp(min=1e-8)
    others = [loss for name, loss in losses.items() if name != "tags"]
    return torch.stack([tags, *others]).sum()


def _same(texts: Sequence[str]) -> Tensor:
    """Return (N,) numbers that are equal where texts are, in all processes."""
    digests = [sha256(text.encode()).digest() for text in texts]
    return torch.tensor([int.from_bytes(d[:7], "big") for d in digests], dtype=torch.long)


KnownT = TypeVar("KnownT")


def _known(part: KnownT | None) -> KnownT:
    assert part is not None  # a network that writes has its tokenizer, RAM++'s texts their teacher
    return part
