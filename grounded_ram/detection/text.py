"""Prompts as the network reads them: wordpiece ids, the blocks that may see each other, BERT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import transformers
from torch import Tensor, nn

from grounded_ram.detection.config import BertConfig
from grounded_ram.wordpieces import WordPieces


class PromptTokenizer(WordPieces):
    """Prompts as token ids, and batches of them.

    Args:
        vocab: the vocabulary file, one token a line.

    Raises:
        WeightsError: the file lacks a token that prompts are built with.
    """

    def __init__(self, vocab: Path) -> None:
        super().__init__(vocab, ("[PAD]", "[CLS]", "[SEP]", ".", "?"))
        self.pad_id = self.ids["[PAD]"]
        self.cls_id = self.ids["[CLS]"]
        self.sep_id = self.ids["[SEP]"]
        self.dot_id = self.ids["."]
        self.block_ends = (self.cls_id, self.sep_id, self.dot_id, self.ids["?"])

    def batch(self, prompts: Sequence[Sequence[int]]) -> PromptBatch:
        """Pad B prompts of token ids, [CLS] and [SEP] included, to one length."""
        longest = max(len(ids) for ids in prompts)
        padded = [[*ids, *[self.pad_id] * (longest - len(ids))] for ids in prompts]
        real = [[True] * len(ids) + [False] * (longest - len(ids)) for ids in prompts]
        return PromptBatch.of(torch.tensor(padded), torch.tensor(real), self.block_ends)


@dataclass(frozen=True, eq=False)
class PromptBatch:
    """B prompts of L tokens.

    Args:
        ids: (B, L) token ids.
        real: (B, L) bool, False on padding.
        sees: (B, L, L) bool, True where one token may attend to another: within one tag.
        positions: (B, L) place of a token within its tag.
    """

    ids: Tensor
    real: Tensor
    sees: Tensor
    positions: Tensor

    @classmethod
    def of(cls, ids: Tensor, real: Tensor, block_ends: Sequence[int]) -> PromptBatch:
        """Cut token ids into blocks: one ends with each token of ``block_ends``."""
        ends = torch.isin(ids, torch.tensor(block_ends)) & real
        place = torch.arange(ids.shape[1]).expand_as(ids)
        last_end = torch.where(ends, place, -1).cummax(1).values
        before = torch.cat([torch.full_like(ids[:, :1], -1), last_end[:, :-1]], 1)
        same_block = before[:, :, None] == before[:, None, :]
        both_real = real[:, :, None] & real[:, None, :]
        itself = torch.eye(ids.shape[1], dtype=torch.bool)
        positions = torch.where(real, place - before - 1, 0)
        return cls(ids, real, same_block & both_real | itself, positions)

    def to(self, device: torch.device) -> PromptBatch:
        """Move to a device."""
        moved = (t.to(device) for t in (self.ids, self.real, self.sees, self.positions))
        return PromptBatch(*moved)


class TextEncoder(nn.Module):
    """BERT that attends within the blocks of a prompt; built from sizes, nothing is downloaded.

    ``transformers`` builds the parts; calling them one by one, with a ready-made additive mask,
    works on both sides of its version 5.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        sizes = asdict(config)
        dropout = sizes.pop("dropout")
        sizes |= {
            "hidden_dropout_prob": dropout,
            "attention_probs_dropout_prob": dropout,
            "attn_implementation": "eager",
        }
        bert = transformers.BertModel(transformers.BertConfig(**sizes))
        self.embeddings = bert.embeddings
        self.encoder = bert.encoder
        self.pooler = bert.pooler  # unused, but the official checkpoints carry it

    def forward(self, prompts: PromptBatch) -> Tensor:
        """Return (B, L, hidden_size) token features."""
        embedded = self.embeddings(
            input_ids=prompts.ids,
            position_ids=prompts.positions,
            token_type_ids=torch.zeros_like(prompts.ids),
        )
        bias = torch.zeros_like(prompts.sees, dtype=embedded.dtype)
        bias = bias.masked_fill(~prompts.sees, torch.finfo(embedded.dtype).min)
        features: Tensor = self.encoder(embedded, attention_mask=bias[:, None])[0]
        return features
