"""The captions annotated by hand, and how right a parser's tags are on them."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from grounded_ram.data_engine.parsing.parser import PARSED_KINDS, CaptionParser, ParsedTag

FILE = Path(__file__).parent / "captions.csv"
HALVES = ("development", "test")


@dataclass(frozen=True)
class Annotated:
    """One caption with its true tags."""

    caption: str
    tags: frozenset[ParsedTag]


@dataclass(frozen=True)
class Score:
    """How many tags were found rightly, in all, and how many there are."""

    right: int
    found: int
    true: int

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        return self.right / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        both = self.found + self.true
        return 2 * self.right / both if both else 1.0


def read_half(half: str) -> list[Annotated]:
    """Return every other caption: the odd ones to develop with, the even ones to test."""
    with FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        Annotated(row["caption"], frozenset(_tags(row))) for row in rows[HALVES.index(half) :: 2]
    ]


def scores(parser: CaptionParser, annotated: Iterable[Annotated]) -> Mapping[str, Score]:
    """Return how right a parser is by kind, and in "all"."""
    known = list(annotated)
    pairs = list(zip(known, parser.parse(one.caption for one in known), strict=True))
    return {kind: _score(pairs, kind) for kind in (*PARSED_KINDS, "all")}


def _score(pairs: list[tuple[Annotated, tuple[ParsedTag, ...]]], kind: str) -> Score:
    right = found = true = 0
    for annotated, parsed in pairs:
        expected = {tag for tag in annotated.tags if kind in (tag.kind, "all")}
        got = {tag for tag in parsed if kind in (tag.kind, "all")}
        right += len(expected & got)
        found += len(got)
        true += len(expected)
    return Score(right, found, true)


def _tags(row: Mapping[str, str]) -> Iterator[ParsedTag]:
    for kind in PARSED_KINDS:
        yield from (ParsedTag(name, kind) for name in row[f"{kind}s"].split(";") if name)
