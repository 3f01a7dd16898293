"""Which tag a name counts as before a human has looked: what the vocabulary knows, no guesses."""

from __future__ import annotations

from collections.abc import Iterable

from grounded_ram.errors import InputError
from grounded_ram.vocabulary.edits import Edits, edited
from grounded_ram.vocabulary.table import official_vocabulary


class Folding:
    """Names to tags, by the vocabulary, a user's edits of it, and tags that are there already.

    Synonyms become one tag, called by its label, in the singular. A tag to start from stays as it
    is, also beside synonyms that are tags to start from; other names of such a group count as its
    head if that is one, else as its label, else as the first of them in the alphabet.

    Args:
        edits: the user's own; classes are refused: which tags there are is to be found.
        start: tags to start from, in their order.

    Attributes:
        vocabulary: with the edits.
        start: the tags to start from, each once, in whatever case.
        tags: name -> the tag that it counts as, where that is another; other names are their own
            tags.

    Raises:
        InputError: the edits name classes, or contradict the vocabulary.
    """

    def __init__(self, edits: Edits | None = None, start: Iterable[str] = ()) -> None:
        self.edits = edits = edits or Edits()
        if edits.classes:
            raise InputError("classes are what is to be built; take them out of the vocabulary")
        self.vocabulary = edited(official_vocabulary(), edits)
        self._start: dict[str, str] = {}
        for tag in start:
            self._start.setdefault(tag.casefold(), tag)
        self.start = tuple(self._start.values())
        head = self.vocabulary.head
        self._renames = {head(label): new for label, new in edits.rename.items()}
        self._called = {new: old for old, new in self._renames.items()}
        self._allowed = {head(name) for name in edits.allow}
        self._blocked = {head(name) for name in edits.block}
        self.tags = self._map_names()
        self._names: dict[str, list[str]] = {}
        for name, tag in self.tags.items():
            self._names.setdefault(tag, []).append(name)

    def tag(self, name: str) -> str:
        """Return what a name counts as."""
        return self.tags.get(name, name)

    def names(self, tag: str) -> tuple[str, ...]:
        """Return what else counts as a tag, in the order of the letters."""
        return tuple(sorted(self._names.get(tag, ())))

    def kind(self, tag: str) -> str | None:
        """Return the kind that the vocabulary gives a tag; None if it does not know it."""
        return self.vocabulary.kind(self._known(tag))

    def head(self, tag: str) -> str:
        """Return the head of the synonyms of a tag; what is not known heads itself."""
        return self.vocabulary.head(self._known(tag))

    def knows(self, tag: str) -> bool:
        """Tell whether a tag, or what it was called before the user's own name, is a known one."""
        return self.vocabulary.knows(self._known(tag))

    def is_start(self, tag: str) -> bool:
        """Tell whether a tag is one to start from."""
        return tag.casefold() in self._start

    def reason_against(self, tag: str) -> str:
        """Say why the user's edits leave a tag out; "" means that they do not."""
        above = set(self.vocabulary.relatives(self._known(tag)))
        if above & self._blocked:
            return "your vocabulary blocks it"
        if self._allowed and not above & self._allowed:
            return "your vocabulary does not allow it"
        return ""

    def _known(self, tag: str) -> str:
        return self._called.get(tag, tag)

    def _map_names(self) -> dict[str, str]:
        names = [*self.vocabulary, *self.vocabulary.names()]
        exact = {name: self._tag_of(name) for name in (*names, *self.start)}
        loose: dict[str, str] = {}
        for name, tag in exact.items():
            loose.setdefault(name.casefold(), tag)
        return {name: tag for name, tag in (loose | exact).items() if name != tag}

    def _tag_of(self, name: str) -> str:
        if own := self._start.get(name.casefold()):
            return own
        head = self.vocabulary.head(name)
        label = self.vocabulary.label(name)
        for known in (head, label, *sorted(self.vocabulary.synonyms(head))):
            if found := self._start.get(known.casefold()):
                return found
        return self._renames.get(head, label)
