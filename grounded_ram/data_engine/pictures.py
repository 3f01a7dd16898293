"""The pictures of examples, where one that cannot be read stops nothing."""

from __future__ import annotations

from collections.abc import Callable

from grounded_ram.errors import GroundedRAMError
from grounded_ram.images import Image, load_image


def pixels_of(path: str, on_bad: Callable[[str, str], None]) -> Image | None:
    """Return a picture; None, and the path and the reason are told, if it cannot be read."""
    try:
        return load_image(path).pixels
    except (GroundedRAMError, OSError) as error:
        on_bad(path, str(error))
        return None
