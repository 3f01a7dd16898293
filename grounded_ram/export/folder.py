"""One annotation as three files in a folder: tags, COCO, overlay."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from grounded_ram.annotation import Annotation, ImageFacts
from grounded_ram.export.coco import to_coco
from grounded_ram.export.columns import unlabelled
from grounded_ram.export.files import picture_ending, plain, write_json, write_picture
from grounded_ram.overlay import draw_overlay

ENDINGS = (".tags.json", ".coco.json", ".overlay.jpg")
NAME_LENGTH = 60


def save_annotation(annotation: Annotation, folder: str | Path) -> list[Path]:
    """Write the tags, the COCO file and the overlay of one image; see ``Annotation.save``."""
    folder = Path(folder)
    name = _free_name(annotation.image, folder)
    tags, coco, picture = (folder / f"{name}{ending}" for ending in ENDINGS)
    # The tags come first: they hold the digest by which a later image sees that the name is taken.
    write_json(to_tags(annotation), tags, indent=2)
    write_json(to_coco([annotation]), coco)
    overlay = draw_overlay(annotation)
    picture = picture.with_suffix(picture_ending(overlay.size))
    write_picture(overlay, picture)
    return [tags, coco, picture]


def to_tags(annotation: Annotation) -> dict[str, Any]:
    """Return what the image shows, without the objects' shapes, in plain Python values."""
    image, tags = annotation.image, annotation.tags
    rows = zip(tags.names, tags.scores.tolist(), tags.kinds, strict=True)
    return {
        "image": {
            "path": image.path,
            "height": image.size_hw[0],
            "width": image.size_hw[1],
            "sha256": image.sha256,
            "notes": list(image.notes),
        },
        "tags": [
            {"name": name, "score": round(score, 6), "kind": kind} for name, score, kind in rows
        ],
        "objects": len(annotation.detections),
        **unlabelled(annotation),
        "run": plain(annotation.run),
    }


def _free_name(image: ImageFacts, folder: Path) -> str:
    """Return the image's own name, or that and some digits where another image has taken it."""
    name = re.sub(r"[^\w\-. ]", "_", Path(image.name).stem)[:NAME_LENGTH].strip(". ") or "image"
    taken = any((folder / f"{name}{ending}").exists() for ending in ENDINGS)
    if taken and _digest_in(folder / f"{name}{ENDINGS[0]}") != image.sha256:
        return f"{name}-{image.sha256[:12]}"
    return name


def _digest_in(tags: Path) -> str | None:
    try:
        digest = json.loads(tags.read_bytes())["image"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not a file of ours, so not this image
    return str(digest)
