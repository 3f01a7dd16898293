from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

import grounded_ram.data_engine.caption_tags as module
from grounded_ram.data_engine.caption_tags import parsed
from grounded_ram.data_engine.examples import Caption, Example
from grounded_ram.data_engine.parsing.parser import ParsedTag
from grounded_ram.errors import InputError
from grounded_ram.vocabulary.table import Entry, Vocabulary, official_vocabulary


class Words:
    """A parser to which every word is a tag; it reads some captions ahead."""

    def __init__(self, ahead: int = 0, answers: int | None = None) -> None:
        self.ahead = ahead
        self.answers = answers
        self.calls = 0
        self.read: list[str] = []

    def parse(self, captions: Iterable[str]) -> Iterator[tuple[ParsedTag, ...]]:
        self.calls += 1
        waiting: list[str] = []
        for text in captions:
            self.read.append(text)
            waiting.append(text)
            if len(waiting) > self.ahead:
                yield tags(waiting.pop(0))
        yield from map(tags, waiting)


def tags(text: str) -> tuple[ParsedTag, ...]:
    return tuple(ParsedTag(name, "object") for name in dict.fromkeys(text.split()))


def example(image: str, *captions: str, tags: tuple[str, ...] = ()) -> Example:
    return Example(image, tags, tuple(map(Caption, captions)))


VOCABULARY = Vocabulary(
    [
        Entry("car", "object", True, "car"),
        Entry("motorcar", "object", True, "motorcar", same_as="car"),
        Entry("automobile", "object", True, "automobile", same_as="car"),
        Entry("trousers", "object", True, "pair of trousers"),
        Entry("Eiffel tower", "object", True, "Eiffel tower"),
    ]
)


def test_captions_and_pictures_get_the_tags_that_are_in_captions() -> None:
    given = Example("a", ("red", "dog"), (Caption("big dog", ("old",)), Caption("cat dog")))
    (found,) = parsed([given], Words())
    captions = (Caption("big dog", ("big", "dog")), Caption("cat dog", ("cat", "dog")))
    assert found == Example("a", ("red", "dog", "big", "cat"), captions)


@pytest.mark.parametrize("ahead", [0, 1, 3, 7, 1000])
@pytest.mark.parametrize("waiting", [1, 2, 5, 65_536])
def test_each_caption_gets_its_own_answer_however_far_the_parser_reads_ahead(
    ahead: int, waiting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING", waiting)
    counts = [0, 2, 0, 0, 1, 3, 0, 1, 1, 0, 5, 0, 0]
    examples = [
        example(str(n), *(f"w{n} v{n}.{m}" for m in range(count))) for n, count in enumerate(counts)
    ]
    found = list(parsed(iter(examples), Words(ahead)))
    assert [one.image for one in found] == [one.image for one in examples]
    for n, (one, count) in enumerate(zip(found, counts, strict=True)):
        expected = tuple((f"w{n}", f"v{n}.{m}") for m in range(count))
        assert tuple(caption.tags for caption in one.captions) == expected
        assert [caption.text for caption in one.captions] == [" ".join(p) for p in expected]


def test_captions_go_through_the_parser_as_one_stream_no_further_than_it_reads() -> None:
    parser = Words(ahead=4)
    stream = parsed((example(str(n), f"w{n}") for n in range(100)), parser)
    assert next(stream).image == "0"
    assert parser.read == [f"w{n}" for n in range(5)]
    assert len(list(stream)) == 99
    assert parser.calls == 1


def test_pictures_without_captions_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING", 10)
    read: list[int] = []
    stream = parsed((example(str(n)) for n in range(100) if read.append(n) is None), Words())
    assert next(stream).image == "0"
    assert len(read) == 10
    assert len(list(stream)) == 99


def test_no_examples_and_no_captions() -> None:
    assert list(parsed([], Words())) == []
    one = example("a", tags=("dog",))
    assert list(parsed([one], Words())) == [one]
    assert list(parsed([example("a", "")], Words())) == [example("a", "")]


def test_parsing_again_changes_nothing() -> None:
    once = list(parsed([example("a", "big dog", tags=("red",))], Words(), vocabulary=VOCABULARY))
    assert list(parsed(once, Words(), vocabulary=VOCABULARY)) == once


def test_only_names_to_keep_stay_as_they_are_spelled_there() -> None:
    (found,) = parsed([example("a", "big dog CAT", tags=("DOG", "red"))], Words(), ["Dog", "cat"])
    assert found == Example("a", ("Dog", "cat"), (Caption("big dog CAT", ("Dog", "cat")),))
    (none,) = parsed([example("a", "big dog", tags=("red",))], Words(), [])
    assert none == example("a", "big dog")


def test_without_a_list_or_vocabulary_names_stay_and_differ_in_more_than_case() -> None:
    (found,) = parsed([example("a", "dog cat", tags=("Dog",))], Words())
    assert found.tags == ("Dog", "cat")


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        (None, "car"),
        (["automobile", "car"], "car"),
        (["zebra", "automobile", "Bus"], "automobile"),
        ({"motorcar"}, "motorcar"),
        (["Motorcar"], "Motorcar"),
        (["dog"], None),
    ],
)
def test_synonyms_get_one_name(keep: list[str] | None, expected: str | None) -> None:
    for text in ("motorcar car", "car", "MOTORCAR"):
        (found,) = parsed([example("a", text, tags=("Car",))], Words(), keep, vocabulary=VOCABULARY)
        assert found.tags == found.captions[0].tags == ((expected,) if expected else ())


def test_names_to_keep_stay_beside_their_synonyms() -> None:
    one = example("a", "motorcar AUTOMOBILE car")
    (found,) = parsed([one], Words(), ["motorcar", "automobile"], vocabulary=VOCABULARY)
    assert found.tags == ("motorcar", "automobile")
    (found,) = parsed([one], Words(), ["motorcar", "car"], vocabulary=VOCABULARY)
    assert found.tags == ("motorcar", "car")


def test_labels_and_cases_of_the_vocabulary_are_known() -> None:
    def names(*given: str, keep: list[str] | None = None) -> tuple[str, ...]:
        (found,) = parsed([example("a", tags=given)], Words(), keep, vocabulary=VOCABULARY)
        return found.tags

    assert names("trousers", "pair of trousers") == ("pair of trousers",)
    assert names("pair of trousers", keep=["trousers"]) == ("trousers",)
    assert names("trousers", keep=["pair of trousers"]) == ("pair of trousers",)
    assert names("TROUSERS", keep=["pair of trousers", "trousers"]) == ("trousers",)
    assert names("eiffel tower") == names("EIFFEL TOWER") == ("Eiffel tower",)
    assert names("unknown", "Unknown") == ("unknown",)
    assert names("unknown", keep=["Unknown"]) == ("Unknown",)


def test_the_official_tags_are_kept_or_become_labels() -> None:
    vocabulary = official_vocabulary()
    names = tuple(vocabulary)
    (kept,) = parsed([example("a", tags=names)], Words(), names, vocabulary=vocabulary)
    assert kept.tags == names
    (folded,) = parsed([example("a", tags=names)], Words(), vocabulary=vocabulary)
    assert set(folded.tags) == {vocabulary.label(name) for name in names}


@pytest.mark.parametrize("given", [0, 1, 2])
def test_a_parser_that_gives_too_few_answers_is_told(given: int) -> None:
    class Short:
        def parse(self, captions: Iterable[str]) -> Iterator[tuple[ParsedTag, ...]]:
            return map(tags, list(captions)[:given])

    with pytest.raises(InputError, match=rf"got none for 'w{given}' of '[ab]'"):
        list(parsed([example("a", "w0", "w1"), example("b", "w2")], Short()))


def test_a_parser_that_gives_too_many_answers_is_told() -> None:
    class Long:
        def parse(self, captions: Iterable[str]) -> Iterator[tuple[ParsedTag, ...]]:
            return map(tags, [*captions, "more"])

    for examples in ([example("a", "w0")], [example("a")]):
        with pytest.raises(InputError, match="one answer of the parser for each caption, got more"):
            list(parsed(examples, Long()))


def test_one_name_is_no_list_of_names() -> None:
    with pytest.raises(InputError, match=r"got 'dog'; write \['dog'\]"):
        next(parsed([example("a")], Words(), "dog"))
