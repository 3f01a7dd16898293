from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from grounded_ram.detection.config import BertConfig
from grounded_ram.detection.text import PromptBatch, PromptTokenizer, TextEncoder
from grounded_ram.errors import WeightsError


def whole(tokenizer: PromptTokenizer, text: str) -> list[int]:
    return [tokenizer.cls_id, *tokenizer.encode(text), tokenizer.sep_id]


def test_masks_and_positions_of_the_golden_batch(
    case: Path, tokenizer: PromptTokenizer, captions: list[str]
) -> None:
    stored = np.load(case / "inputs.npz")
    batch = tokenizer.batch([whole(tokenizer, caption) for caption in captions])
    np.testing.assert_array_equal(batch.ids, stored["input_ids"])
    np.testing.assert_array_equal(batch.sees, stored["text_self_attention_masks"])
    np.testing.assert_array_equal(batch.positions, stored["text_position_ids"])
    assert batch.real.sum(1).tolist() == [14, 12]


def test_full_vocabulary_gives_the_official_ids_masks_and_positions(shared: Path) -> None:
    stored = json.loads((shared / "golden/tokenizer/outputs.json").read_text("utf-8"))
    tokenizer = PromptTokenizer(shared / "golden/bert-base-uncased-vocab.txt")
    assert len(stored["grounding_dino"]) > 5
    for row in stored["grounding_dino"]:
        batch = tokenizer.batch([whole(tokenizer, row["caption"])])
        assert batch.ids.tolist() == [row["input_ids"]]
        if tokenizer.dot_id == row["input_ids"][-2]:  # what follows the last stop is not ours
            assert batch.positions.tolist() == [row["position_ids"]]
            assert batch.sees[0].int().tolist() == row["attention_mask_rows"]
    plain = {text: ids for text, ids in stored["plain"].items() if "[" not in text}
    assert len(plain) > 10
    for text, expected in plain.items():
        assert whole(tokenizer, text) == expected


def test_blocks_equal_a_walk_over_the_tokens(tokenizer: PromptTokenizer) -> None:
    stop, question = tokenizer.block_ends[2:]
    prompts = [
        [tokenizer.cls_id, 200, 201, stop, 202, question, 203, 204, 205, stop, tokenizer.sep_id],
        [tokenizer.cls_id, 200, stop, tokenizer.sep_id],
        [tokenizer.cls_id, stop, stop, tokenizer.sep_id],
    ]
    batch = tokenizer.batch(prompts)
    for row, ids in enumerate(prompts):
        sees = np.eye(batch.ids.shape[1], dtype=bool)
        positions = np.zeros(batch.ids.shape[1], int)
        start = 0
        for place, token in enumerate(ids):
            positions[place] = place - start
            if token in tokenizer.block_ends:
                sees[start : place + 1, start : place + 1] = True
                start = place + 1
        np.testing.assert_array_equal(batch.sees[row], sees)
        np.testing.assert_array_equal(batch.positions[row], positions)


def test_padding_id_inside_the_block_ends_ends_nothing() -> None:
    ids = torch.tensor([[7, 5, 9, 7, 0, 0]])
    batch = PromptBatch.of(ids, torch.tensor([[True] * 4 + [False] * 2]), (0, 7, 9))
    assert batch.positions.tolist() == [[0, 0, 1, 0, 0, 0]]
    assert batch.sees[0, 4:].int().tolist() == [[0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1]]


def test_vocabulary_without_a_full_stop_is_refused(tmp_path: Path) -> None:
    vocab = tmp_path / "vocab.txt"
    vocab.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n?\ncar\n", encoding="utf-8")
    with pytest.raises(WeightsError, match=r"vocab\.txt is no BERT vocabulary: it lacks \.$"):
        PromptTokenizer(vocab)


def test_tokens_feel_their_own_block_only(tokenizer: PromptTokenizer) -> None:
    torch.manual_seed(0)
    sizes = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=16,
    )
    encoder = TextEncoder(sizes).eval()
    with torch.inference_mode():
        one = encoder(tokenizer.batch([whole(tokenizer, "dog . train .")]))
        two = encoder(
            tokenizer.batch([whole(tokenizer, t) for t in ("fire hydrant . train .", "dog .")])
        )
    assert one.shape == (1, 6, 32)
    torch.testing.assert_close(one[0, 3:5], two[0, -3:-1])  # train .
    torch.testing.assert_close(one[0, 1:3], two[1, 1:3])  # dog .
    assert (one[0, 1] - one[0, 3]).abs().max() > 0.1
