"""What ``train`` and ``data-engine`` learn from: examples and tags, with notes on what is odd."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from grounded_ram.cli import terminal
from grounded_ram.cli.build import make_parser
from grounded_ram.cli.parse import Kept, kept_tags
from grounded_ram.errors import InputError

if TYPE_CHECKING:
    from grounded_ram.data_engine.examples import Example


def read_examples(
    data: Sequence[str],
    parser: str,
    images: Path | None = None,
    kept: Kept | None = None,
    *,
    separator: str | None = None,
    left_out: Path | None = None,
    what: str = "",
) -> list[Example]:
    """Read examples, and the tags out of captions that have none yet; tell what is left out.

    Args:
        data: as ``options.Data``.
        parser: its name.
        images: as ``example_options.ImagesFolder``.
        kept: the tags to keep, and what names mean; None keeps all.
        separator: as ``example_options.Separator``.
        left_out: file that lists the rows which are left out.
        what: for the notes, where several such things are read.
    """
    from grounded_ram.data_engine.caption_tags import parsed
    from grounded_ram.data_engine.reading.left_out import left_out_lines, noting_left_out
    from grounded_ram.data_engine.reading.sources import open_examples
    from grounded_ram.training.processes import is_first

    sources = data[0] if len(data) == 1 else list(data)
    with noting_left_out(left_out if is_first() else None, keep=3) as bad:
        found = list(open_examples(sources, bad, images=images, separator=separator))
    if is_first():
        for line in left_out_lines(bad, left_out, what):
            terminal.say(line)
    kept = kept or kept_tags(None)
    captions = [caption for example in found for caption in example.captions]
    if any(caption.tags for caption in captions) or not (captions or kept.names):
        return found
    return list(parsed(found, make_parser(parser)(), kept.names, vocabulary=kept.vocabulary))


def read_sources(data: Sequence[str], parser: str, kept: Kept, what: str) -> list[Example]:
    """Read several sources; what they tell about one picture is joined; see ``read_examples``."""
    from grounded_ram.data_engine.examples import joined

    found: dict[str, list[Example]] = {}
    for source in data:
        for example in read_examples([source], parser, None, kept, what=what):
            found.setdefault(example.image, []).append(example)
    return [joined(examples) for examples in found.values()]


def tags_to_learn(examples: Sequence[Example], kept: Kept, least: int) -> list[str]:
    """Return the tags that are asked for, or all of the examples.

    Raises:
        InputError: the examples show none of them.
    """
    from grounded_ram.training.tagger import frequent_tags

    shown = frequent_tags(examples)
    names = frequent_tags(examples, least=least) if kept.names is None else list(kept.names)
    if not set(shown) & set(names):
        few = ", ".join(map(repr, shown[:5])) or "none"
        raise InputError(
            f"expected tags to learn, but none of {len(examples):,} pictures has one that was "
            f"asked for; their most frequent tags: {few}. Name others with --tags, lower --least, "
            "or correct the data"
        )
    return names


def say_alike(examples: Sequence[Example], names: Sequence[str]) -> None:
    """Tell which of the names to learn differ by capitals alone."""
    from grounded_ram.data_engine.reading.spellings import case_note
    from grounded_ram.training.processes import is_first

    wanted = frozenset(names)
    counts = Counter(tag for one in examples for tag in set(one.tags) & wanted)
    if (note := case_note(counts)) and is_first():
        terminal.say(note)
