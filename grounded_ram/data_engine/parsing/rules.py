"""Captions -> tags by rules and word lists: fast, and nothing to download."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from grounded_ram.data_engine.parsing.lexicon import Lexicon
from grounded_ram.data_engine.parsing.parser import ParsedTag
from grounded_ram.data_engine.parsing.phrases import Reader
from grounded_ram.data_engine.parsing.roles import Roles
from grounded_ram.vocabulary.table import Vocabulary, official_vocabulary


class RulesParser:
    """Reads captions by rules.

    Args:
        vocabulary: says which compounds there are and the kinds of nouns, beside the table of RAM
            and Tag2Text, and before it.
    """

    def __init__(self, vocabulary: Vocabulary | None = None) -> None:
        self._lexicon = Lexicon(vocabulary or official_vocabulary())
        self._reader = Reader(self._lexicon)
        self._roles = Roles(self._lexicon)

    def parse(self, captions: Iterable[str]) -> Iterator[tuple[ParsedTag, ...]]:
        """Yield the tags of each caption; see ``parsing.CaptionParser``."""
        for caption in captions:
            yield self._reader.read(self._roles.tokens(caption))
