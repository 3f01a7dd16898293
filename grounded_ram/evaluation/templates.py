"""HTML that people look at: every text that is not ours is escaped, and can be seen whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jinja2
from markupsafe import Markup

from grounded_ram.overlay import color_of

LONGEST = 200
"""Characters of a text that are shown."""


def environment(load: Callable[[str], str], **filters: Callable[..., Any]) -> jinja2.Environment:
    """Return what fills in templates; a name that is not given is an error.

    Args:
        load: returns a template by its name.
        filters: besides ``color`` and ``score``.
    """
    made = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(load),
        finalize=_finalize,
    )
    made.filters.update(color=_hex_color, score="{:.2f}".format, **filters)
    return made


def visible(text: str) -> str:
    """Write out what cannot be seen, such as line ends, and cut the middle of a long text."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def _finalize(value: object) -> object:
    """Make every text of others visible, wherever it stands."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _hex_color(name: str) -> Markup:
    """Return the colour of objects of a name, the one of its overlay."""
    return Markup("#{:02x}{:02x}{:02x}").format(*color_of(name))
