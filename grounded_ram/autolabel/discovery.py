"""What a tagger sees in a whole dataset, as a vocabulary file to edit and to label with.

tags of each picture ─► Discovery ─► rows ─► vocabulary file ─ the user's hand ─► --vocabulary FILE
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from grounded_ram.annotation import Tags
from grounded_ram.export.files import replacing
from grounded_ram.vocabulary.labelling import Labelling

EXAMPLES = 3
"""Pictures that a row names."""

COMPANIONS = 3
"""Labels that a row says it comes with."""

_HEAD = """\
# What was seen in {pictures} pictures. Only what stands under "classes" is labelled. Edit it:
#   drop     delete a line; what it collected goes to the nearest kind above it that has a line
#            (dog to animal), or is not labelled if there is none
#   merge    move a name into another line's list: vehicle: [car, truck]
#   rename   change what stands before the colon: hound: [dog]
# Then label with it:
#   grounded-ram annotate FOLDER --preset {preset} --vocabulary FILE
"""


@dataclass(frozen=True)
class Row:
    """What is known of one label over all pictures.

    Args:
        label: its name, as the vocabulary calls it before the user's own names.
        kind: its kind, such as "object" or "scene"; of several, that of its best picture.
        looked_for: whether a detector would be asked for it.
        pictures: how many have it, at least 1.
        mean_score: over those, in [0, 1].
        best_score: the highest of them.
        comes_with: up to ``COMPANIONS`` other labels, of those that are looked for, that most of
            those pictures have, and how many, but for kinds of it and what it is a kind of; of
            equally many, the first in the alphabet.
        examples: up to ``EXAMPLES`` names of pictures, the best scores first, then by name.
    """

    label: str
    kind: str
    looked_for: bool
    pictures: int
    mean_score: float
    best_score: float
    comes_with: tuple[tuple[str, int], ...]
    examples: tuple[str, ...]


@dataclass
class _Sightings:
    """The pictures of one label; ``best`` are (minus score, picture, kind), sorted."""

    pictures: int = 0
    total: float = 0.0
    best: list[tuple[float, str, str]] = field(default_factory=list)
    companions: Counter[str] = field(default_factory=Counter)


class Discovery:
    """Counts tags picture by picture; it grows with labels and their pairs, not with pictures.

    Args:
        labelling: says what is looked for.
    """

    def __init__(self, labelling: Labelling) -> None:
        self.labelling = labelling
        self.pictures = 0
        self._seen: dict[str, _Sightings] = {}

    def add(self, picture: str, tags: Tags) -> None:
        """Count the tags of one picture; synonyms among them must be one tag already."""
        self.pictures += 1
        wanted = [
            name
            for name, kind in zip(tags.names, tags.kinds, strict=True)
            if self._wants(name, kind)
        ]
        for name, score, kind in zip(tags.names, tags.scores.tolist(), tags.kinds, strict=True):
            seen = self._seen.setdefault(name, _Sightings())
            seen.pictures += 1
            seen.total += score
            seen.best = sorted([*seen.best, (-score, picture, kind)])[:EXAMPLES]
            seen.companions.update(other for other in wanted if not self._are_kin(name, other))

    def rows(self) -> list[Row]:
        """Return one row a label: first what is looked for; most pictures first, then by name."""
        rows = [self._row(label, seen) for label, seen in self._seen.items()]
        return sorted(rows, key=lambda row: (not row.looked_for, -row.pictures, row.label))

    def _row(self, label: str, seen: _Sightings) -> Row:
        best, _, kind = seen.best[0]
        companions = sorted(seen.companions.items(), key=lambda item: (-item[1], item[0]))
        return Row(
            label,
            kind,
            self._wants(label, kind),
            seen.pictures,
            seen.total / seen.pictures,
            -best,
            tuple(companions[:COMPANIONS]),
            tuple(picture for _, picture, _ in seen.best),
        )

    def _are_kin(self, name: str, other: str) -> bool:
        """Tell whether one is the other, or a kind of it: that they come together says nothing."""
        is_a = self.labelling.vocabulary.is_a
        return is_a(name, other) or is_a(other, name)

    def _wants(self, name: str, kind: str) -> bool:
        return self.labelling.reason_against(name, kind) is None


def vocabulary_text(discovery: Discovery, *, least: int = 1, preset: str = "standard") -> str:
    """Write down what was seen as a vocabulary file, see ``grounded_ram.vocabulary.edits``.

    Each label that is looked for is a class of its own; the edits that it was looked for with come
    along. Words that the vocabulary does not know are made known to it as synonyms of nothing.

    Args:
        discovery: whose edits name no classes.
        least: labels of fewer pictures are written as comments, ready to be let in.
        preset: the name to label with.
    """
    rows = discovery.rows()
    looked_for = [row for row in rows if row.looked_for and _is_name(row.label)]
    common = [row for row in looked_for if row.pictures >= least]
    rare = [row for row in looked_for if row.pictures < least]
    lines = [
        _HEAD.format(pictures=discovery.pictures, preset=preset),
        *_own_edits(discovery.labelling, [row.label for row in looked_for]),
        "classes:",
        *(f"  {_class(row, discovery.pictures)}" for row in common),
    ]
    if rare:
        lines.append(f'  # In fewer than {least} pictures; to let one in, take away its "# ":')
        lines += [f"  # {_class(row, discovery.pictures)}" for row in rare]
    return "\n".join([*lines, *_others([row for row in rows if not row.looked_for])]) + "\n"


def write_vocabulary(text: str, path: Path) -> None:
    """Write a vocabulary file, whole or not at all; one that is there is replaced."""
    with replacing(path) as file:
        file.write(text.encode())


def _own_edits(labelling: Labelling, labels: Iterable[str]) -> list[str]:
    unknown = [label for label in labels if not labelling.vocabulary.knows(label)]
    parts = labelling.edits.record()
    if unknown:
        parts["synonyms"] = {**labelling.edits.synonyms, **{label: [] for label in unknown}}
    if not parts:
        return []
    return [yaml.safe_dump(parts, allow_unicode=True, sort_keys=False)]


def _class(row: Row, pictures: int) -> str:
    facts = [f"in {row.pictures} of {pictures} pictures, score {row.mean_score:.2f}"]
    if row.comes_with:
        facts.append(f"with {', '.join(label for label, _ in row.comes_with)}")
    facts.append(f"see {', '.join(row.examples)}")
    name = _scalar(row.label)
    return f"{name}: [{name}]  # {_one_line('; '.join(facts))}"


def _others(rows: Sequence[Row]) -> list[str]:
    """List what is not looked for, a kind a paragraph."""
    if not rows:
        return []
    lines = ["", "# Seen as well, and not looked for; the number is that of the pictures:"]
    for kind in dict.fromkeys(row.kind for row in rows):
        found = ", ".join(f"{row.label} {row.pictures}" for row in rows if row.kind == kind)
        lines += textwrap.wrap(
            _one_line(f"{kind}: {found}"),
            100,
            initial_indent="#   ",
            subsequent_indent="#     ",
            break_on_hyphens=False,
            break_long_words=False,
        )
    return lines


def _is_name(label: str) -> bool:
    """Tell whether a vocabulary file can name it."""
    return bool(label) and label == " ".join(label.split())


def _scalar(name: str) -> str:
    """Write a name as YAML does inside a list: in quotes wherever it would be read otherwise."""
    listed: str = yaml.safe_dump([name], default_flow_style=True, allow_unicode=True, width=10**6)
    return listed.strip()[1:-1]


def _one_line(text: str) -> str:
    """Spell out what would end a comment or may not stand in YAML."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
