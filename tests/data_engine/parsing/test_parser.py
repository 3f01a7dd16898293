import pytest

from grounded_ram.data_engine.parsing.parser import (
    PARSED_AS,
    PARSED_KINDS,
    ParsedTag,
    find_parser,
    folded,
)
from grounded_ram.data_engine.parsing.rules import RulesParser
from grounded_ram.errors import UnknownNameError
from grounded_ram.vocabulary.table import KINDS, official_vocabulary


def test_the_rules_parser_is_found_by_name() -> None:
    assert isinstance(find_parser("rules"), RulesParser)


@pytest.mark.parametrize("name", ["", "rule", "Rules", "rules:small", "spacy:", ":", "nltk"])
def test_an_unknown_name_is_answered_with_those_there_are(name: str) -> None:
    with pytest.raises(UnknownNameError, match=r"'rules'.*'spacy'.*'spacy:PIPELINE'"):
        find_parser(name)


def test_every_kind_of_the_vocabulary_is_parsed_as_one_or_is_a_proper_name() -> None:
    assert set(PARSED_AS) == set(KINDS) - {"text"}
    assert set(PARSED_AS.values()) == set(PARSED_KINDS)


def fold(*tags: tuple[str, str]) -> list[tuple[str, str]]:
    found = folded([ParsedTag(*tag) for tag in tags], official_vocabulary())
    return [tuple(tag) for tag in found]


def test_synonyms_become_one_tag_called_by_its_label() -> None:
    assert fold(("sofa", "object"), ("couch", "object")) == [("couch", "object")]
    assert fold(("gray", "attribute")) == [("gray", "attribute")]
    assert fold(("shop", "scene"), ("red", "attribute")) == [
        ("store", "scene"),
        ("red", "attribute"),
    ]


def test_a_word_of_another_kind_than_the_vocabulary_says_is_not_folded() -> None:
    assert fold(("shop", "action")) == [("shop", "action")]


def test_what_the_vocabulary_does_not_know_stays_as_it_is() -> None:
    assert fold(("dog collar", "object")) == [("dog collar", "object")]
    assert fold() == []
