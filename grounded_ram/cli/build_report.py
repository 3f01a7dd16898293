"""What ``grounded-ram vocabulary build`` says of what it found."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from grounded_ram.cli import terminal

MOST_LINES = 40
"""Tags that the table shows; the files have them all."""


def note_on_least(report: dict[str, Any]) -> str:
    """Say why no tag was proposed, where each is in too few captions; "" where that is not so."""
    most, least = report.get("most_captions", 0), report.get("least", 0)
    if most >= least or report["rows"]:
        return ""
    if not most:
        return "no tag is kept: none was found in the captions"
    return (
        f"no tag is kept: each needs {least:,} captions or more, and the most frequent one is in "
        f"{most:,}; type --least {most} or lower, with --overwrite, or count more captions"
    )


def show(report: dict[str, Any]) -> None:
    """Print the table, what was counted, where the files lie and what to type next."""
    rows = report.get("rows", ())
    if rows:
        terminal.show_table(
            ("tag", "kind", "keep", "captions", "share", "why"), map(_line, rows[:MOST_LINES])
        )
    if len(rows) > MOST_LINES:
        terminal.show(f"... and {len(rows) - MOST_LINES:,} more")
    if "captions" in report:
        terminal.show(
            f"captions: {report['captions']:,}, left out as bad: {report['bad']:,}, "
            f"different tags: {report['tags_seen']:,}"
        )
    kinds = ", ".join(f"{kind} {number:,}" for kind, number in report["kinds"].items())
    terminal.show(f"kept: {report['kept']:,}{f' ({kinds})' if kinds else ''}")
    if "review" in report:
        folder = shlex.quote(str(Path(report["review"]).parent))
        terminal.show(
            f"not kept unless you say so: {report['not_kept']:,}, perhaps the same as another: "
            f"{report['maybe_same']:,}\n"
            f"review: {report['review']}\nEdit it in a spreadsheet (keep, kind, rename, same_as), "
            f"then: grounded-ram vocabulary build --review {folder}"
        )
    terminal.show(f"tags: {report['tags']}\nvocabulary: {report['vocabulary']}")


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["tag"],
        row["kind"],
        "yes" if row["keep"] else "no",
        f"{row['captions']:,}",
        f"{row['share']:.2%}",
        row["why"],
    )
