"""Tags that may be one tag in two spellings: suggested to a human, never folded by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

_BRITISH_WORDS = {
    **{"aeroplane": "airplane", "aluminium": "aluminum", "axe": "ax", "catalogue": "catalog"},
    **{"cheque": "check", "cosy": "cozy", "doughnut": "donut", "draught": "draft"},
    **{"grey": "gray", "jewellery": "jewelry", "kerb": "curb", "liquorice": "licorice"},
    **{"manoeuvre": "maneuver", "mould": "mold", "moustache": "mustache", "omelette": "omelet"},
    **{"pyjama": "pajama", "plough": "plow", "programme": "program", "sceptre": "scepter"},
    **{"skilful": "skillful", "storey": "story", "sulphur": "sulfur", "tyre": "tire"},
    **{"whisky": "whiskey", "woollen": "woolen", "yoghurt": "yogurt"},
}
"""British words whose American spelling no rule gives."""

_BRITISH_PARTS = (
    *(("colour", "color"), ("armour", "armor"), ("behaviour", "behavior"), ("favour", "favor")),
    *(("flavour", "flavor"), ("harbour", "harbor"), ("honour", "honor"), ("labour", "labor")),
    *(("neighbour", "neighbor"), ("odour", "odor"), ("parlour", "parlor"), ("rumour", "rumor")),
    *(("vapour", "vapor"), ("vigour", "vigor"), ("theatre", "theater"), ("centre", "center")),
    *(("fibre", "fiber"), ("metre", "meter"), ("litre", "liter"), ("lustre", "luster")),
    *(("sombre", "somber"), ("calibre", "caliber"), ("spectre", "specter"), ("sabre", "saber")),
    *(("defence", "defense"), ("licence", "license"), ("offence", "offense")),
    *(("dialogue", "dialog"), ("analyse", "analyze"), ("paralyse", "paralyze")),
    *(("travell", "travel"), ("jewell", "jewel"), ("modell", "model"), ("cancell", "cancel")),
    *(("labell", "label"), ("marvell", "marvel"), ("tunnell", "tunnel"), ("panell", "panel")),
    *(("organis", "organiz"), ("recognis", "recogniz"), ("realis", "realiz")),
    *(("decoris", "decoriz"), ("civilis", "civiliz"), ("specialis", "specializ")),
    *(("fertilis", "fertiliz"), ("sterilis", "steriliz"), ("stylis", "styliz")),
    *(("motoris", "motoriz"), ("paediatr", "pediatr"), ("anaesth", "anesth")),
)
"""Parts of British words, and of American ones."""

_IRREGULAR = {
    **{"men": "man", "women": "woman", "children": "child", "people": "person", "feet": "foot"},
    **{"teeth": "tooth", "geese": "goose", "mice": "mouse", "oxen": "ox", "dice": "die"},
    **{"cacti": "cactus", "fungi": "fungus", "leaves": "leaf", "knives": "knife"},
    **{"wives": "wife", "shelves": "shelf", "wolves": "wolf", "halves": "half"},
    **{"loaves": "loaf", "scarves": "scarf", "calves": "calf", "hooves": "hoof"},
    **{"thieves": "thief", "elves": "elf"},
}
_NO_PLURAL = ("ss", "us", "is")
_PLURALS = (("ies", "y"), ("ches", "ch"), ("shes", "sh"), ("sses", "ss"), ("xes", "x"))

MISSPELT = 10
"""How many times as frequent the right spelling must be for a tag to be called a slip of it."""

_LEAST_LETTERS = 6  # of a word that is taken for a slip: shorter words are too near to others


def alike(counts: Mapping[str, int], is_sure: Callable[[str], bool]) -> dict[str, tuple[str, str]]:
    """Find tags that may be spellings of others.

    Args:
        counts: tag -> how often it comes.
        is_sure: tells whether a tag is known to be spelt right; such a one is as it should be, and
            of several spellings it is the one to take.

    Returns:
        tag -> the tag that it may be the same as, and why. That tag is in no other's place.
    """
    groups: dict[str, list[str]] = {}
    for tag in counts:
        groups.setdefault(_key(tag), []).append(tag)
    found: dict[str, tuple[str, str]] = {}
    for group in groups.values():
        best = min(group, key=lambda tag: (not is_sure(tag), -counts[tag], tag))
        doubtful = [tag for tag in group if tag != best and not is_sure(tag)]
        found |= {tag: (best, _reason(tag, best)) for tag in doubtful}
    rest = {tag: count for tag, count in counts.items() if tag not in found}
    return found | _slips(rest, is_sure)


def american(word: str) -> str:
    """Return the American spelling of a word."""
    if word in _BRITISH_WORDS:
        return _BRITISH_WORDS[word]
    for british, ours in _BRITISH_PARTS:
        word = word.replace(british, ours)
    return word


def singular(word: str) -> str:
    """Return what a word would be the plural of, or the word."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or not word.endswith("s") or word.endswith(_NO_PLURAL):
        return word
    for plural, one in _PLURALS:
        if word.endswith(plural):
            return word.removesuffix(plural) + one
    return word[:-1]


def _words(tag: str) -> list[str]:
    return tag.casefold().replace("-", " ").replace("'", "").split()


def _key(tag: str) -> str:
    """Return what all spellings of a tag have in common."""
    return "".join(american(singular(word)) for word in _words(tag))


def _reason(tag: str, other: str) -> str:
    if "".join(_words(tag)) == "".join(_words(other)):
        return "written with a hyphen, a space or neither"
    if "".join(map(singular, _words(tag))) == "".join(map(singular, _words(other))):
        return "singular and plural"
    if "".join(map(american, _words(tag))) == "".join(map(american, _words(other))):
        return "British and American spelling"
    return "another spelling"


def _slips(counts: Mapping[str, int], is_sure: Callable[[str], bool]) -> dict[str, tuple[str, str]]:
    """Find tags that are one letter away from a far more frequent one."""
    near: dict[str, list[str]] = {}
    for tag in counts:
        if len(tag) >= _LEAST_LETTERS:
            for key in {tag, *_one_less(tag)}:
                near.setdefault(key, []).append(tag)
    found = {}
    for tag, count in counts.items():
        if len(tag) < _LEAST_LETTERS or is_sure(tag):
            continue
        others = {other for key in (tag, *_one_less(tag)) for other in near.get(key, ())}
        right = [o for o in others if counts[o] >= MISSPELT * max(count, 1) and _is_near(tag, o)]
        if right:
            best = min(right, key=lambda other: (-counts[other], other))
            found[tag] = (best, "one letter off")
    wrong = set(found)
    return {tag: told for tag, told in found.items() if told[0] not in wrong}


def _one_less(tag: str) -> Iterable[str]:
    return (tag[:i] + tag[i + 1 :] for i in range(len(tag)))


def _is_near(one: str, other: str) -> bool:
    """Tell whether one letter more, one less, another one, or two swapped make two words one."""
    if one[0] != other[0] or one == other:
        return False
    short, long = sorted((one, other), key=len)
    letters = enumerate(zip(short, long, strict=False))
    i = next((place for place, (a, b) in letters if a != b), len(short))
    if len(short) < len(long):
        return short[i:] == long[i + 1 :]
    is_swapped = short[i : i + 2] == long[i : i + 2][::-1]
    return short[i + 1 :] == long[i + 1 :] or (is_swapped and short[i + 2 :] == long[i + 2 :])
