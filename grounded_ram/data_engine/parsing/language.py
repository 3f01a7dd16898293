"""Whether captions are in English, the one language that the parsers read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from grounded_ram.data_engine.parsing.lexicon import Lexicon
from grounded_ram.data_engine.parsing.texts import unescaped
from grounded_ram.vocabulary.table import official_vocabulary

LOOKED_AT = 10_000
"""Captions that are looked at: the first ones."""

FEWEST = 20
"""Words below which nothing is said."""

LEAST_KNOWN = 0.4
"""Share of words known in English, below which captions are taken for another language's. In
sentences of German, Dutch, Swedish and the Romance languages it is at most 0.26, in English from
the web, full of names, 0.65 and more; shares of English function words alone do not tell lists of
tags from other languages."""

_WORD = re.compile(r"[^\W\d_]+")


class Language:
    """Looks at captions as they pass."""

    def __init__(self) -> None:
        self._lexicon = Lexicon(official_vocabulary())
        self._captions = self._words = self._known = 0

    def watched(self, captions: Iterable[str]) -> Iterator[str]:
        """Give captions on."""
        for caption in captions:
            self.look_at(caption)
            yield caption

    def look_at(self, caption: str) -> None:
        """Count the words that English has."""
        if self._captions >= LOOKED_AT:
            return
        self._captions += 1
        words = _WORD.findall(unescaped(caption).lower())
        self._words += len(words)
        self._known += sum(map(self._lexicon.is_common, words))

    def note(self) -> str:
        """Say that captions are in another language; "" where they are not, or too few."""
        if self._words < FEWEST or self._known >= LEAST_KNOWN * self._words:
            return ""
        return (
            f"of the words in the captions English knows {self._known / self._words:.0%}: they "
            "seem to be in another language, which the parser cannot read. Translate them first"
        )


def reads_english(parser: str) -> bool:
    """Tell whether the parser of a name, as for ``parser.find_parser``, reads English."""
    return not parser.startswith("spacy:") or parser.startswith("spacy:en")
