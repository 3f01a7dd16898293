"""Files that are either whole or absent, and values that JSON can hold."""

from __future__ import annotations

import base64
import json
import math
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import PIL.Image

_JPEG_MAX_SIDE = 65_500


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that takes the place of ``path`` only once it is complete.

    If the block raises, ``path`` is left as it was. Missing folders are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with draft.open("xb") as file:
            yield file
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_json(value: Any, path: Path, *, indent: int | None = None) -> None:
    """Write plain values as UTF-8 JSON, whole or not at all."""
    with replacing(path) as file:
        file.write(json_bytes(value, indent=indent))


def json_bytes(value: Any, *, indent: int | None = None) -> bytes:
    """Write plain values as UTF-8 JSON."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent).encode()


def json_line(value: Any) -> bytes:
    """Write plain values as a line of JSON, in ASCII: names of files may hold half characters."""
    return json.dumps(value).encode() + b"\n"


def picture_ending(size: tuple[int, int]) -> str:
    """Return ".jpg", or ".png" for a picture of a size, in pixels, that JPEG cannot hold."""
    return ".jpg" if max(size) <= _JPEG_MAX_SIDE else ".png"


def write_picture(picture: PIL.Image.Image, path: Path) -> None:
    """Write a JPEG or PNG, by the path's ending, whole or not at all."""
    with replacing(path) as file:
        if path.suffix == ".png":
            picture.save(file, "PNG")
        else:
            picture.save(file, "JPEG", quality=92, subsampling=0)


def plain(value: Any) -> Any:
    """Turn a value into what JSON can hold: numpy into lists, NaN into None, the rest into text."""
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        return [plain(item) for item in items]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)


def data_uri(data: bytes, media_type: str) -> str:
    """Return the bytes of a file as an address that holds them, for pages that load nothing."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
