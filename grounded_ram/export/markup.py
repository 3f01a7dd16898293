"""Elements of XML files."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from grounded_ram.errors import InputError

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def child(parent: Element, tag: str, text: object = None, **attributes: object) -> Element:
    """Add an element to another and return it; numbers are written as Python has them."""
    made = SubElement(parent, tag, {key: str(value) for key, value in attributes.items()})
    if text is not None:
        made.text = str(text)
    return made


def encode(element: Element, level: int = 0) -> bytes:
    """Return an element as lines of UTF-8.

    Args:
        element: is indented by this.
        level: how deep it lies in its file; two spaces each.

    Raises:
        InputError: a text holds a character that XML cannot.
    """
    indent(element, level=level)
    text = tostring(element, "unicode").rstrip()
    if found := _FORBIDDEN.search(text):
        around = text[max(0, found.start() - 20) : found.end() + 20]
        raise InputError(f"XML cannot hold the character {found[0]!r} in {around!r}; rename it")
    return ("  " * level + text + "\n").encode()
