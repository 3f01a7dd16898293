"""``grounded-ram export``: a run in other formats."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grounded_ram.cli import terminal
from grounded_ram.cli.options import AsJson, Formats, MaskKind, Masks, find_exporters
from grounded_ram.errors import InputError

if TYPE_CHECKING:
    from grounded_ram.autolabel.exports import Written
    from grounded_ram.export.dataset import Dataset
    from grounded_ram.export.exporter import Exporter

MOST_EDITED = 5
"""Files that were edited by hand and are named."""

SPLITS = ".splits.json"
"""Which split each picture of a folder of formats was dealt to."""


class Pictures(str, Enum):
    """How pictures come into a dataset."""

    link = "link"
    copy = "copy"
    none = "none"


PictureKind = Annotated[
    Pictures,
    typer.Option("--pictures", help="Put links to the pictures, copies or none beside the labels."),
]

Split = Annotated[
    str | None,
    typer.Option(
        "--split",
        metavar="80,10,10",
        help="Shares of train, val and test; the same file never is in two of them.",
        show_default=False,
    ),
]

Group = Annotated[
    str | None,
    typer.Option(
        "--group",
        metavar="folder|prefix:_",
        help="Keep pictures of one folder, such as the frames of a video, or whose names begin "
        "alike up to a mark, in one split.",
        show_default=False,
    ),
]

Seed = Annotated[int, typer.Option("--seed", help="Of the split.")]


@dataclass(frozen=True, kw_only=True)
class Target:
    """What to write of a dataset.

    Args:
        exporters: by format.
        masks: how shapes are written.
        pictures: how pictures come along.
        split: shares, as typed; None means one dataset.
        seed: of the split.
        group: which pictures stay together, as typed; None means copies of one file alone.
        overwrite: replace what was edited by hand too.

    Raises:
        InputError: the shares or the group cannot be read.
    """

    exporters: Mapping[str, Exporter]
    masks: Masks
    pictures: Pictures
    split: str | None
    seed: int
    group: str | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        self.shares()  # before hours of work
        self.grouping()

    def shares(self) -> dict[str, float] | None:
        """Return the share of each split."""
        from grounded_ram.export.splits import parse_shares

        return None if self.split is None else parse_shares(self.split)

    def grouping(self) -> Callable[[str], str] | None:
        """Return what pictures that stay together have in common, by their names."""
        from grounded_ram.export.splits import by_folder, by_prefix

        if self.group is None:
            return None
        kind, _, mark = self.group.partition(":")
        if self.group == "folder":
            return by_folder
        if kind == "prefix" and mark:
            return by_prefix(mark)
        raise InputError(
            f"--group expects folder, or prefix:MARK as in prefix:_; got {self.group!r}"
        )

    def rehearse(self) -> None:
        """Write a dataset without pictures, and throw it away: what a format lacks is told now.

        Raises:
            MissingDependencyError: a library for one of the formats is not installed.
        """
        from grounded_ram.export.dataset import Dataset

        with tempfile.TemporaryDirectory() as folder:
            for name, exporter in self.exporters.items():
                exporter(Dataset.of([]), Path(folder) / name)

    def write(self, dataset: Dataset, folder: Path) -> dict[str, Written]:
        """Write each format into a folder of its name."""
        if (shares := self.shares()) is not None:
            dataset = replace(dataset, splits=self._deal(dataset, shares, folder / SPLITS))
        from grounded_ram.autolabel.exports import write_format

        return {
            name: write_format(
                dataset,
                exporter,
                folder / name,
                masks=self.masks.value,
                pictures=self.pictures.value,
                overwrite=self.overwrite,
            )
            for name, exporter in self.exporters.items()
        }

    def _deal(self, dataset: Dataset, shares: dict[str, float], file: Path) -> dict[str, str]:
        """Deal pictures out to splits; those that were dealt alike before stay where they are."""
        from grounded_ram.export.files import write_json
        from grounded_ram.export.splits import split

        asked = {"shares": shares, "seed": self.seed, "group": self.group}
        try:
            before = json.loads(file.read_bytes())
            keep = before["splits"] if before["asked"] == asked else {}
        except (OSError, ValueError, KeyError, TypeError):
            keep = {}
        dealt = split(dataset, shares, seed=self.seed, group=self.grouping(), keep=keep)
        write_json({"asked": asked, "splits": dealt}, file)
        return dealt


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of `grounded-ram label`.")],
    *,
    formats: Formats = ["coco"],  # noqa: B006
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder for the formats.", show_default="RUN"
        ),
    ] = None,
    masks: MaskKind = Masks.rle,
    pictures: PictureKind = Pictures.link,
    split: Split = None,
    seed: Seed = 0,
    group: Group = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that were edited by hand, too.")
    ] = False,
    as_labelled: Annotated[
        bool,
        typer.Option("--as-labelled", help="Leave out what a person decided in a review."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write what a run has labelled so far in any format, each in a folder of its name.

    A folder with files that were edited by hand stays as it is; the new one goes beside it.
    """
    target = Target(
        exporters=find_exporters(formats),
        masks=masks,
        pictures=pictures,
        split=split,
        seed=seed,
        group=group,
        overwrite=overwrite,
    )
    with terminal.clean_stdout():
        from grounded_ram.autolabel.run_folder import Run

        target.rehearse()
        opened = Run(run)
        decided = 0 if as_labelled else len(opened.reviews())
        dataset = opened.dataset(reviewed=not as_labelled)
        written = target.write(dataset, output or run)
    if as_json:
        terminal.show_json(
            {
                name: {"folder": str(one.folder), "files": one.files, "edited": list(one.edited)}
                for name, one in written.items()
            }
        )
    else:
        terminal.show(f"pictures: {len(dataset):,}, objects: {sum(dataset.objects.values()):,}")
        if decided:
            terminal.show(f"reviewed: {decided:,} decisions of {opened.reviews().file}")
        show_written(written)


def show_written(written: Mapping[str, Written]) -> None:
    """Print where each format lies, and what was left as somebody edited it."""
    for name, one in written.items():
        terminal.show(f"{name}: {one.folder}")
        if one.edited:
            more = len(one.edited) - MOST_EDITED
            terminal.say(
                f"note: {name} was edited by hand ({', '.join(one.edited[:MOST_EDITED])}"
                f"{f' and {more} more' if more > 0 else ''}), so that folder stays as it is and "
                f"{one.folder} has the labels as they are now; --overwrite of `grounded-ram "
                "export` would replace the edits"
            )


def show_stale(folder: Path, written: Mapping[str, Written]) -> None:
    """Say which formats were written by an earlier command, and so lack what is new."""
    from grounded_ram.autolabel.exports import MANIFEST

    places = {one.folder for one in written.values()}
    found = sorted(file.parent for file in folder.glob(f"*/{MANIFEST}"))
    if stale := [path.name for path in found if path not in places and path.name not in written]:
        terminal.say(
            f"note: {', '.join(stale)} were written before and are as they were then; to write "
            f"one anew: grounded-ram export {folder} --format ..."
        )
