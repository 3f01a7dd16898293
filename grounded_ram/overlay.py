"""Annotation -> picture, by supervision's annotators.

The same name has the same colour in every image and every run: the colour is picked from a fixed
palette by a digest of the name. Two names may share a colour; the label tells them apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import PIL.Image
import supervision as sv
from numpy.typing import NDArray
from PIL import ImageFont

from grounded_ram.annotation import Annotation
from grounded_ram.errors import InputError
from grounded_ram.images import Image, load_same

# fmt: off
_HEX = [
    "20b0b8", "f800f8", "a01800", "2800f8", "f8e000", "f898b0", "8050a8", "106800",
    "00c800", "b08810", "f80080", "80f8c0", "1080f0", "f85808", "9800f8", "a8a8f8",
    "185890", "980068", "b86078", "f080f8", "f8b068", "98f800", "28a058", "a0c048",
    "b818b8", "5828c8", "a070f8", "68e0f8", "905808", "08d090", "d80038", "d858b0",
    "40b0f8", "8000b0", "0048c8", "7080c8", "b880c0", "707800", "f0b0f8", "f86078",
    "00f888", "d88060", "0088b0", "c848f8", "d0e890", "f000b8", "5858f8", "883850",
]
# fmt: on
PALETTE = sv.ColorPalette.from_hex(_HEX)
"""48 saturated colours, spread as far apart as they go in OKLab."""

TEXT_PALETTE = sv.ColorPalette(
    [
        sv.Color.BLACK if 0.299 * c.r + 0.587 * c.g + 0.114 * c.b > 140 else sv.Color.WHITE
        for c in PALETTE.colors
    ]
)
"""For each colour of the palette, black or white, whichever can be read on it."""

SMALLEST_TEXT = 11
"""Font size in pixels below which text is not scaled down with the picture."""

SMALLEST_SHRUNK_TEXT = 8
"""The same where a label would otherwise be wider than the picture."""

LARGEST_SCALE = 16


def draw_overlay(annotation: Annotation, **options: Any) -> PIL.Image.Image:
    """Draw the objects on a copy of the image; an RGB picture.

    Each label is "name 0.87", the number being the box score.

    Args:
        annotation: what to draw.
        **options: as ``draw_objects`` has them, but for ``colors`` and ``texts``.

    Raises:
        InputError: as of ``draw_objects``, or the pixels were not kept and cannot be read again.
    """
    found = annotation.detections
    names = [str(name) for name in found.data["class_name"]]
    scores = found.data["box_score"]
    return draw_objects(
        _pixels(annotation),
        found,
        colors=[_palette_row(name) for name in names],
        texts=[f"{name} {score:.2f}" for name, score in zip(names, scores, strict=True)],
        **options,
    )


def draw_objects(
    pixels: Image,
    found: sv.Detections,
    *,
    colors: Sequence[int],
    texts: Sequence[str],
    masks: bool = True,
    boxes: bool = True,
    labels: bool = True,
    opacity: float = 0.45,
    scale: float = 1.0,
    font: str | Path | None = None,
) -> PIL.Image.Image:
    """Draw N objects on a copy of a picture; an RGB picture.

    Lines and text grow with the picture. Where masks overlap, the smaller object lies on top;
    labels keep inside the picture and off each other as far as there is room.

    Args:
        pixels: (H, W, 3) RGB.
        found: N boxes with packed masks; N may be 0.
        colors: N rows of ``PALETTE``.
        texts: N labels.
        masks: fill the masks and draw their edges.
        boxes: draw the boxes.
        labels: write the labels.
        opacity: of the masks, from 0 (edges only) to 1.
        scale: size of the picture relative to the image; 2 makes a small image easier to read.
        font: a TrueType file, for names that the built-in font, ASCII only, cannot write.

    Raises:
        InputError: opacity or scale is out of range, or the font is no file.
    """
    if not 0 <= opacity <= 1:
        raise InputError(f"opacity: expected 0 to 1, got {opacity}")
    if font is not None and not Path(font).is_file():
        raise InputError(f"font: no such file: {font}")
    bgr, found = _scaled(pixels, found, scale)
    rows = np.array(colors, int)
    if masks:
        bgr = _draw_masks(bgr, found, rows, opacity)
    if boxes:
        thickness = line_thickness(bgr.shape[:2])
        bgr = sv.BoxAnnotator(PALETTE, thickness).annotate(bgr, found, rows)
    picture = PIL.Image.fromarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
    if labels and len(found):
        _draw_labels(picture, found, rows, texts=list(texts), font=font)
    return picture


def color_of(name: str) -> tuple[int, int, int]:
    """Return the RGB colour in which objects of this name are drawn."""
    return PALETTE.by_idx(_palette_row(name)).as_rgb()


def ink_of(name: str) -> tuple[int, int, int]:
    """Return the RGB colour of text that can be read on the colour of a name."""
    return TEXT_PALETTE.by_idx(_palette_row(name)).as_rgb()


def line_thickness(size_hw: tuple[int, int]) -> int:
    """Return the width of box lines in pixels: 1 on thumbnails, 9 on 8K."""
    side = min(size_hw)
    usual = sv.calculate_optimal_line_thickness((size_hw[1], size_hw[0]))
    return max(1, min(usual, side // 150), side // 480)


def text_height(size_hw: tuple[int, int]) -> int:
    """Return the font size in pixels: 11 up to 500 px, 24 on 1080p, 95 on 8K."""
    usual = 22 * sv.calculate_optimal_text_scale((size_hw[1], size_hw[0]))
    return max(SMALLEST_TEXT, round(usual))


def _palette_row(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % len(PALETTE)


def _scaled(
    pixels: Image, found: sv.Detections, scale: float
) -> tuple[NDArray[np.uint8], sv.Detections]:
    """Return the image as a BGR copy and its detections, both scaled, boxes kept inside."""
    if not 0 < scale <= LARGEST_SCALE:
        raise InputError(f"scale: expected more than 0 and up to {LARGEST_SCALE}, got {scale}")
    height, width = pixels.shape[:2]
    new_hw = max(1, round(height * scale)), max(1, round(width * scale))
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    mask = cast(sv.CompactMask, found.mask)
    if new_hw != (height, width):
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        bgr = cv2.resize(bgr, new_hw[::-1], interpolation=how)
        mask = mask.resize(new_hw)
    stretch = np.array([new_hw[1] / width, new_hw[0] / height] * 2, np.float32)
    xyxy = np.clip(found.xyxy * stretch, 0, np.array(new_hw[::-1] * 2, np.float32) - 1)
    scaled = sv.Detections(
        xyxy, mask=mask, confidence=found.confidence, class_id=found.class_id, data=found.data
    )
    return np.asarray(bgr, np.uint8), scaled


def _pixels(annotation: Annotation) -> Image:
    """Return the image's pixels; where they were not kept, read it again."""
    if annotation.pixels is not None:
        return annotation.pixels
    if annotation.image.path is None:
        raise InputError(f"{annotation.image.name}: its pixels were not kept, and it has no path")
    return load_same(annotation.image.path, annotation.image.sha256).pixels


def _draw_masks(
    bgr: NDArray[np.uint8], found: sv.Detections, colors: NDArray[np.int_], opacity: float
) -> NDArray[np.uint8]:
    """Fill the masks, smaller ones on top, and draw their edges; returns the array given."""
    edge = max(1, line_thickness(bgr.shape[:2]) // 2)
    bgr = sv.MaskAnnotator(PALETTE, opacity=opacity).annotate(bgr, found, colors)
    return sv.PolygonAnnotator(PALETTE, thickness=edge).annotate(bgr, found, colors)


def _draw_labels(
    picture: PIL.Image.Image,
    found: sv.Detections,
    colors: NDArray[np.int_],
    *,
    texts: list[str],
    font: str | Path | None,
) -> None:
    """Write the labels into the picture."""
    size = text_height((picture.height, picture.width))
    sizes_wh = _label_sizes(texts, size, font)
    while size > SMALLEST_SHRUNK_TEXT and sizes_wh[:, 0].max() > picture.width:
        size -= 1
        sizes_wh = _label_sizes(texts, size, font)
    corners = place_labels(found.xyxy, sizes_wh, picture.size)
    # Boxes of no size, from whose corner supervision hangs each label.
    anchors = sv.Detections(np.hstack([corners, corners]).astype(np.float32))
    annotator = sv.RichLabelAnnotator(
        PALETTE,
        text_color=TEXT_PALETTE,
        font_path=None if font is None else str(font),
        font_size=size,
        text_padding=_padding(size),
        text_position=sv.Position.BOTTOM_LEFT,
        border_radius=_padding(size) // 2,
    )
    annotator.annotate(picture, anchors, texts, colors)


def _padding(text_size: int) -> int:
    return max(2, text_size // 4)


def _label_sizes(texts: list[str], size: int, font: str | Path | None) -> NDArray[np.int_]:
    """Return (N, 2) widths and heights of the labels, padding included."""
    face = ImageFont.load_default(size) if font is None else ImageFont.truetype(str(font), size)
    boxes = np.array([face.getbbox(text) for text in texts])
    sizes: NDArray[np.int_] = np.ceil(boxes[:, 2:] - boxes[:, :2]).astype(int)
    return sizes + 2 * _padding(size) + 1


def place_labels(
    boxes_xyxy: NDArray[np.number[Any]], sizes_wh: NDArray[np.int_], frame_wh: tuple[int, int]
) -> NDArray[np.int_]:
    """Choose where each label goes: at its box, inside the frame, on no other label.

    Small boxes choose first, as they have the fewest places. Where every place is taken, the one
    that hides least of the other labels is used.

    Args:
        boxes_xyxy: (N, 4) boxes that the labels belong to.
        sizes_wh: (N, 2) widths and heights of the labels.
        frame_wh: width and height of the picture.

    Returns:
        (N, 2) left upper corners.
    """
    corners = np.zeros((len(boxes_xyxy), 2), int)
    spans = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    placed = np.zeros((0, 4), int)
    for row in np.argsort(spans.prod(axis=1), kind="stable"):
        size = sizes_wh[row]
        places = _places(boxes_xyxy[row], size)
        places = np.maximum(np.minimum(places, np.array(frame_wh) - size), 0)
        low = np.maximum(places[:, None], placed[None, :, :2])
        high = np.minimum(places[:, None] + size, placed[None, :, 2:])
        hidden = np.maximum(high - low, 0).prod(axis=2).sum(axis=1)
        corners[row] = places[np.argmin(hidden)]
        placed = np.vstack([placed, [*corners[row], *(corners[row] + size)]])
    return corners


def _places(box: NDArray[np.number[Any]], size_wh: NDArray[np.int_]) -> NDArray[np.int_]:
    """List (K, 2) corners for a label at a box, best first."""
    (x1, y1, x2, y2), (w, h) = box.astype(int), size_wh
    at_edges = [(x, y) for y in (y1 - h, y1, y2, y2 - h) for x in (x1, x2 - w)]
    beside = [(x, y) for x in (x2, x1 - w) for y in (y1, y2 - h)]
    stacked = [(x, y1 + k * h) for k in range(-4, 9) for x in (x1, x2 - w)]
    return np.array(at_edges + beside + stacked)
