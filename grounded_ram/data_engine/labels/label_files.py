"""The folder of a label system.

```text
FOLDER/counts.csv        how often the most frequent tags came, as what, by which names
FOLDER/review.csv        what is proposed, for a human to decide, see ``data_engine.review``
FOLDER/tags.txt          what a tagger is to learn: a tag a line, the most frequent first
FOLDER/vocabulary.yaml   the same for labelling, see ``vocabulary.edits``
```
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import yaml

from grounded_ram.data_engine.labels.counting import TagCount
from grounded_ram.data_engine.labels.label_system import LabelSystem, Tag
from grounded_ram.data_engine.parsing.parser import PARSED_KINDS
from grounded_ram.export.files import replacing
from grounded_ram.vocabulary.edits import Edits, edited
from grounded_ram.vocabulary.table import PLACED, Vocabulary, official_vocabulary

COUNTS = "counts.csv"
REVIEW = "review.csv"
TAGS = "tags.txt"
VOCABULARY = "vocabulary.yaml"

COUNT_COLUMNS = ("tag", "captions", "share", *PARSED_KINDS, "names")

_CARRIED = ("ground", "synonyms", "parents", "thresholds")
"""Parts of a user's edits that still mean something once the tags are chosen and named."""

_HEAD = """\
# Written from review.csv: edit that, since this file is written anew from it.
# To label with these tags and no others:
#   grounded-ram annotate FOLDER --vocabulary FILE
"""


def write_counts(counts: Iterable[TagCount], captions: int, path: Path) -> None:
    """Write counts as a table, whole or not at all.

    Args:
        counts: in the order to write them in.
        captions: how many there were in all.
        path: the file.
    """
    with replacing(path) as file:
        text = TextIOWrapper(file, "utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COUNT_COLUMNS)
        for count in counts:
            names = "; ".join(f"{name} {number}" for name, number in count.names.items())
            share = f"{count.captions / max(captions, 1):.4%}"
            writer.writerow((count.tag, count.captions, share, *count.kinds, names))
        text.flush()
        text.detach()


def write_system(system: LabelSystem, folder: Path, edits: Edits | None = None) -> None:
    """Write tags.txt and vocabulary.yaml into a folder, each whole or not at all.

    Args:
        system: the label system.
        folder: made if need be.
        edits: the user's own that it was built with.
    """
    with replacing(folder / TAGS) as file:
        file.write("".join(f"{tag.name}\n" for tag in system.tags).encode())
    with replacing(folder / VOCABULARY) as file:
        file.write(vocabulary_text(system, edits or Edits()).encode())


def vocabulary_text(system: LabelSystem, edits: Edits) -> str:
    """Write a label system as a vocabulary file.

    Each tag that has a place in a picture is a class, so that nothing else is labelled; words that
    the vocabulary does not know are made known to it. Of tags that the vocabulary holds for one,
    the most frequent is a class.
    """
    parts = {name: part for name, part in edits.record().items() if name in _CARRIED}
    base = edited(official_vocabulary(), edits)
    placed = [tag for tag in system.tags if tag.kind in PLACED]
    synonyms = {label: list(names) for label, names in edits.synonyms.items()}
    for label, names in _new_names(placed, base).items():
        synonyms.setdefault(label, []).extend(names)
    parts["synonyms"] = synonyms
    told = Edits(synonyms=_tuples(synonyms), parents=edits.parents)
    parts["classes"] = _classes(placed, edited(official_vocabulary(), told), base)
    parts = {name: part for name, part in parts.items() if part}
    if not parts:
        return f"{_HEAD}# No tag has a place in a picture.\n"
    lists: Any = {k: _plain(part) for k, part in parts.items()}
    return _HEAD + str(
        yaml.safe_dump(lists, default_flow_style=None, allow_unicode=True, sort_keys=False)
    )


def _new_names(tags: Iterable[Tag], vocabulary: Vocabulary) -> dict[str, list[str]]:
    """Return the names that the vocabulary does not know, by the label that they are names of."""
    found: dict[str, list[str]] = {}
    for tag in tags:
        names = (tag.name, *tag.names)
        known = [name for name in names if vocabulary.knows(name)]
        label = vocabulary.label(known[0]) if known else tag.name
        fresh = [name for name in names if not vocabulary.knows(name) and name != label]
        if fresh or not known:
            found.setdefault(label, []).extend(fresh)
    return found


def _classes(tags: Iterable[Tag], vocabulary: Vocabulary, base: Vocabulary) -> dict[str, list[str]]:
    """Return the labels, and what each collects: nothing twice, and nothing without a shape."""
    taken: set[str] = set()
    classes: dict[str, list[str]] = {}
    for tag in tags:
        for name in (tag.name, *tag.names):
            head = vocabulary.head(name)
            kind = base.kind(name)
            is_shaped = kind is None or (kind in PLACED and base.is_worth_grounding(name, kind))
            if head not in taken and is_shaped:
                taken.add(head)
                classes.setdefault(tag.name, []).append(name)
    return classes


def _tuples(lists: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    return {label: tuple(names) for label, names in lists.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    return list(map(str, value)) if isinstance(value, (tuple, list)) else value
