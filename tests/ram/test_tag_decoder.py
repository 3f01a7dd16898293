from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from grounded_ram.errors import InputError
from grounded_ram.ram.tag_decoder import AttentionProjections, HeadSizes, TagDecoder

SIZES = HeadSizes(layers=2, width=12, memory_dim=10, heads=3, ffn=20, dropout=0.0)


def slow_attention(attention: AttentionProjections, query: Tensor, memory: Tensor) -> Tensor:
    """One query vector of one image, head by head."""
    q, k, v = attention.query(query), attention.key(memory), attention.value(memory)
    parts = []
    for head in range(3):
        cut = slice(4 * head, 4 * head + 4)
        weights = torch.exp(k[:, cut] @ q[cut] / math.sqrt(4))
        parts.append((weights / weights.sum()) @ v[:, cut])
    return torch.cat(parts)


def test_attention_equals_the_formula_head_by_head() -> None:
    torch.manual_seed(0)
    attention = AttentionProjections(SIZES)
    queries, memory = torch.randn(2, 4, 12), torch.randn(2, 7, 10)
    attended = attention(queries, memory)
    for image in range(2):
        for row in range(4):
            expected = slow_attention(attention, queries[image, row], memory[image])
            torch.testing.assert_close(attended[image, row], expected)


def test_a_label_does_not_depend_on_the_others() -> None:
    torch.manual_seed(0)
    decoder = TagDecoder(SIZES)
    queries, memory = torch.randn(1, 5, 12), torch.randn(1, 7, 10)
    torch.testing.assert_close(decoder(queries, memory)[:, 3:4], decoder(queries[:, 3:4], memory))


def test_no_labels_give_no_rows() -> None:
    assert TagDecoder(SIZES)(torch.zeros(2, 0, 12), torch.zeros(2, 7, 10)).shape == (2, 0, 12)


def test_dropout_is_for_training_only() -> None:
    torch.manual_seed(0)
    decoder = TagDecoder(dataclasses.replace(SIZES, dropout=0.5))
    queries, memory = torch.randn(1, 5, 12), torch.randn(1, 7, 10)
    for training in (True, False):
        decoder.train(training)
        same = torch.equal(decoder(queries, memory), decoder(queries, memory))
        assert same is not training


def test_a_width_that_does_not_split_is_refused() -> None:
    with pytest.raises(InputError, match="12 channels cannot be split over 5 heads"):
        dataclasses.replace(SIZES, heads=5)
