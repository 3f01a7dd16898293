"""The folder of downloads, whether there may be any, and what was noted of files' digests."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

HOME_VARIABLE = "GROUNDED_RAM_HOME"
"""The environment variable that names the folder of downloads."""

_BLOCK = 1 << 20


def cache_folder() -> Path:
    """Return the folder of downloads: GROUNDED_RAM_HOME, else the platform's usual place."""
    chosen = os.environ.get(HOME_VARIABLE)
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


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def known_sha256(path: Path, *, reread: bool = False) -> str:
    """Return a file's SHA-256: what was noted of it, if its size and time of change are the same.

    Args:
        path: any file.
        reread: read the file, whatever is noted.
    """
    noted = read_json(_note(path))
    if not reread and isinstance(noted, dict):
        digest = str(noted.get("sha256"))
        if noted == _state(path, digest):
            return digest
    digest = sha256_of(path)
    note_sha256(path, digest)
    return digest


def note_sha256(path: Path, digest: str) -> None:
    """Note the SHA-256 of a file as it is now."""
    note = _note(path)
    with suppress(OSError):  # a cache that cannot be written costs time, nothing else
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(_state(path, digest)), encoding="utf-8")


def read_json(path: Path) -> object:
    """Return what a JSON file holds; None where it is absent or damaged."""
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content


def _note(path: Path) -> Path:
    key = hashlib.sha256(str(path.resolve()).encode()).hexdigest()
    return cache_folder() / "digests" / f"{key}.json"


def _state(path: Path, digest: str) -> dict[str, object]:
    stat = path.stat()
    facts = {"path": str(path.resolve()), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    return {**facts, "sha256": digest}
