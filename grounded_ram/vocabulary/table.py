"""What a tag is: kind, whether to ask for it, singular, synonyms, parents.

The table in ``assets/vocabulary.csv`` judges every tag of RAM and Tag2Text, by the rules in
``rules.md`` beside this file. The names are those of the published lists (recognize-anything,
commit 7cb804a, ``ram/data``); the judgement is ours.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from grounded_ram.errors import InputError
from grounded_ram.names import unknown_name

KINDS = ("object", "part", "stuff", "scene", "attribute", "action", "abstract", "text")
"""What a tag can be; see ``rules.md``."""

PLACED = ("object", "part", "stuff")
"""Kinds that have a place in the picture, so that a box or a mask can show them."""

_TABLE = Path(__file__).parent.parent / "assets" / "vocabulary.csv"


@dataclass(frozen=True)
class Entry:
    """What is known of one tag.

    Args:
        name: the tag as taggers say it.
        kind: one of ``KINDS``.
        groundable: whether a box or mask of it is worth having: never for a kind without a place,
            nor for what is too general ("equipment") or has no shape ("wind").
        singular: its right singular form, as labels show it and detectors are asked for it.
        same_as: the head of its group of synonyms; empty for the head itself.
        parents: what it is a kind of, the nearest first; a synonym has those of its head.
    """

    name: str
    kind: str
    groundable: bool
    singular: str
    same_as: str = ""
    parents: tuple[str, ...] = ()


class Vocabulary(Mapping[str, Entry]):
    """Entries by name, and how they belong together.

    Args:
        entries: each name once.

    Raises:
        InputError: the entries contradict one another: a parent or head that is not there, a head
            that has a head itself, a synonym of another kind than its head, a circle of parents.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries: dict[str, Entry] = {}
        for entry in entries:
            if entry.name in self._entries:
                raise InputError(f"vocabulary: {entry.name!r} comes twice")
            self._entries[entry.name] = entry
        self._groups: dict[str, list[str]] = {}
        for entry in self._entries.values():
            self._check(entry)
            self._groups.setdefault(entry.same_as or entry.name, []).append(entry.name)
        self._heads = {name: entry.same_as or name for name, entry in self._entries.items()}
        for head in self._groups:
            self._heads.setdefault(self._entries[head].singular, head)
        self._ancestors = {head: self._above(head) for head in self._groups}
        for head, above in self._ancestors.items():
            if head in above:
                raise InputError(f"vocabulary: {head!r} is its own ancestor")

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, name: str) -> Entry:
        """Return the entry of a tag or label, in whatever case.

        Raises:
            UnknownNameError: there is none; the message tells what is near.
        """
        key = name if name in self._entries else self._by_case().get(name.casefold())
        if key is None:
            raise unknown_name("tag", name, self._heads)
        return self._entries[key]

    def head(self, name: str) -> str:
        """Return the head of the synonyms of a tag or label; what is not known heads itself."""
        return self._heads.get(name, name)

    def label(self, name: str) -> str:
        """Return what a tag's group is called on a label: the singular of its head."""
        entry = self._entries.get(self.head(name))
        return name if entry is None else entry.singular

    def knows(self, name: str) -> bool:
        """Tell whether this is a tag, or the label of some."""
        return name in self._heads

    def names(self) -> tuple[str, ...]:
        """Return all tags and labels."""
        return tuple(self._heads)

    def synonyms(self, name: str) -> tuple[str, ...]:
        """Return the other tags of its group: the head, then in alphabetical order."""
        head = self.head(name)
        group = [head, *sorted(set(self._groups.get(head, ())) - {head})]
        return tuple(other for other in group if other != name)

    def parents(self, name: str) -> tuple[str, ...]:
        """Return what a tag is a kind of, the heads of their groups."""
        entry = self._entries.get(self.head(name))
        return () if entry is None else tuple(self.head(parent) for parent in entry.parents)

    def ancestors(self, name: str) -> tuple[str, ...]:
        """Return its parents, their parents and so on, the nearest first, each once."""
        return self._ancestors.get(self.head(name), ())

    def _above(self, name: str) -> tuple[str, ...]:
        """Collect the ancestors of a tag."""
        found: dict[str, None] = {}
        level = self.parents(name)
        while level:
            fresh = [parent for parent in level if parent not in found]
            found |= dict.fromkeys(fresh)
            level = tuple(above for parent in fresh for above in self.parents(parent))
        return tuple(found)

    def relatives(self, name: str) -> tuple[str, ...]:
        """Return the head of a tag's group and all above it, the nearest first."""
        return (self.head(name), *self.ancestors(name))

    def is_a(self, name: str, other: str) -> bool:
        """Tell whether a tag is another, a synonym of it, or a kind of it."""
        return self.head(other) in self.relatives(name)

    def kind(self, name: str) -> str | None:
        """Return the kind of a tag or label; None if it is not known."""
        entry = self._entries.get(self.head(name))
        return None if entry is None else entry.kind

    def is_worth_grounding(self, name: str, kind: str) -> bool:
        """Tell whether to look for a tag that a tagger calls of this kind.

        A tag that is not in the table, or is another kind of thing to the tagger, is looked for.
        """
        entry = self._entries.get(self.head(name))
        return entry is None or entry.kind != kind or entry.groundable

    def _check(self, entry: Entry) -> None:
        if entry.kind not in KINDS:
            raise unknown_name(f"kind of {entry.name!r}", entry.kind, KINDS)
        if entry.groundable and entry.kind not in PLACED:
            raise InputError(f"vocabulary: {entry.name!r} is groundable, but {entry.kind}")
        for other in (*entry.parents, *filter(None, [entry.same_as])):
            if other not in self._entries:
                raise unknown_name(f"relative of {entry.name!r}", other, self._entries)
        if not entry.same_as:
            return
        head = self._entries[entry.same_as]
        if head.same_as or entry.parents:
            raise InputError(
                f"vocabulary: {entry.name!r} is the same as {head.name!r}, which must be a head; "
                "a synonym has no parents of its own"
            )
        if (head.kind, head.groundable) != (entry.kind, entry.groundable):
            raise InputError(f"vocabulary: {entry.name!r} and {head.name!r} are of two kinds")

    def _by_case(self) -> dict[str, str]:
        labels = {label.casefold(): head for label, head in self._heads.items()}
        return labels | {name.casefold(): name for name in reversed(list(self._entries))}


def read_vocabulary(path: Path) -> Vocabulary:
    """Read a table: name, kind, groundable (yes or no), singular, same_as, parents (a;b).

    An empty singular is the name itself.

    Raises:
        InputError: the file is no such table, or its entries contradict one another.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return Vocabulary([_entry(row) for row in csv.DictReader(file)])
    except (OSError, AttributeError, LookupError, ValueError) as error:
        raise InputError(f"{path}: {error}") from error


def columns(vocabulary: Vocabulary) -> list[tuple[str, ...]]:
    """Return a table as ``read_vocabulary`` reads it: the headings, then one row a tag."""
    rows = [
        (
            entry.name,
            entry.kind,
            "yes" if entry.groundable else "no",
            "" if entry.singular == entry.name else entry.singular,
            entry.same_as,
            ";".join(entry.parents),
        )
        for entry in vocabulary.values()
    ]
    return [("name", "kind", "groundable", "singular", "same_as", "parents"), *rows]


@cache
def official_vocabulary() -> Vocabulary:
    """Return the table of the tags of RAM and Tag2Text."""
    return read_vocabulary(_TABLE)


def _entry(row: Mapping[str, str]) -> Entry:
    return Entry(
        name=row["name"],
        kind=row["kind"],
        groundable={"yes": True, "no": False}[row["groundable"]],
        singular=row["singular"] or row["name"],
        same_as=row["same_as"],
        parents=tuple(filter(None, row["parents"].split(";"))),
    )
