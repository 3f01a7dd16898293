"""One CSV line an object: for a spreadsheet, or for counting."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grounded_ram.annotation import Annotation
from grounded_ram.export.exporter import Add
from grounded_ram.export.files import replacing

HEADINGS = ("image", "name", "score", "x1", "y1", "x2", "y2", "mask_pixels")


@contextmanager
def export_csv(folder: Path, *, root: Path | None = None, masks: str = "rle") -> Iterator[Add]:
    """Write objects.csv; the shapes themselves are left out."""
    with replacing(folder / "objects.csv") as file:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        table = csv.writer(text)
        table.writerow(HEADINGS)

        def add(annotation: Annotation) -> None:
            found = annotation.detections
            for row, name in enumerate(found.data["class_name"]):
                box = [round(float(side), 1) for side in found.xyxy[row]]
                score = round(float(found.confidence[row]), 4)
                pixels = int(annotation.masks.area[row])
                table.writerow([annotation.image.name, name, score, *box, pixels])

        yield add
        text.detach()  # writes what is left; replacing() closes the file
