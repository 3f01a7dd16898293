"""How the events of the page run, and which errors they show instead of ending by them."""

from __future__ import annotations

from typing import Any

from grounded_ram.errors import GroundedRAMError

LIGHT: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "concurrency_limit": None,
}
"""Events that need no network, and take no longer than drawing some pictures: at once, unseen."""

SHOWN = (GroundedRAMError, OSError)
"""What a visitor is told of: bad input, files that are gone, a full disk."""
