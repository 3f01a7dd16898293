"""One plain sentence about a scene, written from its truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grounded_ram.scenes.scene import SceneObject

_NUMBERS = ("no", "a", "two", "three", "four", "five", "six", "seven", "eight")
_PLURALS = {
    "bus": "buses",
    "butterfly": "butterflies",
    "cactus": "cacti",
    "fish": "fish",
    "person": "people",
}
_WHERE = {
    "sky": "under a blue sky",
    "night sky": "under the night sky",
    "sunset": "at sunset",
    "brick wall": "in front of a brick wall",
    "grass": "on the grass",
    "sea": "by the sea",
    "sand": "on the sand",
    "snow": "in the snow",
    "road": "on a road",
    "wooden floor": "on a wooden floor",
}


def describe(objects: Sequence[SceneObject], places: Sequence[str]) -> str:
    """Write the caption, such as "A red striped car and two white fish by the sea at sunset."."""
    counts = Counter(_looks(thing) for thing in objects)
    phrases = [_phrase(look, count) for look, count in counts.items()] or ["nothing"]
    listed = phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"
    sentence = " ".join([listed, *(_WHERE[place] for place in reversed(places))])
    return f"{sentence[0].upper()}{sentence[1:]}."


def _looks(thing: SceneObject) -> tuple[str, str, str]:
    return " ".join(thing.attributes), thing.name, thing.action or ""


def _phrase(look: tuple[str, str, str], count: int) -> str:
    looks, name, action = look
    noun = name if count == 1 else _PLURALS.get(name, f"{name}s")
    # A person wears the colour; a thing has it.
    words = f"{action} {noun} in {looks}" if action else f"{looks} {noun}"
    article = "an" if count == 1 and words[0] in "aeiou" else _NUMBERS[count]
    return f"{article} {words}"
