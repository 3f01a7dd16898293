"""From what a tagger says to what is looked for, and to what a label is called."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

import numpy as np

from grounded_ram.annotation import Reason, Tags
from grounded_ram.errors import InputError
from grounded_ram.names import unknown_name
from grounded_ram.vocabulary.edits import Edits, edited
from grounded_ram.vocabulary.table import PLACED, official_vocabulary

UNJUDGED = "unjudged"
"""The kind of a tag of which neither its list nor the vocabulary says one."""


class Labels(Protocol):
    """What to look for among the tags of a picture, and what to call it."""

    def merge_synonyms(self, tags: Tags) -> Tags:
        """Give what is the same one name."""
        ...

    def reason_against(self, name: str, kind: str) -> Reason | None:
        """Say why not to look for a tag; None means to look for it."""
        ...

    def label(self, name: str) -> str:
        """Return what to call an object that was found as a tag."""
        ...

    def box_threshold(self, label: str) -> float | None:
        """Return a label's own threshold of boxes; None if it has none."""
        ...

    def lowest_box_threshold(self, usual: float) -> float:
        """Return the lowest threshold that any label has, if others have the usual one."""
        ...

    def labelled(self, tags: Tags, chosen: Tags) -> Tags:
        """Call the chosen tags as their labels are called; all others stay beside them."""
        ...

    def is_a(self, label: str, other: str) -> bool:
        """Tell whether a label means the same as another, or a kind of it."""
        ...

    def is_part(self, label: str) -> bool:
        """Tell whether a label means a part of other things."""
        ...

    def speaks_for(self, tag: str, label: str) -> bool:
        """Tell whether what is called by a label was found, if a tag was."""
        ...


def choose(tags: Tags, labels: Labels, asked: Collection[str] = ()) -> Tags:
    """Keep the tags to look for: those that the labels want, and those that are asked for."""
    pairs = zip(tags.names, tags.kinds, strict=True)
    return tags.take(
        [
            row
            for row, (name, kind) in enumerate(pairs)
            if name in asked or labels.reason_against(name, kind) is None
        ]
    )


class Words:
    """Labels of the user's own words: each is looked for, and its label is the word itself."""

    def merge_synonyms(self, tags: Tags) -> Tags:
        """Return the words as they are."""
        return tags

    def reason_against(self, name: str, kind: str) -> Reason | None:
        """Return none: all are looked for."""
        return None

    def label(self, name: str) -> str:
        """Return the word itself."""
        return name

    def box_threshold(self, label: str) -> float | None:
        """Return none: words have no thresholds of their own."""
        return None

    def lowest_box_threshold(self, usual: float) -> float:
        """Return the usual one."""
        return usual

    def labelled(self, tags: Tags, chosen: Tags) -> Tags:
        """Return the words as they are."""
        return tags

    def is_a(self, label: str, other: str) -> bool:
        """Tell by the table whether a word means the same as another, or a kind of it."""
        return official_vocabulary().is_a(label.lower(), other.lower())

    def is_part(self, label: str) -> bool:
        """Tell by the table whether a word means a part."""
        return official_vocabulary().kind(label.lower()) == "part"

    def speaks_for(self, tag: str, label: str) -> bool:
        """Tell by the table whether a tag means the same as a word, or a kind of it."""
        return self.is_a(tag, label)


class Labelling:
    """Labels by the vocabulary and the user's edits of it.

    Args:
        kinds: what to look for, unless the edits say it; words that nobody judged always are.
        edits: the user's own.

    Raises:
        InputError: the edits contradict one another or the table.
        UnknownNameError: they name a tag that there is not.
    """

    def __init__(self, kinds: Sequence[str], edits: Edits | None = None) -> None:
        self.edits = edits = edits or Edits()
        self.vocabulary = edited(official_vocabulary(), edits)
        self.kinds = tuple(kinds) if edits.ground is None else (*edits.ground, UNJUDGED)
        self._check_names()
        head = self.vocabulary.head
        self._allowed = {head(name) for name in edits.allow}
        self._blocked = {head(name) for name in edits.block}
        self._classes = {
            head(member): label for label, members in edits.classes.items() for member in members
        }
        self._renames = {head(label): new for label, new in edits.rename.items()}
        self._called = {new: label for label, new in self._renames.items()}
        self._box_thresholds = self._read_box_thresholds()

    def thresholds(self) -> dict[str, float]:
        """Return the thresholds of single tags, and of their synonyms."""
        return {
            name: limit
            for tag, limit in self.edits.thresholds.items()
            for name in (tag, *self.vocabulary.synonyms(tag))
        }

    def all_of_classes(self) -> Tags:
        """Return every tag of the classes, as the vocabulary calls it."""
        members = [name for names in self.edits.classes.values() for name in names]
        return Tags.of(dict.fromkeys(map(self.vocabulary.label, members)))

    def merge_synonyms(self, tags: Tags) -> Tags:
        """Give synonyms of what can be boxed one name, in the singular, and the best score."""
        kinds = [self._kind(*pair) for pair in zip(tags.names, tags.kinds, strict=True)]
        names = [
            self.vocabulary.label(name) if kind in PLACED else name
            for name, kind in zip(tags.names, kinds, strict=True)
        ]
        return _best(names, tags.scores.tolist(), kinds)

    def reason_against(self, name: str, kind: str) -> Reason | None:
        """Say why not to look for a tag of a kind; None means to look for it."""
        if self.edits.ask != "classes":
            if kind not in self.kinds:
                return Reason.KIND
            if not self.vocabulary.is_worth_grounding(name, kind):
                return Reason.POOR
        if self._is_any(name, self._blocked):
            return Reason.BLOCKED
        if self._allowed and not self._is_any(name, self._allowed):
            return Reason.NOT_ALLOWED
        return Reason.NO_CLASS if self._classes and self._class_of(name) is None else None

    def is_a(self, label: str, other: str) -> bool:
        """Tell whether all that a label stands for is what another stands for, or a kind of it."""
        above = self._stands_for(other)
        is_a = self.vocabulary.is_a
        return all(any(is_a(name, kind) for kind in above) for name in self._stands_for(label))

    def is_part(self, label: str) -> bool:
        """Tell whether all that a label stands for are parts of other things."""
        return all(self.vocabulary.kind(name) == "part" for name in self._stands_for(label))

    def speaks_for(self, tag: str, label: str) -> bool:
        """Tell whether what is called by a label was found, if a tag was."""
        name = self._called.get(label, label)
        if name in self.edits.classes:
            return self.label(tag) == label
        return self.vocabulary.is_a(tag, name)

    def label(self, name: str) -> str:
        """Return what to call an object that was found as a tag."""
        called = self._class_of(name) or name
        return self._renames.get(self.vocabulary.head(called), called)

    def box_threshold(self, label: str) -> float | None:
        """Return a label's own threshold of boxes; None if it has none."""
        return self._box_thresholds.get(label)

    def lowest_box_threshold(self, usual: float) -> float:
        """Return the lowest threshold that any label has, if others have the usual one."""
        return min([usual, *self._box_thresholds.values()])

    def label_meant(self, name: str) -> str:
        """Return the label that a user means by its name, or by a tag that is called so.

        Raises:
            InputError: the tag falls into a class; the message says what to write.
            UnknownNameError: there is no such name.
        """
        if name in self._called:
            return name
        if name in self.edits.classes:
            return self._renames.get(self.vocabulary.head(name), name)
        if not self.vocabulary.knows(name):
            raise unknown_name("label", name, {*self.vocabulary.names(), *self.edits.classes})
        collected = self._class_of(name)
        if collected is not None:
            raise InputError(
                f"box_thresholds: objects of {name!r} are called {self.label(name)!r}, by its "
                f"class; write {collected!r}"
            )
        return self.label(self.vocabulary.label(name))

    def labelled(self, tags: Tags, chosen: Tags) -> Tags:
        """Call the chosen tags as their labels are called.

        Other tags stay beside them, but for those that a label's name would be confused with.
        """
        labels = _best(map(self.label, chosen.names), chosen.scores.tolist(), chosen.kinds)
        taken = {*labels.names, *chosen.names}
        rest = tags.take([row for row, name in enumerate(tags.names) if name not in taken])
        return _best(
            (*labels.names, *rest.names),
            (*labels.scores.tolist(), *rest.scores.tolist()),
            (*labels.kinds, *rest.kinds),
        )

    def _check_names(self) -> None:
        edits, known = self.edits, self.vocabulary.knows
        asked = [] if edits.ask == "classes" else [n for ns in edits.classes.values() for n in ns]
        labels = [label for label in edits.rename if label not in edits.classes]
        for name in (*edits.allow, *edits.block, *edits.thresholds, *labels, *asked):
            if not known(name):
                raise unknown_name("tag", name, self.vocabulary.names())
        groups: dict[str, str] = {}
        for label, members in edits.classes.items():
            for member in members:
                if groups.setdefault(self.vocabulary.head(member), label) != label:
                    raise InputError(f"classes: {member!r} stands under two labels")

    def _read_box_thresholds(self) -> dict[str, float]:
        """Return the thresholds of boxes by what objects are called in the end."""
        limits: dict[str, float] = {}
        for name, limit in self.edits.box_thresholds.items():
            label = self.label_meant(name)
            if limits.setdefault(label, limit) != limit:
                raise InputError(f"box_thresholds: {label!r} has two, the other as {name!r}")
        return limits

    def _kind(self, name: str, kind: str) -> str:
        """Return the kind of a tag; of one that nobody judged, what the edits make it."""
        known = kind != UNJUDGED or not self.vocabulary.knows(name)
        return kind if known else self.vocabulary[self.vocabulary.head(name)].kind

    def _stands_for(self, label: str) -> tuple[str, ...]:
        """Return the tags that a label collects, or its own."""
        name = self._called.get(label, label)
        return self.edits.classes.get(name, (name,))

    def _is_any(self, name: str, heads: set[str]) -> bool:
        return bool(heads) and not heads.isdisjoint(self.vocabulary.relatives(name))

    def _class_of(self, name: str) -> str | None:
        """Return the class that a tag falls into: the one that lists its nearest relative."""
        if not self._classes:
            return None
        found = (self._classes.get(relative) for relative in self.vocabulary.relatives(name))
        return next((label for label in found if label is not None), None)


def _best(names: Iterable[str], scores: Sequence[float], kinds: Sequence[str]) -> Tags:
    """Make tags, best first; of those with one name the best one's row stays."""
    listed = list(names)
    order = np.argsort(-np.asarray(scores, np.float32), kind="stable").tolist()
    rows: dict[str, int] = {}
    for row in order:
        rows.setdefault(listed[row], row)
    kept = list(rows.values())
    return Tags(
        tuple(rows),
        np.asarray(scores, np.float32)[kept],
        tuple(kinds[row] for row in kept),
    )
