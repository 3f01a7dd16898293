"""``grounded-ram parse``: pictures with captions in, examples to learn from out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from grounded_ram.cli import example_options as options
from grounded_ram.cli import terminal
from grounded_ram.cli.build import make_parser
from grounded_ram.cli.build_options import CaptionParserName
from grounded_ram.cli.options import AsJson
from grounded_ram.errors import InputError

if TYPE_CHECKING:
    from grounded_ram.data_engine.examples import Example
    from grounded_ram.data_engine.reading.rows import BadRows
    from grounded_ram.vocabulary.table import Vocabulary

MOST_LINES = 20
"""Tags that the table shows."""


def parse(
    captions: options.Captions,
    *,
    output: options.Output = Path("examples.jsonl"),
    tags: options.Tags = None,
    parser: CaptionParserName = "rules",
    images: options.ImagesFolder = None,
    separator: options.Separator = None,
    overwrite: options.Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Read the tags out of captions, and write examples that a tagger can learn from.

    Synonyms become one tag. Exit code 0: all done, though rows without a picture or a text are
    left out and listed in FILE.left-out.csv; 2: wrong usage, or no row can be used.
    """
    from grounded_ram.data_engine.caption_tags import parsed
    from grounded_ram.data_engine.example_files import write_examples
    from grounded_ram.data_engine.parsing.language import reads_english
    from grounded_ram.data_engine.reading.left_out import (
        LEFT_OUT,
        left_out_lines,
        noting_left_out,
    )
    from grounded_ram.data_engine.reading.sources import open_examples
    from grounded_ram.data_engine.reading.spellings import case_note

    _check_output(output, overwrite=overwrite)
    source = captions[0] if len(captions) == 1 else captions
    left_out = output.with_name(f"{output.stem}.{LEFT_OUT}")
    seen = _Seen()
    kept = kept_tags(tags)
    with terminal.clean_stdout(), noting_left_out(left_out) as bad:
        examples = open_examples(source, bad, images=images, separator=separator)
        found = parsed(examples, make_parser(parser)(), kept.names, vocabulary=kept.vocabulary)
        write_examples(seen.counted(_watched(found)), output)
    notes = [case_note(seen.tags), seen.language.note() if reads_english(parser) else ""]
    for line in (*left_out_lines(bad, left_out), *filter(None, notes)):
        terminal.say(line)
    report = seen.report(examples.about, bad) | {
        "left_out_file": str(left_out) if bad.count else None,
        "examples": str(output),
    }
    if as_json:
        terminal.show_json(report)
    else:
        _show(report)


class Kept(NamedTuple):
    """Which tags to keep; None means all. What names mean is the vocabulary's."""

    names: tuple[str, ...] | None
    vocabulary: Vocabulary


class _Seen:
    """Counts examples as they pass, and the pictures that have each tag."""

    def __init__(self) -> None:
        from grounded_ram.data_engine.parsing.language import Language

        self.language = Language()
        self._pictures = self._captions = self._without = 0
        self.tags: Counter[str] = Counter()

    def counted(self, examples: Iterable[Example]) -> Iterator[Example]:
        """Give the examples on."""
        for example in examples:
            self._pictures += 1
            self._captions += len(example.captions)
            self._without += not example.tags
            self.tags.update(example.tags)
            for caption in example.captions:
                self.language.look_at(caption.text)
            yield example

    def report(self, about: str, bad: BadRows) -> dict[str, Any]:
        """Return what there was."""
        ranked = sorted(self.tags.items(), key=lambda item: (-item[1], item[0]))
        return {
            "source": about,
            "pictures": self._pictures,
            "captions": self._captions,
            "without_tags": self._without,
            "left_out": bad.count,
            "left_out_reasons": dict(bad.reasons.most_common()),
            "bad": bad.count,  # as it was called before
            "first_bad": [str(row) for row in bad.first],
            "tags": dict(ranked),
        }


def _check_output(output: Path, *, overwrite: bool) -> None:
    if output.is_dir():
        raise InputError(f"-o must name a file, but {str(output)!r} is a folder")
    if output.exists() and not overwrite:
        raise InputError(
            f"{str(output)!r} is there; choose another file with -o, or replace it with --overwrite"
        )


def kept_tags(tags: str | None) -> Kept:
    """Return the tags of ``--tags``, and what names mean."""
    from grounded_ram.data_engine.labels.label_files import REVIEW
    from grounded_ram.data_engine.labels.review import read_review
    from grounded_ram.data_engine.labels.tag_lists import tag_list
    from grounded_ram.vocabulary.table import official_vocabulary

    if tags is None:
        return Kept(None, official_vocabulary())
    if not Path(tags).is_dir():
        with terminal.downloading() as on_progress:
            return Kept(tag_list(tags, on_progress=on_progress), official_vocabulary())
    path = Path(tags) / REVIEW
    if not path.is_file():
        raise InputError(
            f"--tags: {tags!r} is no folder of `grounded-ram vocabulary build`: it has no {REVIEW}"
        )
    _, system = read_review(path)
    return Kept(tuple(tag.name for tag in system.tags), system.vocabulary())


def _watched(examples: Iterable[Example]) -> Iterator[Example]:
    """Give examples on, and draw how many there were where a person watches."""
    if not terminal.is_watched():
        yield from examples
        return
    with terminal.bar("parsing") as update:
        for number, example in enumerate(examples, 1):
            if number % 100 == 0:
                update(number, None, f"{number:,} pictures")
            yield example


def _show(report: dict[str, Any]) -> None:
    """Print the most frequent tags, what there was, and where it lies."""
    tags = list(report["tags"].items())
    if tags:
        terminal.show_table(
            ("tag", "pictures"), ((tag, f"{count:,}") for tag, count in tags[:MOST_LINES])
        )
    if len(tags) > MOST_LINES:
        terminal.show(f"... and {len(tags) - MOST_LINES:,} more tags")
    terminal.show(
        f"{report['source']}\npictures: {report['pictures']:,}, captions: {report['captions']:,}, "
        f"tags: {len(tags):,}, pictures without tags: {report['without_tags']:,}, left out: "
        f"{report['left_out']:,}\nexamples: {report['examples']}"
    )
