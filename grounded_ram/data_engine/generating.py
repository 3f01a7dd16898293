"""Missing tags and captions added by a first model (Zhang et al., 2023, section 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from grounded_ram.annotation import Tags
from grounded_ram.data_engine.caption_tags import parsed
from grounded_ram.data_engine.examples import Caption, Example, joined
from grounded_ram.data_engine.parsing.parser import CaptionParser
from grounded_ram.data_engine.pictures import pixels_of
from grounded_ram.images import Image
from grounded_ram.stages import Tagger
from grounded_ram.tagging.captions import Captioner
from grounded_ram.vocabulary.table import Vocabulary

_AT_ONCE = 16
"""Pictures that are held at a time."""


@dataclass(frozen=True, kw_only=True)
class Generator:
    """What adds to examples.

    Args:
        tagger: its tags are added.
        threshold: of all its tags; None means each tag's own.
        captioner: writes a further caption of each picture; None writes none.
        parser: reads tags out of those captions.
        keep: the names that added tags may have; None means all.
        vocabulary: its synonyms get one name; see ``caption_tags.parsed``.
    """

    tagger: Tagger
    threshold: float | None = None
    captioner: Captioner | None = None
    parser: CaptionParser | None = None
    keep: Sequence[str] | None = None
    vocabulary: Vocabulary | None = None

    def add(
        self,
        examples: Iterable[Example],
        on_bad: Callable[[str, str], None] = lambda path, reason: None,
    ) -> Iterator[Example]:
        """Give examples with what the models see besides; none loses anything.

        Args:
            examples: read as they are needed.
            on_bad: told the path and the reason of each picture that cannot be read; it is given
                as it was.
        """
        rest = iter(examples)
        while some := list(islice(rest, _AT_ONCE)):
            pixels = [pixels_of(example.image, on_bad) for example in some]
            rows = [row for row, image in enumerate(pixels) if image is not None]
            images = [image for image in pixels if image is not None]
            seen = dict(zip(rows, self._see(images), strict=True))
            for row, example in enumerate(some):
                new = [replace(one, image=example.image) for one in seen.get(row, [])]
                yield joined([example, *new])

    def _see(self, images: Sequence[Image]) -> Iterator[list[Example]]:
        """Give what is to be joined to the example of each image."""
        tags: list[Tags] = self.tagger.tag(images, threshold=self.threshold) if images else []
        captions = self._captions(images, tags)
        kept = None if self.keep is None else frozenset(self.keep)
        for seen, told in zip(tags, captions, strict=True):
            names = [name for name in seen.names if kept is None or name in kept]
            yield [replace(told, tags=(*names, *told.tags))]

    def _captions(self, images: Sequence[Image], tags: Sequence[Tags]) -> list[Example]:
        """Return an example for each image, with its new caption and the tags of that."""
        if self.captioner is None:
            return [Example("", ()) for _ in images]
        texts = self.captioner.caption(images, tags=tags) if images else []
        told = [Example("", (), (Caption(text),) if text else ()) for text in texts]
        if self.parser is None:
            return told
        return list(parsed(told, self.parser, self.keep, vocabulary=self.vocabulary))
