"""A CLIP of the picture book: it stands for that of the web, which has seen every name in captions.

Its text encoder is open_clip's, in small; it looks with the tiny preset's image encoder, which
stays as it is, and a projection. Scenes are drawn to the words that are true of them and away from
all others of their kind, by cross-entropy; no boxes are told.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from grounded_ram.ram.label_queries import prompts
from grounded_ram.ram.swin import SwinEncoder
from grounded_ram.scenes.catalog import VOCABULARY, further_names
from grounded_ram.training.loop import Schedule, train
from tests.benchmarks.claims.book import Page

DIM = 64
_CONTEXT = 32
_SIZES = {
    "embed_dim": DIM,
    "vision_cfg": {"image_size": 32, "patch_size": 32, "width": 16, "layers": 1, "head_width": 16},
    "text_cfg": {
        "context_length": _CONTEXT,
        "vocab_size": 49408,
        "width": 64,
        "heads": 2,
        "layers": 2,
    },
}
_WORDS = tuple(VOCABULARY)
_KINDS = tuple(VOCABULARY.values())


class BookCLIP(nn.Module):
    """Embeds pictures and words; a ``Teacher``, and what ``Start.labels`` asks for.

    Args:
        encoder: looks at pictures, and is not trained.
    """

    dim = DIM

    def __init__(self, encoder: SwinEncoder) -> None:
        super().__init__()
        self._encoder = [encoder]  # in a list: it is not ours to train
        self.look = nn.Linear(encoder.config.out_dim, DIM)
        self.text = open_clip.CLIP(**_SIZES)
        self.scale = nn.Parameter(torch.tensor(2.0))
        self._tokenizer = open_clip.SimpleTokenizer(context_length=_CONTEXT)
        self.word = cache(self._word)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Return (N, DIM) of unit length."""
        found: Tensor = self.text.encode_text(self._tokenizer(list(texts)))
        return functional.normalize(found, dim=-1)

    @torch.no_grad()
    def _word(self, word: str) -> Tensor:
        return functional.normalize(self.encode_text(prompts(word)).mean(0), dim=-1)

    @torch.no_grad()
    def images(self, images: Tensor) -> Tensor:
        """Return (B, DIM) features of pictures of any size, or of what the encoder made of them."""
        if images.ndim == 3:
            kept: Tensor = self.look(images[:, 0])
            return kept
        (encoder,) = self._encoder
        side = encoder.config.image_size
        resized = functional.interpolate(images, (side, side), mode="bilinear", antialias=True)
        out: Tensor = self.look(encoder(resized).tokens[:, 0])
        return out

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """Return (B, DIM) of unit length."""
        return self.encode_text(texts)


def trained_clip(
    encoder: SwinEncoder,
    pages: Sequence[Page],
    tokens: NDArray[np.float16],
    state: Path,
    *,
    steps: int,
) -> BookCLIP:
    """Train it on pages and what the encoder makes of them; or read what was trained before."""
    torch.manual_seed(0)
    network = BookCLIP(encoder)
    schedule = Schedule(
        steps=steps, learning_rate=2e-3, batch=min(64, len(pages)), warmup=50, muon=False
    )
    true = torch.tensor([_true(page) for page in pages])

    def step_loss(rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        rows = np.sort(rng.choice(len(pages), schedule.batch, replace=False))
        seen = network.look(torch.from_numpy(tokens[rows, 0].astype(np.float32)))
        words = network.encode_text([str(rng.choice(prompts(word))) for word in _WORDS])
        logits = network.scale.exp() * functional.normalize(seen, dim=-1) @ words.T
        loss = torch.stack([_of_kind(logits, true[rows], kind) for kind in set(_KINDS)]).sum()
        return loss, {"words": loss.item()}

    train(network, step_loss, schedule, state_path=state, seed=0)
    return network


def _true(page: Page) -> list[bool]:
    names = {*page.truth, *(word for name in page.truth for word in further_names(name))}
    return [word in names for word in _WORDS]


def _of_kind(logits: Tensor, true: Tensor, kind: str) -> Tensor:
    """Return the cross-entropy of the true words of a kind, of those pictures that have any."""
    columns = [i for i, other in enumerate(_KINDS) if other == kind]
    shares = true[:, columns].float()
    counts = shares.sum(1, keepdim=True)
    each = -(shares / counts.clamp(min=1) * logits[:, columns].log_softmax(1)).sum(1)
    return each.sum() / (counts > 0).sum().clamp(min=1)
