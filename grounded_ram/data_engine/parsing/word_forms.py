"""Forms of English words: singulars, infinitives, positives, one spelling."""

from __future__ import annotations

from collections.abc import Container

from grounded_ram.data_engine.parsing.adjectives import IRREGULAR_DEGREES
from grounded_ram.data_engine.parsing.english import SPELLINGS, words
from grounded_ram.data_engine.parsing.verbs import CUTTING, GERUNDS, PASTS, VERBS

_SINGULARS = {
    "men": "man", "women": "woman", "children": "child", "people": "person", "peoples": "person",
    "feet": "foot", "teeth": "tooth", "geese": "goose", "mice": "mouse", "oxen": "ox",
    "leaves": "leaf", "knives": "knife", "wolves": "wolf", "halves": "half", "shelves": "shelf",
    "calves": "calf", "loaves": "loaf", "lives": "life", "wives": "wife", "scarves": "scarf",
    "hooves": "hoof", "elves": "elf", "thieves": "thief", "dwarves": "dwarf", "wharves": "wharf",
    "cacti": "cactus", "fungi": "fungus", "octopi": "octopus", "alumni": "alumnus",
    "axes": "ax", "buses": "bus", "busses": "bus", "lenses": "lens", "gases": "gas",
    "canvases": "canvas", "irises": "iris", "pianos": "piano", "photos": "photo",
    "kids": "kid", "dice": "dice", "pence": "penny", "brethren": "brother", "media": "media",
    "kimonos": "kimono", "avocados": "avocado", "zucchinis": "zucchini", "bacteria": "bacteria",
    "policemen": "policeman", "policewomen": "policewoman", "hippopotami": "hippopotamus",
}  # fmt: skip
_ENDINGS = {"children": "child", "women": "woman", "men": "man", "teeth": "tooth", "feet": "foot"}
_PLURAL_ONLY = words(
    """
    alps bangs barracks billiards binoculars bleachers chaps clothes crossroads downstairs earmuffs
    earphones fries goggles goods handcuffs headphones headquarters jeans leftovers
    leggings means news outskirts overalls pajamas pants pliers rapids ruins scissors series shorts
    slacks species spectacles sprinkles stairs suds sunglasses sweatpants swimwear thanks tights
    tongs tropics trousers tweezers underpants
    """
)
_NO_DEGREES = words("dryer cooler cleaner lighter harvest forest")
_LONG_E = ("at", "iz", "v", "c", "u", "dg", "rg", "bl", "tl", "pl", "gl", "dl", "kl", "fl")
_VOWELS = frozenset("aeiou")


def american(word: str, known: Container[str]) -> str:
    """Return the American spelling of a word; of what has none, the word."""
    if word in SPELLINGS:
        return SPELLINGS[word]
    for british, its in (("our", "or"), ("isation", "ization"), ("ise", "ize"), ("ising", "izing")):
        at = word.find(british, 2)
        if at > 0:
            changed = word[:at] + its + word[at + len(british) :]
            if changed in known or changed.rstrip("s") in known:
                return changed
    return word


def singular(word: str, known: Container[str]) -> tuple[str, bool]:
    """Return the singular of a noun, and whether the noun is a plural of it.

    Args:
        word: lower case.
        known: nouns in the singular.
    """
    if word in _PLURAL_ONLY:
        return word, False
    if word in _SINGULARS:
        return _SINGULARS[word], True
    for plural, its in _ENDINGS.items():
        if word.endswith(plural):
            return word[: -len(plural)] + its, True
    if not word.endswith("s") or len(word) < 4 or word.endswith(("ss", "us", "is")):
        return word, False
    candidates = [word[:-1]]
    if word.endswith("ies") and len(word) > 4:
        candidates.append(word[:-3] + "y")
    elif word.endswith(("ses", "xes", "zes", "ches", "shes", "oes")):
        candidates.append(word[:-2])
    elif word.endswith("men"):
        candidates.append(word[:-2] + "an")
    for candidate in candidates:
        if candidate in known:
            return candidate, True
    if word in known:
        return word, False
    softer = word.endswith(("sses", "xes", "zes", "ches", "shes", "oes", "ies"))
    return candidates[-1 if softer else 0], True


def infinitive(word: str) -> tuple[str, str] | None:
    """Return the infinitive of a verb and its form: base, s, ing or ed; None if it is no known one.

    ``ed`` stands for the past and the participle alike.
    """
    if word in PASTS:
        return PASTS[word], "ed"
    if word in VERBS:
        return word, "base"
    if word in GERUNDS:
        return GERUNDS[word], "ing"
    for ending, form in (("ing", "ing"), ("ed", "ed")):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            for base in _bases(word[: -len(ending)]):
                if base in VERBS or base in CUTTING:
                    return base, form
    if word.endswith("s"):
        for base in (word[:-1], word[:-2] if word.endswith("es") else "", word[:-3] + "y"):
            if base in VERBS and (base[-1:] != "y" or word.endswith(("ies", "ys"))):
                return base, "s"
    return None


def guessed_infinitive(word: str) -> tuple[str, str] | None:
    """Return what would be the infinitive of an unknown word in -ing or -ed; None for others."""
    for ending in ("ing", "ed"):
        stem = word[: -len(ending)]
        if word.endswith(ending) and len(stem) > 2 and _VOWELS & set(stem) and stem[-1] != "e":
            return _bases(stem)[0], ending
    return None


def _bases(stem: str) -> list[str]:
    """Return the infinitives that -ing or -ed may have been put to, the likeliest first."""
    if len(stem) > 2 and stem[-1] == stem[-2] and stem[-1] not in "aeiou":
        bases = [stem[:-1], stem]
        return bases[::-1] if stem[-1] in "lsfz" else bases
    if stem.endswith("i"):
        return [stem[:-1] + "y", stem + "e"]
    short = (
        len(stem) > 1
        and stem[-1] not in "aeiouwxy"
        and stem[-2] in _VOWELS
        and not set(stem[:-2]) & _VOWELS
    )
    if short or stem.endswith(_LONG_E):
        return [stem + "e", stem]
    return [stem, stem + "e"]


def positive(word: str, known: Container[str]) -> str:
    """Return the adjective that a word is, or of which it is a degree; empty if it is none."""
    if word in IRREGULAR_DEGREES:
        return IRREGULAR_DEGREES[word]
    if word in known:
        return word
    for ending in ("er", "est"):
        stem = word[: -len(ending)]
        if word.endswith(ending) and len(stem) > 2 and word not in _NO_DEGREES:
            for base in (stem, stem + "e", stem[:-1] + "y" if stem[-1] == "i" else "", stem[:-1]):
                if base in known and (base != stem[:-1] or stem[-1] == stem[-2]):
                    return base
    return ""
