"""The tags of captions, put into examples under the names that are wanted."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from itertools import chain

from grounded_ram.data_engine.examples import Caption, Example
from grounded_ram.data_engine.parsing.parser import CaptionParser, ParsedTag
from grounded_ram.errors import InputError
from grounded_ram.vocabulary.table import Vocabulary

WAITING = 65_536
"""Examples that may wait for a parser; one that reads on for longer is begun again."""


def parsed(
    examples: Iterable[Example],
    parser: CaptionParser,
    keep: Collection[str] | None = None,
    *,
    vocabulary: Vocabulary | None = None,
) -> Iterator[Example]:
    """Give examples with the tags of their captions.

    Each caption gets the tags that the parser finds in it, instead of those that it had; each
    example keeps those that it had, and gets those of its captions. One that is left without any
    is given, too. Captions go through the parser as one stream.

    Args:
        examples: read as they are needed. To parse them with another parser, begin with those that
            were not parsed.
        parser: reads the captions.
        keep: the names that tags may have, in whatever case; the others go, those that an example
            had among them. None: all stay.
        vocabulary: its synonyms get one name, the label; of those with names to keep, these stay
            as they are, and the others get the head of their group if it is kept, or the label, or
            the first by alphabet of those that are. None: names stay.

    Raises:
        InputError: the parser gives more or fewer answers than there are captions.
    """
    names = _Names(keep, vocabulary)
    stream = iter(examples)
    for first in stream:
        waiting: deque[Example] = deque()
        answers = parser.parse(_captions(chain((first,), stream), waiting))
        yield from _answered(waiting, answers, names)


def _captions(examples: Iterator[Example], waiting: deque[Example]) -> Iterator[str]:
    """Give the captions of examples, which from then on wait for an answer."""
    for example in examples:
        waiting.append(example)
        for caption in example.captions:
            yield caption.text
        if len(waiting) >= WAITING:  # else all would wait where none has a caption
            return


def _answered(
    waiting: deque[Example], answers: Iterable[tuple[ParsedTag, ...]], names: _Names
) -> Iterator[Example]:
    """Give the examples that wait, each as soon as all of its captions have an answer."""
    found: list[tuple[ParsedTag, ...]] = []
    for answer in answers:
        while waiting and not waiting[0].captions:
            yield _tagged(waiting.popleft(), (), names)
        if not waiting:
            raise InputError("expected one answer of the parser for each caption, got more")
        found.append(answer)
        if len(found) == len(waiting[0].captions):
            yield _tagged(waiting.popleft(), found, names)
            found = []
    for example in waiting:
        if example.captions:
            raise InputError(
                "expected one answer of the parser for each caption, got none for "
                f"{example.captions[len(found)].text[:60]!r} of {example.image!r}"
            )
        yield _tagged(example, (), names)


def _tagged(example: Example, answers: Collection[tuple[ParsedTag, ...]], names: _Names) -> Example:
    captions = tuple(
        Caption(caption.text, names.of(tag.name for tag in answer))
        for caption, answer in zip(example.captions, answers, strict=True)
    )
    found = (tag for caption in captions for tag in caption.tags)
    return replace(example, tags=names.of((*example.tags, *found)), captions=captions)


class _Names:
    """Gives things one name each; arguments as for ``parsed``."""

    def __init__(self, keep: Collection[str] | None, vocabulary: Vocabulary | None) -> None:
        if isinstance(keep, str):
            raise InputError(f"keep: expected names in a list, got {keep!r}; write [{keep!r}]")
        self._vocabulary = vocabulary
        known = () if vocabulary is None else vocabulary.names()
        self._by_case = {name.casefold(): name for name in reversed(known)}
        self._groups: dict[str, str] = {}
        self._is_all = keep is None
        best = sorted(keep or (), key=self._rank, reverse=True)  # the last one of each stays
        self._kept = {name.casefold(): name for name in best} | {name: name for name in best}
        self._for_group = {self._group(name): name for name in best}

    def of(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return what names are called, each thing once, without those that are not kept."""
        found: dict[str, str] = {}
        for name in names:
            group = self._group(name)
            if self._is_all:
                found.setdefault(group, self._label(name, group))
            elif kept := self._keep(name, group):
                found.setdefault(kept, kept)
        return tuple(found.values())

    def _keep(self, name: str, group: str) -> str | None:
        """Return the name to keep that a name stands for; None if it stands for none."""
        kept = self._kept.get(name) or self._kept.get(name.casefold())
        return kept or self._for_group.get(group)

    def _group(self, name: str) -> str:
        """Return what all names of the same thing have in common."""
        if name not in self._groups:
            known = name
            if self._vocabulary is None or not self._vocabulary.knows(name):
                known = self._by_case.get(name.casefold(), name.casefold())
            head = known if self._vocabulary is None else self._vocabulary.head(known)
            self._groups[name] = head
        return self._groups[name]

    def _label(self, name: str, group: str) -> str:
        is_known = self._vocabulary is not None and self._vocabulary.knows(group)
        return self._vocabulary.label(group) if self._vocabulary and is_known else name

    def _rank(self, name: str) -> tuple[bool, bool, str]:
        """Return what is least for the best of several names of one thing."""
        group = self._group(name)
        return name != group, name != self._label(name, group), name
