"""BERT's lower-casing wordpiece tokenizer, for prompts and for captions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from grounded_ram.errors import WeightsError


class WordPieces:
    """The tokens of a ``vocab.txt``, and texts cut into them.

    Args:
        vocab: the vocabulary file, one token a line.
        needed: tokens that it must have, besides [UNK].

    Raises:
        WeightsError: the file lacks one of them.
    """

    def __init__(self, vocab: Path, needed: Sequence[str]) -> None:
        self.ids: dict[str, int] = WordPiece.read_file(str(vocab))
        if absent := [token for token in ("[UNK]", *needed) if token not in self.ids]:
            raise WeightsError(f"{vocab} is no BERT vocabulary: it lacks {' '.join(absent)}")
        self._tokenizer = Tokenizer(WordPiece(self.ids, unk_token="[UNK]"))
        self._tokenizer.normalizer = BertNormalizer(lowercase=True)
        self._tokenizer.pre_tokenizer = BertPreTokenizer()

    def __len__(self) -> int:
        return len(self.ids)

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, without [CLS] and [SEP]; what looks like them is text."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)
