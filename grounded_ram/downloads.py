"""One file of a checkpoint: where it lies, whether it is whole, and how to get it.

    source                          lies in                                   comes from
    package:tiny/ram.json           grounded_ram/assets                       the wheel
    file:/home/me/ram.json          there                                     the user
    https://host/path/ram.pth       GROUNDED_RAM_CACHE                        that address
    hf://owner/repo@rev/ram.pth     GROUNDED_RAM_CACHE/hub, else the hub's    huggingface_hub

A file is whole when its size and SHA-256 are the expected ones. Those of packaged files stand in a
``sha256.json`` beside them. That a downloaded file was whole is remembered, with its size and time
of change, so that several GB are read once and not at every start.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from grounded_ram.errors import InputError, WeightsError

ASSETS = Path(__file__).parent / "assets"
"""Folder of the packaged files."""

DIGESTS = "sha256.json"
"""File beside packaged files: the SHA-256 of each by name."""

_BLOCK = 1 << 20
_SCHEMES = ("package:", "file:", "https://", "http://", "hf://")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """One file of a checkpoint.

    Args:
        name: name in the cache; no two files share one.
        source: where it comes from, as the table at the top of this module has it.
        sha256: expected digest; None for a packaged file, and where none is known.
        size: expected bytes; None where not known.

    Raises:
        InputError: the source is of no known kind.
    """

    name: str
    source: str
    sha256: str | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        if not self.source.startswith(_SCHEMES):
            raise InputError(
                f"source must start with one of {', '.join(_SCHEMES)}; got {self.source!r}"
            )

    @property
    def is_local(self) -> bool:
        """Whether the file cannot be downloaded: it is part of the package, or the user's own."""
        return self.source.startswith(("package:", "file:"))

    def __str__(self) -> str:
        size = "" if self.size is None else f"{self.size / 1e6:,.1f} MB, "
        return f"{self.name} ({size}{self.source})"


def cache_folder() -> Path:
    """Return the folder of downloads: GROUNDED_RAM_CACHE, else the platform's usual place."""
    chosen = os.environ.get("GROUNDED_RAM_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "grounded-ram"


def is_offline() -> bool:
    """Tell whether the environment forbids downloads, by GROUNDED_RAM_OFFLINE or HF_HUB_OFFLINE."""
    values = (os.environ.get(name, "") for name in ("GROUNDED_RAM_OFFLINE", "HF_HUB_OFFLINE"))
    return any(value.strip().casefold() in {"1", "true", "yes", "on"} for value in values)


def locate(file: WeightFile) -> Path | None:
    """Return where a file lies, whole or not; None where it is absent."""
    if file.source.startswith("hf://"):
        return _locate_in_hub(file)
    if file.source.startswith("package:"):
        path = ASSETS / file.source.removeprefix("package:")
    elif file.source.startswith("file:"):
        path = Path(file.source.removeprefix("file:"))
    else:
        path = cache_folder() / file.name
    return path if path.is_file() else None


def find_whole(file: WeightFile) -> Path | None:
    """Return where a file lies if all of it is there; None where it is absent or damaged."""
    path = locate(file)
    return path if path is not None and _is_whole(path, file) else None


def download(file: WeightFile, *, progress: bool = False) -> Path:
    """Download a file, in place of what lies there, and return where it lies now.

    Args:
        file: any file that is not local.
        progress: draw a progress bar on standard error.

    Raises:
        WeightsError: it cannot be had, or what came is not what was expected.
    """
    logger.info("downloading %s", file)
    get = _download_from_hub if file.source.startswith("hf://") else _download_from_address
    try:
        path = get(file, progress)
    except Exception as error:  # the libraries beneath name no common base
        raise WeightsError(f"{file} could not be downloaded: {error}") from error
    if not _is_whole(path, file):
        raise WeightsError(f"{file} came, but not with the expected size and SHA-256")
    return path


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def write_digests(folder: Path) -> None:
    """Write ``sha256.json`` for the files in a folder: do so after making packaged files."""
    paths = sorted(path for path in folder.iterdir() if path.is_file() and path.name != DIGESTS)
    digests = {path.name: sha256_of(path) for path in paths}
    (folder / DIGESTS).write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")


def _locate_in_hub(file: WeightFile) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    repo, revision, name = _split_hub(file.source)
    found = try_to_load_from_cache(repo, name, cache_dir=_hub_folder(), revision=revision)
    return Path(found) if isinstance(found, str) else None


def _download_from_hub(file: WeightFile, progress: bool) -> Path:
    from huggingface_hub import hf_hub_download

    repo, revision, name = _split_hub(file.source)
    damaged = _locate_in_hub(file) is not None  # or the hub would hand out the same file again
    with nullcontext() if progress else _quiet_hub():
        path = hf_hub_download(
            repo, name, revision=revision, cache_dir=_hub_folder(), force_download=damaged
        )
    return Path(path)


@contextmanager
def _quiet_hub() -> Iterator[None]:
    """Draw none of the hub's own progress bars meanwhile."""
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    if are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def _split_hub(source: str) -> tuple[str, str, str]:
    """Split "hf://owner/repo@revision/path" into "owner/repo", revision and path."""
    repo, _, rest = source.removeprefix("hf://").partition("@")
    revision, _, name = rest.partition("/")
    return repo, revision, name


def _hub_folder() -> Path | None:
    """Return the hub's cache inside ours where the user chose ours; else None, for its own."""
    return cache_folder() / "hub" if os.environ.get("GROUNDED_RAM_CACHE") else None


def _download_from_address(file: WeightFile, progress: bool) -> Path:
    from torch.hub import download_url_to_file

    path = cache_folder() / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    # It writes beside the path and moves there what is whole.
    download_url_to_file(file.source, str(path), hash_prefix=file.sha256, progress=progress)
    return path


def _is_whole(path: Path, file: WeightFile) -> bool:
    """Tell whether a file has its expected size and digest, if need be by an earlier run's note."""
    stat = path.stat()
    if file.size is not None and stat.st_size != file.size:
        return False
    expected = _packaged_digest(path) if file.source.startswith("package:") else file.sha256
    if expected is None:
        return True
    note = cache_folder() / "whole" / f"{expected}.json"
    seen = {"path": str(path.resolve()), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    if not file.is_local and _read_json(note) == seen:
        return True
    if sha256_of(path) != expected:
        return False
    if not file.is_local:
        with suppress(OSError):  # a cache that cannot be written costs time, nothing else
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(json.dumps(seen), encoding="utf-8")
    return True


def _packaged_digest(path: Path) -> str | None:
    digests = _read_json(path.parent / DIGESTS)
    return digests.get(path.name) if isinstance(digests, dict) else None


def _read_json(path: Path) -> object:
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content
