"""Captions -> tags by a spaCy pipeline: which role each word has is the pipeline's judgement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from grounded_ram.data_engine.parsing.lexicon import Lexicon, Word
from grounded_ram.data_engine.parsing.parser import ParsedTag
from grounded_ram.data_engine.parsing.phrases import Reader, Token
from grounded_ram.data_engine.parsing.texts import unescaped
from grounded_ram.errors import MissingDependencyError
from grounded_ram.vocabulary.table import Vocabulary, official_vocabulary

if TYPE_CHECKING:
    import spacy.language
    import spacy.tokens

PIPELINE = "en_core_web_sm"
"""What "spacy" means as the name of a parser."""

_BATCH = 256
_UNUSED = ("ner", "entity_linker", "senter", "textcat")
_FORMS = {"VBG": "ing", "VBN": "ed", "VBD": "ed", "VBZ": "s"}
_CLOSED = {
    "ADP": "preposition", "ADV": "adverb", "AUX": "auxiliary", "DET": "determiner",
    "NUM": "number", "PRON": "pronoun", "SCONJ": "conjunction", "INTJ": "adverb",
    "CCONJ": "and", "SYM": "number", "X": "name",
}  # fmt: skip


class SpacyParser:
    """Reads captions with a spaCy pipeline of English.

    Args:
        pipeline: gives words, parts of speech, dependencies and lemmas.
        vocabulary: says which compounds there are and the kinds of nouns, beside the table of RAM
            and Tag2Text, and before it.
    """

    def __init__(
        self, pipeline: spacy.language.Language, vocabulary: Vocabulary | None = None
    ) -> None:
        self._pipeline = pipeline
        self._lexicon = Lexicon(vocabulary or official_vocabulary())
        self._reader = Reader(self._lexicon)

    def parse(self, captions: Iterable[str]) -> Iterator[tuple[ParsedTag, ...]]:
        """Yield the tags of each caption; see ``parsing.CaptionParser``."""
        longest = self._pipeline.max_length
        unused = [name for name in _UNUSED if name in self._pipeline.pipe_names]
        texts = (_evened(unescaped(caption))[:longest] for caption in captions)
        for doc in self._pipeline.pipe(texts, batch_size=_BATCH, disable=unused):
            yield self.read(doc)

    def read(self, doc: spacy.tokens.Doc) -> tuple[ParsedTag, ...]:
        """Return the tags of a text that the pipeline has gone through."""
        return self._reader.read(list(self._tokens(doc)))

    def _tokens(self, doc: spacy.tokens.Doc) -> Iterator[Token]:
        tokens = [token for token in doc if not token.is_space]
        at = 0
        while at < len(tokens):
            parts = tokens[at : at + 3]
            whole = "".join(part.lower_ for part in parts)
            if len(parts) == 3 and parts[1].text == "-" and self._lexicon.is_whole(whole):
                yield self._whole(whole)
                at += 3
                continue
            if tokens[at].text != "-":
                yield self._token(tokens[at])
            at += 1

    def _whole(self, text: str) -> Token:
        """Return the token of a word with a hyphen, which pipelines take apart."""
        word = self._lexicon.word(text)
        if word.role:
            return Token(word.text, word.role)
        if word.adjective or not word.noun:
            return Token(text, "adjective", text)
        return Token(text, "noun", word.noun, word.plural)

    def _token(self, token: spacy.tokens.Token) -> Token:
        word = self._lexicon.word(token.lower_)
        if word.role and not (word.noun and (token.pos_ == "NOUN" or _follows_determiner(token))):
            return Token(word.text, _closed(word, token))
        if token.is_punct:
            return Token(token.text, "comma" if token.text == "," else "stop")
        if token.pos_ == "PROPN" and not (token.is_lower or self._lexicon.is_common(token.lower_)):
            return Token(word.text, "name")
        role = "noun" if word.role and word.noun else _role(word, token)
        if role == "noun":
            plural = word.plural or token.tag_ in ("NNS", "NNPS")
            name = word.noun if word.noun and word.is_known else token.lemma_.lower()
            return Token(word.text, role, name, plural)
        if role == "adjective":
            return Token(word.text, role, word.adjective or token.lemma_.lower())
        if role == "verb":
            name = word.verb or token.lemma_.lower()
            return Token(word.text, role, name, form=_FORMS.get(token.tag_, "base"))
        return Token(word.text, role)


def _closed(word: Word, token: spacy.tokens.Token) -> str:
    if word.text == "'s" and token.dep_ == "case":
        return "possessive"
    if word.role == "relative" and token.pos_ == "DET":
        return "determiner"
    return word.role


def _role(word: Word, token: spacy.tokens.Token) -> str:
    """Return the role of a word of an open class: as judged, unless the word can never have it."""
    pos = token.pos_
    if pos in ("NOUN", "PROPN"):
        if word.noun and not _ends_like_verb(word, token):
            return "noun"
        return "adjective" if word.adjective else "verb" if word.verb else "noun"
    if pos == "VERB":
        if word.is_usually_noun and word.is_known and token.dep_ in ("pobj", "dobj", "nsubj"):
            return "noun"
        if word.noun and word.is_known and not (word.verb or word.adjective):
            return "noun"
        describes = word.form in ("ed", "ing") and token.dep_ in ("amod", "acomp", "ROOT")
        return "adjective" if word.adjective and (describes or not word.verb) else "verb"
    if pos == "ADJ":
        if word.adjective or not word.is_known:
            return "adjective"
        return "noun" if word.is_usually_noun else "verb" if word.verb else "adjective"
    return _CLOSED.get(pos, "adverb")


def _ends_like_verb(word: Word, token: spacy.tokens.Token) -> bool:
    """Tell whether "taxi waits" was taken for a compound."""
    if word.form != "s" or not word.is_known or token.i == 0:
        return False
    before = token.nbor(-1)
    if not word.is_usually_noun:
        return before.pos_ in ("NOUN", "PROPN", "PRON", "PUNCT", "CCONJ", "ADV")
    takes_object = token.i + 1 < len(token.doc) and token.nbor().pos_ == "DET"
    return bool(takes_object) and before.tag_ in ("NN", "NNP")


def _follows_determiner(token: spacy.tokens.Token) -> bool:
    return bool(token.i > 0 and token.nbor(-1).pos_ == "DET")


def _evened(text: str) -> str:
    """Return a text in capitals in lower case: pipelines take capitals for names."""
    return text.lower() if sum(map(str.isupper, text)) * 2 > len(text.replace(" ", "")) else text


def load_spacy_parser(name: str) -> SpacyParser:
    """Return the parser over an installed pipeline, by its name.

    Raises:
        MissingDependencyError: spaCy or the pipeline is not installed.
    """
    try:
        import spacy
    except ImportError as error:
        raise MissingDependencyError(
            "the caption parser 'spacy' needs spaCy; try: pip install spacy && "
            f"python -m spacy download {name}; the parser 'rules' needs neither"
        ) from error
    try:
        return SpacyParser(spacy.load(name))
    except OSError as error:
        raise MissingDependencyError(
            f"the spaCy pipeline {name!r} is not installed; try: python -m spacy download {name}; "
            "another is named by 'spacy:PIPELINE', and the parser 'rules' needs none"
        ) from error
