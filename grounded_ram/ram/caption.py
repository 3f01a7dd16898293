"""Captions as text: tags and captions as token ids, and the search for the likeliest caption.

The search is that of transformers 4.25.1, with which the official captions were made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from grounded_ram.errors import InputError
from grounded_ram.ram.bert import TextDecoder
from grounded_ram.wordpieces import WordPieces

PROMPT = "a picture of "
"""What every caption begins with inside the network; readers do not see it."""

MAX_TOKENS = 40
"""Tokens of a list of tags, and of a caption in training; what is beyond is cut off."""


class TagInputs(NamedTuple):
    """B lists of tags as the tag encoder reads them."""

    ids: Tensor
    """(B, 40) token ids: [ENC], the tags with "|" between them, [SEP], padding."""
    real: Tensor
    """(B, 40) bool, False on padding."""


class CaptionTokenizer(WordPieces):
    """Tags and captions as token ids; [DEC] and [ENC] come after the vocabulary's last line.

    Args:
        vocab: the vocabulary file, one token a line.

    Raises:
        WeightsError: the file lacks a token that texts are built with.
    """

    def __init__(self, vocab: Path) -> None:
        super().__init__(vocab, ("[PAD]", "[CLS]", "[SEP]", "[MASK]"))
        self.pad_id = self.ids["[PAD]"]
        self.sep_id = self.ids["[SEP]"]
        self.dec_id = len(self.ids)
        self.enc_id = len(self.ids) + 1
        self.prompt_ids = [self.dec_id, *self.encode(PROMPT)]
        unwritten = {self.ids[name] for name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")}
        self._tokens = {i: token for token, i in self.ids.items() if i not in unwritten}

    def __len__(self) -> int:
        return len(self.ids) + 2

    def tag_inputs(self, tags: Sequence[Sequence[str]]) -> TagInputs:
        """Return B lists of tag names as the tag encoder reads them, in the order given."""
        ids = torch.full((len(tags), MAX_TOKENS), self.pad_id)
        real = torch.zeros_like(ids, dtype=torch.bool)
        for i, names in enumerate(tags):
            row = self._row(self.enc_id, " | ".join(names))
            ids[i, : len(row)] = torch.tensor(row)
            real[i, : len(row)] = True
        return TagInputs(ids, real)

    def caption_ids(self, captions: Sequence[str]) -> Tensor:
        """Return B captions as the decoder learns them: (B, L) ids, the prompt before each."""
        rows = [self._row(self.dec_id, PROMPT + caption) for caption in captions]
        longest = max(map(len, rows), default=0)
        return torch.tensor([row + [self.pad_id] * (longest - len(row)) for row in rows])

    def caption(self, ids: Sequence[int]) -> str:
        """Return the caption that token ids spell, without the prompt and special tokens."""
        text = " ".join(self._tokens[i] for i in ids if i in self._tokens).replace(" ##", "")
        for mark in (".", "?", "!", ","):
            text = text.replace(f" {mark}", mark)
        text = text.replace(" ' ", "'")
        for ending in ("n't", "'m", "'s", "'ve", "'re"):
            text = text.replace(f" {ending}", ending)
        return text[len(PROMPT) :]

    def _row(self, first: int, text: str) -> list[int]:
        return [first, *self.encode(text)[: MAX_TOKENS - 2], self.sep_id]


@dataclass(frozen=True, kw_only=True)
class Search:
    """How captions are searched for.

    Raises:
        InputError: a number is out of its range.
    """

    num_beams: int = 3
    """Unfinished captions kept at each step; 1 takes the likeliest token each time."""
    max_length: int = 50
    """Tokens of the longest caption, the prompt's four and the final [SEP] included."""
    min_length: int = 10
    """Tokens, the prompt's four included, before which no caption ends."""
    repetition_penalty: float = 1.0
    """Above 1: how much less likely a token is that was written before (Keskar et al., 2019)."""

    def __post_init__(self) -> None:
        if self.num_beams < 1:
            raise InputError(f"num_beams must be at least 1, got {self.num_beams}")
        if self.min_length > self.max_length:
            raise InputError(
                f"min_length must not exceed max_length, got {self.min_length} and "
                f"{self.max_length}"
            )
        if self.repetition_penalty <= 0:
            raise InputError(f"repetition_penalty must be above 0, got {self.repetition_penalty}")


def generate(
    decoder: TextDecoder, memory: Tensor, prompt: Sequence[int], end: int, search: Search
) -> list[list[int]]:
    """Return the token ids of B texts: the prompt, what follows, and ``end`` if it was reached.

    Args:
        decoder: writes the texts.
        memory: (B, T, width), what each text is about.
        prompt: token ids that every text begins with.
        end: id of the token that ends a text.
        search: how to search.

    Raises:
        InputError: max_length leaves no room after the prompt, or is more than the decoder knows.
    """
    if not len(prompt) < search.max_length <= decoder.config.max_positions:
        raise InputError(
            f"max_length must be above {len(prompt)}, the prompt's tokens, and at most "
            f"{decoder.config.max_positions}, got {search.max_length}"
        )
    if not len(memory):
        return []
    words = torch.tensor([prompt] * len(memory), device=memory.device)
    find = _greedy if search.num_beams == 1 else _beam_search
    return find(decoder, memory, words, end, search)


def _greedy(
    decoder: TextDecoder, memory: Tensor, words: Tensor, end: int, search: Search
) -> list[list[int]]:
    """Take the likeliest token each time, for words (B, t)."""
    new, written = words, decoder.start(memory)
    while words.shape[1] < search.max_length and not (words == end).any(1).all():
        logits, written = decoder.step(new, written)
        new = _weighed(logits.float(), words, end, search).argmax(1, keepdim=True)
        words = torch.cat([words, new], 1)
    texts: list[list[int]] = words.tolist()
    return [row[: row.index(end) + 1] if end in row else row for row in texts]


def _beam_search(
    decoder: TextDecoder, memory: Tensor, words: Tensor, end: int, search: Search
) -> list[list[int]]:
    """Keep the likeliest unfinished texts of each memory, at first one: words (B, t)."""
    finished = [_Finished(search.num_beams) for _ in memory]
    totals = torch.zeros(len(memory), device=memory.device)
    new, written = words, decoder.start(memory)
    while words.shape[1] < search.max_length and not all(texts.closed for texts in finished):
        logits, written = decoder.step(new, written)
        scores = _weighed(logits.float().log_softmax(1), words, end, search) + totals[:, None]
        beams = _beams(scores, words, end, finished)
        picked = torch.tensor([beam.row for beam in beams], device=memory.device)
        new = torch.tensor([[beam.token] for beam in beams], device=memory.device)
        totals = torch.tensor([beam.total for beam in beams], device=memory.device)
        words, written = torch.cat([words[picked], new], 1), written.take(picked)
    for i, (row, total) in enumerate(zip(words.tolist(), totals.tolist(), strict=True)):
        finished[i // search.num_beams].add(row, total)
    found = [texts.best() for texts in finished]
    return [[*row, end] if len(row) < search.max_length else row for row in found]


class _Beam(NamedTuple):
    """A text that goes on: the row of its words, its next token, its log-probability."""

    row: int
    token: int
    total: float


def _beams(scores: Tensor, words: Tensor, end: int, finished: Sequence[_Finished]) -> list[_Beam]:
    """Return the beams of the next step, those of each text beside each other.

    Args:
        scores: (B * n, V) log-probabilities of the n beams of each of B texts and a further token.
        words: (B * n, t) their tokens so far.
        end: id of the token that ends a text.
        finished: of each text, what has ended; what ends now is added.
    """
    n, vocabulary = len(words) // len(finished), scores.shape[1]
    kept = finished[0].room
    # Twice as many as are kept: so many go on even if every beam ends now.
    best, cells = scores.reshape(len(finished), -1).topk(2 * kept)
    beams: list[_Beam] = []
    for i, texts in enumerate(finished):
        ranked = [
            _Beam(i * n + cell // vocabulary, cell % vocabulary, total)
            for total, cell in zip(best[i].tolist(), cells[i].tolist(), strict=True)
        ]
        for beam in ranked[:kept]:
            if beam.token == end:
                texts.add(words[beam.row].tolist(), beam.total)
        texts.close_if_settled(ranked[0].total, words.shape[1])
        beams += [beam for beam in ranked if beam.token != end][:kept]
    return beams


@dataclass
class _Finished:
    """The best texts of one memory that have ended, best last: (score, token ids without end)."""

    room: int
    texts: list[tuple[float, list[int]]] = field(default_factory=list)
    closed: bool = False

    def add(self, row: list[int], total: float) -> None:
        """Add a text by its log-probability, unless closed; there is room for the best only."""
        if not self.closed:
            every = [*self.texts, (total / len(row), row)]
            self.texts = sorted(every, key=lambda text: text[0])[-self.room :]

    def close_if_settled(self, best_total: float, length: int) -> None:
        """Close when no beam beats what has ended, were it to end now.

        The length is one token short, as in that version of transformers: captions depend on it.
        """
        full = len(self.texts) == self.room
        self.closed |= full and self.texts[0][0] >= best_total / length

    def best(self) -> list[int]:
        """Return the best text."""
        return self.texts[-1][1]


def _weighed(scores: Tensor, words: Tensor, end: int, search: Search) -> Tensor:
    """Return (N, V) scores of the next token after words (N, t), less what the search rules out."""
    penalty = search.repetition_penalty
    said = scores.gather(1, words)
    scores = scores.scatter(1, words, torch.where(said < 0, said * penalty, said / penalty))
    if words.shape[1] < search.min_length:
        scores = scores.index_fill(1, torch.tensor([end], device=scores.device), -math.inf)
    return scores
