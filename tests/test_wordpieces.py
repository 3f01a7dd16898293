from __future__ import annotations

from pathlib import Path

import pytest

from grounded_ram.errors import WeightsError
from grounded_ram.wordpieces import WordPieces


@pytest.fixture
def vocab(tmp_path: Path) -> Path:
    path = tmp_path / "vocab.txt"
    path.write_text("[PAD]\n[UNK]\n[SEP]\ncar\n##s\ncafe\n-\n[\nsep\n]\n", "utf-8")
    return path


def test_a_text_is_cut_into_the_longest_known_pieces(vocab: Path) -> None:
    pieces = WordPieces(vocab, ["[PAD]"])
    assert len(pieces) == 10
    assert pieces.encode("Cars - Café\tbus") == [3, 4, 6, 5, 1]
    assert pieces.encode("") == []


def test_what_looks_like_a_control_token_is_text(vocab: Path) -> None:
    assert WordPieces(vocab, []).encode("[SEP]") == [7, 8, 9]


def test_ids_are_the_lines(vocab: Path) -> None:
    assert WordPieces(vocab, []).ids["##s"] == 4


def test_a_vocabulary_without_a_needed_token_is_refused(vocab: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"vocab\.txt is no BERT vocabulary: it lacks \[CLS\] \.$"
    ):
        WordPieces(vocab, ["[CLS]", "[PAD]", "."])
