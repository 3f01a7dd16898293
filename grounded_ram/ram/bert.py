"""The two text networks that write captions: a tag encoder and a word decoder, both BERT-like.

The tag encoder reads the tags while it looks at the image; the decoder writes token after token
while it looks at what the tag encoder made (Tag2Text, section 3). Their layers are
those of the tagging head with self-attention before them. The attribute names spell the official
keys: ``tag_encoder.encoder.layer.I.attention.self.query``, ``text_decoder.bert.embeddings.*`` etc.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from grounded_ram.ram.tag_decoder import (
    LAYER_NORM_EPS,
    AddAndNorm,
    AttentionProjections,
    CrossAttention,
    HeadSizes,
    Intermediate,
    KeysValues,
    TagDecoder,
    TagDecoderLayer,
)


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """Sizes of the text networks; the defaults are those of the official Tag2Text and RAM.

    Their other sizes are the tagging head's, with which the tag encoder shares weights.
    """

    vocab_size: int = 30524
    """Tokens: the lines of the vocabulary, then [DEC] and [ENC]."""
    max_positions: int = 512
    """Tokens of the longest text."""
    layers: int = 12
    """Layers of each of the two networks."""
    heads: int = 12
    """Attention heads of each layer."""


class SelfAttention(nn.Module):
    """Attention of a text's tokens to each other, with its residual."""

    def __init__(self, sizes: HeadSizes) -> None:
        super().__init__()
        self.self = AttentionProjections(replace(sizes, memory_dim=sizes.width))
        self.output = AddAndNorm(sizes.width, sizes)

    def forward(
        self, x: Tensor, past: KeysValues | None, sees: Tensor
    ) -> tuple[Tensor, KeysValues]:
        """Return (N, L, width) for L tokens x, and the keys and values of all T tokens.

        Args:
            x: (N, L, width).
            past: keys and values of the T - L tokens before them; None means that there are none.
            sees: bool that broadcasts to (N, heads, L, T), True where a token may attend.
        """
        read = self.self.read(x)
        if past is not None:
            read = KeysValues(*(torch.cat(pair, dim=2) for pair in zip(past, read, strict=True)))
        return self.output(self.self.attend(x, read, sees), x), read


class TextLayer(nn.Module):
    """Self-attention, cross-attention and the feed-forward network, a LayerNorm after each."""

    def __init__(self, sizes: HeadSizes) -> None:
        super().__init__()
        self.attention = SelfAttention(sizes)
        self.crossattention = CrossAttention(sizes)
        self.intermediate = Intermediate(sizes)
        self.output = AddAndNorm(sizes.ffn, sizes)

    def forward(
        self, x: Tensor, past: KeysValues | None, memory: KeysValues, sees: Tensor
    ) -> tuple[Tensor, KeysValues]:
        """Return (N, L, width) for L tokens x, and the keys and values of all T tokens.

        Args:
            x: (N, L, width).
            past: keys and values of the T - L tokens before them; None means that there are none.
            memory: keys and values of B memories; N / B neighbouring texts look at the same one.
            sees: bool that broadcasts to (N, heads, L, T), True where a token may attend.
        """
        x, read = self.attention(x, past, sees)
        of_one_memory = x.reshape(len(memory.keys), -1, x.shape[-1])
        attended = self.crossattention.look(of_one_memory, memory)
        return self.output(self.intermediate(attended), attended).reshape(x.shape), read

    def share(self, layer: TagDecoderLayer) -> None:
        """Use another layer's cross-attention and feed-forward weights; the heads stay our own."""
        for name in ("query", "key", "value"):
            setattr(self.crossattention.self, name, getattr(layer.crossattention.self, name))
        self.crossattention.output = layer.crossattention.output
        self.intermediate = layer.intermediate
        self.output = layer.output


class Embeddings(nn.Module):
    """Words plus places, normalised."""

    def __init__(self, config: TextConfig, sizes: HeadSizes) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, sizes.width)
        self.position_embeddings = nn.Embedding(config.max_positions, sizes.width)
        self.LayerNorm = nn.LayerNorm(sizes.width, eps=LAYER_NORM_EPS)
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, ids: Tensor, start: int = 0) -> Tensor:
        """Return (N, L, width) for token ids (N, L), the first of them at place ``start``."""
        places = self.position_embeddings.weight[start : start + ids.shape[1]]
        out: Tensor = self.dropout(self.LayerNorm(self.word_embeddings(ids) + places))
        return out


class TextLayers(nn.Module):
    """The layers, under the official name ``layer``."""

    def __init__(self, sizes: HeadSizes) -> None:
        super().__init__()
        self.layer = nn.ModuleList(TextLayer(sizes) for _ in range(sizes.layers))


class Written(NamedTuple):
    """What a text network need not compute again: N texts so far, over B memories."""

    words: list[KeysValues]
    """For each layer, keys and values of the N texts' tokens; empty before the first token."""
    memory: list[KeysValues]
    """For each layer, keys and values of the B memories."""

    @property
    def length(self) -> int:
        """Tokens of each text."""
        return self.words[0].keys.shape[2] if self.words else 0

    def take(self, rows: Tensor) -> Written:
        """Return the texts in the given rows (M,), those of one memory beside each other."""
        words = [KeysValues(*(x.index_select(0, rows) for x in read)) for read in self.words]
        return Written(words, self.memory)


class TextNetwork(nn.Module):
    """Embeddings and layers over a memory: all of the tag encoder, most of the decoder."""

    def __init__(self, config: TextConfig, sizes: HeadSizes) -> None:
        super().__init__()
        self.embeddings = Embeddings(config, sizes)
        self.encoder = TextLayers(sizes)
        self.apply(_init_weights)

    @property
    def layers(self) -> list[TextLayer]:
        """The layers, the first one first."""
        return cast("list[TextLayer]", list(self.encoder.layer))

    def start(self, memory: Tensor) -> Written:
        """Return texts without a token over memory (B, T, memory_dim)."""
        return Written([], [layer.crossattention.self.read(memory) for layer in self.layers])

    def go_on(self, ids: Tensor, written: Written, sees: Tensor) -> tuple[Tensor, Written]:
        """Return (N, L, width) features of L further tokens, and the texts with them.

        Args:
            ids: (N, L) token ids.
            written: the texts before them.
            sees: bool that broadcasts to (N, heads, L, T), True where a token may attend.
        """
        x: Tensor = self.embeddings(ids, written.length)
        words = []
        for i, layer in enumerate(self.layers):
            past = written.words[i] if written.words else None
            x, read = layer(x, past, written.memory[i], sees)
            words.append(read)
        return x, Written(words, written.memory)


class TagEncoder(TextNetwork):
    """Reads tags while it looks at the image; official keys ``tag_encoder.*``.

    Args:
        config: sizes of the text networks.
        head: sizes of the tagging head.
        tagging_head: the first layers here use the cross-attention and feed-forward weights of its
            layers (Tag2Text, section 3), split over ``config.heads`` heads.
    """

    def __init__(self, config: TextConfig, head: HeadSizes, tagging_head: TagDecoder) -> None:
        super().__init__(config, replace(head, layers=config.layers, heads=config.heads))
        for ours, theirs in zip(self.layers, tagging_head.layers, strict=False):
            ours.share(theirs)

    def forward(self, ids: Tensor, real: Tensor, image_tokens: Tensor) -> Tensor:
        """Return (B, L, width) features of B lists of tags, each with its image in mind.

        Args:
            ids: (B, L) token ids.
            real: (B, L) bool, False on padding: no token attends to it, yet it has features too.
            image_tokens: (B, T, memory_dim).
        """
        features, _ = self.go_on(ids, self.start(image_tokens), real[:, None, None])
        return features


class Transform(nn.Module):
    """The last layer before the words; official keys ``cls.predictions.transform.*``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.LayerNorm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., width) for x (..., width)."""
        out: Tensor = self.LayerNorm(functional.gelu(self.dense(x)))
        return out


class Predictions(nn.Module):
    """A logit for each word; the output matrix is the word embedding."""

    def __init__(self, words: nn.Embedding) -> None:
        super().__init__()
        self.transform = Transform(words.embedding_dim)
        self.decoder = nn.Linear(words.embedding_dim, words.num_embeddings)
        self.apply(_init_weights)
        self.decoder.weight = words.weight
        self.bias = self.decoder.bias  # a second name that official checkpoints have

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., vocab_size) logits for x (..., width)."""
        out: Tensor = self.decoder(self.transform(x))
        return out


class TextDecoder(nn.Module):
    """Writes while it looks at the tag encoder's features; official keys ``text_decoder.*``."""

    def __init__(self, config: TextConfig, head: HeadSizes) -> None:
        super().__init__()
        self.config = config
        sizes = replace(head, layers=config.layers, heads=config.heads, memory_dim=head.width)
        self.bert = TextNetwork(config, sizes)
        self.cls = nn.ModuleDict({"predictions": Predictions(self.bert.embeddings.word_embeddings)})

    def forward(self, ids: Tensor, memory: Tensor) -> Tensor:
        """Return (B, L, vocab_size): at each token, the logits of the one that follows it.

        Padding at the end needs no mask: no token attends to a later one.

        Args:
            ids: (B, L) token ids.
            memory: (B, T, width) features of tags.
        """
        features, _ = self._go_on(ids, self.start(memory))
        logits: Tensor = self.cls["predictions"](features)
        return logits

    def start(self, memory: Tensor) -> Written:
        """Return texts without a token over features of tags (B, T, width)."""
        return self.bert.start(memory)

    def step(self, ids: Tensor, written: Written) -> tuple[Tensor, Written]:
        """Return (N, vocab_size) logits of the token after L further ones, and the texts with them.

        Args:
            ids: (N, L) token ids, N a multiple of the number of memories: neighbouring texts look
                at the same one.
            written: the texts before them.
        """
        features, written = self._go_on(ids, written)
        logits: Tensor = self.cls["predictions"](features[:, -1])
        return logits, written

    def _go_on(self, ids: Tensor, written: Written) -> tuple[Tensor, Written]:
        new, past = ids.shape[1], written.length
        sees = torch.ones(new, past + new, dtype=torch.bool, device=ids.device).tril(past)
        return self.bert.go_on(ids, written, sees)


def _init_weights(module: nn.Module) -> None:
    """Give linear layers and embeddings the start that BERT is trained from."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
