"""Texts -> words: lower case, contractions and hyphens taken apart, names told by capitals."""

from __future__ import annotations

import html
import re
import unicodedata

from grounded_ram.data_engine.parsing.lexicon import Lexicon

_NO_WORD = re.compile(
    r"(?<!\S)\S*(?:://|www\.|\.(?:jpe?g|png|gif|webp|svg|pdf|mp4|com|net|org)\b)\S*|[@#]\w+",
    re.IGNORECASE,
)
"""Addresses, names of files, handles: anchored, lest a text without spaces take quadratic time."""

_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*|[^\w\s'-]|\n|(?<=\s)-(?=\s)")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]\w{1,31});")
"""As pages write characters: "&amp;", "&#39;"."""

_APOSTROPHES = str.maketrans("\u2019\u2018\u02bc`\u2010\u2011", "''''--")
_PAUSES = {",": ",", "/": ",", "&": "and"}
_TITLES = frozenset(["mr", "mrs", "ms", "dr", "st"])
_NEGATED = {"can't": "can", "won't": "will", "cannot": "can"}


def unescaped(text: str) -> str:
    """Return a text with the characters that HTML entities stand for; unknown ones stay."""
    if "&" not in text:
        return text
    return _ENTITY.sub(lambda found: html.unescape(found.group()), text)


def words_of(text: str, lexicon: Lexicon) -> list[str]:
    """Return the words of a text in lower case; "," and "." stand for pauses, "" for a name."""
    text = unescaped(text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_APOSTROPHES)
    if "." in text or "@" in text or "#" in text or "://" in text:
        text = _NO_WORD.sub(" . ", text)
    spelt = _WORD.findall(text)
    lower = [word.lower() for word in spelt]
    if lower != spelt:
        _hide_names(spelt, lower, lexicon)
    found: list[str] = []
    for word in lower:
        if word.isalpha() or not word:
            found.append(word)
        else:
            found += _parts(word, lexicon)
    return found


def _hide_names(spelt: list[str], lower: list[str], lexicon: Lexicon) -> None:
    """Replace proper names by ""; where most words are capitalised, capitals tell nothing."""
    capitals = [word[0].isupper() for word in spelt]
    letters = sum(word[0].isalpha() for word in spelt)
    first = next((i for i, word in enumerate(spelt) if word[0].isalpha()), 0)
    if 3 * (sum(capitals) - capitals[first]) > 2 * (letters - 1):
        return
    at = first + 1
    while at < len(spelt):
        starts = spelt[at - 1] in ".!?:\n" and lower[at - 2] not in _TITLES
        if not capitals[at] or starts:
            at += 1
            continue
        end = at + 1
        while end < len(spelt) and capitals[end]:
            end += 1
        if not _is_common(lower[at : end + 2], end - at, lexicon):
            lower[at:end] = [""] * (end - at)
            if at == first + 1 and capitals[first] and not lexicon.is_common(lower[first]):
                lower[first] = ""
        at = end


def _is_common(words: list[str], capitals: int, lexicon: Lexicon) -> bool:
    """Tell whether capitalised words are no name: a known compound, or one known word."""
    if capitals == 1 and lexicon.is_common(words[0]):
        return True
    compounds = lexicon.compounds.get(words[0], {})
    most = min(lexicon.longest.get(words[0], 0), len(words))
    return any(" ".join(words[:n]) in compounds for n in range(2, most + 1))


def _parts(word: str, lexicon: Lexicon) -> list[str]:
    """Take a word with an apostrophe or hyphens apart, if it is not a known one."""
    if len(word) == 1:
        return [_PAUSES.get(word, ".")] if not word.isalnum() else [word]
    if "'" in word:
        return _around_apostrophe(word)
    if "-" in word and not lexicon.is_whole(word):
        return word.split("-")
    return [word]


def _around_apostrophe(word: str) -> list[str]:
    if word in _NEGATED:
        return [_NEGATED[word], "n't"]
    stem, _, rest = word.rpartition("'")
    if rest == "t" and stem.endswith("n"):
        return [stem[:-1], "n't"]
    if rest in ("s", "re", "ve", "ll", "d", "m"):
        return [stem, "'" + rest]
    return [stem, rest]
