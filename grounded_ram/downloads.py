"""One file of a checkpoint: where it lies, whether it is whole, and how to get it.

    source                                lies in                    comes from
    package:tiny/ram.json                 grounded_ram/assets        the wheel
    file:/home/me/ram.json                there                      the user
    https://host/path/ram.pth             GROUNDED_RAM_HOME          that address, see ``transfer``
    hf://owner/repo@revision/ram.pth      the hub's cache            huggingface_hub, see ``hub``

A file is whole when its size and SHA-256 are the expected ones. Those of packaged files stand in a
``sha256.json`` beside them. The SHA-256 of other files is remembered with their size and time of
change, so that several GB are read once and not at every start.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from grounded_ram import hub
from grounded_ram.cache import (
    HOME_VARIABLE,
    cache_folder,
    known_sha256,
    note_sha256,
    read_json,
    sha256_of,
)
from grounded_ram.disk import DiskFullError, is_full, put_in_place, size_text
from grounded_ram.errors import InputError, WeightsError

ASSETS = Path(__file__).parent / "assets"
"""Folder of the packaged files."""

DIGESTS = "sha256.json"
"""File beside packaged files: the SHA-256 of each by name."""

_SCHEMES = ("package:", "file:", "https://", "http://", *hub.SCHEMES)
_TELL_EVERY = 15.0  # seconds of waiting for another process

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """One file of a checkpoint.

    Args:
        name: name in the cache; no two files share one.
        source: where it comes from, as the table at the top of this module has it.
        mirrors: where else it may be had from, in the order to try.
        sha256: expected digest; None for a packaged file, and where none is known.
        size: expected bytes; None where not known.
        optional: whether its repository may lack it.

    Raises:
        InputError: the name is no plain file name, or a source is of no known kind.
    """

    name: str
    source: str
    mirrors: tuple[str, ...] = ()
    sha256: str | None = None
    size: int | None = None
    optional: bool = False

    def __post_init__(self) -> None:
        if not self.name or Path(self.name).name != self.name:
            raise InputError(f"name must be a file's name without a folder, got {self.name!r}")
        for source in self.sources:
            if not source.startswith(_SCHEMES):
                raise InputError(
                    f"source must start with one of {', '.join(_SCHEMES)}; got {source!r}"
                )
            if source.startswith(hub.SCHEMES):
                hub.split(source)

    @property
    def sources(self) -> tuple[str, ...]:
        """All that it may come from, in the order to try."""
        return (self.source, *self.mirrors)

    @property
    def is_local(self) -> bool:
        """Whether the file cannot be downloaded: it is part of the package, or the user's own."""
        return self.source.startswith(("package:", "file:"))

    def __str__(self) -> str:
        size = "" if self.size is None else f"{size_text(self.size)}, "
        return f"{self.name} ({size}{self.source})"


OnProgress: TypeAlias = Callable[[WeightFile, int, "int | None"], None]
"""Is told the file, how many bytes of it are here, and how many it has, where that is known."""


def locate(file: WeightFile) -> Path | None:
    """Return where a file lies, whole or not; None where it is absent."""
    return next(_places(file), None)


def find_whole(file: WeightFile, *, reread: bool = False) -> Path | None:
    """Return where a file lies if all of it is there; None where it is absent or damaged.

    Args:
        file: any file.
        reread: believe nothing that an earlier run noted.
    """
    digest_of = partial(known_sha256, reread=reread)
    return next((path for path in _places(file) if not _fault(path, file, digest_of)), None)


def is_known_absent(file: WeightFile) -> bool:
    """Tell whether the hub has said that none of a file's repositories has it."""
    return all(
        source.startswith(hub.SCHEMES) and hub.is_known_absent(source) for source in file.sources
    )


def download(file: WeightFile, *, on_progress: OnProgress | None = None) -> Path:
    """Download a file, in place of a damaged one, and return where it lies now.

    Where several processes want the same file, one downloads it and the others wait.

    Args:
        file: any file that is not local.
        on_progress: is told how far it is; of files from the hub, the hub draws bars instead.

    Raises:
        WeightsError: it cannot be had, or what came is not what was expected.
        DiskFullError: the disk has too little room, before the download or in the midst of it.
    """
    try:
        with _alone(file):
            return find_whole(file) or _download(file, on_progress)
    except OSError as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{file.name} cannot be written: {error}") from error


def write_digests(folder: Path) -> None:
    """Write ``sha256.json`` for the files in a folder: do so after making packaged files."""
    paths = sorted(path for path in folder.iterdir() if path.is_file() and path.name != DIGESTS)
    digests = {path.name: sha256_of(path) for path in paths}
    (folder / DIGESTS).write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")


def _places(file: WeightFile) -> Iterator[Path]:
    """Yield where a file lies, by each of its sources."""
    for source in file.sources:
        if source.startswith(hub.SCHEMES):
            path = hub.locate(source)
        elif source.startswith("package:"):
            path = ASSETS / source.removeprefix("package:")
        elif source.startswith("file:"):
            path = Path(source.removeprefix("file:"))
        else:
            path = cache_folder() / file.name
        if path is not None and path.is_file():
            yield path


def _fault(path: Path, file: WeightFile, digest_of: Callable[[Path], str]) -> str:
    """Say in what a file is not the expected one; nothing where it is."""
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return f"has {size:,} bytes, expected {file.size:,}"
    expected = file.sha256
    if file.source.startswith("package:"):
        expected, digest_of = _packaged_digest(path), sha256_of
    if expected is not None and (digest := digest_of(path)) != expected:
        return f"has the SHA-256 {digest}, expected {expected}"
    return ""


@contextmanager
def _alone(file: WeightFile) -> Iterator[None]:
    """Keep other processes from downloading the same file meanwhile; say so while waiting."""
    from filelock import FileLock, Timeout

    path = cache_folder() / "locks" / f"{file.name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    while True:
        try:
            lock.acquire(timeout=_TELL_EVERY)
            break
        except Timeout:
            logger.warning(
                "waiting for another process that downloads %s; if there is none, remove %s",
                file.name,
                path,
            )
    try:
        yield
    finally:
        lock.release()


def _download(file: WeightFile, on_progress: OnProgress | None) -> Path:
    """Try one source after the other."""
    reasons = []
    for source in file.sources:
        logger.info("downloading %s from %s", file.name, source)
        from_hub = source.startswith(hub.SCHEMES)
        try:
            get = _download_from_hub if from_hub else _download_from_address
            return get(source, file, on_progress)
        except OSError as error:
            if isinstance(error, DiskFullError) or is_full(error):
                raise _no_room(error, file, from_hub) from error
            if not isinstance(error, WeightsError):
                raise
            reasons.append(f"{source}: {error}")
            logger.debug("%s", reasons[-1])
    raise WeightsError(f"{file.name} could not be downloaded: {'; '.join(reasons)}")


def _download_from_hub(source: str, file: WeightFile, on_progress: OnProgress | None) -> Path:
    path = hub.get(source, size=file.size, quiet=on_progress is None)
    if fault := _fault(path, file, known_sha256):
        raise WeightsError(f"what came {fault}")
    return path


def _download_from_address(source: str, file: WeightFile, on_progress: OnProgress | None) -> Path:
    from grounded_ram.transfer import discard, transfer

    path = cache_folder() / file.name
    part = path.with_name(f"{file.name}.part")
    tell = partial(on_progress, file) if on_progress else None
    for last in (False, True):
        joined = transfer(source, part, size=file.size, on_progress=tell)
        fault = _fault(part, file, sha256_of)
        if not fault:
            break
        discard(part)
        if last or not joined:
            raise WeightsError(f"what came {fault}")
        logger.warning("%s: the joined parts are not the file; beginning again", file.name)
    put_in_place(part, path)
    discard(part)
    if file.sha256:
        note_sha256(path, file.sha256)
    return path


def _no_room(error: Exception, file: WeightFile, from_hub: bool) -> DiskFullError:
    """Say what has no room, where, how much it takes, and what to do."""
    folder, variable = (hub.folder(), "HF_HOME") if from_hub else (cache_folder(), HOME_VARIABLE)
    part = cache_folder() / f"{file.name}.part"
    here = part.stat().st_size if part.exists() else 0
    more = "" if file.size is None else f", which needs {size_text(file.size - here)} more"
    reason = error if isinstance(error, DiskFullError) else f"the disk of {folder} is full"
    kept = f" What came is kept: {size_text(here)} in {part}." if here else ""
    return DiskFullError(
        f"no room for {file.name}{more}: {reason}.{kept} "
        f"Make room there, or set {variable} to a folder on another disk, and try again"
    )


def _packaged_digest(path: Path) -> str | None:
    digests = read_json(path.parent / DIGESTS)
    return digests.get(path.name) if isinstance(digests, dict) else None
