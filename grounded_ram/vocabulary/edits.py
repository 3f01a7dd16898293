"""A user's own edits of the vocabulary, in YAML.

    ground: [object, stuff]     kinds to look for
    allow: [car, dog]           look for these and kinds of them, and nothing else
    block: [person]             never look for these or kinds of them
    synonyms:                   further names of one thing; the first name is the label
      car: [motorcar]
    parents:                    what a tag is a kind of
      forklift: [vehicle]
    rename:                     labels as you want them called
      sedan: saloon
    classes:                    map everything to these labels, with kinds of them; drop the rest
      vehicle: [car, truck, bus]
      person:
    ask: classes                look for the tags of the classes in every picture, ask no tagger
    thresholds:                 of single tags, in [0, 1]
      dog: 0.7

Every part may be left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from grounded_ram.errors import InputError
from grounded_ram.names import unknown_name
from grounded_ram.vocabulary.table import KINDS, official_vocabulary

Lists: TypeAlias = Mapping[str, tuple[str, ...]]

_ASK = ("tagger", "classes")


@dataclass(frozen=True, kw_only=True)
class Edits:
    """What a user wants otherwise; names are tags of the vocabulary, or new ones where said.

    Args:
        ground: kinds to look for; None means those of the preset.
        allow: look for these and kinds of them alone; empty means for all.
        block: never look for these or kinds of them.
        synonyms: label -> further names of the same thing; both may be new.
        parents: tag -> what it is a kind of; the tag may be new.
        rename: tag -> the label it gets.
        classes: label -> the tags it collects, with kinds of them; empty means all labels stay.
        ask: "tagger": look for what a tagger sees; "classes": for all tags of the classes.
        thresholds: tag -> threshold in [0, 1], strictly above which it is seen.
    """

    ground: tuple[str, ...] | None = None
    allow: tuple[str, ...] = ()
    block: tuple[str, ...] = ()
    synonyms: Lists = field(default_factory=dict)
    parents: Lists = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    classes: Lists = field(default_factory=dict)
    ask: str = "tagger"
    thresholds: Mapping[str, float] = field(default_factory=dict)


def read_edits(path: Path) -> Edits:
    """Read edits from a YAML file.

    Raises:
        InputError: the file cannot be read, or says what cannot be; the message tells the line and
            what is near.
    """
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
        return _Reader(path).read({} if found is None else found)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: {error}") from error


class _Text(str):
    """A text of the file that knows its line."""

    line: int


class _Loader(yaml.SafeLoader):  # type: ignore[misc, unused-ignore]  # PyYAML may have no types
    """Reads bare words as text, also those that YAML takes for truth values or dates."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if not tag.endswith((":bool", ":timestamp"))]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _construct_text(loader: _Loader, node: yaml.ScalarNode) -> _Text:
    text = _Text(loader.construct_scalar(node))
    text.line = node.start_mark.line + 1
    return text


_Loader.add_constructor("tag:yaml.org,2002:str", _construct_text)


class _Reader:
    """Checks what a file says, part by part."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = set(official_vocabulary())

    def read(self, found: Any) -> Edits:
        parts = self._mapping(found, None)
        for key in parts:
            self._check(key, [part.name for part in fields(Edits)], "setting")
        keys = {str(key): key for key in parts}

        def mapping(name: str) -> dict[_Text, Any]:
            return self._mapping(parts[keys[name]], keys[name]) if name in keys else {}

        def names(name: str, known: Collection[str], what: str = "tag") -> tuple[str, ...]:
            return self._names(parts[keys[name]], keys[name], known, what) if name in keys else ()

        synonyms = {str(k): self._names(v, k, None) for k, v in mapping("synonyms").items()}
        self._known.update(synonyms, *synonyms.values(), mapping("parents"))
        ask = names("ask", ("tagger", "classes"), "source of tags") or ("tagger",)
        known = self._known
        asked = known if ask == ("tagger",) else None  # a detector finds words that no tagger says
        return Edits(
            ground=names("ground", KINDS, "kind") if "ground" in keys else None,
            allow=names("allow", known),
            block=names("block", known),
            synonyms=synonyms,
            parents={str(k): self._names(v, k, known) for k, v in mapping("parents").items()},
            rename={
                str(self._check(k, known, "tag")): self._one(v, k)
                for k, v in mapping("rename").items()
            },
            classes={
                str(k): self._names(v or [k], k, asked) for k, v in mapping("classes").items()
            },
            ask=ask[0],
            thresholds={
                str(self._check(k, known, "tag")): self._share(v, k)
                for k, v in mapping("thresholds").items()
            },
        )

    def _mapping(self, value: Any, key: _Text | None) -> dict[_Text, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._mistake(key, f"expected names with values, got {value!r}")
        if wrong := [name for name in value if not isinstance(name, _Text)]:
            raise self._mistake(key, f"expected names, in quotes if need be, got {wrong[0]!r}")
        return value

    def _names(
        self, value: Any, key: _Text, known: Collection[str] | None, what: str = "tag"
    ) -> tuple[str, ...]:
        """Read a list of names, or one alone; None lets any name pass."""
        for name in (listed := value if isinstance(value, list) else [value]):
            if not isinstance(name, _Text) or name != " ".join(name.split()):
                raise self._mistake(key, f"expected names, in quotes if need be, got {name!r}")
            if known is not None:
                self._check(name, known, what)
        return tuple(map(str, listed))

    def _one(self, value: Any, key: _Text) -> str:
        if isinstance(value, list):
            raise self._mistake(key, f"expected one name, got {value!r}")
        return self._names(value, key, None)[0]

    def _share(self, value: Any, key: _Text) -> float:
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise self._mistake(key, f"expected a number in [0, 1], got {value!r}")
        return float(value)

    def _check(self, name: _Text, known: Collection[str], what: str) -> _Text:
        if name not in known:
            raise self._mistake(name, str(unknown_name(what, name, known)))
        return name

    def _mistake(self, near: _Text | None, message: str) -> InputError:
        place = f", line {near.line}: {near}" if near is not None else ""
        return InputError(f"{self._path}{place}: {message}")
