from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grounded_ram.errors import InputError
from grounded_ram.prompts import make_prompts, prompt_text, tag_scores


class Letters:
    """A tokenizer of one token a letter or sign; spaces are dropped, as wordpieces do."""

    cls_id, sep_id, dot_id = 101, 102, ord(".")

    def encode(self, text: str) -> list[int]:
        return [ord(sign) for sign in text if not sign.isspace()]


LETTERS = Letters()
NAMES = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), max_size=40)


def usable(names: list[str]) -> list[str]:
    return [name for name in names if LETTERS.encode(prompt_text(name))]


@given(NAMES, st.integers(60, 200))
def test_every_tag_has_its_own_tokens_in_one_prompt(names: list[str], max_tokens: int) -> None:
    names = usable(names)
    prompts = make_prompts(names, LETTERS, max_tokens=max_tokens, max_tag_tokens=50)
    assert [row for prompt in prompts for row in prompt.rows] == list(range(len(names)))
    for prompt in prompts:
        assert len(prompt.ids) <= max_tokens
        assert (prompt.ids[0], prompt.ids[-1]) == (101, 102)
        rest = list(prompt.ids)
        for row, (start, end) in zip(prompt.rows, prompt.spans, strict=True):
            assert list(prompt.ids[start:end]) == LETTERS.encode(prompt_text(names[row]))
            assert prompt.ids[end] == LETTERS.dot_id
            rest[start : end + 1] = [0] * (end + 1 - start)
        assert rest == [101, *[0] * (len(rest) - 2), 102]


@given(NAMES)
def test_nothing_in_a_prompt_ends_a_tag_but_its_full_stop(names: list[str]) -> None:
    for prompt in make_prompts(usable(names), LETTERS, max_tag_tokens=250):
        signs = [chr(token) for token in prompt.ids[1:-1]]
        assert signs.count(".") == len(prompt.rows)
        assert not set(signs) & set("?[]")


@given(st.lists(st.integers(1, 30), min_size=1, max_size=60), st.integers(33, 120))
def test_prompts_are_few_and_of_like_length(sizes: list[int], max_tokens: int) -> None:
    prompts = make_prompts(["a" * size for size in sizes], LETTERS, max_tokens=max_tokens)
    lengths = [len(prompt.ids) - 2 for prompt in prompts]
    room = max_tokens - 2
    assert best_cut(tuple(size + 1 for size in sizes), room) == (len(lengths), max(lengths))


def best_cut(sizes: tuple[int, ...], room: int) -> tuple[int, int]:
    """The fewest groups, and the least largest one, by looking at every cut."""
    best: list[tuple[int, int]] = [(0, 0)]
    for end in range(1, len(sizes) + 1):
        ways = []
        for start in range(end):
            if (size := sum(sizes[start:end])) <= room:
                count, largest = best[start]
                ways.append((count + 1, max(largest, size)))
        best.append(min(ways))
    return best[-1]


@pytest.mark.parametrize("count", [1, 2, 85, 86, 255, 600])
def test_one_to_six_hundred_tags(count: int) -> None:
    names = [f"tag {number:03}" for number in range(count)]  # six tokens and a full stop
    prompts = make_prompts(names, LETTERS)
    assert len(prompts) == -(-count // 36)
    lengths = [len(prompt.ids) for prompt in prompts]
    assert max(lengths) <= 256
    assert [row for prompt in prompts for row in prompt.rows] == list(range(count))


def test_no_tags_make_no_prompts() -> None:
    assert make_prompts([], LETTERS) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("car", "car"),
        ("Race Car", "race car"),
        ("mr. smith", "mr smith"),
        ("what?", "what"),
        ("3.5 mm jack", "3 5 mm jack"),
        ("\uff2b\uff0e\uff2b\uff1f", "k k"),  # full-width K.K?
        ("  two \t words\n", "two words"),
        ("CAF\u00c9", "caf\u00e9"),
        ("cafe\u0301", "caf\u00e9"),
        ("[SEP]", "sep"),
        ("\u732b", "\u732b"),
    ],
)
def test_text_in_the_prompt_is_safe(name: str, text: str) -> None:
    assert prompt_text(name) == text
    (prompt,) = make_prompts([name], LETTERS)
    assert prompt.spans == ((1, 1 + len(LETTERS.encode(text))),)


@pytest.mark.parametrize("name", ["", "  ", ".", " ?.? ", "[]"])
def test_a_tag_without_text_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputError) as caught:
        make_prompts(["dog", name], LETTERS)
    assert f"tag {name!r} has no text" in str(caught.value)


def test_a_tag_too_long_by_itself_is_refused_by_name() -> None:
    (prompt,) = make_prompts(["x" * 253], LETTERS)
    assert len(prompt.ids) == 256
    with pytest.raises(InputError, match=f"tag '{'x' * 254}' is 254 tokens long, at most 253 fit"):
        make_prompts(["dog", "x" * 254], LETTERS)
    with pytest.raises(InputError, match="'abcdef' is 6 tokens long, at most 5 fit"):
        make_prompts(["abcdef"], LETTERS, max_tag_tokens=5)


def test_scores_are_the_mean_over_a_tags_own_tokens() -> None:
    probabilities = np.array([[9, 0.2, 9, 0.4, 0.8, 9], [9, 0, 9, 1, 0.5, 9]], np.float32)
    scores = tag_scores(probabilities, [(1, 2), (3, 5)])
    np.testing.assert_allclose(scores, [[0.2, 0.6], [0, 0.75]], rtol=1e-6)
    assert scores.dtype == np.float32


def test_scores_of_no_queries_and_of_no_tags() -> None:
    assert tag_scores(np.zeros((0, 5), np.float32), [(1, 2), (3, 4)]).shape == (0, 2)
    assert tag_scores(np.zeros((3, 5), np.float32), []).shape == (3, 0)
