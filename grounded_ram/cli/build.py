"""``grounded-ram vocabulary build``: captions in, the list of tags that a tagger learns out."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from grounded_ram.cli import terminal
from grounded_ram.cli.build_options import (
    BuildVocabulary,
    CaptionParserName,
    Captions,
    Column,
    Layout,
    Least,
    Output,
    Overwrite,
    Review,
    Start,
    Top,
    Workers,
)
from grounded_ram.cli.build_report import note_on_least, show
from grounded_ram.cli.options import AsJson
from grounded_ram.errors import InputError

if TYPE_CHECKING:
    from grounded_ram.data_engine.labels.caption_files import CaptionFile
    from grounded_ram.data_engine.labels.counting import TagCounter
    from grounded_ram.data_engine.labels.folding import Folding
    from grounded_ram.data_engine.labels.label_system import LabelSystem, Row
    from grounded_ram.data_engine.labels.limits import Limits
    from grounded_ram.vocabulary.edits import Edits

LINE_EVERY_S = 10.0
"""Seconds between two lines where nobody watches a bar."""


def build(
    captions: Captions = None,
    *,
    output: Output = None,
    review: Review = None,
    top: Top = None,
    least: Least = 5,
    start: Start = "none",
    vocabulary: BuildVocabulary = None,
    parser: CaptionParserName = "rules",
    column: Column = None,
    layout: Layout = None,
    workers: Workers = 1,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Count the tags of captions, and propose the list of tags that a tagger is to learn.

    Two steps: this command writes FOLDER/review.csv; edit it in a spreadsheet, then run it again
    with --review FOLDER. Exit code 0: all done; 1: a file was damaged, the others are counted; 2:
    wrong usage, or a mistake in review.csv.
    """
    edits = _own_edits(vocabulary)
    if review is not None:
        _refuse_both(captions, output, overwrite=overwrite)
        report = _finish(review, edits)
    else:
        folder = _folder_to_write(output, overwrite=overwrite)
        limits = _limits(top, least)
        files = _open(captions or (), column, layout)
        folding = _folding(edits, start)
        with terminal.clean_stdout():
            report = _build(files, folding, limits, (folder, parser, workers))
    if note := note_on_least(report):
        terminal.say(note)
    if as_json:
        terminal.show_json(report)
    else:
        show(report)
    if report.get("damaged"):
        raise typer.Exit(1)


def make_parser(name: str) -> Callable[[], Any]:
    """Return what makes the parser of a name, in whatever process; the name is looked up then."""
    from grounded_ram.data_engine.parsing.parser import find_parser

    return partial(find_parser, name)


def _refuse_both(captions: Sequence[str] | None, output: Path | None, *, overwrite: bool) -> None:
    if captions or output is not None or overwrite:
        raise InputError(
            "--review counts nothing and writes into its own folder: type it without captions, -o "
            "and --overwrite"
        )


def _folder_to_write(output: Path | None, *, overwrite: bool) -> Path:
    """Make sure, before hours of work, that nobody's edits are replaced."""
    from grounded_ram.data_engine.labels.label_files import COUNTS, REVIEW, TAGS, VOCABULARY

    if output is None:
        raise InputError("say where it goes with -o FOLDER")
    if output.exists() and not output.is_dir():
        raise InputError(f"-o must name a folder, but {str(output)!r} is a file")
    there = [
        path for name in (REVIEW, TAGS, VOCABULARY, COUNTS) if (path := output / name).exists()
    ]
    if there and not overwrite:
        raise InputError(
            f"{str(there[0])!r} is there, perhaps with edits of yours; apply them with --review "
            f"{shlex.quote(str(output))}, choose another folder with -o, or replace it with "
            "--overwrite"
        )
    return output


def _limits(top: Sequence[str] | None, least: int) -> Limits:
    from grounded_ram.data_engine.labels.limits import Limits

    of_kind: dict[str, int] = {}
    usual: dict[str, int | None] = {"top": None} if top else {}
    for text in top or ():
        kind, equals, number = text.rpartition("=")
        if not number.isdecimal() or bool(equals) != bool(kind):
            raise InputError(f"--top expects N or KIND=N, as in object=6000; got {text!r}")
        if kind:
            of_kind[kind] = int(number)
        else:
            usual["top"] = int(number)
    return Limits(least=least, top_of_kind=of_kind, **usual)


def _open(captions: Sequence[str], column: str | None, layout: str | None) -> list[CaptionFile]:
    from grounded_ram.data_engine.labels.caption_files import CaptionFile

    if not captions:
        raise InputError("name files of captions, or - for standard input")
    twice = sorted({text for text in captions if captions.count(text) > 1})
    if twice:
        raise InputError(f"{twice[0]!r} is named twice, and would be counted twice")
    return [CaptionFile(text, layout=layout, column=column) for text in captions]


def _own_edits(file: Path | None) -> Edits:
    from grounded_ram.vocabulary.edits import Edits, read_edits

    edits = Edits() if file is None else read_edits(file)
    if edits.classes:
        raise InputError(f"{file}: it lists classes, which this command is to find; take them out")
    return edits


def _folding(edits: Edits, start: str) -> Folding:
    from grounded_ram.data_engine.labels.folding import Folding
    from grounded_ram.data_engine.labels.tag_lists import tag_list

    if start == "none":
        return Folding(edits)
    with terminal.downloading() as on_progress:
        return Folding(edits, tag_list(start, on_progress=on_progress))


def _build(
    files: Sequence[CaptionFile], folding: Folding, limits: Limits, how: tuple[Path, str, int]
) -> dict[str, Any]:
    """Count, propose, write, and report.

    Args:
        files: with the captions.
        folding: what names count as.
        limits: how many tags there shall be.
        how: the folder to write into, the parser's name, and the number of workers.
    """
    from grounded_ram.data_engine.labels.counting import TagCounter
    from grounded_ram.data_engine.labels.label_files import COUNTS, REVIEW, write_counts
    from grounded_ram.data_engine.labels.label_system import most_frequent, propose
    from grounded_ram.data_engine.labels.review import write_review

    folder, parser, workers = how
    with TagCounter() as counter:
        _count(files, counter, folding, (parser, workers))
        frequent = most_frequent(counter.rows(), folding, limits)
    rows = propose(frequent, counter.captions, folding, limits)
    write_counts(frequent, counter.captions, folder / COUNTS)
    write_review(rows, folder / REVIEW)
    return {
        "captions": counter.captions,
        "bad": sum(file.bad for file in files),
        "blank": sum(file.blank for file in files),
        "damaged": [file.source for file in files if file.is_damaged],
        "tags_seen": counter.tags,
        "most_captions": frequent[0].captions if frequent else 0,
        "least": limits.least,
        "not_kept": sum(not row.keep for row in rows),
        "maybe_same": sum(bool(row.maybe_same_as) for row in rows),
        "rows": [_record(row) for row in rows],
        **_finish(folder, folding.edits),
        "counts": str(folder / COUNTS),
        "review": str(folder / REVIEW),
    }


def _count(
    files: Sequence[CaptionFile], counter: TagCounter, folding: Folding, how: tuple[str, int]
) -> None:
    """Count all captions, and tell what was left out.

    Raises:
        InputError: there is no caption.
    """
    from grounded_ram.data_engine.labels.counting import counted
    from grounded_ram.data_engine.parsing.language import Language, reads_english

    parser, workers = how
    language = Language()
    captions = language.watched(caption for file in files for caption in file)
    with _watching(files, counter) as told:
        for size, counts in counted(captions, make_parser(parser), folding.tags, workers=workers):
            counter.add(size, counts)
            told()
    for file in files:
        for fault in file.faults:
            terminal.say(f"left out: {fault}")
        if file.bad > len(file.faults):
            terminal.say(f"left out: {file.source}: {file.bad:,} in all")
    if reads_english(parser) and (note := language.note()):
        terminal.say(note)
    if not counter.captions:
        raise InputError(f"there is no caption in {', '.join(file.source for file in files)}")


@contextmanager
def _watching(files: Sequence[CaptionFile], counter: TagCounter) -> Iterator[Callable[[], None]]:
    """Yield what is called after each chunk; it draws a bar, or says a line now and then."""
    sizes = [file.size for file in files]
    total = None if None in sizes else sum(filter(None, sizes))
    began = said = time.monotonic()

    def line() -> str:
        rate = counter.captions / max(time.monotonic() - began, 1e-6)
        done = sum(file.position for file in files)
        of = f", {done / total:.0%} of the files read" if total else ""
        return f"{counter.captions:,} captions, {rate:,.0f}/s{of}"

    if terminal.is_watched():
        with terminal.bar("counting") as update:
            yield lambda: update(sum(file.position for file in files), total, line())
        return

    def say() -> None:
        nonlocal said
        if time.monotonic() - said >= LINE_EVERY_S:
            said = time.monotonic()
            terminal.say(line())

    yield say


def _finish(folder: Path, edits: Edits) -> dict[str, Any]:
    """Write what follows from a review, and report it."""
    from grounded_ram.data_engine.labels.label_files import REVIEW, TAGS, VOCABULARY, write_system
    from grounded_ram.data_engine.labels.review import read_review

    path = folder / REVIEW
    if not path.is_file():
        raise InputError(
            f"there is no {str(path)!r}; begin with: grounded-ram vocabulary build CAPTIONS -o "
            f"{shlex.quote(str(folder))}"
        )
    _, system = read_review(path)
    write_system(system, folder, edits)
    return {
        "kept": len(system),
        "kinds": _kinds(system),
        "tags": str(folder / TAGS),
        "vocabulary": str(folder / VOCABULARY),
    }


def _kinds(system: LabelSystem) -> dict[str, int]:
    from collections import Counter

    return dict(Counter(tag.kind for tag in system.tags).most_common())


def _record(row: Row) -> dict[str, Any]:
    return {
        **{"tag": row.tag, "kind": row.kind, "keep": row.keep, "names": list(row.names)},
        **{"captions": row.captions, "share": round(row.share, 6)},
        **{"maybe_same_as": row.maybe_same_as, "why": row.why, "examples": list(row.examples)},
    }
