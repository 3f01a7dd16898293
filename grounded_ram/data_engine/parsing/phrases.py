"""Words with their roles -> tags: what both parsers share.

A tag is the head of a noun phrase (object, scene; attribute or action where the vocabulary says so:
"sunset", "wedding"), a modifier (attribute) or a verb (action). Nouns in a row are one compound,
unless the first only says what the last is made of. What is negated gives no tag, nor do words for
how much there is, for the picture itself, for the place of things within it, and proper names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from grounded_ram.data_engine.parsing.adjectives import COLORS, MATERIALS, SHADES
from grounded_ram.data_engine.parsing.english import (
    MEDIA,
    MEDIA_VERBS,
    PLACES_OF_THINGS,
    QUANTITIES,
    SIDES,
    VAGUE,
    words,
)
from grounded_ram.data_engine.parsing.lexicon import Lexicon
from grounded_ram.data_engine.parsing.parser import ParsedTag
from grounded_ram.data_engine.parsing.verbs import PARTICLES

_UNSEEN = MEDIA | PLACES_OF_THINGS | VAGUE
_ADVERBIAL = frozenset(["downtown", "uptown"])  # after a noun: where it is
_WORN_AFTER = words("with in his her their my your")
_HAND = (["left", "hand"], ["right", "hand"])  # before "side": no hand
_VOID = words("instead empty free devoid bare absence lack void rather except")
_LONGEST_COMPOUND = 3  # words of one that the vocabulary has not
_LONGEST_LIST = 20  # words that are looked through for the "or" of a list, or for what is worn
_NEW_PHRASE = words("determiner pronoun possessive number verb auxiliary name")
_ENDS_NEGATION = words("preposition but conjunction relative stop")


@dataclass(frozen=True, slots=True)
class Token:
    """One word in its text.

    Args:
        text: lower case.
        role: noun, adjective, verb, name, or one of ``english.CLOSED``, comma, stop, possessive.
        name: what its tag would be called: singular, infinitive, positive.
        plural: a noun in the plural.
        form: of a verb: base, s, ing or ed.
    """

    text: str
    role: str
    name: str = ""
    plural: bool = False
    form: str = ""


STOP = Token(".", "stop")


def joined(tokens: Sequence[Token], lexicon: Lexicon) -> list[Token]:
    """Return the tokens with every compound that the vocabulary knows made one."""
    found: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        compounds = lexicon.compounds.get(token.text)
        length = 1
        if compounds and not _acts(found[-1] if found else None, token):
            most = min(lexicon.longest[token.text], len(tokens) - at)
            length, compound = _longest(tokens[at : at + most], compounds)
            if compound:
                token = _as_one(compound, tokens[at + length - 1], lexicon)
        if length == 1 and _is_shade(tokens[at : at + 3], lexicon):
            color = tokens[at + 1]
            token = replace(color, text=f"{token.text} {color.text}", name=_shade(token, color))
            length = 2
        if token.text == "glasses" and _are_worn(found):
            token = replace(token, name="glasses")
        found.append(token)
        at += length
    return found


def _is_shade(tokens: Sequence[Token], lexicon: Lexicon) -> bool:
    """Tell whether tokens begin with a shade of a color, as "light blue", and not "blue sky"."""
    if [token.role for token in tokens[:2]] != ["adjective", "adjective"]:
        return False
    shade, color = tokens[:2]
    if shade.name not in SHADES or color.name not in COLORS:
        return False
    return not _longest(tokens[1:], lexicon.compounds.get(color.text, {}))[1]


def _shade(shade: Token, color: Token) -> str:
    return f"{shade.name} {color.name}"


def _acts(before: Token | None, token: Token) -> bool:
    """Tell whether a verb is what somebody does rather than the start of a compound."""
    return (
        token.role == "verb"
        and before is not None
        and before.role in ("noun", "auxiliary", "name", "pronoun", "to", "negation", "relative")
    )


def _are_worn(before: Sequence[Token]) -> bool:
    """Tell whether glasses are those of somebody's eyes rather than those on a table."""
    before = before[-_LONGEST_LIST:]
    if any(token.name == "wear" for token in before):
        return True
    near = next((t for t in reversed(before) if t.role not in ("adjective", "number")), STOP)
    return near.text in _WORN_AFTER


def _longest(tokens: Sequence[Token], compounds: Mapping[str, str]) -> tuple[int, str]:
    """Return of how many of the tokens the longest compound is, and what its tag is called."""
    for length in range(len(tokens), 1, -1):
        *first, last = tokens[:length]
        start = " ".join([token.text for token in first])
        for end in (last.text, last.name):
            if name := compounds.get(f"{start} {end}"):
                return length, name
    return 1, ""


def _as_one(compound: str, last: Token, lexicon: Lexicon) -> Token:
    kind = lexicon.kind(compound)
    return Token(compound, "adjective" if kind == "attribute" else "noun", compound, last.plural)


class Reader:
    """Reads one text after another.

    Args:
        lexicon: says of what kind a noun is.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon

    def read(self, tokens: Sequence[Token]) -> tuple[ParsedTag, ...]:
        """Return the tags of a text, each once, in their order."""
        text = _Text(self._lexicon, joined(tokens, self._lexicon))
        return text.tags()


class _Text:
    """The tags of one text, from left to right."""

    def __init__(self, lexicon: Lexicon, tokens: list[Token]) -> None:
        self._lexicon = lexicon
        self._tokens = tokens
        self._tags: dict[ParsedTag, None] = {}
        self._nouns: list[Token] = []
        self._modifiers: list[str] = []
        self._negated = False
        self._is_bare = False  # nothing came yet since the negation
        self._of_picture = False  # the subject is the picture itself

    def tags(self) -> tuple[ParsedTag, ...]:
        tokens = self._tokens
        for at, token in enumerate(tokens):
            after = tokens[at + 1] if at + 1 < len(tokens) else STOP
            if token.role == "noun":
                if token.text in _ADVERBIAL and self._nouns:
                    self._end_phrase(token)
                self._nouns.append(token)
                if token.plural and after.role == "noun":
                    self._end_phrase(after)
                continue
            if self._nouns or (self._modifiers and token.role not in _WITHIN):
                self._end_phrase(token)
            if token.role == "adjective":
                self._modifiers.append(token.name)
            elif token.role == "verb":
                self._verb(token, after)
            else:
                self._closed(token, tokens[at - 1] if at else STOP, at)
        self._end_phrase(STOP)
        return tuple(self._tags)

    def _add(self, name: str, kind: str) -> None:
        if not self._negated and name:
            self._tags[ParsedTag(name, kind)] = None

    def _verb(self, verb: Token, after: Token) -> None:
        if self._negated and verb.form in ("s", "base") and not self._is_bare:
            self._negated = False
        if self._of_picture and verb.name in MEDIA_VERBS:
            return
        self._is_bare = False
        if verb.name == "make" and after.role in ("of", "preposition") and verb.form == "ed":
            return
        phrasal = (verb.name, after.text) in PARTICLES
        self._add(f"{verb.name} {after.text}" if phrasal else verb.name, "action")

    def _closed(self, token: Token, before: Token, at: int) -> None:
        role = token.role
        if role in ("no", "without", "nobody", "negation"):
            after = self._tokens[at + 1].text if at + 1 < len(self._tokens) else ""
            if after != "only":
                self._negated = self._is_bare = True
        elif role in ("of", "preposition") and before.text in _VOID:
            self._negated = self._is_bare = True
        elif self._negated and self._ends_negation(token, at):
            self._negated = False
        if role in ("stop", "comma", "name"):
            self._of_picture = False

    def _ends_negation(self, token: Token, at: int) -> bool:
        following = self._tokens[at + 1] if at + 1 < len(self._tokens) else STOP
        if token.role in _ENDS_NEGATION:
            return True
        if token.role == "and":
            return following.role in _NEW_PHRASE
        if token.role == "comma":
            return not self._is_list(at + 1)
        if token.role == "to":
            return following.role != "verb"
        return token.role in ("auxiliary", "pronoun") and not self._is_bare

    def _is_list(self, at: int) -> bool:
        """Tell whether what follows a comma goes on to an "or"."""
        for token in self._tokens[at : at + _LONGEST_LIST]:
            if token.role in ("or", "no", "without"):
                return True
            if token.role not in ("noun", "adjective", "comma", "determiner"):
                return False
        return False

    def _end_phrase(self, after: Token) -> None:
        """Turn the nouns that came, and their modifiers, into tags."""
        nouns, modifiers = self._nouns, self._modifiers
        self._nouns, self._modifiers = [], []
        if not nouns:
            self._describe(modifiers)
            self._is_bare = self._is_bare and not modifiers
            return
        self._is_bare = False
        if after.role == "of" and nouns[-1].name in QUANTITIES:
            return
        while nouns and nouns[-1].name in _UNSEEN:
            if len(nouns) > 1 and nouns[-1].name == "center":
                break
            dropped = nouns.pop()
            self._of_picture = dropped.name in MEDIA
            if dropped.name in PLACES_OF_THINGS:
                modifiers = []
                if [noun.name for noun in nouns[-2:]] in _HAND:
                    del nouns[-2:]
        self._describe(modifiers)
        if nouns:
            self._of_picture = False
            self._compound(nouns)

    def _describe(self, modifiers: Sequence[str]) -> None:
        """Turn modifiers into tags; a shade is of its color, too."""
        for name in modifiers:
            self._add(name, "attribute")
            shade, _, color = name.partition(" ")
            if shade in SHADES and color in COLORS:
                self._add(color, "attribute")

    def _compound(self, nouns: list[Token]) -> None:
        while len(nouns) > 1 and nouns[0].name in SIDES:
            nouns.pop(0)
        while len(nouns) > 1 and nouns[0].name in MATERIALS:
            self._add(nouns.pop(0).name, "attribute")
        head = nouns[-1].name
        if " " not in head:
            before = [noun.text for noun in nouns[-_LONGEST_COMPOUND:-1]]
            head = " ".join([*before, head])
        self._add(head, self._lexicon.kind(head))


_WITHIN = frozenset(["adjective", "and", "comma", "adverb"])
