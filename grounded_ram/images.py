"""Read a picture from anything a user may hold: file, URL, bytes, PIL image, array or tensor."""

from __future__ import annotations

import hashlib
import http.client
import io
import os
import re
import sys
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, TypeGuard, Union, get_args

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from grounded_ram.decoding import ColorOrder, array_to_rgb, decode_picture, open_picture
from grounded_ram.errors import InputError

if TYPE_CHECKING:
    import torch

Image: TypeAlias = NDArray[np.uint8]
"""An (H, W, 3) RGB array."""

ImageSource: TypeAlias = Union[
    str,
    os.PathLike[str],
    bytes,
    BinaryIO,
    PIL.Image.Image,
    NDArray[Any],
    "torch.Tensor",
    "LoadedImage",
]
"""What a picture may be given as."""

MAX_PIXELS = 178_956_970
"""Larger pictures are refused unless the caller says otherwise; it is Pillow's own number."""

MAX_DOWNLOAD_BYTES = 256 * 2**20
DOWNLOAD_TIMEOUT_S = 30.0

_ACCEPTED = (
    "a path, an http(s) URL, bytes, a binary file object, a PIL image, "
    "a numpy array (H, W[, 1|3|4]) or a torch tensor (C, H, W)"
)


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """A picture ready for the models, and where it came from; it is a source of pictures too.

    Args:
        pixels: The picture; nobody else holds this array.
        path: The path or URL as it was given, None for anything else.
        sha256: Hash of the file's bytes; for arrays and PIL images, of type, shape and values.
        notes: What the user should know about how the picture was read.
    """

    pixels: Image
    path: str | None
    sha256: str
    notes: tuple[str, ...] = ()


def load_image(
    source: ImageSource, *, color: ColorOrder = "bgr", max_pixels: int = MAX_PIXELS
) -> LoadedImage:
    """Read one picture, upright, as RGB; ``decoding`` says what becomes of unusual ones.

    Args:
        source: The picture. A string like http://... or https://... is a URL, any other a path.
        color: Channel order of numpy arrays. Tensors are RGB; all else knows its own order.
        max_pixels: Larger files and PIL images are refused before they are decoded.

    Raises:
        InputError: The source is no picture, is damaged, too large, or of a type not known here.
    """
    if color not in get_args(ColorOrder):
        raise InputError(f"color: expected 'bgr' or 'rgb', got {color!r}")
    if isinstance(source, LoadedImage):
        return source
    if isinstance(source, np.ndarray):
        return _load_array(np.asarray(source), color)
    if isinstance(source, PIL.Image.Image):
        pixels, notes = decode_picture(source, "PIL image", max_pixels=max_pixels)
        return LoadedImage(pixels, None, _hash_array(pixels), notes)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _load_stream(io.BytesIO(source), None, max_pixels)
    if isinstance(source, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source):
        return _load_stream(io.BytesIO(_download(source)), source, max_pixels)
    if isinstance(source, (str, os.PathLike)):
        return _load_path(os.fspath(source), max_pixels)
    if _is_tensor(source):
        return _load_tensor(source)
    if hasattr(source, "read"):
        return _load_stream(io.BytesIO(_read_all(source)), None, max_pixels)
    raise InputError(f"expected {_ACCEPTED}; got {type(source).__name__}")


def load_same(source: ImageSource, sha256: str) -> LoadedImage:
    """Read a picture again that was read before.

    Args:
        source: as for ``load_image``.
        sha256: what the picture's was then.

    Raises:
        InputError: it cannot be read, or is another one by now.
    """
    loaded = load_image(source)
    if loaded.sha256 != sha256:
        raise InputError(f"{source!r} was changed since it was labelled; label it again")
    return loaded


def load_images(
    sources: Iterable[ImageSource], *, color: ColorOrder = "bgr", max_pixels: int = MAX_PIXELS
) -> list[LoadedImage]:
    """Read several pictures; arguments as for ``load_image``.

    Raises:
        InputError: one picture came instead of several, or one of them cannot be used: which one is
            told by its place.
    """
    alone = (str, bytes, bytearray, os.PathLike, PIL.Image.Image)
    if isinstance(sources, alone) or hasattr(sources, "read") or getattr(sources, "ndim", 4) != 4:
        raise InputError("images: expected several in a list, got one; annotate() takes one")
    loaded = []
    for place, source in enumerate(sources):
        try:
            loaded.append(load_image(source, color=color, max_pixels=max_pixels))
        except InputError as error:
            raise InputError(f"image {place} of the batch, counted from 0: {error}") from error
    return loaded


def _load_path(path: str, max_pixels: int) -> LoadedImage:
    name = _quote(path)
    try:
        if Path(path).is_dir():
            raise InputError(f"expected an image file, got the folder {name}; name the files in it")
        with Path(path).open("rb") as file:
            stream: BinaryIO = file if file.seekable() else io.BytesIO(file.read())
            return _load_stream(stream, path, max_pixels)
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"expected an image file, but there is no file {name}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"cannot open the image file {name}: {error}") from error


def _read_all(file: Any) -> bytes:
    """Read a caller's file, from its beginning if it can be rewound, and leave it open."""
    try:
        if file.seekable():
            file.seek(0)
        data = file.read()
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"cannot read the file object: {error}") from error
    if not isinstance(data, bytes):
        raise InputError(
            f"expected a binary file object, its read() gave {type(data).__name__}; open it as 'rb'"
        )
    return data


def _download(url: str) -> bytes:
    """Fetch over HTTP or HTTPS, and nothing else even when redirected."""
    if not url.lower().startswith(("http://", "https://")):
        raise InputError(f"expected a path or an http(s):// URL, got {_quote(url)}")
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "grounded-ram"})
        with opener.open(request, timeout=DOWNLOAD_TIMEOUT_S) as response:
            data: bytes = response.read(MAX_DOWNLOAD_BYTES + 1)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise InputError(f"cannot download {_quote(url)}: {error}") from error
    if len(data) > MAX_DOWNLOAD_BYTES:
        raise InputError(
            f"expected at most {MAX_DOWNLOAD_BYTES} bytes from {_quote(url)}, got more; "
            "download it yourself and give the path"
        )
    return data


def _load_stream(stream: BinaryIO, path: str | None, max_pixels: int) -> LoadedImage:
    name = "image bytes" if path is None else _quote(path)
    image = open_picture(stream, name)
    pixels, notes = decode_picture(image, name, max_pixels=max_pixels)
    stream.seek(0)
    digest = hashlib.sha256()
    while block := stream.read(2**20):
        digest.update(block)
    return LoadedImage(pixels, path, digest.hexdigest(), notes)


def _load_array(array: NDArray[Any], color: ColorOrder) -> LoadedImage:
    pixels, notes = array_to_rgb(array, color)
    return LoadedImage(pixels, None, _hash_array(array), tuple(notes))


def _is_tensor(source: object) -> TypeGuard[torch.Tensor]:
    torch = sys.modules.get("torch")  # whoever made a tensor has imported torch
    return torch is not None and isinstance(source, torch.Tensor)


def _load_tensor(tensor: torch.Tensor) -> LoadedImage:
    if tensor.ndim != 3 or (tensor.shape[0] not in (1, 3, 4) and tensor.numel()):
        raise InputError(
            f"expected a tensor (C, H, W) with 1, 3 or 4 channels, got shape "
            f"{tuple(tensor.shape)}; permute an (H, W, C) tensor, take one image of a batch"
        )
    try:
        if tensor.is_floating_point() and tensor.element_size() < 4:
            tensor = tensor.float()  # numpy has no bfloat16
        array: NDArray[Any] = tensor.detach().cpu().numpy()
    except (RuntimeError, TypeError) as error:
        raise InputError(f"cannot read the {tensor.dtype} tensor: {error}") from error
    pixels, notes = array_to_rgb(array.transpose(1, 2, 0), "rgb")
    return LoadedImage(pixels, None, _hash_array(array), tuple(notes))


def _hash_array(array: NDArray[Any]) -> str:
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode())
    digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _quote(name: str) -> str:
    return repr(name) if len(name) <= 200 else repr(name[:200]) + "..."
