"""The tags that a tagger is to learn: proposed from counts, decided by a human.

counts ─► propose ─► rows ─► review.csv ─ a human's hand ─► rows ─► LabelSystem
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from grounded_ram.data_engine.labels.counting import TagCount
from grounded_ram.data_engine.labels.folding import Folding
from grounded_ram.data_engine.labels.limits import Limits, Room
from grounded_ram.data_engine.labels.spelling import alike
from grounded_ram.data_engine.parsing.parser import PARSED_AS, PARSED_KINDS
from grounded_ram.errors import InputError
from grounded_ram.names import unknown_name
from grounded_ram.vocabulary.table import Entry, Vocabulary

AMBIGUOUS = 0.3
"""A tag that comes as another kind in a larger share of its captions is told to a human."""

UNSEEN = ("abstract", "text")
"""Kinds that no pixels show by themselves."""

_WORDS = re.compile(r"[^\W\d_]+(?:(?:['-]+| )[^\W\d_]+)*")
"""What a tag looks like: words of letters."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One tag, and what becomes of it.

    Args:
        tag: its name, and no other row's.
        kind: of ``KINDS``.
        keep: whether it is a tag of the system.
        rename: what it is called instead; "" means as it is.
        same_as: the tag of the row that it is a name of; "" means that it is a tag itself.
        names: other names that count as it.
        captions: how many have it, by any of its names.
        share: of all captions, in [0, 1].
        maybe_same_as: a tag that may be the same, for a human to decide; "" means none is known.
        why: what speaks against it, in words; "" means nothing.
        examples: captions that have it.
    """

    tag: str
    kind: str
    keep: bool = True
    rename: str = ""
    same_as: str = ""
    names: tuple[str, ...] = ()
    captions: int = 0
    share: float = 0.0
    maybe_same_as: str = ""
    why: str = ""
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tag:
    """A tag of a label system.

    Args:
        name: what it is called.
        kind: of ``KINDS``.
        names: other names for it.
        captions: how many have it; after merges the sum, so that a caption that has two of its
            names may count twice.
    """

    name: str
    kind: str
    names: tuple[str, ...] = ()
    captions: int = 0


class LabelSystem:
    """Tags, the most frequent first, and what each name means.

    Args:
        tags: no name may mean two of them.

    Raises:
        InputError: one does.
    """

    def __init__(self, tags: Iterable[Tag]) -> None:
        self.tags = tuple(sorted(tags, key=lambda tag: (-tag.captions, tag.name)))
        owners: dict[str, Tag] = {}
        for tag in self.tags:
            for name in dict.fromkeys((tag.name, *tag.names)):
                if name in owners:
                    raise InputError(
                        f"the name {name!r} stands for {owners[name].name!r} and for another tag, "
                        f"{tag.name!r}; take one away"
                    )
                owners[name] = tag
        self._tags = {name: tag.name for name, tag in owners.items()}
        for name, tag_name in list(self._tags.items()):
            self._tags.setdefault(name.casefold(), tag_name)

    def __len__(self) -> int:
        return len(self.tags)

    def tag_of(self, name: str) -> str | None:
        """Return the tag that a parsed name means; None means that it is not learned."""
        return self._tags.get(name) or self._tags.get(name.casefold())

    def vocabulary(self) -> Vocabulary:
        """Return a vocabulary of these tags alone: other names are synonyms, kinds as they are."""
        return Vocabulary(
            Entry(name, tag.kind, False, name, "" if name == tag.name else tag.name)
            for tag in self.tags
            for name in (tag.name, *tag.names)
        )


def most_frequent(counts: Iterable[TagCount], folding: Folding, limits: Limits) -> list[TagCount]:
    """Keep the counts that a proposal and a human need, the most frequent first.

    Tags to start from are among them, whatever their counts, and those of no caption, too.
    """
    no_kinds = tuple(0 for _ in PARSED_KINDS)
    start = {tag: TagCount(tag, 0, no_kinds, {}, ()) for tag in folding.start}

    def others() -> Iterator[TagCount]:
        for count in counts:
            if count.tag in start:
                start[count.tag] = count
            else:
                yield count

    best = heapq.nsmallest(limits.listed, others(), key=_order)
    return sorted([*best, *start.values()], key=_order)


def propose(
    counts: Sequence[TagCount], captions: int, folding: Folding, limits: Limits
) -> list[Row]:
    """Propose a label system for a human to review.

    Args:
        counts: the most frequent first, with the tags to start from.
        captions: how many were counted.
        folding: what the counts were folded by.
        limits: how many tags there shall be.

    Returns:
        The tags that are kept, those that something speaks against, and some that the limits leave
        out, the most frequent first.
    """
    drafts = list(_drafts(counts, captions, folding))
    room = Room(limits, [row.kind for row in drafts if _is_kept_start(row, folding)])
    rows: list[Row] = []
    waiting: list[Row] = []  # of no interest unless a more frequent tag is kept or spare
    for row in drafts:
        if folding.is_start(row.tag):
            note = "" if row.captions else "no caption has it"
            why = folding.reason_against(row.tag)
            rows.append(replace(row, keep=not why, why=why or row.why or note))
        elif row.captions < limits.least:
            continue
        elif against := _reason_against(row, folding):
            waiting.append(replace(row, keep=False, why=against))
        else:
            why = room.refuse(row.kind)
            if not why or room.has_spare(row.kind):
                rows += [*waiting, replace(row, keep=not why, why=why or row.why)]
                waiting.clear()
    if not room.is_full:
        rows += waiting
    return _with_suggestions(sorted(rows, key=lambda row: (-row.captions, row.tag)), folding)


def decided(rows: Iterable[Row]) -> LabelSystem:
    """Return the label system that rows say.

    Raises:
        InputError: a row is the same as one that is not kept, or that there is not, or as itself;
            or a name means two tags.
    """
    table = {row.tag: row for row in rows}
    groups: dict[str, list[Row]] = {}
    for row in table.values():
        if row.keep:
            groups.setdefault(head_of(row, table).tag, []).append(row)
    tags = []
    for head, group in groups.items():
        top = table[head]
        name = top.rename or top.tag
        names = dict.fromkeys(name for row in group for name in (row.tag, *row.names))
        names.pop(name, None)
        tags.append(Tag(name, top.kind, tuple(names), sum(row.captions for row in group)))
    return LabelSystem(tags)


def head_of(row: Row, table: Mapping[str, Row]) -> Row:
    """Return the row that a row is the same as in the end.

    Raises:
        InputError: there is none, or it is not kept.
    """
    passed = {row.tag}
    top = row
    while top.same_as:
        if top.same_as not in table:
            raise InputError(str(unknown_name("tag under same_as", top.same_as, table)))
        top = table[top.same_as]
        if top.tag in passed:
            raise InputError(f"{row.tag!r} is the same as itself, by way of same_as")
        passed.add(top.tag)
    if not top.keep:
        raise InputError(f"{row.tag!r} is the same as {top.tag!r}, which is not kept")
    return top


def _order(count: TagCount) -> tuple[int, str]:
    return -count.captions, count.tag


def _drafts(counts: Iterable[TagCount], captions: int, folding: Folding) -> Iterator[Row]:
    for count in counts:
        kind = folding.kind(count.tag) or (count.kind if count.captions else "object")
        yield Row(
            tag=count.tag,
            kind=kind,
            names=tuple(dict.fromkeys((*count.names, *folding.names(count.tag)))),
            captions=count.captions,
            share=count.captions / captions if captions else 0.0,
            why=_other_kinds(count, kind),
            examples=count.examples,
        )


def _other_kinds(count: TagCount, kind: str) -> str:
    """Say as what else a tag often comes: to "shop" is no store."""
    found = dict(zip(PARSED_KINDS, count.kinds, strict=True))
    found.pop(PARSED_AS.get(kind, kind), None)
    if kind == "stuff":
        del found["attribute"]  # a leather bag is of leather
    other = max(found, key=lambda name: found[name])
    if found[other] <= AMBIGUOUS * count.captions:
        return ""
    return f"as {other} in {found[other]:,} of its captions: perhaps another word"


def _is_kept_start(row: Row, folding: Folding) -> bool:
    return folding.is_start(row.tag) and not folding.reason_against(row.tag)


def _reason_against(row: Row, folding: Folding) -> str:
    if against := folding.reason_against(row.tag):
        return against
    if row.kind in UNSEEN:
        return f"of kind {row.kind}: no pixels show it by themselves"
    if not folding.knows(row.tag) and (len(row.tag) < 2 or not _WORDS.fullmatch(row.tag)):
        return "no word: it has digits or signs in it, or is a single letter"
    return ""


def _with_suggestions(rows: Sequence[Row], folding: Folding) -> list[Row]:
    found = alike({row.tag: row.captions for row in rows}, folding.knows)
    heads: dict[str, str] = {}
    for row in rows:
        first = heads.setdefault(folding.head(row.tag), row.tag)
        if first != row.tag:
            found[row.tag] = (first, "the vocabulary holds them for one")
    told = []
    for row in rows:
        other, reason = found.get(row.tag, ("", ""))
        why = "; ".join(filter(None, [row.why, f"perhaps {other!r}: {reason}" if other else ""]))
        told.append(replace(row, maybe_same_as=other, why=why))
    return told
