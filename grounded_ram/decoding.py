"""Turn whatever Pillow or an array holds into one upright (H, W, 3) uint8 RGB array.

What becomes of the unusual ones is decided here, once for all three models:

- EXIF orientation is applied, so that boxes and masks belong to the picture as people see it.
- Alpha is ignored: colours stay as stored, which is what RAM, Grounding-DINO and SAM do themselves.
- 16-bit values keep their high byte; floats must lie in [0, 1]; grey is repeated over the channels.
- An animation gives the frame it stands at, which is the first one of a file.
"""

from __future__ import annotations

import struct
import threading
import warnings
from collections.abc import Sequence
from types import TracebackType
from typing import IO, Any, Literal, TypeAlias

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from grounded_ram.errors import InputError

ColorOrder: TypeAlias = Literal["bgr", "rgb"]
RGB: TypeAlias = NDArray[np.uint8]

# EXIF orientation -> (transpose, then flip rows, then flip columns).
_TURNS = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
_EXIF_ORIENTATION = 0x0112
# Pillow hands EPS to an external interpreter: not for files from strangers.
_REFUSED_FORMATS = frozenset({"EPS"})


def open_picture(stream: IO[bytes], name: str) -> PIL.Image.Image:
    """Identify a picture without decoding it.

    This is ``PIL.Image.open`` without its check of the process-wide MAX_IMAGE_PIXELS;
    ``decode_picture`` checks ``max_pixels`` instead.

    Raises:
        InputError: No format fits, or the header is damaged.
    """
    prefix = stream.read(16)
    tried = set(_REFUSED_FORMATS)
    hints: list[str] = []
    try:
        with _SILENCE:
            for register_formats in (PIL.Image.preinit, PIL.Image.init):
                register_formats()
                formats = [one for one in PIL.Image.ID if one not in tried]
                tried.update(formats)
                for format_name in formats:
                    if image := _try_format(format_name, stream, prefix, hints):
                        return image
    except Exception as error:  # whatever a decoder makes of a hostile header
        raise InputError(f"{name} cannot be decoded: {_reason(error)}") from error
    got = f"a file that begins with {prefix!r}" if prefix else "an empty file"
    raise InputError(
        "; ".join([f"{name}: expected a picture such as JPEG or PNG, got {got}", *hints])
    )


def _try_format(
    format_name: str, stream: IO[bytes], prefix: bytes, hints: list[str]
) -> PIL.Image.Image | None:
    factory, accept = PIL.Image.OPEN[format_name]
    try:
        accepted = accept is None or accept(prefix)
        if isinstance(accepted, str):
            hints.append(accepted)
        elif accepted:
            stream.seek(0)
            return factory(stream, "")
    except (SyntaxError, IndexError, TypeError, struct.error):
        pass  # how a format says "not mine"
    return None


def decode_picture(
    image: PIL.Image.Image, name: str, *, max_pixels: int
) -> tuple[RGB, tuple[str, ...]]:
    """Decode, turn upright and convert; the size is checked before anything is decoded."""
    width, height = image.size
    if width * height == 0:
        raise InputError(f"{name}: expected a picture, got an empty one of {width} x {height}")
    if width * height > max_pixels:
        raise InputError(
            f"{name}: expected at most {max_pixels} pixels, got {width} x {height} = "
            f"{width * height}; make it smaller, or raise max_pixels if you trust the source"
        )
    try:
        with _SILENCE:
            notes: list[str] = []
            if (frames := getattr(image, "n_frames", 1)) > 1 and image.format != "MPO":
                notes.append(f"animation: frame {image.tell() + 1} of {frames} used")
            image.load()
            pixels, more = _pil_to_rgb(image)
            turned, turns = _turn_upright(pixels, image)
            return np.ascontiguousarray(turned), (*notes, *more, *turns)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    except Exception as error:  # decoders raise anything on damaged data
        raise InputError(
            f"{name} cannot be decoded, it is damaged or cut short: {_reason(error)}"
        ) from error


def _pil_to_rgb(image: PIL.Image.Image) -> tuple[RGB, list[str]]:
    if image.mode.startswith("I;16"):
        return array_to_rgb(np.asarray(image).astype(np.uint16), "rgb")
    if image.mode == "I":
        values = np.asarray(image)
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > 65535:
            raise InputError(f"expected 32-bit values in 0..65535, got {low}..{high}; rescale them")
        return array_to_rgb(values.astype(np.uint16), "rgb")
    if image.mode == "F":
        return array_to_rgb(np.asarray(image), "rgb")
    target = "RGBA" if image.has_transparency_data else "RGB"
    return array_to_rgb(np.asarray(image.convert(target)), "rgb")


def _turn_upright(pixels: RGB, image: PIL.Image.Image) -> tuple[RGB, list[str]]:
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # the pixels are sound, only the camera's notes are not
        return pixels, ["EXIF data cannot be read: the picture is taken as it is stored"]
    if orientation not in _TURNS:
        return pixels, []
    transpose, flip_rows, flip_columns = _TURNS[orientation]
    turned = pixels.transpose(1, 0, 2) if transpose else pixels
    turned = turned[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
    return turned, [f"turned upright, as its EXIF orientation {orientation} says"]


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def array_to_rgb(array: NDArray[Any], color: ColorOrder) -> tuple[RGB, list[str]]:
    """Copy an (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) array into a new RGB one."""
    if array.size == 0:
        raise InputError(f"expected a picture, got an empty array of shape {array.shape}")
    if array.ndim == 2:
        array = array[..., np.newaxis]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise InputError(
            f"expected an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), got {array.shape}; "
            "transpose a (C, H, W) array, take one image of a batch"
        )
    values, notes = _to_uint8(array)
    if values.shape[2] == 4 and values[..., 3].min() < 255:
        notes.append("alpha channel ignored: see-through parts show their stored colour")
    channels: Sequence[int] = [0, 0, 0] if values.shape[2] == 1 else [0, 1, 2]
    if color == "bgr":
        channels = channels[::-1]
    pixels = np.empty((*values.shape[:2], 3), np.uint8)
    for target, channel in enumerate(channels):
        pixels[..., target] = values[..., channel]
    return pixels, notes


def _to_uint8(array: NDArray[Any]) -> tuple[RGB, list[str]]:
    if array.dtype == np.uint8:
        return array, []
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255), []
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        note = f"16-bit values: the high byte is used (largest value {array.max()} of 65535)"
        return (array >> 8).astype(np.uint8), [note]
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise InputError("expected floats in [0, 1], got NaN or infinity; clean the array")
        low, high = array.min(), array.max()
        if low < 0 or high > 1:
            raise InputError(
                f"expected floats in [0, 1], got {low:g} to {high:g}; make black 0 and white 1: "
                "divide values in 0..255 by 255"
            )
        return np.rint(array * 255).astype(np.uint8), []
    raise InputError(
        f"expected uint8, uint16, bool, or floats in [0, 1], got {array.dtype}; convert to uint8"
    )


class _Silence:
    """Hush Pillow's warnings about odd files while any thread decodes.

    ``warnings.catch_warnings`` alone would leave the filters changed when two threads overlap.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.__exit__(None, None, None)


_SILENCE = _Silence()
