"""Tags to prompts and back: which tokens belong to which tag, and how well a tag fits a box.

A prompt is ``car . race car . tree .``: every tag owns the tokens between two full stops, its span.
The score of a tag for a box is taken over its span alone, so a label is always one of the tags that
were asked for, also where names share words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from grounded_ram.errors import InputError

_UNSAFE = re.compile(r"[.?\[\]]")
"""A full stop or question mark would end the tag; brackets could spell [SEP]."""


class Tokenizer(Protocol):
    """What prompts need of a tokenizer; a tag's tokens must not depend on the tags around it."""

    cls_id: int
    sep_id: int
    dot_id: int

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, without [CLS] and [SEP]."""
        ...


@dataclass(frozen=True)
class Prompt:
    """One prompt and where each of its tags is.

    Args:
        rows: T rows of the tag list that the prompt was made from.
        spans: T pairs (first, past the last) of token places; the full stop is not in the span.
        ids: L token ids, from [CLS] to [SEP].
    """

    rows: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    ids: tuple[int, ...]


def prompt_text(name: str) -> str:
    """Return a tag's name as it is written in a prompt.

    Lower case, one way of writing each character (NFKC), single spaces, and a space for what would
    break the prompt. The name itself, as results show it, is kept by the caller.
    """
    plain = unicodedata.normalize("NFKC", name).lower()
    return " ".join(_UNSAFE.sub(" ", plain).split())


def make_prompts(
    names: Sequence[str], tokenizer: Tokenizer, *, max_tokens: int = 256, max_tag_tokens: int = 510
) -> list[Prompt]:
    """Put every name into a prompt, in the order given: as few prompts as will do, of like length.

    Args:
        names: N tag names; N may be 0.
        tokenizer: the text encoder's own.
        max_tokens: longest prompt, [CLS] and [SEP] counted.
        max_tag_tokens: longest tag; the text encoder counts its positions anew in each.

    Raises:
        InputError: a name has no text for the tokenizer, or is too long by itself.
    """
    longest = min(max_tag_tokens, max_tokens - 3)  # [CLS], the full stop and [SEP]
    words = []
    for name in names:
        tokens = tokenizer.encode(prompt_text(name))
        if not tokens:
            raise InputError(f"tag {name!r} has no text that a prompt can hold; leave it out")
        if len(tokens) > longest:
            raise InputError(
                f"tag {name!r} is {len(tokens)} tokens long, at most {longest} fit; shorten it"
            )
        words.append(tokens)
    groups = _balanced([len(tokens) + 1 for tokens in words], max_tokens - 2)
    return [_prompt(group, words, tokenizer) for group in groups]


def tag_scores(
    probabilities: NDArray[np.float32], spans: Sequence[tuple[int, int]]
) -> NDArray[np.float32]:
    """Score each tag for each query: the mean over the tag's own tokens.

    The mean, because the network is trained to raise every token of the right tag: by the maximum,
    "race car" would score on the word "car" alone, and the product falls with every further word,
    so that one threshold would not serve tags of unlike length.

    Args:
        probabilities: (Q, L) sigmoid of the token logits.
        spans: T spans, each of one token or more.

    Returns:
        (Q, T) scores in [0, 1].
    """
    scores = np.empty((len(probabilities), len(spans)), np.float32)
    for column, (start, end) in enumerate(spans):
        scores[:, column] = probabilities[:, start:end].mean(axis=1)
    return scores


def _prompt(rows: range, words: Sequence[Sequence[int]], tokenizer: Tokenizer) -> Prompt:
    ids, spans = [tokenizer.cls_id], []
    for row in rows:
        spans.append((len(ids), len(ids) + len(words[row])))
        ids += [*words[row], tokenizer.dot_id]
    return Prompt(tuple(rows), tuple(spans), (*ids, tokenizer.sep_id))


def _balanced(sizes: Sequence[int], room: int) -> list[range]:
    """Cut a row of sizes into the fewest groups that fit ``room``, and the largest small."""
    fewest = len(_filled(sizes, room))
    low, high = max(sizes, default=0), room
    while low < high:
        middle = (low + high) // 2
        if len(_filled(sizes, middle)) == fewest:
            high = middle
        else:
            low = middle + 1
    return _filled(sizes, high)


def _filled(sizes: Sequence[int], room: int) -> list[range]:
    """Fill groups one after another; each size fits ``room``."""
    groups, start, used = [], 0, 0
    for row, size in enumerate(sizes):
        if used + size > room:
            groups.append(range(start, row))
            start, used = row, 0
        used += size
    return [*groups, range(start, len(sizes))] if sizes else []
