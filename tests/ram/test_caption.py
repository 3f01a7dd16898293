from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from grounded_ram.errors import InputError, WeightsError
from grounded_ram.ram.bert import TextConfig, TextDecoder
from grounded_ram.ram.caption import CaptionTokenizer, Search, generate
from grounded_ram.ram.tag_decoder import HeadSizes

END = 1
PROMPT = (2, 3)


@pytest.fixture(scope="module")
def decoder() -> TextDecoder:
    """A network whose every text is another, and ends at different lengths."""
    sizes = HeadSizes(layers=2, width=16, memory_dim=16, heads=2, ffn=32, dropout=0.0)
    network = TextDecoder(TextConfig(vocab_size=40, max_positions=20, layers=2, heads=2), sizes)
    torch.manual_seed(2)
    with torch.no_grad():
        for name, value in network.named_parameters():
            if "LayerNorm.weight" not in name:
                value.copy_(torch.randn(value.shape) * 0.3)
        network.cls["predictions"].bias[END] += 0.8
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def memory() -> Tensor:
    torch.manual_seed(3)
    return torch.randn(8, 5, 16)


@pytest.fixture
def stored(golden: Path) -> dict[str, Any]:
    return dict(json.loads((golden / "tokenizer" / "outputs.json").read_text("utf-8")))


@pytest.fixture
def tokenizer(golden: Path) -> CaptionTokenizer:
    return CaptionTokenizer(golden / "tag2text" / "vocab.txt")


@pytest.fixture
def full_tokenizer(shared: Path) -> CaptionTokenizer:
    return CaptionTokenizer(shared / "golden" / "bert-base-uncased-vocab.txt")


def weigh(logits: Tensor, row: list[int], search: Search, log: bool) -> Tensor:
    scores = logits.log_softmax(0) if log else logits.clone()
    for token in set(row):
        less = scores[token] * search.repetition_penalty
        more = scores[token] / search.repetition_penalty
        scores[token] = less if scores[token] < 0 else more
    if len(row) < search.min_length:
        scores[END] = -torch.inf
    return scores


def slow_greedy(decoder: TextDecoder, memory: Tensor, search: Search) -> list[int]:
    row = list(PROMPT)
    while len(row) < search.max_length and END not in row:
        logits = decoder(torch.tensor([row]), memory[None])[0, -1]
        row.append(int(weigh(logits, row, search, log=False).argmax()))
    return row


def slow_beams(decoder: TextDecoder, memory: Tensor, search: Search) -> list[int]:
    """One memory at a time, every text from its beginning at every step, in plain lists."""
    beams: list[tuple[float, list[int]]] = [(0.0, list(PROMPT))]
    ended: list[tuple[float, list[int]]] = []
    closed = False
    while len(beams[0][1]) < search.max_length and not closed:
        found = []
        for total, row in beams:
            logits = decoder(torch.tensor([row]), memory[None])[0, -1]
            scores = weigh(logits, row, search, log=True) + total
            found += [(float(score), row, token) for token, score in enumerate(scores)]
        found = sorted(found, key=lambda one: -one[0])[: 2 * search.num_beams]
        for total, row, token in found[: search.num_beams]:
            if token == END:
                ended.append((total / len(row), row))
        ended = sorted(ended, key=lambda one: -one[0])[: search.num_beams]
        beams = [(total, [*row, token]) for total, row, token in found if token != END]
        beams = beams[: search.num_beams]
        # The length is that of the texts before this step.
        best = found[0][0] / (len(beams[0][1]) - 1)
        closed = len(ended) == search.num_beams and ended[-1][0] >= best
    if not closed:
        ended += [(total / len(row), row) for total, row in beams]
    best_row = max(ended, key=lambda one: one[0])[1]
    return [*best_row, END] if len(best_row) < search.max_length else best_row


SEARCHES = [
    Search(num_beams=3, max_length=14, min_length=6),
    Search(num_beams=3, max_length=12, min_length=0),
    Search(num_beams=2, max_length=7, min_length=3),
    Search(num_beams=5, max_length=12, min_length=6, repetition_penalty=1.5),
    Search(num_beams=4, max_length=9, min_length=9, repetition_penalty=0.7),
    Search(num_beams=1, max_length=16, min_length=6),
    Search(num_beams=1, max_length=12, min_length=2, repetition_penalty=1.6),
]


@pytest.mark.parametrize("search", SEARCHES, ids=str)
def test_finds_what_a_search_without_tensors_and_memory_finds(
    decoder: TextDecoder, memory: Tensor, search: Search
) -> None:
    slow = slow_greedy if search.num_beams == 1 else slow_beams
    expected = [slow(decoder, one, search) for one in memory]
    assert generate(decoder, memory, PROMPT, END, search) == expected
    assert len({tuple(row) for row in expected}) > 4


class Chain:
    """A decoder whose next token depends on the last one alone: token -> next tokens' chances."""

    config = TextConfig(vocab_size=9, max_positions=20)

    def __init__(self, chances: dict[int, dict[int, float]]) -> None:
        self.table = torch.full((9, 9), 1e-4)
        for token, nexts in chances.items():
            self.table[token, list(nexts)] = torch.tensor(list(nexts.values()))

    def start(self, memory: Tensor) -> Chain:
        return self

    def step(self, ids: Tensor, written: Chain) -> tuple[Tensor, Chain]:
        return self.table[ids[:, -1]].log(), self

    def take(self, rows: Tensor) -> Chain:
        return self


def test_texts_are_compared_by_their_mean_over_the_prompt_and_their_words() -> None:
    """Ending at once is as likely as going on, which costs a little more for each word."""
    chain = Chain({3: {END: 0.5, 4: 0.5}, 4: {5: 0.9}, 5: {6: 0.9}, 6: {END: 0.9}})
    search = Search(num_beams=2, max_length=12, min_length=0)
    assert generate(chain, torch.zeros(1, 1, 1), PROMPT, END, search) == [[*PROMPT, 4, 5, 6, END]]
    # The longer text is likelier for each word written, but not with the prompt counted.
    chain = Chain({3: {END: 0.38, 4: 0.62}, 4: {END: 0.29, 5: 0.71}})
    assert generate(chain, torch.zeros(1, 1, 1), PROMPT, END, search) == [[*PROMPT, END]]


def test_some_texts_end_and_some_are_cut_off(decoder: TextDecoder, memory: Tensor) -> None:
    found = generate(decoder, memory, PROMPT, END, Search(max_length=7, min_length=3))
    assert {len(row) for row in found} == {5, 6, 7}
    for row in found:
        assert tuple(row[:2]) == PROMPT
        assert END not in row[:-1]
        assert (row[-1] == END) is (len(row) < 7)


@pytest.mark.parametrize("beams", [1, 3])
def test_a_text_does_not_depend_on_those_beside_it(
    decoder: TextDecoder, memory: Tensor, beams: int
) -> None:
    search = Search(num_beams=beams, max_length=16, min_length=4)
    together = generate(decoder, memory, PROMPT, END, search)
    for one, row in zip(memory, together, strict=True):
        assert generate(decoder, one[None], PROMPT, END, search) == [row]


def test_one_beam_is_greedy_and_more_find_likelier_texts(
    decoder: TextDecoder, memory: Tensor
) -> None:
    def likelihood(row: list[int], one: Tensor) -> float:
        logits = decoder(torch.tensor([row]), one[None])[0, :-1].log_softmax(1)
        total = logits.gather(1, torch.tensor(row[1:])[:, None])[len(PROMPT) - 1 :].sum()
        return float(total) / (len(row) - 1)

    means = []
    for beams in (1, 6):
        search = Search(num_beams=beams, max_length=20, min_length=4)
        found = generate(decoder, memory, PROMPT, END, search)
        means.append(sum(map(likelihood, found, memory)) / len(memory))
    assert means[1] > means[0] + 0.01


def test_no_text_ends_before_the_minimum(decoder: TextDecoder, memory: Tensor) -> None:
    for beams in (1, 3):
        for minimum in (0, 9):
            search = Search(num_beams=beams, max_length=12, min_length=minimum)
            lengths = [len(row) for row in generate(decoder, memory, PROMPT, END, search)]
            assert min(lengths) > minimum
            assert (min(lengths) < 8) is (minimum == 0)


def test_no_memory_gives_no_text(decoder: TextDecoder) -> None:
    for beams in (1, 3):
        search = Search(num_beams=beams, max_length=9, min_length=0)
        assert generate(decoder, torch.zeros(0, 5, 16), PROMPT, END, search) == []


@pytest.mark.parametrize("max_length", [2, 21])
def test_a_length_without_room_is_refused(decoder: TextDecoder, max_length: int) -> None:
    search = Search(max_length=max_length, min_length=0)
    with pytest.raises(InputError, match=rf"above 2, .* at most 20, got {max_length}$"):
        generate(decoder, torch.zeros(1, 5, 16), PROMPT, END, search)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_beams": 0}, "num_beams must be at least 1, got 0"),
        ({"min_length": 51}, "min_length must not exceed max_length, got 51 and 50"),
        ({"repetition_penalty": 0.0}, r"repetition_penalty must be above 0, got 0\.0"),
    ],
)
def test_numbers_out_of_range_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Search(**values)


def test_official_ids_of_tags(full_tokenizer: CaptionTokenizer, stored: dict[str, Any]) -> None:
    assert len(stored["tag_encoder_inputs"]) > 4
    inputs = full_tokenizer.tag_inputs(
        [row["tags"].split(" | ") for row in stored["tag_encoder_inputs"]]
    )
    assert inputs.ids.tolist() == [row["input_ids"] for row in stored["tag_encoder_inputs"]]
    masks = [row["attention_mask"] for row in stored["tag_encoder_inputs"]]
    assert inputs.real.int().tolist() == masks


def test_official_ids_of_captions(full_tokenizer: CaptionTokenizer, stored: dict[str, Any]) -> None:
    case = stored["caption_training"]
    captions = [text.removeprefix("a picture of ") for text in case["captions"]]
    assert full_tokenizer.caption_ids(captions).tolist() == case["decoder_input_ids"]
    assert full_tokenizer.prompt_ids == case["decoder_input_ids"][0][: case["prompt_length"]]


def test_official_ids_of_odd_texts(
    full_tokenizer: CaptionTokenizer, stored: dict[str, Any]
) -> None:
    """[ENC] inside a text is text here: no tag may become a control token."""
    plain = {text: ids for text, ids in stored["plain"].items() if "[" not in text}
    assert len(plain) > 10
    for text, expected in plain.items():
        assert [101, *full_tokenizer.encode(text), 102] == expected
    assert 30523 not in full_tokenizer.encode("[ENC] dog")


def test_official_captions_of_ids(full_tokenizer: CaptionTokenizer, stored: dict[str, Any]) -> None:
    assert len(stored["decode_skip_special"]) > 2
    for row in stored["decode_skip_special"]:
        assert full_tokenizer.caption(row["ids"]) == row["caption"]


def test_the_two_last_tokens_are_dec_and_enc(
    full_tokenizer: CaptionTokenizer, stored: dict[str, Any]
) -> None:
    assert len(full_tokenizer) == stored["vocab_size_with_added"]
    assert (full_tokenizer.dec_id, full_tokenizer.enc_id) == (30522, 30523)


def test_tags_become_forty_ids(tokenizer: CaptionTokenizer) -> None:
    ids, real = tokenizer.tag_inputs([[], ["Dog", "tennis court"], ["dog"] * 30])
    assert ids.shape == real.shape == (3, 40)
    dog, court = tokenizer.encode("dog"), tokenizer.encode("| tennis court")
    assert ids[0].tolist() == [1226, 102] + [0] * 38
    assert ids[1].tolist() == [1226, *dog, *court, 102] + [0] * 34
    assert real.sum(1).tolist() == [2, 6, 40]
    assert ids[2, -1] == 102


def test_no_tags_and_no_captions_are_ordinary(tokenizer: CaptionTokenizer) -> None:
    assert tokenizer.caption(tokenizer.prompt_ids) == ""
    assert tokenizer.caption([]) == ""
    assert tokenizer.tag_inputs([["", "  "]]).real.sum() == 3  # [ENC] | [SEP]


def test_captions_lose_the_spaces_before_marks(tmp_path: Path) -> None:
    words = "[PAD] [UNK] [CLS] [SEP] [MASK] a picture of it s ' n ##t m ve re . , ? ! ##s -"
    vocab = tmp_path / "vocab.txt"
    vocab.write_text("\n".join(words.split(" ")) + "\n", "utf-8")
    tokenizer = CaptionTokenizer(vocab)

    def spelt(text: str) -> str:
        return tokenizer.caption([*tokenizer.prompt_ids, *(tokenizer.ids[t] for t in text.split())])

    assert spelt("it ' s a ##s , it ? ! .") == "it's as, it?!."
    assert spelt("it - a ' m [UNK] it") == "it - a'm it"
    assert spelt("it ' ##s a") == "it's a"


def test_a_vocabulary_without_sep_is_refused(tmp_path: Path) -> None:
    vocab = tmp_path / "vocab.txt"
    vocab.write_text("[PAD]\n[CLS]\n[MASK]\ncar\n", "utf-8")
    with pytest.raises(WeightsError, match=r"no BERT vocabulary: it lacks \[UNK\] \[SEP\]$"):
        CaptionTokenizer(vocab)
