"""From what a tagger says to what is looked for, and to what a label is called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from grounded_ram.annotation import Tags
from grounded_ram.vocabulary.edits import Edits
from grounded_ram.vocabulary.table import PLACED, Entry, Vocabulary, official_vocabulary


class Named:
    """The user's own words: each is looked for, and its label is the word itself."""

    def merge_synonyms(self, tags: Tags) -> Tags:
        """Return the words as they are."""
        return tags

    def choose(self, tags: Tags) -> Tags:
        """Return all of them."""
        return tags

    def label(self, name: str) -> str:
        """Return the word itself."""
        return name

    def labelled(self, tags: Tags) -> Tags:
        """Return the words as they are."""
        return tags


class Labelling(Named):
    """What to look for among the tags of a picture, and what to call it.

    Args:
        kinds: what to look for, unless the edits say it.
        edits: the user's own.

    Raises:
        InputError: the edits contradict one another or the table.
    """

    def __init__(self, kinds: Sequence[str], edits: Edits | None = None) -> None:
        self.edits = edits or Edits()
        self.vocabulary = edited(official_vocabulary(), self.edits)
        self._kinds = frozenset(kinds if self.edits.ground is None else self.edits.ground)

    def merge_synonyms(self, tags: Tags) -> Tags:
        """Give synonyms of what can be boxed one name, in the singular, and the best score."""
        return self._renamed(
            tags,
            [
                self.vocabulary.label(name) if kind in PLACED else name
                for name, kind in zip(tags.names, tags.kinds, strict=True)
            ],
        )

    def choose(self, tags: Tags) -> Tags:
        """Keep what to look for."""
        pairs = zip(tags.names, tags.kinds, strict=True)
        return tags.take([row for row, (name, kind) in enumerate(pairs) if self._wants(name, kind)])

    def label(self, name: str) -> str:
        """Return what to call an object that was found as a tag."""
        head = self.vocabulary.head(name)
        if self.edits.classes:
            return self._class_of(head) or name
        renames = {self.vocabulary.head(old): new for old, new in self.edits.rename.items()}
        return renames.get(head, name)

    def labelled(self, tags: Tags) -> Tags:
        """Call the tags that are looked for as their labels are called."""
        wanted = set(self.choose(tags).names)
        return self._renamed(
            tags, [self.label(name) if name in wanted else name for name in tags.names]
        )

    def all_of_classes(self) -> Tags:
        """Return every tag of the classes, each to be looked for."""
        members = [name for names in self.edits.classes.values() for name in names]
        return Tags.of(dict.fromkeys(members), kind="unjudged")

    def _wants(self, name: str, kind: str) -> bool:
        edits = self.edits
        by_itself = kind in self._kinds and self.vocabulary.is_worth_grounding(name, kind)
        return (
            (by_itself or edits.ask == "classes")
            and not self._is_any(name, edits.block)
            and (not edits.allow or self._is_any(name, edits.allow))
            and (not edits.classes or self._class_of(name) is not None)
        )

    def _is_any(self, name: str, others: Iterable[str]) -> bool:
        return any(self.vocabulary.is_a(name, other) for other in others)

    def _class_of(self, name: str) -> str | None:
        """Return the class that a tag falls into: the one that lists its nearest relative."""
        head = self.vocabulary.head(name)
        for relative in (head, *self.vocabulary.ancestors(head)):
            for label, members in self.edits.classes.items():
                if relative in map(self.vocabulary.head, members):
                    return label
        return None

    def _renamed(self, tags: Tags, names: Sequence[str]) -> Tags:
        """Give the tags other names; of those that come to one name, the best one's row stays."""
        best: dict[str, int] = {}
        for row in np.argsort(-tags.scores, kind="stable").tolist():
            best.setdefault(names[row], row)
        rows = list(best.values())
        return Tags(tuple(best), tags.scores[rows], tuple(tags.kinds[row] for row in rows))


def edited(vocabulary: Vocabulary, edits: Edits) -> Vocabulary:
    """Return a vocabulary with the user's own synonyms and parents.

    Raises:
        InputError: they contradict one another, or what the vocabulary knows already.
    """
    if not (edits.synonyms or edits.parents):
        return vocabulary
    entries = dict(vocabulary)
    for label, others in edits.synonyms.items():
        _join(entries, label, others)
    for name, parents in edits.parents.items():
        known = entries.get(name) or _like(entries[parents[0]], name)
        head = entries[known.same_as] if known.same_as else known
        entries[name] = known
        entries[head.name] = replace(head, parents=parents)
    return Vocabulary(entries.values())


def _join(entries: dict[str, Entry], label: str, others: Iterable[str]) -> None:
    """Make one group of a label and further names, which the label heads."""
    group = [entries[name] for name in (label, *others) if name in entries]
    old = {entry.same_as or entry.name for entry in group}
    first = group[0] if group else Entry(label, "object", groundable=True, singular=label)
    model = entries.get(first.same_as, first)
    head = replace(model, name=label, singular=label, same_as="")
    members = {name for name, entry in entries.items() if (entry.same_as or name) in old}
    for name in sorted({*members, *others} - {label}):
        known = entries.get(name, Entry(name, head.kind, head.groundable, name))
        entries[name] = replace(
            known, kind=head.kind, groundable=head.groundable, same_as=label, parents=()
        )
    entries[label] = head


def _like(parent: Entry, name: str) -> Entry:
    """Make a new tag of the kind of its parent."""
    return Entry(name, parent.kind, groundable=True, singular=name)
