"""What a tagger learns from: pictures, the tags that they have, the captions they came with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from grounded_ram.errors import InputError


@dataclass(frozen=True)
class Caption:
    """A text about a picture.

    Args:
        text: as it was written.
        tags: names that were parsed from it, each once, in its order.
    """

    text: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Example:
    """One picture to learn from.

    Args:
        image: path of its file.
        tags: names of everything that it is known to show, each once: those of its captions, and
            those that a human or a model gave it.
        captions: may be none.
    """

    image: str
    tags: tuple[str, ...]
    captions: tuple[Caption, ...] = ()


def joined(examples: Sequence[Example]) -> Example:
    """Return one example of all that is told about one picture.

    Tags come once, in the order in which they are first told; of captions with the same text only
    the first stays, with the tags of all of them.

    Args:
        examples: at least one, all of the same image.
    """
    if len(examples) == 1:
        return examples[0]
    tags = dict.fromkeys(tag for one in examples for tag in one.tags)
    captions = once(caption for one in examples for caption in one.captions)
    return Example(examples[0].image, tuple(tags), captions)


def once(captions: Iterable[Caption]) -> tuple[Caption, ...]:
    """Return captions, each text once with the tags of all that have it."""
    found: dict[str, dict[str, None]] = {}
    for caption in captions:
        found.setdefault(caption.text, {}).update(dict.fromkeys(caption.tags))
    return tuple(Caption(text, tuple(tags)) for text, tags in found.items())


def split(
    examples: Iterable[Example], share: float, *, seed: int = 0
) -> tuple[list[Example], list[Example]]:
    """Part examples to learn from and examples to hold out, both in their order.

    ``is_held_out`` decides on each picture by itself, so that a picture stays on its side when
    others come or go; the share is met on average, not exactly. ``grounded_ram.export.splits`` is
    for datasets that are dealt out once, by groups, with every class in each split.

    Args:
        examples: read once, and all held in memory.
        share: of examples to hold out, in [0, 1]; a larger share holds out the same and more.
        seed: another one holds out others.

    Returns:
        The examples to learn from, and those held out.

    Raises:
        InputError: the share is not in [0, 1].
    """
    parts: tuple[list[Example], list[Example]] = ([], [])
    _check_share(share)
    for example in examples:
        parts[is_held_out(example.image, share, seed=seed)].append(example)
    return parts


def is_held_out(image: str, share: float, *, seed: int = 0) -> bool:
    """Tell whether a picture is held out; arguments as for ``split``.

    It depends on the file's name and on that of the folder it lies in, and on nothing above, so
    that data may be moved. Pictures that are called alike in both share a side.
    """
    _check_share(share)
    name = "/".join(Path(image).parts[-2:])
    lot = sha256(f"{seed} {name}".encode(errors="surrogateescape")).digest()[:8]
    return int.from_bytes(lot, "big") < share * 2**64


def _check_share(share: float) -> None:
    if not 0 <= share <= 1:
        raise InputError(f"expected a share to hold out from 0 to 1, such as 0.05; got {share}")
