"""Pascal VOC datasets: boxes, one XML file a picture.

```text
Annotations/FOLDER/NAME.xml       the objects of a picture
JPEGImages/FOLDER/NAME.jpg        the pictures, in the format they have; torchvision wants .jpg
ImageSets/Main/SPLIT.txt          the pictures of each split, without endings
labelmap.txt                      the classes, for datumaro and CVAT; the devkit has no such file
```

Boxes are tight around the masks, in whole pixels counted from 1, right and lower side included, as
the devkit says. Objects with an empty mask are left out. Masks are not written: the devkit's
pictures of them have no room for two objects in one place.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element

from grounded_ram.annotation import Annotation
from grounded_ram.export import shapes
from grounded_ram.export.columns import scores
from grounded_ram.export.dataset import Dataset, key_of
from grounded_ram.export.exporter import MaskFormat
from grounded_ram.export.files import replacing
from grounded_ram.export.markup import child, encode
from grounded_ram.export.pictures import Pictures, place
from grounded_ram.export.places import Places


def export_voc(
    dataset: Dataset, folder: Path, *, masks: MaskFormat = "rle", pictures: Pictures = "link"
) -> None:
    """Write one XML file for each picture; see ``export.exporter.Exporter``.

    ``masks`` has no meaning here.
    """
    splits = dataset.split_names or ("train",)
    places = Places()
    with ExitStack() as stack:
        lists = {
            split: stack.enter_context(replacing(folder / "ImageSets" / "Main" / f"{split}.txt"))
            for split in splits
        }
        for annotation in dataset:
            name = places.of(key_of(annotation.image))
            place(annotation.image, folder / "JPEGImages" / name, pictures)
            with replacing((folder / "Annotations" / name).with_suffix(".xml")) as file:
                file.write(encode(_page(annotation, name)))
            line = f"{name.with_suffix('')}\n"
            lists[dataset.split_of(annotation)].write(line.encode())
    with replacing(folder / "labelmap.txt") as file:
        file.write(b"# name:color:parts:actions\n")
        # A colon parts the columns; there is no way to write one in a name.
        file.writelines(f"{name}:::\n".encode() for name in dataset.classes if ":" not in name)


def _page(annotation: Annotation, name: PurePosixPath) -> Element:
    height, width = annotation.image.size_hw
    page = Element("annotation")
    child(page, "folder", "JPEGImages")
    child(page, "filename", name)
    child(child(page, "source"), "database", "grounded-ram")
    size = child(page, "size")
    for key, value in (("width", width), ("height", height), ("depth", 3)):
        child(size, key, value)
    child(page, "segmented", 0)
    for row in range(len(annotation.detections)):
        _add_object(page, annotation, row)
    return page


def _add_object(page: Element, annotation: Annotation, row: int) -> None:
    region = shapes.region_of(annotation.masks, row)
    if region is None:
        return
    item = child(page, "object")
    child(item, "name", annotation.detections.data["class_name"][row])
    child(item, "pose", "Unspecified")
    for key in ("truncated", "difficult"):
        child(item, key, 0)
    x, y, width, height = (int(side) for side in shapes.bbox_xywh(region))
    box = child(item, "bndbox")
    corners = {"xmin": x + 1, "ymin": y + 1, "xmax": x + width, "ymax": y + height}
    for key, value in corners.items():
        child(box, key, value)
    attributes = child(item, "attributes")
    for key, told in scores(annotation, row).items():
        if isinstance(told, float):
            attribute = child(attributes, "attribute")
            child(attribute, "name", key)
            child(attribute, "value", told)
