"""What a word may be: noun, verb, adjective, or one of the closed classes."""

from __future__ import annotations

from dataclasses import dataclass

from grounded_ram.data_engine.parsing.adjectives import ADJECTIVES, MATERIALS
from grounded_ram.data_engine.parsing.english import (
    CLOSED,
    MEDIA,
    NAMES,
    PLACES_OF_THINGS,
    SCENES,
    SEASONS,
    THINGS,
    VAGUE,
    words,
)
from grounded_ram.data_engine.parsing.parser import PARSED_AS
from grounded_ram.data_engine.parsing.verbs import VERBS
from grounded_ram.data_engine.parsing.word_forms import (
    american,
    guessed_infinitive,
    infinitive,
    positive,
    singular,
)
from grounded_ram.vocabulary.table import Vocabulary, official_vocabulary

WORDS_KEPT = 200_000
"""How many words are remembered: texts of the web have no end of them."""

_APART = frozenset(
    """
    white house, clean room, round table, red flag, high bar, modern tower, wet bar, old photo,
    blue artist, metal artist, mountain snowy
    """.replace("\n    ", " ")
    .strip()
    .split(", ")
)
"""Names of the vocabulary that in a caption mostly are an adjective and a noun."""

_BODILY = ("-shaped", "-colored", "-haired", "-eyed", "-legged", "-sleeved", "-sized", "-handed")
_ADJECTIVE_ENDINGS = ("ful", "less", "ous", "ish", "able", "ible", "ical", "ic", *_BODILY)
_AGED = ("-year-old", "-month-old", "-week-old", "-day-old")
_MEASURES = words("deep double full half high long low multi open short single triple wide")
_MAYBE_ADJECTIVE = ("y", "al", "ant", "ent", "ive", "ary", "ory", "ian", "ed")
_MARKS = {",": "comma", ".": "stop", "": "name"}
_EVENTS = frozenset(["wedding", "meeting", "landing", "gathering"])
_NOUN_ENDINGS = words(
    """
    arctic attic cabbage cable clinic comic constable critic dish elastic fabric fish garlic
    licorice logic magic mechanic music picnic public radish relish republic stable syllable table
    topic traffic tunic turntable varnish vegetable
    """
)


@dataclass(frozen=True, slots=True)
class Word:
    """The readings of one word; an empty text stands for no such reading.

    Args:
        text: lower case, in American spelling.
        role: of a closed class, or "name".
        noun: singular.
        plural: whether the text is a plural.
        verb: infinitive.
        form: of the verb: base, s, ing or ed.
        adjective: positive.
        is_usually_noun: whether its noun is more common in captions than its verb.
        is_known: whether this is known rather than guessed.
    """

    text: str
    role: str = ""
    noun: str = ""
    plural: bool = False
    verb: str = ""
    form: str = ""
    adjective: str = ""
    is_usually_noun: bool = False
    is_known: bool = True


class Lexicon:
    """Words and compounds of captions: those of a vocabulary, and common English.

    Args:
        vocabulary: says the kinds of nouns, and which compounds there are, before the table of RAM
            and Tag2Text is asked.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.kinds: dict[str, str] = {}
        self.names: dict[str, str] = {}
        for entry in (*vocabulary.values(), *official_vocabulary().values()):
            for name in (entry.name.lower(), entry.singular.lower()):
                if entry.kind in PARSED_AS:
                    self.kinds.setdefault(name, PARSED_AS[entry.kind])
                    self.names.setdefault(name, entry.singular.lower())
        self.compounds = self._compounds()
        self.longest = {
            first: max(n.count(" ") for n in its) + 1
            for first, its in self.compounds.items()
            if its
        }
        self._nouns = {n for n, kind in self.kinds.items() if kind in ("object", "scene")}
        self._nouns |= {n for n, kind in self.kinds.items() if kind == "action" and n not in VERBS}
        self._nouns |= PLACES_OF_THINGS | MEDIA | VAGUE | MATERIALS | THINGS | SCENES
        self._adjectives = ADJECTIVES | {n for n, k in self.kinds.items() if k == "attribute"}
        self._words: dict[str, Word] = {}

    def word(self, text: str) -> Word:
        """Return what a word in lower case may be; it is worked out once."""
        known = self._words.get(text)
        if known is None:
            if len(self._words) >= WORDS_KEPT:
                self._words.clear()
            known = self._words[text] = self._read(text)
        return known

    def is_common(self, text: str) -> bool:
        """Tell whether a word in lower case is a known one, and no proper name."""
        word = self.word(text)
        return word.is_known and word.role != "name"

    def is_whole(self, text: str) -> bool:
        """Tell whether a word with hyphens is one word rather than several."""
        if text in self.kinds or text in ADJECTIVES or text in PLACES_OF_THINGS:
            return True
        is_number = text[0].isdigit() or text.endswith(_AGED)
        return is_number or text.endswith(_BODILY) or self._describes(text)

    def _describes(self, text: str) -> bool:
        """Tell whether a word with hyphens is an adjective by its parts."""
        return self._is_participle(text) or self._is_measure(text)

    def _is_measure(self, text: str) -> bool:
        """Tell whether a word with a hyphen says how much of something a thing has: "two-story"."""
        first, hyphen, last = text.partition("-")
        if not hyphen or not (CLOSED.get(first) == "number" or first in _MEASURES):
            return False
        compounds = self.compounds.get(first, ())  # "high-rise" may begin one
        if any(compound.startswith(f"{first} {last}") for compound in compounds):
            return False
        return last not in CLOSED and bool(self.word(last).noun)

    def _is_participle(self, text: str) -> bool:
        """Tell whether a word with hyphens ends in a participle, as "snow-covered"."""
        first, _, last = text.rpartition("-")
        verb = infinitive(last) if first else None
        return verb is not None and verb[1] == "ed" and last != verb[0] and last not in self._nouns

    def kind(self, noun: str) -> str:
        """Return the kind of the tag that a noun or compound in the singular makes."""
        head = noun.rsplit(" ", 1)[-1]
        if noun in SEASONS:
            return "attribute"
        if noun in THINGS:
            return "object"
        if noun in SCENES:
            return "scene"
        if noun in self.kinds:
            return self.kinds[noun]
        return self.kind(head) if head != noun else "object"

    def _compounds(self) -> dict[str, dict[str, str]]:
        """Return compounds by their first word: compound -> how its tag is called."""
        found: dict[str, dict[str, str]] = {}
        for spelt, name in self.names.items():
            words = spelt.replace("-", " ").split()
            if len(words) < 2 or " ".join(words) in _APART:
                continue
            if self.kinds[spelt] == "action" and (words[0] in VERBS or words[0] == "playing"):
                continue  # "sit on", "play tennis" are not compounds; PARTICLES says which are
            found.setdefault(words[0], {})[" ".join(words)] = name
        return found

    def _read(self, spelt: str) -> Word:
        role = CLOSED.get(spelt) or _MARKS.get(spelt)
        if role:
            return Word(spelt, role, noun="can" if spelt == "can" else "")
        known = self._nouns | self._adjectives | VERBS
        text = "-".join(american(part, known) for part in spelt.split("-"))
        if text in NAMES:
            return Word(text, "name")
        is_code = any(map(str.isdigit, text)) or (len(text) == 1 and text.isascii())
        is_code = is_code or text.endswith(_AGED)
        if is_code and text not in self.kinds:
            return Word(text, "number")
        return self._open_class(text)

    def _open_class(self, text: str) -> Word:
        if self._describes(text):
            return Word(text, adjective=text)
        noun, plural = singular(text, self._nouns | self._adjectives)
        verb = infinitive(text)
        adjective = positive(text, self._adjectives)
        is_usual = noun in self._nouns
        if plural and not is_usual and self.kinds.get(noun) == "attribute":
            adjective = noun
        if not (is_usual or verb or adjective):
            return self._guess(text, noun, plural)
        form = verb[1] if verb else ""
        if form == "ing" and self.kinds.get(text) == "action" and text not in _EVENTS:
            is_usual = False  # "shopping" is what one does
        if not is_usual and (adjective or form in ("ed", "ing")):
            noun = ""
        return Word(text, "", noun, plural, *(verb or ("", "")), adjective, is_usual)

    def _guess(self, text: str, noun: str, plural: bool) -> Word:
        if text.endswith("ly") and len(text) > 4:
            return Word(text, "adverb", is_known=False)
        if len(text) > 5 and text.endswith(_ADJECTIVE_ENDINGS) and text not in _NOUN_ENDINGS:
            return Word(text, adjective=text, is_known=False)
        verb = guessed_infinitive(text)
        if verb:
            return Word(text, "", "", False, *verb, is_known=False)
        adjective = text if len(text) > 4 and text.endswith(_MAYBE_ADJECTIVE) else ""
        base = text[:-1] if plural and noun == text[:-1] else ""
        return Word(
            text, "", noun, plural, base, "s" if base else "", adjective, True, is_known=False
        )
