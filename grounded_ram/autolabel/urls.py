"""Pictures at addresses: the file each is kept in, and the download into it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from grounded_ram.autolabel.items import (
    ENDINGS,
    NAME_TAKEN,
    Item,
    Naming,
    Skipped,
    ending,
    is_utf8,
    not_a_picture,
)
from grounded_ram.decoding import open_picture
from grounded_ram.disk import DiskFullError, is_full
from grounded_ram.errors import InputError, WeightsError
from grounded_ram.images import MAX_DOWNLOAD_BYTES
from grounded_ram.transfer import Patience, discard, transfer

PATIENCE = Patience(attempts=3)
"""A picture is worth less waiting than a checkpoint."""

_LONGEST = 50  # characters of one part of a name, of which a disk may take 4 bytes each of 255
_PLAIN = re.compile(r"[a-z0-9_-][a-z0-9._-]*")
_UNSAFE = re.compile(r"[^\w. ()+,=@-]")


@dataclass(frozen=True)
class Url:
    """One picture at an address.

    Raises:
        InputError: the address is none of a picture that can be fetched.
    """

    url: str
    base = None
    is_listed = True

    def __post_init__(self) -> None:
        if fault := fault_of_url(self.url):
            raise InputError(f"{self.url!r}: {fault}")

    def items(self, naming: Naming) -> Iterator[Item | Skipped]:
        """Give the picture."""
        yield item_of_url(self.url, naming)

    def record(self) -> dict[str, Any]:
        """Return what was asked for."""
        return {"kind": "url", "url": self.url}


def fault_of_url(url: str) -> str | None:
    """Return why an address cannot be a picture's; None if it can."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        return f"no address: {error}"
    if parts.scheme not in ("http", "https") or not host or not is_utf8(url):
        return "expected an address like https://host/picture.jpg"
    reason = not_a_picture(parts.path)
    if reason and reason.startswith("not opened"):
        return (
            f"archives and videos are read from the disk; download it first: {ending(parts.path)}"
        )
    return None


def item_of_url(url: str, naming: Naming) -> Item | Skipped:
    """Name the picture at an address."""
    name = name_of_url(url)
    if not naming.take(name):
        return Skipped(name, NAME_TAKEN)
    return Item(name, str(naming.keep_in / name), url)


def name_of_url(url: str) -> str:
    """Return host/path of an address, as a name that every disk can hold.

    Where that is not the plain address, digits of the address's hash make it unlike the names of
    others: of the same path with another query, in capitals, spelt in another way, or cut short.
    """
    parts = urlsplit(url)
    host = parts.netloc.rsplit("@", 1)[-1]
    *folders, last = parts.path.strip("/").split("/")
    end = Path(unquote(last)).suffix
    stem = unquote(last).removesuffix(end)
    if end.casefold() not in ENDINGS:
        stem, end = unquote(last), ".jpg"
    above = [_safe(unquote(folder)) for folder in (host, *folders)]
    name = "/".join([*above, f"{_safe(stem)}{end}"])
    plain = [host, *folders, last]
    if name == "/".join(plain) and not parts.query and all(map(_PLAIN.fullmatch, plain)):
        return name
    digits = hashlib.sha256(url.encode()).hexdigest()[:12]
    return "/".join([*above, f"{_safe(stem)}-{digits}{end}"])


def _safe(part: str) -> str:
    return re.sub(r"^\.+|[. ]+$", "_", _UNSAFE.sub("_", part)[:_LONGEST]) or "_"


def fetch(item: Item) -> None:
    """Get an item's file from its address, if it has one and the file is not there yet.

    The file is there whole or not at all. Several processes may fetch different items at once.

    Raises:
        InputError: it cannot be had, is too large, or is no picture.
        DiskFullError: the disk has too little room.
    """
    path = Path(item.path)
    if not item.url or path.exists():
        return
    digest = hashlib.sha256(item.url.encode()).hexdigest()[:16]
    part = path.with_name(f".{digest}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        transfer(item.url, part, on_progress=_limit, patience=PATIENCE)
        with part.open("rb") as file:
            open_picture(file, item.url).close()
        part.replace(path)
    except InputError:
        discard(part)
        raise
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"cannot keep {item.url!r}: {error}") from error
    except DiskFullError:
        raise
    except WeightsError as error:
        discard(part)
        raise InputError(f"cannot download {item.url!r}: {error}") from error
    except OSError as error:
        if is_full(error):
            raise DiskFullError(f"cannot keep {item.url!r}: {error}") from error
        raise
    discard(part)


def _limit(done: int, total: int | None) -> None:
    if done > MAX_DOWNLOAD_BYTES or (total is not None and total > MAX_DOWNLOAD_BYTES):
        raise InputError(f"expected at most {MAX_DOWNLOAD_BYTES:,} bytes, got more")
