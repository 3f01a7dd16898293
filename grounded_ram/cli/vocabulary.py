"""``grounded-ram vocabulary``: what tags are, and whether your own edits of that can be used."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grounded_ram.cli import terminal
from grounded_ram.cli.build import build
from grounded_ram.cli.discover import discover
from grounded_ram.cli.options import AsJson, OwnVocabulary
from grounded_ram.errors import InputError

if TYPE_CHECKING:
    from grounded_ram.vocabulary.labelling import Labelling

vocabulary = typer.Typer(
    no_args_is_help=True,
    help="Discover what is in your pictures; build a list of tags from captions; show, search and "
    "export what tags are; check edits of your own.",
)
vocabulary.command()(discover)
vocabulary.command()(build)


@vocabulary.command()
def show(
    names: Annotated[list[str], typer.Argument(metavar="TAG")],
    *,
    vocabulary: OwnVocabulary = None,
    as_json: AsJson = False,
) -> None:
    """Show what tags are: kind, whether they are looked for, label, synonyms, what they are."""
    labelling = _labelling(vocabulary)
    found = [labelling.vocabulary.find(name).name for name in names]
    _print([_describe(labelling, name) for name in found], as_json=as_json)


@vocabulary.command()
def search(
    text: Annotated[str, typer.Argument(help="Part of a tag.")],
    *,
    vocabulary: OwnVocabulary = None,
    as_json: AsJson = False,
) -> None:
    """List the tags that have a text in them. Exit code 1: there are none."""
    labelling = _labelling(vocabulary)
    wanted = text.casefold()
    names = [name for name in labelling.vocabulary if wanted in name.casefold()]
    _print([_describe(labelling, name) for name in names], as_json=as_json)
    if not names:
        terminal.say(f"no tag has {text!r} in it")
        raise typer.Exit(1)


@vocabulary.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Your own edits, in YAML.")],
) -> None:
    """Tell whether a file of your own edits can be used. Exit code 2: no, and why."""
    edits = _labelling(file).edits
    terminal.show(f"{file}: can be used; it sets {', '.join(edits.record()) or 'nothing'}")


@vocabulary.command()
def export(*, vocabulary: OwnVocabulary = None) -> None:
    """Write the whole table as CSV to standard output."""
    from grounded_ram.vocabulary.table import columns

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerows(columns(_labelling(vocabulary).vocabulary))


def _labelling(file: Path | None) -> Labelling:
    from grounded_ram.vocabulary.edits import Edits, read_edits
    from grounded_ram.vocabulary.labelling import UNJUDGED, Labelling
    from grounded_ram.vocabulary.table import PLACED

    edits = Edits() if file is None else read_edits(file)
    try:
        return Labelling((*PLACED, UNJUDGED), edits)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error


def _describe(labelling: Labelling, name: str) -> dict[str, Any]:
    table = labelling.vocabulary
    entry = table[name]
    return {
        "tag": name,
        "kind": entry.kind,
        "looked_for": labelling.reason_against(name, entry.kind) is None,
        "label": labelling.label(table.label(name)),
        "synonyms": list(table.synonyms(name)),
        "is_a": list(table.ancestors(name)),
    }


def _print(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        terminal.show_json(rows)
    elif rows:
        terminal.show_table(
            ("tag", "kind", "looked for", "label", "synonyms", "is a"),
            (
                (
                    row["tag"],
                    row["kind"],
                    "yes" if row["looked_for"] else "no",
                    row["label"],
                    ", ".join(row["synonyms"]),
                    ", ".join(row["is_a"]),
                )
                for row in rows
            ),
        )
