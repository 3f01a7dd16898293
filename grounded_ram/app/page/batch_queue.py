"""The review queue: which objects a person should decide on, in which order, one at a time.

The order is that of ``evaluation.review``, as in `grounded-ram report`. Objects that were decided
on are left out before it ranks, so that a queue that was worked through is followed by the next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from grounded_ram.annotation import Annotation
from grounded_ram.evaluation.review import Section, collect
from grounded_ram.evaluation.tally import IN_VAIN
from grounded_ram.export.dataset import Dataset, key_of
from grounded_ram.vocabulary.table import PLACED, official_vocabulary

MOST_SUGGESTED = 80
"""Names that are offered for an object."""
MOST_KINDS = 12
"""Of them, kinds of what it is called."""

_OBJECT = "object "
"""How the key of an exhibit begins that is an object: see ``evaluation.exhibits``."""

IsDecided = Callable[[Annotation, int], bool]


@dataclass(frozen=True)
class QueueItem:
    """An object to decide on; two items are the same if they are the same object.

    Args:
        name: the picture's, in the run.
        row: the object's, of the record as it was labelled.
        label: its name then.
        section: the reason's heading.
        why: the reasons, a sentence each.
    """

    name: str
    row: int
    label: str
    section: str = field(compare=False)
    why: tuple[str, ...] = field(compare=False)


def make_queue(
    read: Callable[[], Iterable[Annotation]],
    is_decided: IsDecided,
    *,
    label: str = "",
    facts: dict[str, object] | None = None,
) -> list[QueueItem]:
    """Rank what is undecided; the annotations are read twice.

    Args:
        read: reads them as they were labelled, from the first one on.
        is_decided: tells it of a row.
        label: queue objects of this label alone; empty for all.
        facts: how the annotations were made, as ``Annotation.run`` has it.
    """
    rows: dict[str, list[int]] = {}

    def undecided() -> Iterator[Annotation]:
        for annotation in read():
            kept = rows_to_decide(annotation, is_decided, label)
            if len(kept) < len(annotation.detections):
                rows[key_of(annotation.image)] = kept
            yield with_rows(annotation, kept)

    # Of a dataset, `collect` asks for nothing but its annotations.
    review = collect(Dataset(undecided, 0, {}, {}), facts=facts)
    return list(_items(review.queue, rows))


def _items(sections: Sequence[Section], rows: dict[str, list[int]]) -> Iterator[QueueItem]:
    for section in sections:
        for one in section.exhibits:
            name, what = one.key
            if what.startswith(_OBJECT):
                row = int(what.removeprefix(_OBJECT))
                row = rows[name][row] if name in rows else row
                yield QueueItem(name, row, one.label, section.title, tuple(one.why))


def rows_to_decide(annotation: Annotation, is_decided: IsDecided, label: str = "") -> list[int]:
    """Return the rows of objects of a label, or of all, that nobody has decided on."""
    names = annotation.detections.data["class_name"]
    return [
        row
        for row in range(len(annotation.detections))
        if (not label or str(names[row]) == label) and not is_decided(annotation, row)
    ]


def with_rows(annotation: Annotation, rows: Sequence[int]) -> Annotation:
    """Return an annotation with some of its objects."""
    found = annotation.detections
    if len(rows) == len(found):
        return annotation
    return replace(annotation, detections=found.select(np.asarray(rows, int)))


def suggestions(annotation: Annotation, row: int, labels: Iterable[str] = ()) -> list[str]:
    """Return names that an object might have instead, the likeliest first.

    They are the other names that boxes around it had, the tags of the picture that were looked
    for in vain, labels of the run that are kinds of the same thing, what it is a kind of, its own
    kinds, and at last the other labels of the run.

    Args:
        annotation: as it was labelled.
        row: the object's.
        labels: of the run, the most frequent first.
    """
    data = annotation.detections.data
    label = str(data["class_name"][row])
    others = data["alternatives"][row] if "alternatives" in data else ()
    seen = (
        name
        for name, kind in zip(annotation.tags.names, annotation.tags.kinds, strict=True)
        if annotation.ungrounded.get(name) in IN_VAIN and kind in PLACED
    )
    vocabulary, listed = official_vocabulary(), list(labels)
    above = set(vocabulary.ancestors(label))
    alike = [name for name in listed if above.intersection(vocabulary.ancestors(name))]
    each = dict.fromkeys([*(name for name, _ in others), *seen, *alike, *_related(label), *listed])
    each.pop(label, None)
    return list(each)[:MOST_SUGGESTED]


def _related(label: str) -> list[str]:
    """Return what a label is a kind of, and its own kinds."""
    vocabulary = official_vocabulary()
    head = vocabulary.head(label)
    kinds = (
        entry.singular
        for entry in vocabulary.values()
        if not entry.same_as and (head in entry.parents or entry.name.endswith(f" {head}"))
    )
    nearest = map(vocabulary.label, vocabulary.ancestors(label)[:2])
    return [*nearest, *islice(kinds, MOST_KINDS)]


def count_decisions(decisions: Iterable[str | None]) -> Counter[str]:
    """Count decisions by kind; those not made yet as "left"."""
    return Counter("left" if one is None else one for one in decisions)


def next_undecided(decided: Sequence[bool], after: int) -> int | None:
    """Return the place of the next item to decide on, from the start again at the end.

    Args:
        decided: of each item of the queue.
        after: place to begin behind.
    """
    places = (*range(after + 1, len(decided)), *range(min(after + 1, len(decided))))
    return next((place for place in places if not decided[place]), None)
