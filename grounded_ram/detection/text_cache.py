"""Text features of prompts, put together from blocks that are computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from grounded_ram.detection.text import PromptBatch

Block = tuple[int, ...]
"""Token ids: those of a tag and its full stop, or [CLS] alone, or [SEP] alone."""

Encode = Callable[[Sequence[Block]], Tensor]


class TextCache:
    """Keeps what the text encoder made of each block of a prompt.

    BERT attends within a block and counts positions anew in each, so what it makes of a tag
    depends on the tag alone, as long as the weights stay what they are. Each block is computed by
    itself and never beside others, whose number would change last digits: the features are the
    same to the bit whatever was asked before, and whatever else is asked.

    Threads may share it. A copy, also a pickled one, starts empty and is of the copied network.

    Args:
        encode: returns the (B, n, C) features of B blocks of n tokens.
        kept: blocks kept, those asked for last; with C = 256 one takes about 4 KiB.
    """

    def __init__(self, encode: Encode, kept: int = 8192) -> None:
        self._made_of = encode, kept
        self._encoded = lru_cache(kept)(partial(_alone, encode))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._made_of

    @torch.inference_mode()
    def features(self, prompts: PromptBatch) -> Tensor:
        """Return (B, L, C) features of the prompts' tokens, 0 on padding; without gradients."""
        rows = zip(prompts.ids, prompts.positions, prompts.real, strict=True)
        return pad_sequence(
            [
                torch.cat([self._encoded(block) for block in _blocks(ids[real], positions[real])])
                for ids, positions, real in rows
            ],
            batch_first=True,
        )


def _alone(encode: Encode, block: Block) -> Tensor:
    """Return the (n, C) features of a block.

    It keeps itself company, since the product of one row and a matrix is computed in another way,
    whose last digits depend on where in memory the weights happen to lie.
    """
    return encode([block, block])[0].clone()  # not a view, which would keep both


def _blocks(ids: Tensor, positions: Tensor) -> list[Block]:
    """Cut one prompt's token ids where positions start anew."""
    tokens = ids.tolist()
    starts = [place for place, position in enumerate(positions.tolist()) if position == 0]
    return [tuple(tokens[start:end]) for start, end in pairwise([*starts, len(tokens)])]
