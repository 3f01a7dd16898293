"""The page's own HTML: templates that escape every text that is not ours."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup, escape

from grounded_ram.evaluation.review_page import visible
from grounded_ram.overlay import color_of


def render(template: str, **values: Any) -> str:
    """Return a template filled in; names in it may be anybody's, and cannot become markup."""
    return _environment().get_template(template).render(**values)


def asset(name: str) -> str:
    """Return the text of one of the page's files: a template, the style, the script, the icon."""
    return (files("grounded_ram") / "assets" / "page" / name).read_text("utf-8")


def hex_color(name: str) -> str:
    """Return the colour of objects of a name as "#rrggbb", the one of its overlay."""
    return "#{:02x}{:02x}{:02x}".format(*color_of(name))


def ink_on(name: str) -> str:
    """Return black or white, whichever can be read on the colour of a name."""
    red, green, blue = color_of(name)
    return "#000" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#fff"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(asset),
        finalize=_finalize,
    )
    environment.filters.update(color=hex_color, exact=escape, ink=ink_on, score="{:.2f}".format)
    return environment


def _finalize(value: object) -> object:
    """Make every text of others visible, wherever it stands."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
