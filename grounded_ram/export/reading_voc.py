"""Pascal VOC datasets: boxes."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, parse

from grounded_ram.annotation import SCORE_COLUMNS, ImageFacts
from grounded_ram.errors import InputError
from grounded_ram.export.found import Found, box_rle, facts
from grounded_ram.export.pages import BOXES, Notes, Reading, read_pages


def read_voc(folder: Path) -> Reading:
    """Read the pages in ``Annotations``; the boxes become the objects' masks.

    Boxes are taken as the devkit defines them: whole pixels counted from 1, right and lower side
    included. Splits are the lists in ``ImageSets/Main``, without those of single classes; a picture
    that several list is in the first of train, val, test and the others.

    Raises:
        InputError: a page does not hold what it should; the message says where.
    """
    pages = sorted((folder / "Annotations").rglob("*.xml"))
    named = _splits(folder)
    splits = {}
    for page in pages:
        name = page.relative_to(folder / "Annotations").with_suffix("").as_posix()
        if name in named:
            splits[_key(folder, page, _load(page))] = named[name]

    def read_page(page: Path, notes: Notes) -> tuple[ImageFacts, list[Found]]:
        try:
            return _read_page(folder, page, notes)
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{str(page)!r}: expected a page of Pascal VOC; {error}") from error

    return read_pages(pages, read_page, splits if len(set(splits.values())) > 1 else None)


def _splits(folder: Path) -> dict[str, str]:
    """Return the split of each page by its path without ending."""
    usual = ["train", "val", "test"]
    lists = [path for path in (folder / "ImageSets" / "Main").glob("*.txt") if "_" not in path.stem]
    lists.sort(key=lambda path: (usual.index(path.stem) if path.stem in usual else 3, path.stem))
    found: dict[str, str] = {}
    for path in lists:
        for line in path.read_text("utf-8").splitlines():
            found.setdefault(line.strip(), path.stem)
    return found


def _load(page: Path) -> Element:
    try:
        return parse(page).getroot()
    except ParseError as error:
        raise InputError(f"{str(page)!r}: expected XML; {error}") from error


def _key(folder: Path, page: Path, root: Element) -> str:
    """Return the picture's path in JPEGImages: as it is told, or beside its page's."""
    told = (root.findtext("filename") or f"{page.stem}.jpg").replace("\\", "/")
    beside = page.relative_to(folder / "Annotations").parent
    return told if "/" in told else (beside / told).as_posix()


def _read_page(folder: Path, page: Path, notes: Notes) -> tuple[ImageFacts, list[Found]]:
    root = _load(page)
    height, width = (int(root.findtext(f"size/{side}") or 0) for side in ("height", "width"))
    key = _key(folder, page, root)
    image = facts(folder / "JPEGImages" / key, key, (height, width))
    found = []
    for item in root.findall("object"):
        sides = [item.findtext(f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
        left, top, right, bottom = (float(side or "nothing") for side in sides)
        box = (left - 1, top - 1, right, bottom)
        told = {
            one.findtext("name", ""): float(one.findtext("value") or "nan")
            for one in item.iter("attribute")
            if one.findtext("name") in SCORE_COLUMNS
        }
        name = item.findtext("name") or "unnamed"
        found.append(Found(name, box_rle(box, (height, width)), box_xyxy=box, told=told))
        notes[BOXES] += 1
    return image, found
