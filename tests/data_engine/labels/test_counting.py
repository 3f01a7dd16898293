import random
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from grounded_ram.data_engine.labels import counting
from grounded_ram.data_engine.labels.counting import (
    EXAMPLES,
    TagCount,
    TagCounter,
    count_chunk,
    counted,
)
from grounded_ram.data_engine.parsing.parser import PARSED_KINDS
from tests.data_engine.word_parser import WordParser

FOLD = {"automobile": "car", "motorcar": "car"}


def counts_of(
    captions: list[str],
    fold: dict[str, str] | None = None,
    *,
    capacity: int = 1000,
    workers: int = 1,
) -> dict[str, TagCount]:
    with TagCounter(capacity=capacity) as counter:
        for size, counts in counted(captions, WordParser, fold or {}, workers=workers):
            counter.add(size, counts)
        assert counter.captions == len(captions)
        rows = list(counter.rows())
        assert counter.tags == len(rows)
    assert [row.tag for row in rows] == sorted(row.tag for row in rows)
    return {row.tag: row for row in rows}


def corpus(size: int, seed: int = 0) -> list[str]:
    """Captions of a few common words, and of many that come once."""
    rng = random.Random(seed)
    common = ["dog", "car", "automobile", "motorcar", "dance", "running", "tree"]
    return [
        f"{' '.join(rng.choices(common, k=rng.randint(0, 4)))} junk{rng.randint(0, 3 * size)}"
        for _ in range(size)
    ]


def test_no_captions_have_no_tags() -> None:
    assert counts_of([]) == {}


def test_a_tag_counts_once_a_caption_and_under_each_kind_that_it_has() -> None:
    found = counts_of(["A dog and a dog.", "dance", "dog running"])
    assert found["dog"] == TagCount("dog", 2, (2, 0, 0, 0), {}, ("A dog and a dog.", "dog running"))
    assert found["dance"].captions == 1
    assert found["dance"].kinds == (1, 0, 0, 1)
    assert found["running"].kind == "action"
    assert (found["dog"].kind, found["dance"].kind) == ("object", "object")


def test_names_of_one_tag_in_one_caption_are_one_caption_of_it() -> None:
    found = counts_of(["car automobile", "motorcar", "car", "motorcar automobile"], FOLD)
    assert set(found) == {"car"}
    assert (found["car"].captions, found["car"].kinds[0]) == (4, 4)
    assert list(found["car"].names.items()) == [("automobile", 2), ("motorcar", 2)]


def test_a_name_of_two_kinds_is_one_caption_by_that_name() -> None:
    found = counts_of(["dance"], {"dance": "ball"})
    assert (found["ball"].captions, found["ball"].kinds) == (1, (1, 0, 0, 1))
    assert found["ball"].names == {"dance": 1}


def test_counts_agree_with_counting_word_by_word() -> None:
    captions = corpus(500)
    expected = Counter(
        FOLD.get(word, word)
        for caption in captions
        for word in {FOLD.get(word, word) for word in caption.split()}
    )
    found = counts_of(captions, FOLD)
    assert {tag: row.captions for tag, row in found.items()} == dict(expected)


@pytest.mark.parametrize("capacity", [1, 7, 300])
def test_a_full_memory_changes_nothing(capacity: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "CHUNK", 10)
    monkeypatch.setattr(counting, "_MOST_FILES", 4)
    captions = corpus(300)
    assert counts_of(captions, FOLD, capacity=capacity) == counts_of(captions, FOLD)


def test_memory_never_holds_much_more_than_its_capacity_and_a_chunk(tmp_path: Path) -> None:
    chunk = count_chunk([f"junk{i}" for i in range(50)], WordParser(), {})
    with TagCounter(capacity=100, folder=tmp_path) as counter:
        for start in range(0, 2000, 50):
            counter.add(50, {f"{tag}-{start}": entry for tag, entry in chunk.items()})
            assert len(counter._counts) <= 100
        assert list(tmp_path.rglob("*.jsonl"))
        assert sum(1 for _ in counter.rows()) == 2000
    assert list(tmp_path.iterdir()) == []


def test_several_processes_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "CHUNK", 40)
    captions = corpus(300)
    assert counts_of(captions, FOLD, workers=2) == counts_of(captions, FOLD)


def test_what_a_worker_cannot_do_is_raised_here() -> None:
    with pytest.raises(TypeError):
        list(counted(["dog"], partial(WordParser, "too", "much"), {}, workers=2))


def test_captions_are_read_as_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "CHUNK", 2)
    read = []

    def stream():
        for number in range(100):
            read.append(number)
            yield f"dog{number}"

    sizes = counted(stream(), WordParser, {})
    assert next(sizes)[0] == 2
    assert len(read) == 2


def test_examples_are_the_first_that_differ_and_are_cut() -> None:
    long = "dog " + "x" * 500
    captions = ["dog one", "dog one", "cat", "dog two", long, "dog four"]
    found = counts_of(captions)
    assert found["dog"].examples == ("dog one", "dog two", long[: counting.EXAMPLE_LENGTH])
    (held,) = count_chunk(["dog " + "x" * i for i in range(3, 50)], WordParser(), {"x": "y"})[
        "dog"
    ][-1:]
    assert len(held) == EXAMPLES  # no more are held in memory either


def test_every_kind_has_a_place() -> None:
    assert len(counts_of(["dog"])["dog"].kinds) == len(PARSED_KINDS)
