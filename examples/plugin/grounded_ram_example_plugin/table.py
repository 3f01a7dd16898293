"""One CSV line an object: for a spreadsheet, or for counting."""

import csv
import io
from pathlib import Path

from grounded_ram.export.dataset import Dataset, key_of
from grounded_ram.export.files import replacing

HEADINGS = ("image", "name", "score", "x1", "y1", "x2", "y2", "mask_pixels")


def export_table(
    dataset: Dataset, folder: Path, *, masks: str = "rle", pictures: str = "link"
) -> None:
    """Write objects.csv; shapes and pictures are left out."""
    with replacing(folder / "objects.csv") as file:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        table = csv.writer(text)
        table.writerow(HEADINGS)
        for annotation in dataset:
            found = annotation.detections
            for row, name in enumerate(found.data["class_name"]):
                box = [round(float(side), 1) for side in found.xyxy[row]]
                score = round(float(found.confidence[row]), 4)
                pixels = int(annotation.masks.area[row])
                table.writerow([key_of(annotation.image), name, score, *box, pixels])
        text.detach()  # writes what is left; replacing() closes the file
