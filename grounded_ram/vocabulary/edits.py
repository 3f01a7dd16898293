"""A user's own edits of the vocabulary, in YAML.

    ground: [object, stuff]     kinds to look for
    allow: [car, dog]           look for these and kinds of them, and nothing else
    block: [person]             never look for these or kinds of them
    synonyms:                   further names of one thing; the first name is the label
      car: [motorcar]
    parents:                    what a tag is a kind of
      forklift: [vehicle]
    rename:                     labels as you want them called
      dog: hound
    classes:                    map everything to these labels, with kinds of them; drop the rest
      vehicle: [car, truck, bus]
      person:
    ask: classes                look for the tags of the classes in every picture, ask no tagger
    thresholds:                 of single tags, in [0, 1]
      dog: 0.7
    box_thresholds:             of single labels, in [0, 1], instead of the preset's for all
      dog: 0.4

Every part may be left out.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from grounded_ram.errors import InputError
from grounded_ram.names import unknown_name
from grounded_ram.vocabulary.table import PLACED, Entry, Vocabulary, official_vocabulary

Lists: TypeAlias = Mapping[str, tuple[str, ...]]

ASK = ("tagger", "classes")
"""Who says what to look for."""


@dataclass(frozen=True, kw_only=True)
class Edits:
    """What a user wants otherwise; names are tags or labels of the vocabulary, or new where said.

    Args:
        ground: kinds to look for, of ``PLACED``; None means those of the preset.
        allow: look for these and kinds of them alone; empty means for all.
        block: never look for these or kinds of them.
        synonyms: label -> further names of the same thing; both may be new.
        parents: tag -> what it is a kind of; both may be new.
        rename: label -> what it is called instead.
        classes: label -> the tags it collects, with kinds of them; empty means all labels stay.
        ask: "tagger": look for what a tagger sees; "classes": for all tags of the classes.
        thresholds: tag -> threshold in [0, 1], strictly above which it is seen.
        box_thresholds: label -> threshold in [0, 1], strictly above which a box becomes an object;
            a label as it is called in the end, or a tag that is called by it.

    Raises:
        InputError: a part is of the wrong type, or two contradict one another.
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
    box_thresholds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for one in fields(self):
            if one.default_factory is dict and not isinstance(getattr(self, one.name), Mapping):
                raise InputError(f"{one.name}: expected names with values, as in {{'dog': ...}}")
        for label, new in self.rename.items():
            if not new or new != " ".join(new.split()):
                raise InputError(f"rename: {label}: expected a name, got {new!r}")
        lists = [*self.synonyms.values(), *self.parents.values(), *self.classes.values()]
        for listed in (self.ground or (), self.allow, self.block, *lists):
            if isinstance(listed, str):
                raise InputError(f"expected a list of names, got {listed!r}; write [{listed!r}]")
        for kind in self.ground or ():
            if kind not in PLACED:
                raise unknown_name("kind of what can be boxed", kind, PLACED)
        if self.ask not in ASK:
            raise unknown_name("source of tags", self.ask, ASK)
        if self.ask == "classes" and not self.classes:
            raise InputError("ask: classes: there are no classes to look for")
        for part in ("thresholds", "box_thresholds"):
            for name, limit in getattr(self, part).items():
                if not isinstance(limit, int | float) or not 0 <= limit <= 1:
                    raise InputError(f"{part}: {name}: expected a number in [0, 1], got {limit!r}")
        for part in ("synonyms", "classes"):
            _refuse_twice(part, getattr(self, part))

    def record(self) -> dict[str, Any]:
        """Return what is set, as plain JSON values."""
        usual = Edits()
        parts = {part.name: getattr(self, part.name) for part in fields(self)}
        return {k: v for k, v in parts.items() if v != getattr(usual, k)}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Edits:
        """Return the edits that a record was made of, also if JSON made lists of its tuples."""
        return cls(**{part: _with_tuples(value) for part, value in record.items()})


def _with_tuples(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _with_tuples(item) for name, item in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _refuse_twice(part: str, lists: Lists) -> None:
    """Refuse a name that two labels claim."""
    owner: dict[str, str] = {}
    for label, names in lists.items():
        for name in names:
            if owner.setdefault(name, label) != label:
                raise InputError(f"{part}: {name!r} stands under {owner[name]!r} and {label!r}")


def edited(vocabulary: Vocabulary, edits: Edits) -> Vocabulary:
    """Return a vocabulary with the user's own synonyms and parents.

    Raises:
        InputError: they contradict one another, or what the vocabulary knows already.
    """
    if not (edits.synonyms or edits.parents):
        return vocabulary
    entries = dict(vocabulary)
    for label, others in edits.synonyms.items():
        _join(entries, vocabulary, label, others)
    above = {
        _name_in(entries, vocabulary, name): tuple(
            _name_in(entries, vocabulary, parent) for parent in parents
        )
        for name, parents in edits.parents.items()
    }
    for name, parents in above.items():
        kind = _kind_above(name, above, entries)
        known = entries.get(name) or Entry(name, kind, kind in PLACED, name)
        entries[name] = known
        top = entries[known.same_as] if known.same_as else known
        entries[top.name] = replace(top, parents=parents)
    return Vocabulary(entries.values())


def _name_in(entries: Mapping[str, Entry], vocabulary: Vocabulary, name: str) -> str:
    """Return the tag that a tag or label stands for."""
    return name if name in entries else vocabulary.head(name)


def _kind_above(name: str, above: Lists, entries: Mapping[str, Entry]) -> str:
    """Return the kind of the nearest known tag above a new one; without any, it is an object."""
    seen: set[str] = set()
    while name not in entries and name not in seen and above.get(name):
        seen.add(name)
        name = above[name][0]
    return entries[name].kind if name in entries else "object"


def _join(
    entries: dict[str, Entry], vocabulary: Vocabulary, label: str, others: Iterable[str]
) -> None:
    """Make one group of a label and further names, which the label heads."""
    names = [_name_in(entries, vocabulary, name) for name in (label, *others)]
    group = [entries[name] for name in names if name in entries]
    old = {entry.same_as or entry.name for entry in group}
    first = group[0] if group else Entry(label, "object", groundable=True, singular=label)
    head = replace(entries.get(first.same_as, first), name=label, singular=label, same_as="")
    members = {name for name, entry in entries.items() if (entry.same_as or name) in old}
    for name in sorted({*members, *names} - {label}):
        known = entries.get(name, Entry(name, head.kind, head.groundable, name))
        entries[name] = replace(
            known, kind=head.kind, groundable=head.groundable, same_as=label, parents=()
        )
    entries[label] = head


def read_edits(path: Path) -> Edits:
    """Read edits from a YAML file.

    Raises:
        InputError: the file cannot be read, or says what cannot be; the message tells the line and
            what is near.
    """
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path}: {error}") from error
    edits = _Reader(path).read({} if found is None else found)
    try:
        edited(official_vocabulary(), edits)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return edits


class _Text(str):
    """A text of the file that knows its line."""

    line: int


class _Loader(yaml.SafeLoader):  # type: ignore[misc, unused-ignore]  # PyYAML may have no types
    """Reads bare words as text, also those that YAML takes for truth values or dates."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Read a mapping, and refuse a key that comes twice: YAML would drop the first."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value!r} comes twice", key.start_mark
                )
            seen.add(key.value)
        read: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return read


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

    def read(self, found: Any) -> Edits:
        parts = self._mapping(found, None)
        for key in parts:
            self._check(key, [part.name for part in fields(Edits)], "setting")
        keys = {str(key): key for key in parts}

        def mapping(name: str) -> dict[_Text, Any]:
            return self._mapping(parts[keys[name]], keys[name]) if name in keys else {}

        def names(name: str, known: Collection[str], what: str = "tag") -> tuple[str, ...]:
            return self._names(parts[keys[name]], keys[name], known, what) if name in keys else ()

        def lists(name: str, known: Collection[str] | None) -> dict[str, tuple[str, ...]]:
            return {
                self._name(key): self._names([key] if value is None else value, key, known)
                for key, value in mapping(name).items()
            }

        synonyms = lists("synonyms", None)
        known = {*official_vocabulary().names(), *synonyms, *mapping("parents")}
        known.update(*synonyms.values())
        ask = self._one_of(parts[keys["ask"]], keys["ask"], ASK) if "ask" in keys else "tagger"
        classes = lists("classes", known if ask == "tagger" else None)
        if "classes" in keys and not classes:
            raise self._mistake(
                keys["classes"],
                "names no class, so that nothing would be labelled; name some, or leave "
                "classes out to label whatever is looked for",
            )
        labels = {*known, *classes}
        rename = {
            self._check(k, labels, "label"): self._one_of(v, k, None)
            for k, v in mapping("rename").items()
        }

        def shares(name: str, known: Collection[str], what: str) -> dict[str, float]:
            found = mapping(name).items()
            return {self._check(k, known, what): self._share(v, k) for k, v in found}

        facts: dict[str, Any] = {
            "ground": names("ground", PLACED, "kind of what can be boxed")
            if "ground" in keys
            else None,
            "allow": names("allow", known),
            "block": names("block", known),
            "synonyms": synonyms,
            "parents": lists("parents", known),
            "rename": rename,
            "classes": classes,
            "ask": ask,
            "thresholds": shares("thresholds", known, "tag"),
            "box_thresholds": shares("box_thresholds", {*labels, *rename.values()}, "label"),
        }
        try:
            return Edits(**facts)
        except InputError as error:
            raise InputError(f"{self._path}: {error}") from error

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
        listed = value if isinstance(value, list) else [value]
        for name in listed:
            self._name(name, key)
            if known is not None:
                self._check(name, known, what)
        return tuple(map(str, listed))

    def _name(self, name: Any, key: _Text | None = None) -> str:
        if not isinstance(name, _Text) or not name or name != " ".join(name.split()):
            near = name if key is None else key
            raise self._mistake(near, f"expected names, in quotes if need be, got {name!r}")
        return str(name)

    def _one_of(self, value: Any, key: _Text, choices: Collection[str] | None) -> str:
        if isinstance(value, list):
            raise self._mistake(key, f"expected one name, got {value!r}")
        return self._names(value, key, choices, "source of tags")[0]

    def _share(self, value: Any, key: _Text) -> float:
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise self._mistake(key, f"expected a number in [0, 1], got {value!r}")
        return float(value)

    def _check(self, name: _Text, known: Collection[str], what: str) -> str:
        if name not in known:
            raise self._mistake(name, str(unknown_name(what, name, known)))
        return str(name)

    def _mistake(self, near: _Text | None, message: str) -> InputError:
        place = f", line {near.line}: {near}" if near is not None else ""
        return InputError(f"{self._path}{place}: {message}")
