"""The tags of a picture as switches, by kind: those that fired, and those that might have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from grounded_ram.annotation import Annotation, Tags
from grounded_ram.app.page.templates import render

OWN = "own"
"""The kind of words of the user's own."""

KINDS = {
    OWN: "Your words",
    "object": "Things",
    "stuff": "Materials and ground",
    "part": "Parts",
    "scene": "Places",
    "attribute": "Looks",
    "action": "Actions",
    "unjudged": "Others",
}
"""What the page calls kinds of tags, in its order; other kinds follow under their own names."""

MOST_BELOW = 6
"""Tags below their thresholds that are offered at once, of each kind; a button shows the rest."""


@dataclass(frozen=True)
class Switch:
    """One tag, to be switched on and off.

    Args:
        name: the tag.
        score: the tagger's; None for words of the user's own.
        on: whether it is switched on.
        keys: the objects that carry it, as the page knows them.
        reason: why no object carries it; empty where one does, or where it is off.
        extra: whether it is shown only on demand.
    """

    name: str
    score: float | None
    on: bool
    keys: tuple[str, ...] = ()
    reason: str = ""
    extra: bool = False


def switches(
    known: Tags, words: Sequence[str], on: Collection[str], annotation: Annotation
) -> dict[str, list[Switch]]:
    """Return the switches by kind, in the order in which the page shows them.

    Args:
        known: what the tagger says, best first, tags below their thresholds too.
        words: the user's own.
        on: the names that are switched on.
        annotation: what came of it.
    """
    keys: dict[str, list[str]] = defaultdict(list)
    for row, name in enumerate(annotation.detections.data["class_name"]):
        keys[str(name)].append(f"o{row}")
    rows = [(word, None, OWN) for word in words if word not in known.names]
    scored = zip(known.names, known.scores.tolist(), known.kinds, strict=True)
    found: dict[str, list[Switch]] = {kind: [] for kind in KINDS}
    below: dict[str, int] = defaultdict(int)
    for name, score, kind in sorted([*rows, *scored], key=lambda row: row[0] not in on):
        below[kind] += name not in on and kind != OWN
        found.setdefault(kind, []).append(
            Switch(
                name,
                score,
                name in on,
                tuple(keys[name]) if name in on else (),
                str(annotation.ungrounded.get(name, "")) if name in on else "",
                extra=below[kind] > MOST_BELOW,
            )
        )
    return {kind: listed for kind, listed in found.items() if listed}


def tags_html(groups: dict[str, list[Switch]]) -> str:
    """Return the switches as HTML."""
    named = [(KINDS.get(kind, kind), listed) for kind, listed in groups.items()]
    extra = sum(one.extra for _, listed in named for one in listed)
    return render("tags.html", groups=named, extra=extra)
