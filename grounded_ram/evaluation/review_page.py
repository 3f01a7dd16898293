"""Review -> one HTML file that needs nothing else: no server, no network, no script of others.

Names come from files and models of strangers. The template escapes every one; control characters
are written out, so that a name cannot hide its end; and the page forbids its reader to run any
script but its own or to fetch anything.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import grounded_ram
from grounded_ram.evaluation.exhibits import Exhibit
from grounded_ram.evaluation.review import Review
from grounded_ram.evaluation.tally import Histogram, median
from grounded_ram.evaluation.templates import environment
from grounded_ram.evaluation.tiles import Tile, View, draw_tiles
from grounded_ram.export.files import replacing

MOST_PICTURE_BYTES = 16_000_000
"""What all pictures of a page take together; the text takes a few million bytes at most."""

MOST_ROWS = 1000
"""Classes in the table."""
BARS = 25
"""Of a histogram."""
MOST_FACTS = 200
MOST_COPIES = 20
"""Names that are listed of one group of duplicates."""

WHOLE = View(side=360)
IN_CONTEXT = View(side=320, context=3.5, aspect=4 / 3)
CLOSE = View(side=176, context=1.35)


def write_report(
    review: Review, path: Path, *, title: str = "Review of a labelled dataset"
) -> None:
    """Write the page, whole or not at all.

    The pictures that it shows are read again by their paths; of one that is gone, the page says so.

    Args:
        review: what it shows.
        path: the file.
        title: its heading.
    """
    text = render(review, title=title)
    with replacing(path) as file:
        file.write(text.encode())


def render(review: Review, *, title: str = "Review of a labelled dataset") -> str:
    """Return the page as text of at most about 20 MB; as ``write_report``."""
    tiles = draw_tiles(list(_views(review)), MOST_PICTURE_BYTES)
    left_out = sum(not tile.data for tile in tiles.values())
    style, script = (_asset(name) for name in ("page.css", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        _environment()
        .get_template("page.html")
        .render(
            review=review,
            title=title,
            tiles=tiles,
            left_out=left_out,
            style=Markup(style),  # ours
            script=Markup(script),
            script_digest=digest,
            version=grounded_ram.__version__,
            models=_models(review.facts),
            facts=list(_flat(review.facts))[:MOST_FACTS],
            thresholds=_thresholds(review.facts),
            rows=review.classes[:MOST_ROWS],
            labels=sum(one.objects > 0 for one in review.classes),
            most_objects=max((one.objects for one in review.classes), default=0),
            sheets=[one for one in review.classes if any(one.examples.values())],
            most_copies=MOST_COPIES,
        )
    )


def _views(review: Review) -> Iterator[tuple[Exhibit, View]]:
    """Name what the page shows and how, the most important first."""
    for exhibit in review.sample:
        yield exhibit, WHOLE
    for section in review.queue:
        for exhibit in section.exhibits:
            yield exhibit, IN_CONTEXT
    for one in review.classes:
        for exhibits in one.examples.values():
            for exhibit in exhibits:
                yield exhibit, CLOSE


def _environment() -> jinja2.Environment:
    return environment(
        _asset,
        bars=_bars,
        count="{:,}".format,
        median=_median,
        picture_of=_picture_of,
        sentence=_sentence,
        tally=_tally,
        word=_word,
    )


def _asset(name: str) -> str:
    return (files("grounded_ram") / "assets" / "review" / name).read_text("utf-8")


def _bars(histogram: Histogram) -> Markup:
    """Return a histogram as an SVG path of ``BARS`` bars, each a unit wide and up to 20 high."""
    bars = histogram[:-1].reshape(BARS, -1).sum(axis=1)
    bars[-1] += histogram[-1]
    heights = 20 * bars / max(1, bars.max())
    steps = (
        f"M{place} 20v{-max(1.0, height):.1f}h1V20Z"
        for place, height in enumerate(heights.tolist())
        if height
    )
    return Markup("".join(steps))


def _median(histogram: Histogram) -> str:
    middle = median(histogram)
    return "" if math.isnan(middle) else f"{middle:.2f}"


def _picture_of(tile: Tile) -> Markup:
    """Return the data URI, which is long, and ours."""
    return Markup(tile.data)


def _tally(exhibit: Exhibit) -> list[tuple[str, int]]:
    """Count the labels that are outlined in a picture, the most frequent first."""
    return Counter(one.label for one in exhibit.outlines).most_common()


def _word(column: str) -> str:
    """Return how the page calls a column of scores."""
    return {"label_score": "combined", "mask_stability": "stability"}.get(
        column, column.removesuffix("_score")
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _models(facts: Mapping[str, Any]) -> list[str]:
    """Return the names of the preset and of the three models, as far as they are known."""
    stages = (facts.get(stage) for stage in ("tagger", "detector", "segmenter"))
    names = [str(one["name"]) for one in stages if isinstance(one, Mapping) and "name" in one]
    return [f"preset {facts['preset']}", *names] if "preset" in facts else names


def _thresholds(facts: Mapping[str, Any]) -> dict[str, float]:
    """Return where a histogram has its threshold, in bars, by "box" and "label"; 0 for nowhere."""
    rules = facts.get("rules") or {}
    found = {"box": facts.get("box_threshold"), "label": rules.get("least_score")}
    return {which: BARS * float(value or 0) for which, value in found.items()}


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """List facts that lie in one another, each under its whole name."""
    for key, value in facts.items():
        name = f"{prefix}{str(key).replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}: ")
        elif isinstance(value, list | tuple):
            yield name, ", ".join(map(str, value)) or "none"
        else:
            yield name, "not set" if value is None else str(value)
