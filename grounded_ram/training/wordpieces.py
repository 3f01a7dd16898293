"""The word list of the tiny preset's text encoder."""

from __future__ import annotations

import string
from pathlib import Path

from grounded_ram.scenes.catalog import FURTHER, PLAIN

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", "-", "'", ",", "&", "/")


def write_wordpieces(path: Path) -> int:
    """Write a BERT ``vocab.txt``: every word of the picture book, and letters to spell any other.

    Returns:
        The number of tokens.
    """
    words = sorted({word for name in PLAIN for word in name.split()})
    letters = [*string.ascii_lowercase, *string.digits]
    tokens = [*_SPECIAL, *words, *letters, *(f"##{letter}" for letter in letters), *FURTHER]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(tokens) + "\n", encoding="utf-8")
    return len(tokens)
