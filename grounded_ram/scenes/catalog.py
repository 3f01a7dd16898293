"""The words of the picture book: every category, scene, attribute and action, and who draws it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from grounded_ram.scenes import (
    objects_animals,
    objects_crafts,
    objects_furniture,
    objects_household,
    objects_kitchen,
    objects_nature,
    objects_people,
    objects_places,
    objects_shelled,
    objects_toys,
    objects_vehicles,
    objects_winged,
)
from grounded_ram.scenes.backgrounds import SCENES
from grounded_ram.scenes.pen import Color, Pen

Draw = Callable[[Pen], None]

PERSON = "person"
OBJECTS: Mapping[str, Draw] = {
    "airplane": objects_crafts.airplane,
    "apple": objects_kitchen.apple,
    "ball": objects_toys.ball,
    "balloon": objects_toys.balloon,
    "banana": objects_kitchen.banana,
    "bicycle": objects_vehicles.bicycle,
    "bird": objects_winged.bird,
    "boat": objects_crafts.boat,
    "book": objects_household.book,
    "bottle": objects_household.bottle,
    "bus": objects_vehicles.bus,
    "butterfly": objects_winged.butterfly,
    "cactus": objects_nature.cactus,
    "car": objects_vehicles.car,
    "carrot": objects_kitchen.carrot,
    "castle": objects_places.castle,
    "cat": objects_animals.cat,
    "chair": objects_furniture.chair,
    "clock": objects_furniture.clock,
    "cloud": objects_nature.cloud,
    "cup": objects_household.cup,
    "fish": objects_animals.fish,
    "flower": objects_nature.flower,
    "guitar": objects_toys.guitar,
    "house": objects_places.house,
    "ice cream": objects_kitchen.ice_cream,
    "lamp": objects_furniture.lamp,
    "mushroom": objects_nature.mushroom,
    "rocket": objects_crafts.rocket,
    "snail": objects_shelled.snail,
    "star": objects_nature.star,
    "train": objects_vehicles.train,
    "tree": objects_nature.tree,
    "turtle": objects_shelled.turtle,
    "umbrella": objects_household.umbrella,
}
"""Every category but the person, who takes an action besides the pen."""

COLORS: Mapping[str, Color] = {
    "black": (38, 36, 42),
    "blue": (44, 98, 214),
    "green": (56, 168, 76),
    "orange": (243, 132, 32),
    "pink": (242, 136, 184),
    "purple": (138, 66, 182),
    "red": (212, 42, 44),
    "white": (243, 243, 240),
    "yellow": (246, 210, 50),
}
PATTERNS: tuple[str, ...] = ("dotted", "striped")

CATEGORIES: tuple[str, ...] = tuple(sorted([*OBJECTS, PERSON]))
ATTRIBUTES: tuple[str, ...] = tuple(sorted([*COLORS, *PATTERNS]))
ACTIONS: tuple[str, ...] = tuple(sorted(objects_people.ACTIONS))
PLAIN: Mapping[str, str] = {
    **dict.fromkeys(CATEGORIES, "object"),
    **dict.fromkeys(sorted(SCENES), "scene"),
    **dict.fromkeys(ATTRIBUTES, "attribute"),
    **dict.fromkeys(ACTIONS, "action"),
}
"""Each thing under its plain name, with its kind."""

FURTHER: Mapping[str, tuple[str, ...]] = {
    "animal": ("bird", "butterfly", "cat", "fish", "snail", "turtle"),
    "automobile": ("car",),
    "bike": ("bicycle",),
    "building": ("castle", "house"),
    "container": ("bottle", "cup"),
    "food": ("apple", "banana", "carrot", "ice cream"),
    "fruit": ("apple", "banana"),
    "furniture": ("chair",),
    "human": (PERSON,),
    "icecream": ("ice cream",),
    "insect": ("butterfly",),
    "kitty": ("cat",),
    "plane": ("airplane",),
    "plant": ("cactus", "flower", "tree"),
    "vehicle": ("airplane", "bicycle", "boat", "bus", "car", "rocket", "train"),
}
"""Further words for the same things, synonyms and what they are kinds of: word -> categories."""

VOCABULARY: Mapping[str, str] = {**PLAIN, **dict.fromkeys(FURTHER, "object")}
"""Every tag a scene can have, with its kind, in the order of the tiny preset's tag list."""


def further_names(category: str) -> tuple[str, ...]:
    """Return the further words for a category."""
    return tuple(word for word, categories in FURTHER.items() if category in categories)
