"""The folder of a run: what was asked for, and what came of it.

RUN/run.json              what was asked for, with which models; all that decides the labels
RUN/parts/1-of-1/         journal and records, see ``autolabel.journal``; one for each --shard
RUN/images/               pictures that were no files of their own: of archives, videos, URLs
RUN/overlays/             labelled pictures, if they were asked for
RUN/failures.jsonl        pictures that failed, and why
RUN/summary.json          what to look at first
RUN/review.jsonl          what a person decided about labels, see ``autolabel.reviewing``
RUN/FORMAT/               the dataset in each format
"""

from __future__ import annotations

import json
import platform
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from grounded_ram.annotation import Annotation
from grounded_ram.autolabel.journal import Entries, Part, Records, read_journal
from grounded_ram.autolabel.reviewing import Reviews
from grounded_ram.errors import InputError
from grounded_ram.export.dataset import Dataset
from grounded_ram.export.files import write_json
from grounded_ram.export.records import decode

CONFIG = "run.json"
PARTS = "parts"
IMAGES = "images"
FAILURES = "failures.jsonl"
SKIPPED = "skipped.jsonl"
SUMMARY = "summary.json"
LOCK = ".lock"

LAYOUT = 1
"""The number of this layout: a later version that lays runs out otherwise counts on."""

VERSIONS = "versions"
"""What run.json calls the versions of libraries; a run may go on with others."""

LIBRARIES = (
    *("torch", "torchvision", "timm", "transformers", "segment-anything", "rf-groundingdino"),
    *("numpy", "opencv-python", "pillow", "supervision"),
)
"""Those that labels go through."""


@dataclass(frozen=True)
class Share:
    """Which of the pictures a job labels: every one whose turn it is.

    Args:
        number: of the job, from 1.
        of: how many jobs there are.
    """

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Share:
        """Read "2/8".

        Raises:
            InputError: it is not of that form, or there is no such share.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        share = cls(*map(int, found.groups())) if found else cls(0, 0)
        if not 1 <= share.number <= share.of:
            raise InputError(f"--shard expects I/N with I from 1 to N, as in 2/8; got {text!r}")
        return share

    def __str__(self) -> str:
        return f"{self.number}-of-{self.of}"


class Run:
    """A run that was begun.

    Args:
        folder: where it lies.

    Attributes:
        config: what was asked for, as run.json has it.

    Raises:
        InputError: no run lies there, or one that a later version wrote.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / CONFIG
        try:
            self.config: Mapping[str, Any] = json.loads(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise InputError(
                f"expected the folder of a run, but there is no {str(path)!r}; "
                "begin one: grounded-ram label PICTURES -o FOLDER"
            ) from error
        except ValueError as error:
            raise InputError(
                f"{str(path)!r} is damaged: {error}. Put it back as it was, or begin anew with "
                "--restart"
            ) from error
        if not isinstance(self.config, dict) or self.config.get("layout") != LAYOUT:
            raise InputError(
                f"{str(path)!r} is damaged, or of another version of grounded-ram; begin anew with "
                "--restart"
            )

    @property
    def summary(self) -> Path:
        """Return where the summary goes."""
        return self.folder / SUMMARY

    @property
    def skipped_file(self) -> Path:
        """Return where the list of what was left out goes."""
        return self.folder / SKIPPED

    @property
    def failures_file(self) -> Path:
        """Return where the list of failures goes."""
        return self.folder / FAILURES

    def parts(self) -> list[Path]:
        """Return the folders of the parts that were begun, in order."""
        found = [path for path in (self.folder / PARTS).glob("*-of-*") if path.is_dir()]
        return sorted(found, key=lambda path: [int(n) for n in path.name.split("-of-")])

    def journals(self) -> list[tuple[Path, Entries]]:
        """Return the parts, and what their journals say now."""
        return [(part, read_journal(part)) for part in self.parts()]

    def dataset(self, *, reviewed: bool = True) -> Dataset:
        """Return the annotations, sorted by the pictures' names, whatever the order of the work.

        Args:
            reviewed: as a person decided; otherwise as the models labelled.
        """
        journals = self.journals()
        reviews = self.reviews() if reviewed else None
        return Dataset.reading(lambda: self._read(journals, reviews))

    def annotation(self, name: str, *, reviewed: bool = True) -> Annotation:
        """Return what is known of one picture.

        Args:
            name: its path inside the dataset.
            reviewed: as for ``dataset``.

        Raises:
            InputError: no such picture was labelled.
        """
        for part, found in self.journals():
            if name in found.labelled:
                one = [(part, replace(found, labelled={name: found.labelled[name]}))]
                return next(self._read(one, self.reviews() if reviewed else None))
        raise InputError(f"{str(self.folder)!r}: no picture {name!r} was labelled")

    def reviews(self) -> Reviews:
        """Return what a person decided about the labels."""
        return Reviews(self.folder)

    def failures(self) -> list[tuple[str, str]]:
        """Return the name and the reason of each picture that failed, sorted by name."""
        return sorted(pair for _, found in self.journals() for pair in found.failed.items())

    def duplicates(self) -> list[list[str]]:
        """Return the names of pictures whose files are the same, sorted, a list for each file."""
        names: dict[str, list[str]] = {}
        for _, found in self.journals():
            for name, (sha256, _) in found.labelled.items():
                names.setdefault(sha256, []).append(name)
        return sorted(sorted(group) for group in names.values() if len(group) > 1)

    @contextmanager
    def open_part(self, share: Share) -> Iterator[Part]:
        """Open the part of a share to add to.

        Raises:
            InputError: another process has it open, or the run was begun with other shares.
        """
        others = [path.name for path in self.parts() if not path.name.endswith(f"-of-{share.of}")]
        if others:
            count = others[0].split("-of-")[1]
            raise InputError(
                f"{str(self.folder)!r} was begun in {count} parts, not in {share.of}; say "
                + (f"--shard I/{count}" if count != "1" else "no --shard")
            )
        folder = self.folder / PARTS / str(share)
        folder.mkdir(parents=True, exist_ok=True)
        with alone_in(
            folder, f"another process is labelling into {str(folder)!r}; wait for it, or stop it"
        ):
            part = Part(folder)
            try:
                yield part
            finally:
                part.close()

    def _read(
        self, journals: Sequence[tuple[Path, Entries]], reviews: Reviews | None
    ) -> Iterator[Annotation]:
        places = sorted(
            (name, number, place)
            for number, (_, found) in enumerate(journals)
            for name, (_, place) in found.labelled.items()
        )
        records = [Records(part) for part, _ in journals]
        try:
            for name, number, place in places:
                found = self._decode(name, records[number].read(place))
                yield found if reviews is None else reviews.apply(found)
        finally:
            for one in records:
                one.close()

    def _decode(self, name: str, record: bytes) -> Annotation:
        try:
            found = decode(record, self.config["model"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{str(self.folder)!r}: the record of {name!r} is damaged; begin anew with "
                "--restart, or put back the files as they were"
            ) from error
        # The run may have been moved, and the pictures that it keeps with it.
        if (found.image.path or "").endswith(f"/{IMAGES}/{name}"):
            kept = str((self.folder / IMAGES / name).absolute())
            return replace(found, image=replace(found.image, path=kept))
        return found


@contextmanager
def alone_in(folder: Path, otherwise: str) -> Iterator[None]:
    """Keep other processes out of a folder, which is there.

    Args:
        folder: in which a lock is put.
        otherwise: what is said if another process is in it.

    Raises:
        InputError: it is.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise InputError(otherwise) from error
    try:
        yield
    finally:
        lock.release()


def threads_of(folder: Path, otherwise: int) -> int | None:
    """Return torch's threads as a run has them; None where it left them to torch.

    Args:
        folder: of the run, if one was begun there.
        otherwise: the number for a run that is yet to begin.

    Raises:
        InputError: a run lies there that is damaged, or of a later version.
    """
    if not (folder / CONFIG).exists():
        return otherwise
    found: int | None = Run(folder).config.get("threads")
    return found


def begin(
    folder: Path,
    config: Mapping[str, Any],
    *,
    again: bool = False,
    remedy: str = "Use the choices it was begun with, or another folder",
) -> Run:
    """Begin a run in a folder; where one lies that asked for the same, go on with that.

    Args:
        folder: empty, or not there yet, or a run's.
        config: what is asked for, in plain JSON values.
        again: what lies there may stay: datasets that a run wrote which was forgotten.
        remedy: what one may do where the run asked for something else.

    Raises:
        InputError: the folder holds something else, or a run that asked for something else: the
            message tells what.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"-o must name a folder, but {str(folder)!r} is a file") from error
    asked = json.loads(json.dumps({"layout": LAYOUT, **config, VERSIONS: _versions()}))
    with FileLock(folder / LOCK):
        if (folder / CONFIG).exists():
            run = Run(folder)
            if found := differences({**run.config, VERSIONS: asked[VERSIONS]}, asked):
                raise InputError(
                    f"{str(folder)!r} was begun otherwise:\n  " + "\n  ".join(found) + f"\n{remedy}"
                )
            return run
        lying = sorted(path.name for path in folder.iterdir() if path.name != LOCK)
        if lying and not again:
            raise InputError(
                f"{str(folder)!r} holds no run, but {lying[0]!r} is in it; choose another folder"
            )
        write_json(asked, folder / CONFIG, indent=2)
    return Run(folder)


def _versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that are installed."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def forget(folder: Path) -> None:
    """Remove what a run knows: its journal, records and pictures; datasets written of it stay."""
    for name in (PARTS, IMAGES):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in (FAILURES, SKIPPED, SUMMARY, CONFIG):
        (folder / name).unlink(missing_ok=True)


def differences(had: Any, asked: Any, where: str = "") -> list[str]:
    """Say in which values two configurations differ, a line each."""
    if isinstance(had, dict) and isinstance(asked, dict):
        return [
            line
            for key in dict.fromkeys([*had, *asked])
            for line in differences(had.get(key), asked.get(key), f"{where}.{key}".lstrip("."))
        ]
    return [] if had == asked else [f"{where}: {json.dumps(had)} then, {json.dumps(asked)} now"]
