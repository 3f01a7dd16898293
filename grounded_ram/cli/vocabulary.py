"""``grounded-ram vocabulary``: what tags are, and whether your own edits of that can be used."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from grounded_ram.cli import terminal
from grounded_ram.cli.options import AsJson, OwnVocabulary
from grounded_ram.vocabulary.edits import Edits, read_edits
from grounded_ram.vocabulary.labelling import edited
from grounded_ram.vocabulary.table import Vocabulary, columns, official_vocabulary

vocabulary = typer.Typer(no_args_is_help=True)


@vocabulary.command()
def show(
    names: Annotated[list[str], typer.Argument(metavar="TAG")],
    *,
    vocabulary: OwnVocabulary = None,
    as_json: AsJson = False,
) -> None:
    """Show what tags are: kind, whether they are looked for, label, synonyms, what they are."""
    table = _table(vocabulary)
    _print([_describe(table, table.find(name).name) for name in names], as_json=as_json)


@vocabulary.command()
def search(
    text: Annotated[str, typer.Argument(help="Part of a tag.")],
    *,
    vocabulary: OwnVocabulary = None,
    as_json: AsJson = False,
) -> None:
    """List the tags that have a text in them. Exit code 1: there are none."""
    table = _table(vocabulary)
    wanted = text.casefold()
    names = [name for name in table if wanted in name.casefold()]
    _print([_describe(table, name) for name in names], as_json=as_json)
    if not names:
        terminal.say(f"no tag has {text!r} in it")
        raise typer.Exit(1)


@vocabulary.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Your own edits, in YAML.")],
) -> None:
    """Tell whether a file of your own edits can be used. Exit code 2: no, and why."""
    edits = read_edits(file)
    edited(official_vocabulary(), edits)
    parts = [name for name, value in vars(edits).items() if value != getattr(Edits(), name)]
    terminal.show(f"{file}: can be used; it sets {', '.join(parts) or 'nothing'}")


@vocabulary.command()
def export(*, vocabulary: OwnVocabulary = None) -> None:
    """Write the whole table as CSV to standard output."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerows(columns(_table(vocabulary)))


def _table(file: Path | None) -> Vocabulary:
    return edited(official_vocabulary(), Edits() if file is None else read_edits(file))


def _describe(table: Vocabulary, name: str) -> dict[str, Any]:
    entry = table[name]
    return {
        "tag": name,
        "kind": entry.kind,
        "groundable": entry.groundable,
        "label": table.label(name),
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
                    "yes" if row["groundable"] else "no",
                    row["label"],
                    ", ".join(row["synonyms"]),
                    ", ".join(row["is_a"]),
                )
                for row in rows
            ),
        )
