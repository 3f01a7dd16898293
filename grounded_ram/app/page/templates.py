"""The page's own HTML: templates that escape every text that is not ours."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup, escape

from grounded_ram.evaluation.templates import LONGEST, environment, visible
from grounded_ram.overlay import ink_of


def render(template: str, **values: Any) -> str:
    """Return a template filled in; names in it may be anybody's, and cannot become markup."""
    return _environment().get_template(template).render(**values)


def asset(name: str) -> str:
    """Return the text of one of the page's files: a template, the style, the script, the icon."""
    return (files("grounded_ram") / "assets" / "page" / name).read_text("utf-8")


def ink_on(name: str) -> str:
    """Return black or white, whichever can be read on the colour of a name."""
    return "#{:02x}{:02x}{:02x}".format(*ink_of(name))


@cache
def _environment() -> jinja2.Environment:
    return environment(asset, exact=escape, whole=_whole, ink=ink_on)


def _whole(text: str) -> Markup:
    """Escape a sentence of ours, whatever names are in it, without cutting its middle out."""
    parts = (text[start : start + LONGEST] for start in range(0, len(text), LONGEST))
    return Markup("").join(visible(part) for part in parts)
