"""Words -> roles: which of its readings each word has where it stands."""

from __future__ import annotations

from grounded_ram.data_engine.parsing.english import LISTENING, words
from grounded_ram.data_engine.parsing.lexicon import WORDS_KEPT, Lexicon, Word
from grounded_ram.data_engine.parsing.phrases import STOP, Token
from grounded_ram.data_engine.parsing.texts import words_of

_END = Word(".", "stop")

_NOMINAL = words("determiner number possessive adjective preposition of no without")
_SUBJECT = frozenset(["noun", "name", "pronoun", "relative"])
_OBJECT = words("determiner preposition pronoun adverb to number stop")
_MODALS = words("can could will would shall should may might must do does did n't ca wo 'll")
_BE = words("be am is are was were been being 's 're 'm isnt arent seem seems")
_DOERS = frozenset(["they", "you", "we", "i", "who", "these", "those"])


class Roles:
    """Gives roles to the words of texts.

    Args:
        lexicon: knows the readings of words.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._tokens: dict[tuple[str, str], Token] = {}

    def tokens(self, text: str) -> list[Token]:
        """Return the words of a text with their roles."""
        read = [self._lexicon.word(word) for word in words_of(text, self._lexicon)]
        clause = _Clause(self._lexicon)
        found: list[Token] = []
        before = STOP
        for at, word in enumerate(read):
            after = read[at + 1] if at + 1 < len(read) else _END
            role = clause.role(word, before, after)
            before = self._token(word, role)
            clause.go_on(before)
            found.append(before)
        return found

    def _token(self, word: Word, role: str) -> Token:
        key = word.text, role
        token = self._tokens.get(key)
        if token is None:
            if len(self._tokens) >= WORDS_KEPT:
                self._tokens.clear()
            name = {"noun": word.noun, "verb": word.verb, "adjective": word.adjective}.get(role, "")
            plural = role == "noun" and word.plural
            token = Token(word.text, role, name, plural, word.form if role == "verb" else "")
            self._tokens[key] = token
        return token


class _Clause:
    """What came so far in a clause, as far as the next word's role depends on it."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._compounds = lexicon.compounds
        self._has_verb = False
        self._joins = False
        self._asks = False
        self._is_of_one: bool | None = None  # whether the first noun is in the singular
        self._last = STOP
        self._before_to = ""

    def go_on(self, token: Token) -> None:
        """Take note of a word's role."""
        role = token.role
        if role in ("stop", "conjunction", "relative", "but"):
            self._has_verb = self._joins = self._asks = False
            self._is_of_one = None
        elif role == "noun" and self._is_of_one is None:
            self._is_of_one = not token.plural
        elif role == "auxiliary" or (role == "verb" and token.form in ("s", "base")):
            self._has_verb = True
            self._asks = token.text in _MODALS and self._last.role not in _SUBJECT
        elif role in ("and", "comma"):
            self._has_verb, self._joins = False, role == "and"
        elif role == "to":
            self._before_to = self._last.name or self._last.text
        self._last = token

    def role(self, word: Word, before: Token, after: Word) -> str:
        """Return the role of the next word."""
        if word.role:
            return self._closed(word, before, after)
        if word.verb and self._is_verb(word, before, after):
            return "verb"
        if word.adjective and (not word.noun or self._is_adjective(word, before, after)):
            return "adjective"
        return "noun" if word.noun else "verb"

    def _closed(self, word: Word, before: Token, after: Word) -> str:
        if word.text == "'s" and before.role in ("noun", "name"):
            acts = after.role or (after.form == "ing" and not after.noun)
            return "auxiliary" if acts else "possessive"
        if word.noun and before.role in ("determiner", "adjective", "number"):
            return "noun"
        if word.role == "relative" and before.role != "noun":
            return "determiner"
        return word.role

    def _is_adjective(self, word: Word, before: Token, after: Word) -> bool:
        """Tell an adjective from a noun."""
        if word.plural:
            return not word.is_usually_noun
        if before.text in _BE or before.role == "noun" or after.adjective:
            return True
        return bool(after.noun and (after.is_usually_noun or not after.verb))

    def _is_verb(self, word: Word, before: Token, after: Word) -> bool:
        """Tell a verb from a noun or an adjective."""
        if word.form == "ing":
            return self._is_gerund(word, before, after)
        if word.form == "ed":
            return self._is_past(word, before, after)
        if before.text in _MODALS or before.text in _DOERS:
            return True
        if before.role in _NOMINAL or after.role == "of":
            return not (word.noun or word.adjective)
        if before.role == "to":
            return not word.is_usually_noun or after.role in _OBJECT or self._before_to in LISTENING
        if word.form == "s":
            return self._is_third_person(word, before, after)
        return self._is_base(word, before, after)

    def _is_gerund(self, word: Word, before: Token, after: Word) -> bool:
        if word.adjective:
            return after.role == "determiner"
        if not word.noun:
            return True
        acts = before.text in _BE or (before.role in _SUBJECT and after.role in _OBJECT)
        return after.role == "determiner" or (acts and word.verb != "build")

    def _is_past(self, word: Word, before: Token, after: Word) -> bool:
        if word.noun:
            return before.role in (*_SUBJECT, "auxiliary", "adverb") and not self._is_known(
                before, word
            )
        return not word.adjective or after.role == "determiner"

    def _is_third_person(self, word: Word, before: Token, after: Word) -> bool:
        usual = word.is_usually_noun
        if after.role == "determiner" and before.role not in ("comma", "stop"):
            return True
        if not word.is_known:
            return False
        if before.role in (*_SUBJECT, "adverb"):
            if self._is_known(before, word):
                return not usual
            if before.plural:
                return not usual or (bool(self._is_of_one) and after.role in _OBJECT)
            return not usual or not (self._has_verb or after.role == "auxiliary")
        if before.role in ("stop", "comma", "and", "but", "or"):
            return not usual or (after.role in ("determiner", "pronoun") and before.role != "comma")
        return not usual

    def _is_base(self, word: Word, before: Token, after: Word) -> bool:
        usual = word.is_usually_noun
        if before.role in ("noun", "name"):
            if self._asks and before.role == "noun":
                return not self._is_known(before, word)
            if self._has_verb or self._is_known(before, word):
                return False
            if before.plural or (self._joins and before.role == "noun") or before.role == "name":
                return not usual or after.role in _OBJECT or (after.plural and not after.verb)
            return not usual and after.role in _OBJECT
        if before.text in _BE:
            return not (usual or word.adjective)
        if before.role in ("pronoun", "relative"):
            return before.text != "there"
        if before.role in ("stop", "and"):
            return after.role == "determiner" or not (usual or word.adjective)
        return not (usual or word.adjective)

    def _is_known(self, before: Token, word: Word) -> bool:
        """Tell whether two words are a compound of the vocabulary."""
        return f"{before.text} {word.noun}" in self._compounds.get(before.text, ())
