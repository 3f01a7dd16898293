"""What a truth from elsewhere calls the same things and the same pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from grounded_ram.errors import InputError
from grounded_ram.vocabulary.edits import Edits
from grounded_ram.vocabulary.labelling import Labelling

_SPELLINGS: Mapping[str, Callable[[str], str]] = {
    "": lambda name: name,
    "without their endings": lambda name: PurePosixPath(name).with_suffix("").as_posix(),
    "without their folders": lambda name: PurePosixPath(name).name,
    "without folders and endings": lambda name: PurePosixPath(name).stem,
}
"""Ways to compare names of pictures, the strictest first."""


class Naming:
    """Which true name a label counts as.

    A label counts as the true name that is spelt like it, but for case and underscores; else as one
    that means the same; else as the nearest one that it is a kind of, of several the first in the
    alphabet. A label that is more general than a true name does not count as it.

    Args:
        true_names: the truth's classes.
        labelling: the vocabulary of the run, with the user's edits.

    Attributes:
        same_as: each true name -> the one of those spelt alike that stands for all of them.
    """

    def __init__(self, true_names: Iterable[str], labelling: Labelling) -> None:
        self._labelling = labelling
        forms = {name: self._spell(name) for name in sorted(true_names, reverse=True)}
        self._true = {form: name for name, form in forms.items()}
        self.same_as = {name: self._true[form] for name, form in forms.items()}
        self._found: dict[str, str | None] = {}

    def true_name(self, label: str) -> str | None:
        """Return the true name that a label counts as; None if there is none."""
        if label not in self._found:
            self._found[label] = self._look_up(self._spell(label))
        return self._found[label]

    def kinds(self) -> dict[str, str]:
        """Return the labels so far that count as the true name that they are a kind of."""
        is_a = self._labelling.is_a
        return {
            label: true
            for label, true in sorted(self._found.items())
            if true is not None and not is_a(self._spell(true), self._spell(label))
        }

    def unknown(self) -> tuple[str, ...]:
        """Return the true names that the vocabulary does not know and no label so far means."""
        unknown = {name for form, name in self._true.items() if not self._knows(form)}
        return tuple(sorted(unknown - {*self._found.values()}))

    def _look_up(self, label: str) -> str | None:
        if label in self._true:
            return self._true[label]
        is_a = self._labelling.is_a
        above = [form for form in self._true if is_a(label, form)]
        nearest = [
            form
            for form in above
            if not any(is_a(other, form) and not is_a(form, other) for other in above)
        ]
        return min((self._true[form] for form in nearest), default=None)

    def _spell(self, name: str) -> str:
        """Return a name as the vocabulary spells it, if it knows it."""
        spaced = " ".join(name.replace("_", " ").split())
        forms = (name, spaced, spaced.casefold())
        return next((form for form in forms if self._knows(form)), spaced.casefold())

    def _knows(self, name: str) -> bool:
        edits = self._labelling.edits
        own = {*edits.classes, *edits.rename.values()}
        return self._labelling.vocabulary.knows(name) or name in own


def labelling_of(run: Mapping[str, Any]) -> Labelling:
    """Return the vocabulary that a run was made with, by its record."""
    return Labelling(run.get("ground_kinds", ()), Edits.of_record(run.get("vocabulary", {})))


def match_pictures(names: Iterable[str], true_names: Iterable[str]) -> tuple[dict[str, str], str]:
    """Find each picture of a run in the truth.

    Paths are compared as they are; only if no picture is found so, without endings, then without
    folders, then without both. What is not unique in either does not count.

    Returns:
        The true names by the run's, and how they were compared: empty where they are the same.

    Raises:
        InputError: no picture of the run is in the truth.
    """
    listed, true_listed = list(names), list(true_names)
    for way, spell in _SPELLINGS.items():
        own, theirs = _unique(listed, spell), _unique(true_listed, spell)
        pairs = {own[key]: theirs[key] for key in own if key in theirs}
        if pairs:
            return pairs, way
    raise InputError(
        f"none of the {len(listed)} pictures of the run{_example(listed)} is among the "
        f"{len(true_listed)} of the truth{_example(true_listed)}; the truth's file names must be "
        "the paths inside the folder that was labelled"
    )


def _unique(names: Iterable[str], spell: Callable[[str], str]) -> dict[str, str]:
    spelt = [(spell(name), name) for name in names]
    counts = Counter(key for key, _ in spelt)
    return {key: name for key, name in spelt if counts[key] == 1}


def _example(names: list[str]) -> str:
    return f", such as {names[0]!r}," if names else ""
