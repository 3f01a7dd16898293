"""One file over HTTP: into a partial file, going on where an earlier connection stopped.

Beside the partial file lies a note of its address and of what the server calls this version of it.
A server is asked for the rest of the same version only; where it names none, or gives another part
than was asked for, the file comes from its start again.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path

import requests

from grounded_ram.disk import check_room
from grounded_ram.errors import WeightsError

_BLOCK = 1 << 16
_ENOUGH = 1 << 20  # bytes for which a connection was worth while
_AGAIN_LATER = {408, 425, 429, 500, 502, 503, 504}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a transfer waits and how often it tries."""

    silence: float = 30.0
    """Seconds without a byte after which a server is taken for stalled."""
    attempts: int = 5
    """Connections one after the other that may fail and bring next to nothing."""
    first_wait: float = 1.0
    """Seconds before the second of them; twice as many before each further one."""
    longest_wait: float = 120.0
    """The most seconds that a server may ask to wait."""


PATIENCE = Patience()
"""What a transfer has where none is given."""


class _Broken(Exception):
    """A connection did not bring the file, and another one may."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


_FLEETING = (
    _Broken,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What to bring, where to, and whom to tell how far it is."""

    address: str
    part: Path
    size: int | None
    on_progress: Callable[[int, int | None], None] | None
    patience: Patience


def transfer(
    address: str,
    part: Path,
    *,
    size: int | None = None,
    on_progress: Callable[[int, int | None], None] | None = None,
    patience: Patience | None = None,
) -> bool:
    """Bring a file into ``part``, and return whether it was put together from several connections.

    Proxies are those of the environment. If the transfer ends early, ``part`` stays for the next.

    Args:
        address: an http(s) URL.
        part: in a folder that is there.
        size: bytes expected; None where that is not known.
        on_progress: is told the bytes that are here, and all of them where that is known.
        patience: how long to wait and how often to try.

    Raises:
        WeightsError: the server does not have it, has something of another size, or stays broken.
        DiskFullError: the disk has too little room.
        OSError: ``part`` cannot be written; ``disk.is_full`` knows whether the disk filled up.
    """
    job = _Job(
        address=address,
        part=part,
        size=size,
        on_progress=on_progress,
        patience=patience or PATIENCE,
    )
    failures = 0
    with requests.Session() as session:
        while True:
            before = _length(part)
            try:
                return _connect(session, job)
            except _FLEETING as error:
                failures = 1 if _length(part) - before >= _ENOUGH else failures + 1
                _wait(error, failures, job)
            except requests.RequestException as error:  # an address that is none, endless redirects
                raise WeightsError(str(error)) from error


def discard(part: Path) -> None:
    """Remove a partial file and its note."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _wait(error: Exception, failures: int, job: _Job) -> None:
    """Sleep before the next attempt, or give up."""
    patience, reason = job.patience, str(error)
    if "timed out" in reason:
        reason = f"it was silent for {patience.silence:g} s"
    elif isinstance(error, requests.exceptions.ChunkedEncodingError):
        reason = f"the connection broke off after {_length(job.part):,} bytes"
    if failures >= patience.attempts:
        raise WeightsError(f"{reason}; tried {failures} times") from error
    asked = error.wait if isinstance(error, _Broken) else 0.0
    if asked > patience.longest_wait:
        raise WeightsError(f"{reason} and wants to be asked again in {asked:.0f} s") from error
    wait = max(asked, patience.first_wait * 2 ** (failures - 1))
    logger.warning("%s: %s; trying again in %.0f s", job.address, reason, wait)
    time.sleep(wait)


def _connect(session: requests.Session, job: _Job) -> bool:
    """Make one connection; return whether what it brought was joined to what was there."""
    here = _length(job.part)
    if here and here == job.size:  # an earlier run was stopped just before its end
        return True
    version = _read_note(job)
    headers = {"Accept-Encoding": "identity", "User-Agent": "grounded-ram"}
    if version:
        headers |= {"Range": f"bytes={here}-", "If-Range": version}
    with session.get(
        job.address, headers=headers, stream=True, timeout=job.patience.silence
    ) as response:
        start, total = _offer(response, job.part, here)
        if job.size is not None and total is not None and total != job.size:
            raise WeightsError(f"the server has {total:,} bytes of it, expected {job.size:,}")
        total = job.size if total is None else total
        if total is not None:
            check_room(job.part.parent, total - here)
        _write(response, job, start, total)
    return start > 0


def _offer(response: requests.Response, part: Path, here: int) -> tuple[int, int | None]:
    """Return the byte that a response starts at, and how many the file has, if that is said.

    Args:
        response: its body is not read yet.
        part: removed where the server cannot go on from it.
        here: bytes that are in ``part``.
    """
    status = response.status_code
    said = f"it answered {status} {response.reason}"
    if status in _AGAIN_LATER:
        raise _Broken(said, _asked_wait(response.headers.get("Retry-After", "")))
    if status == 200:
        length = response.headers.get("Content-Length", "")
        plain = "Content-Encoding" not in response.headers
        return 0, int(length) if plain and length.isdecimal() else None
    if status not in (206, 416):
        raise WeightsError(said)
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if not found or int(found[1]) != here:
        discard(part)
        raise _Broken(f"{said} and not the part that was asked for")
    return here, None if found[2] == "*" else int(found[2])


def _write(response: requests.Response, job: _Job, start: int, total: int | None) -> None:
    """Write the body of a response into the partial file, from byte ``start`` on."""
    done = start
    with job.part.open("rb+" if start else "wb") as file:
        if start:
            file.seek(start)
        else:  # only now, since until here the note spoke of the bytes just removed
            _write_note(job, response)
        for block in response.iter_content(_BLOCK):
            file.write(block)
            done += len(block)
            if total is not None and done > total:
                break
            if job.on_progress:
                job.on_progress(done, total)
    if total is not None and done > total:
        discard(job.part)
        raise WeightsError(f"the server sends more than {total:,} bytes")
    if total is not None and done < total:
        raise _Broken(f"the connection ended after {done:,} of {total:,} bytes")


def _asked_wait(value: str) -> float:
    """Return the seconds that a Retry-After header asks for: a number, or a date."""
    if value.isdecimal():
        return float(value)
    try:
        wait = parsedate_to_datetime(value) - datetime.now(timezone.utc)
    except (TypeError, ValueError):
        return 0.0
    return max(0.0, wait.total_seconds())


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _write_note(job: _Job, response: requests.Response) -> None:
    """Note which version of the file the partial one holds: by a strong tag, or by its date."""
    tag = response.headers.get("ETag", "")
    version = tag if tag.startswith('"') else response.headers.get("Last-Modified")
    note = {"address": job.address, "version": version}
    _note(job.part).write_text(json.dumps(note), encoding="utf-8")


def _read_note(job: _Job) -> str | None:
    """Return the version that the partial file holds; None where it cannot be gone on with."""
    try:
        note = json.loads(_note(job.part).read_text(encoding="utf-8"))
        version: str | None = note["version"] if note["address"] == job.address else None
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return version
