"""Tag2Text's image-text alignment: does a text fit an image?

Huang et al., "Tag2Text: Guiding Vision-Language Model via Image Tagging" (2023), sections 3.3 and
3.4, appendix A. No published checkpoint or code has these parts, so they cannot be held to any.

The paper says: after BLIP (Li et al., 2022), a further 12-layer text encoder that starts from BERT.
It reads a text alone, for the contrastive loss with the image's features (ITC), and once more while
it attends to the image, for the matching loss (ITM); negatives are drawn for ITM the likelier, the
more similar ITC finds them. The generation decoder and this encoder share the parameters of their
cross-attention. Tags do not enter the encoder: in retrieval, the tags that the tagger sees in the
image and those parsed from the text are matched, and the number of equal ones is weighed with the
similarity (``tagging.retrieval`` does so).

Our choice, where the paper says nothing: sizes, temperature and key names are BLIP's, as is that a
text begins with [CLS] when it is read alone and with [ENC] when it is matched. The image's feature
is the first of its tokens. There is no momentum encoder and no queue: negatives are the other pairs
of the batch. The decoder's keys and values are shared only where what it attends to has as many
channels as the image's tokens; with Swin-B it has not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from grounded_ram.errors import InputError
from grounded_ram.ram.bert import TextConfig, TextDecoder, TextLayer, TextNetwork
from grounded_ram.ram.caption import MAX_TOKENS, CaptionTokenizer
from grounded_ram.ram.tag_decoder import HeadSizes, KeysValues

TEMPERATURES = (0.001, 0.5)
"""The temperature is held between them, as in ALBEF (Li et al., 2021)."""


@dataclass(frozen=True, kw_only=True)
class AlignmentConfig:
    """Sizes of the alignment parts, on top of the text networks'; the defaults are BLIP's.

    Raises:
        InputError: a number is out of its range.
    """

    dim: int = 256
    """Channels of the space that images and texts are compared in."""
    temperature: float = 0.07
    """Where the learnt temperature starts."""

    def __post_init__(self) -> None:
        low, high = TEMPERATURES
        if self.dim < 1:
            raise InputError(f"dim must be at least 1, got {self.dim}")
        if not low <= self.temperature <= high:
            raise InputError(f"temperature must lie in [{low}, {high}], got {self.temperature}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> AlignmentConfig:
        """Read the fields from JSON values.

        Raises:
            InputError: a key is not a field, or a number is out of its range.
        """
        if unknown := sorted(set(values) - {field.name for field in fields(cls)}):
            raise InputError(f"{cls.__name__} has no field {', '.join(unknown)}")
        return cls(**values)


class TextInputs(NamedTuple):
    """N texts as the alignment encoder reads them."""

    ids: Tensor
    """(N, L) token ids: [CLS], the text, [SEP], padding."""
    real: Tensor
    """(N, L) bool, False on padding."""

    def take(self, rows: Tensor) -> TextInputs:
        """Return the texts in the given rows (M,)."""
        return TextInputs(self.ids[rows], self.real[rows])

    def to(self, device: torch.device) -> TextInputs:
        """Return the same texts on a device."""
        return TextInputs(self.ids.to(device), self.real.to(device))


def text_inputs(tokenizer: CaptionTokenizer, texts: Sequence[str]) -> TextInputs:
    """Return N texts as the alignment encoder reads them; each is cut to ``MAX_TOKENS`` tokens."""
    begin, end = tokenizer.ids["[CLS]"], tokenizer.sep_id
    rows = [[begin, *tokenizer.encode(text)[: MAX_TOKENS - 2], end] for text in texts]
    longest = max(map(len, rows), default=2)
    ids = torch.full((len(rows), longest), tokenizer.pad_id)
    real = torch.zeros_like(ids, dtype=torch.bool)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        real[i, : len(row)] = True
    return TextInputs(ids, real)


class AlignmentEncoder(TextNetwork):
    """Reads a text alone or while it looks at an image.

    Args:
        config: sizes of the text networks.
        head: sizes of the tagging head, which attends to the same image tokens.
        decoder: writes captions; its cross-attention is used here, too, where it fits.
    """

    def __init__(self, config: TextConfig, head: HeadSizes, decoder: TextDecoder) -> None:
        super().__init__(config, replace(head, layers=config.layers, heads=config.heads))
        self.enc_id = config.vocab_size - 1
        for ours, theirs in zip(self.layers, decoder.bert.layers, strict=True):
            _share_cross_attention(ours, theirs)

    def read(self, texts: TextInputs) -> Tensor:
        """Return (N, width), the first token's features, of N texts without any image."""
        sees = texts.real[:, None, None]
        x: Tensor = self.embeddings(texts.ids)
        for layer in self.layers:
            x, _ = layer.attention(x, None, sees)
            x = layer.output(layer.intermediate(x), x)
        return x[:, 0]

    def fuse(self, texts: TextInputs, image_tokens: Tensor, images: Tensor) -> Tensor:
        """Return (P, width), the first token's features, of P texts, each with an image in mind.

        Args:
            texts: P texts.
            image_tokens: (B, T, C) of the images that they are compared with.
            images: (P,) which of the B images each text looks at.
        """
        if not len(images):  # the layers share P texts among the images, and cannot share none
            return self.read(texts)
        ids = texts.ids.clone()
        ids[:, 0] = self.enc_id
        start = self.start(image_tokens)  # keys and values once an image, not once a pair
        memory = [KeysValues(read.keys[images], read.values[images]) for read in start.memory]
        x, _ = self.go_on(ids, start._replace(memory=memory), texts.real[:, None, None])
        return x[:, 0]


class Aligned(NamedTuple):
    """What the losses of B image-text pairs are computed from."""

    images: Tensor
    """(B, dim) float32 directions of the images, of unit length."""
    texts: Tensor
    """(B, dim) float32 directions of the texts, of unit length."""
    match_logits: Tensor
    """(P, 2) logits of P pairs: apart, fitting. The B given pairs come first, then negatives."""
    matches: Tensor
    """(P,) 1 for the given pairs, 0 for negatives."""


class Alignment(nn.Module):
    """The alignment parts; their keys start with ``alignment.`` in a checkpoint.

    Args:
        config: their own sizes.
        text: sizes of the text networks.
        head: sizes of the tagging head.
        decoder: the caption decoder that the text encoder shares its cross-attention with.
    """

    def __init__(
        self, config: AlignmentConfig, text: TextConfig, head: HeadSizes, decoder: TextDecoder
    ) -> None:
        super().__init__()
        self.text_encoder = AlignmentEncoder(text, head, decoder)
        self.vision_proj = nn.Linear(head.memory_dim, config.dim)
        self.text_proj = nn.Linear(head.width, config.dim)
        self.itm_head = nn.Linear(head.width, 2)
        self.temp = nn.Parameter(torch.tensor(config.temperature))

    @property
    def temperature(self) -> Tensor:
        """What cosines are divided by, a number held in ``TEMPERATURES``."""
        held = self.temp.clamp(*TEMPERATURES)
        # The gradient passes at a limit, too, or the parameter would stay there for good.
        return self.temp + (held - self.temp).detach()

    def image_directions(self, image_tokens: Tensor) -> Tensor:
        """Return (B, dim) float32 of unit length for image tokens (B, T, C)."""
        return functional.normalize(self.vision_proj(image_tokens[:, 0]).float(), dim=-1)

    def text_directions(self, texts: TextInputs) -> Tensor:
        """Return (N, dim) float32 of unit length for N texts."""
        return functional.normalize(self.text_proj(self.text_encoder.read(texts)).float(), dim=-1)

    def match(self, texts: TextInputs, image_tokens: Tensor, images: Tensor) -> Tensor:
        """Return (P, 2) logits of P pairs: apart, fitting; arguments as ``fuse`` takes them."""
        logits: Tensor = self.itm_head(self.text_encoder.fuse(texts, image_tokens, images))
        return logits

    def forward(
        self,
        texts: TextInputs,
        image_tokens: Tensor,
        *,
        groups: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Aligned:
        """Return what the losses of B pairs are computed from, for training.

        Args:
            texts: B texts, each of them about the image of the same number.
            image_tokens: (B, T, C), as the tagging head attends to them.
            groups: (B,) integers; pairs of one group fit each other and are no negatives. None
                means that only the given pairs fit.
            generator: draws the negatives.
        """
        images, directions = self.image_directions(image_tokens), self.text_directions(texts)
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            similarities = images @ directions.T / self.temperature
        negatives = hard_negatives(similarities, groups=groups, generator=generator)
        own = torch.arange(len(images), device=images.device)
        rows = torch.cat([own, negatives.images])
        logits = self.match(texts.take(torch.cat([own, negatives.texts])), image_tokens, rows)
        matches = (torch.arange(len(rows), device=images.device) < len(own)).long()
        return Aligned(images, directions, logits, matches)


class Negatives(NamedTuple):
    """M pairs that do not fit, as the numbers of their halves."""

    images: Tensor
    """(M,) which image."""
    texts: Tensor
    """(M,) which text."""


def hard_negatives(
    similarities: Tensor,
    *,
    groups: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Negatives:
    """Draw a wrong text for each image and then a wrong image for each text, the alike ones likely.

    A pair's probability is the softmax of its similarity over all that do not fit. What fits
    everything, as one image with one text does, gets no negative.

    Args:
        similarities: (B, B) of image i and text j, cosines divided by the temperature.
        groups: (B,) integers; image i and text j fit if their groups are equal. None means that
            they fit only if i = j.
        generator: None means torch's own.
    """
    device = similarities.device
    names = torch.arange(len(similarities), device=device) if groups is None else groups
    fitting = names[:, None] == names[None]
    images, texts = _draw(similarities, fitting, generator)
    texts_too, images_too = _draw(similarities.T, fitting, generator)
    return Negatives(torch.cat([images, images_too]), torch.cat([texts, texts_too]))


def _draw(
    similarities: Tensor, fitting: Tensor, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Return the rows (M,) that have a column that does not fit, and one drawn for each (M,)."""
    rows = (~fitting).any(1).nonzero().squeeze(1)
    if not len(rows):
        return rows, rows
    scores = similarities.detach().float().masked_fill(fitting, -torch.inf)[rows]
    weights = scores.softmax(1)
    drawn = torch.multinomial(
        weights if generator is None else weights.to(generator.device), 1, generator=generator
    )
    return rows, drawn.squeeze(1).to(rows.device)


def _share_cross_attention(ours: TextLayer, theirs: TextLayer) -> None:
    """Use another layer's cross-attention, but for projections of memories of another width."""
    own, other = ours.crossattention.self, theirs.crossattention.self
    for name in ("query", "key", "value"):
        if getattr(own, name).weight.shape == getattr(other, name).weight.shape:
            setattr(own, name, getattr(other, name))
    ours.crossattention.output = theirs.crossattention.output
