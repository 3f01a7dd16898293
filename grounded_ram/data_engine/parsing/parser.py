"""Captions -> tags: what every parser gives, and parsers by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

from grounded_ram.errors import UnknownNameError
from grounded_ram.vocabulary.table import Vocabulary

PARSED_KINDS = ("object", "scene", "attribute", "action")
"""Kinds of tags that a text can have (Tag2Text, section 3.2)."""

PARSED_AS: Mapping[str, str] = {
    "object": "object",
    "part": "object",
    "stuff": "object",
    "abstract": "object",
    "scene": "scene",
    "attribute": "attribute",
    "action": "action",
}
"""Kinds of the vocabulary -> kinds of parsed tags; proper names ("text") are no tags."""


class ParsedTag(NamedTuple):
    """One tag of a caption.

    Args:
        name: lower case, in the singular or as an infinitive, words parted by one space.
        kind: one of ``PARSED_KINDS``.
    """

    name: str
    kind: str


class CaptionParser(Protocol):
    """Reads captions."""

    def parse(self, captions: Iterable[str]) -> Iterator[tuple[ParsedTag, ...]]:
        """Yield the tags of each caption, each once, in the order in which they come in it.

        Captions are read as they are needed, so that they may be many.
        """
        ...


def find_parser(name: str) -> CaptionParser:
    """Return a parser by name: "rules", "spacy", or "spacy:" and the name of a pipeline of yours.

    Raises:
        UnknownNameError: there is no such parser.
        MissingDependencyError: spaCy or its pipeline is not installed.
    """
    kind, colon, pipeline = name.partition(":")
    if name == "rules":
        from grounded_ram.data_engine.parsing.rules import RulesParser

        return RulesParser()
    if kind == "spacy" and bool(colon) == bool(pipeline):
        from grounded_ram.data_engine.parsing.spacy_parser import PIPELINE, load_spacy_parser

        return load_spacy_parser(pipeline or PIPELINE)
    raise UnknownNameError(
        f"unknown caption parser {name!r}; known: 'rules', which needs nothing more, 'spacy', and "
        "'spacy:PIPELINE' with a spaCy pipeline of yours, such as 'spacy:en_core_web_md'"
    )


def folded(tags: Iterable[ParsedTag], vocabulary: Vocabulary) -> tuple[ParsedTag, ...]:
    """Return tags with synonyms made one: each by the label of its group, each once.

    A tag that the vocabulary has as another kind of word stays as it is: to "shop" is no store.
    """
    return tuple(dict.fromkeys(_folded(tag, vocabulary) for tag in tags))


def _folded(tag: ParsedTag, vocabulary: Vocabulary) -> ParsedTag:
    kind = vocabulary.kind(tag.name)
    if kind is None or PARSED_AS.get(kind) != tag.kind:
        return tag
    return ParsedTag(vocabulary.label(tag.name).lower(), tag.kind)
