"""Examples -> batches: pictures read and cut anew each time they are seen, targets, captions.

What a step sees depends on the seed and the number of the step, not on how many workers read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from grounded_ram.data_engine.examples import Example
from grounded_ram.errors import GroundedRAMError, InputError
from grounded_ram.images import load_image
from grounded_ram.runtime import normalised
from grounded_ram.tagging.ram import prepare

Position = tuple[int, int]
"""The row of an example, and the how manieth it is that a training sees."""


@dataclass(frozen=True, eq=False)
class ExampleBatch:
    """B examples, ready to learn from.

    Args:
        images: (B, 3, S, S) float32, normalised; or (B, 1 + N, C), what a frozen encoder has made
            of them before.
        tags: (B, L) float32, 1 where the picture has the tag.
        captions: one of each picture's, "" for a picture without.
        caption_tags: the tags that were parsed from that caption, in random order.
    """

    images: Tensor
    tags: Tensor
    captions: tuple[str, ...]
    caption_tags: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device) -> ExampleBatch:
        """Move to a device."""
        return replace(
            self,
            images=self.images.to(device, non_blocking=True),
            tags=self.tags.to(device, non_blocking=True),
        )

    def split(self, size: int) -> list[ExampleBatch]:
        """Return parts of at most so many examples."""
        return [
            ExampleBatch(
                self.images[start : start + size],
                self.tags[start : start + size],
                self.captions[start : start + size],
                self.caption_tags[start : start + size],
            )
            for start in range(0, len(self), size)
        ]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How pictures are read to learn from."""

    image_size: int
    """Height and width of what the network takes, in pixels."""
    least_crop: float = 0.5
    """Share of the picture's area that a random crop has at least; 1 takes the whole picture."""
    flip: bool = True
    """Whether half of the pictures are mirrored."""
    brighten: float = 0.2
    """How far brightness and contrast are changed at random."""
    workers: int = 0
    """Further processes that read."""


class BadPicture(str):
    """Why a picture could not be read, in place of what it shows."""


class Feed:
    """Batches of examples by the number of the step.

    Args:
        examples: N rows, all of which come once before one comes again.
        names: L tags to learn, a column each; other tags of the examples are passed over.
        reading: how pictures are read.
        batch: pictures a step, of each process.
        seed: of the order and of what chance does to the pictures.
        rank: number of this process.
        count: of the processes that share the examples.
        on_bad: told the path and the reason of each picture that cannot be read; it is left out.
        features: instead of the pictures what a frozen encoder has made of them, (N, 1 + cells, C),
            and (N,) which could be read; see ``features.Features``.

    Raises:
        InputError: there are no examples.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        names: Sequence[str],
        reading: Reading,
        *,
        batch: int,
        seed: int,
        rank: int = 0,
        count: int = 1,
        on_bad: Callable[[str, str], None] = lambda path, reason: None,
        features: tuple[NDArray[np.float16], NDArray[np.bool_]] | None = None,
    ) -> None:
        if not examples:
            raise InputError("expected pictures to learn from, got none")
        self._pictures = (
            _Pictures(examples, names, reading, seed)
            if features is None
            else _SeenPictures(examples, names, reading, seed, features)
        )
        self._workers = 0 if features is not None else reading.workers
        self._batch, self._seed, self._rank, self._count = batch, seed, rank, count
        self._on_bad = on_bad
        self._steps: Iterator[list[_Row | tuple[str, BadPicture]]] | None = None
        self._next = 0
        self._last: tuple[int, ExampleBatch] | None = None

    def batch(self, step: int) -> ExampleBatch:
        """Return the examples of a step, counted from 0, less those that cannot be read."""
        if self._last is not None and self._last[0] == step:
            return self._last[1]
        if self._steps is None or step != self._next:
            self._steps = iter(self._loader(step))
        rows = next(self._steps)
        self._next = step + 1
        kept = []
        for row in rows:
            if isinstance(row, _Row):
                kept.append(row)
            else:
                self._on_bad(*row)
        self._last = step, self._pictures.collated(kept)
        return self._last[1]

    def _loader(self, start: int) -> DataLoader[Example]:
        """Return what reads ahead from a step on, for ever."""
        return DataLoader(
            self._pictures,
            batch_sampler=_Positions(self._positions, start),
            collate_fn=list,
            num_workers=self._workers,
            generator=torch.Generator(),  # else it would draw from the global one
            multiprocessing_context="spawn" if self._workers else None,
        )

    def _positions(self, step: int) -> list[Position]:
        first = (step * self._count + self._rank) * self._batch
        total = len(self._pictures)
        return [
            (int(_order(self._seed, place // total, total)[place % total]), place)
            for place in range(first, first + self._batch)
        ]


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, total: int) -> NDArray[np.int64]:
    """Return in which order an epoch sees the examples."""
    return np.random.default_rng((seed, epoch)).permutation(total)


class _Positions:
    """The batches of positions from a step on."""

    def __init__(self, positions: Callable[[int], list[Position]], start: int) -> None:
        self._positions, self._start = positions, start

    def __iter__(self) -> Iterator[list[Position]]:
        step = self._start
        while True:
            yield self._positions(step)
            step += 1


@dataclass(frozen=True, eq=False)
class _Row:
    """One example as it is learnt: (3, S, S), (L,), a caption and its tags."""

    image: Tensor
    tags: Tensor
    caption: str
    caption_tags: tuple[str, ...]


class _Pictures(Dataset[Example]):
    """Examples by their row, as a training sees them."""

    def __init__(
        self, examples: Sequence[Example], names: Sequence[str], reading: Reading, seed: int
    ) -> None:
        self.examples, self.seed = examples, seed
        self.columns = {name: column for column, name in enumerate(names)}
        self.size = reading.image_size
        changes: list[v2.Transform] = []
        if reading.least_crop < 1:
            shape = {"scale": (reading.least_crop, 1.0), "ratio": (3 / 4, 4 / 3)}
            changes.append(v2.RandomResizedCrop(self.size, antialias=True, **shape))
        if reading.flip:
            changes.append(v2.RandomHorizontalFlip())
        if reading.brighten:
            changes.append(v2.ColorJitter(reading.brighten, reading.brighten))
        self.change = v2.Compose(changes) if changes else None

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, where: Position) -> _Row | tuple[str, BadPicture]:  # type: ignore[override]
        row, place = where
        example = self.examples[row]
        rng = np.random.default_rng((self.seed, 1, place))
        image = self._image(row, int(rng.integers(2**62)))
        if isinstance(image, BadPicture):
            return example.image, image
        caption, caption_tags = self._caption(example, rng)
        return _Row(image, self._target(example), caption, caption_tags)

    def _image(self, row: int, seed: int) -> Tensor | BadPicture:
        """Return what there is to see of a picture, changed by chance."""
        try:
            pixels = load_image(self.examples[row].image).pixels
        except (GroundedRAMError, OSError) as error:
            return BadPicture(error)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self._changed(pixels)

    def _changed(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Return the (3, S, S) normalised picture, changed by chance."""
        if self.change is None:
            return prepare(pixels, self.size)
        changed = self.change(torch.from_numpy(pixels).permute(2, 0, 1))
        if changed.shape[1:] != (self.size, self.size):
            changed = v2.functional.resize(changed, [self.size, self.size], antialias=True)
        return normalised(changed.float() / 255)

    def _target(self, example: Example) -> Tensor:
        target = torch.zeros(len(self.columns))
        target[[self.columns[name] for name in example.tags if name in self.columns]] = 1
        return target

    def _caption(self, example: Example, rng: np.random.Generator) -> tuple[str, tuple[str, ...]]:
        """Choose one of the captions; its tags come in random order (Tag2Text, section 3.3)."""
        if not example.captions:
            return "", ()
        caption = example.captions[int(rng.integers(len(example.captions)))]
        known = [name for name in caption.tags if name in self.columns]
        return caption.text, tuple(known[i] for i in rng.permutation(len(known)))

    def collated(self, rows: Sequence[_Row]) -> ExampleBatch:
        """Put rows together; none make an empty batch."""
        none = torch.zeros(0, 3, self.size, self.size)
        images = torch.stack([row.image for row in rows]) if rows else none
        tags = (
            torch.stack([row.tags for row in rows]) if rows else torch.zeros(0, len(self.columns))
        )
        return ExampleBatch(
            images,
            tags,
            tuple(row.caption for row in rows),
            tuple(row.caption_tags for row in rows),
        )


class _SeenPictures(_Pictures):
    """Examples whose pictures a frozen encoder has looked at before."""

    def __init__(
        self,
        examples: Sequence[Example],
        names: Sequence[str],
        reading: Reading,
        seed: int,
        features: tuple[NDArray[np.float16], NDArray[np.bool_]],
    ) -> None:
        super().__init__(examples, names, reading, seed)
        self._tokens, self._readable = features

    def _image(self, row: int, seed: int) -> Tensor | BadPicture:
        """Return the (1 + cells, C) tokens of a picture."""
        if not self._readable[row]:
            return BadPicture("it could not be read when it was looked at")
        return torch.from_numpy(self._tokens[row].astype(np.float32))
