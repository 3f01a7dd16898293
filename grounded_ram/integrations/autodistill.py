"""autodistill: GroundedRAM as a base model, which labels a folder for a smaller model to learn.

    from autodistill.detection import CaptionOntology
    from grounded_ram.integrations.autodistill import AutodistillModel

    base = AutodistillModel(CaptionOntology({"shipping container": "container"}))
    base.label("images", extension=".jpg")  # images_labeled/data.yaml, train/, valid/

Without an ontology the classes are what RAM sees: see ``label``.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
import supervision as sv
import yaml

from grounded_ram.annotation import Annotation, Tags
from grounded_ram.autolabel.exports import write_format
from grounded_ram.autolabel.run import label_dataset
from grounded_ram.errors import InputError
from grounded_ram.export.dataset import Dataset, key_of
from grounded_ram.export.exporter import MaskFormat
from grounded_ram.export.files import replacing
from grounded_ram.export.pictures import Pictures
from grounded_ram.export.places import Places
from grounded_ram.export.splits import split
from grounded_ram.export.yolo import export_yolo_segment
from grounded_ram.images import ImageSource
from grounded_ram.integrations.bases import inherit, needed
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.presets import Preset

_INSTALL = (
    "pip install autodistill roboflow scikit-learn, in an environment of its own: roboflow brings "
    "another OpenCV"
)

SHARES = {"train": 0.8, "valid": 0.2}
"""How much of a folder is for training, and how much for validation, as autodistill has it."""

RUN = "run"
"""The folder, in that of the dataset, where ``label`` keeps what it has done."""

_LOG = logging.getLogger(__name__)


class _AutodistillModel:
    """A ``DetectionBaseModel`` of autodistill: tags or your prompts, boxes and masks.

    Args:
        ontology: what to look for, prompt by prompt, and the class of each; None looks for what RAM
            sees.
        model: a GroundedRAM, or the preset that makes one.

    Raises:
        InputError: a prompt is no text.
        UnknownNameError: no such preset.
    """

    def __init__(
        self, ontology: Any = None, *, model: GroundedRAM | str | Preset | None = None
    ) -> None:
        self.ontology = ontology
        self.model = model if isinstance(model, GroundedRAM) else GroundedRAM(model)
        self._prompts()

    def predict(self, input: ImageSource) -> sv.Detections:
        """Find the objects of one image.

        Args:
            input: a path, a BGR array, a PIL image, or whatever ``GroundedRAM.annotate`` takes.

        Returns:
            ``sv.Detections`` as ``Annotation`` has them. ``class_id`` is the place of the class in
            ``ontology.classes()``, the first one where several prompts share it; without an
            ontology the row in the tags of this image. ``data["class_name"]`` is its name.
        """
        annotation = self.model.annotate(input, tags=self._prompts())
        if self.ontology is None:
            return annotation.detections
        found = _as_classes(annotation, self._classes()).detections
        places = list(self.ontology.classes())
        ids = [places.index(str(name)) for name in found.data["class_name"]]
        return replace(found, class_id=np.array(ids, int))

    def label(
        self,
        input_folder: str,
        extension: str = ".jpg",
        output_folder: str | None = None,
        *,
        human_in_the_loop: bool = False,
        roboflow_project: str | None = None,
        roboflow_tags: Sequence[str] = ("autodistill",),
        sahi: bool = False,
        record_confidence: bool = False,
        nms_settings: str = "no_nms",
    ) -> sv.DetectionDataset:
        """Label a folder as a YOLO dataset in autodistill's layout; called again, go on.

        The work is ``autolabel.run.label_dataset``: one image at a time is in memory, what is done
        is written down in the folder ``run`` there, and an image that cannot be read is left out
        and named in the log. Unlike autodistill's own ``label`` it keeps objects of several parts
        of which each is smaller than a hundredth of the image, and the files as they are; it splits
        them in the same way each time, and takes sub-folders along. Files that were edited by hand
        stay: the new ones then go into ``OUTPUT_FOLDER-2``.

        Args:
            input_folder: where the images are.
            extension: what their names end in, in capitals or not; "" takes all images.
            output_folder: must lie outside of that; None means ``INPUT_FOLDER_labeled``.
            human_in_the_loop: cannot be had: upload the folder yourself.
            roboflow_project: for that.
            roboflow_tags: for that.
            sahi: cannot be had: ``sahi_predict`` cuts single images.
            record_confidence: write the box scores of each label file beside it.
            nms_settings: changes nothing: one object never gets two labels.

        Returns:
            ``sv.DetectionDataset``. Its classes are those of data.yaml: with an ontology its
            classes in their order, each once; without one the names found, sorted.

        Raises:
            InputError: there is no such image, none could be labelled, or something cannot be had.
        """
        if human_in_the_loop or sahi:
            raise InputError(
                "label: human_in_the_loop and sahi are not supported; upload the labelled folder "
                "with roboflow's own upload_dataset, cut large images with sahi_predict"
            )
        folder, output = _places(input_folder, output_folder)
        dataset = self._labelled(_source(folder, extension), output / RUN)
        export = partial(_export, record_confidence=record_confidence)
        written = write_format(dataset, export, output, pictures="copy")
        _LOG.info("wrote %s", written.folder)
        return _supervision(dataset)

    def _labelled(self, source: str, folder: Path) -> Dataset:
        """Label what is not labelled yet, and deal all of it out to the splits."""
        run = label_dataset(self.model, [source], folder, tags=self._prompts())
        dataset = self._named(run.dataset())
        failures = run.failures()
        for name, reason in failures:
            _LOG.warning("not labelled: %s: %s", name, reason)
        if not len(dataset):
            first = ": ".join(failures[0])
            raise InputError(f"none of the {len(failures)} images could be labelled: {first}")
        return replace(dataset, splits=split(dataset, SHARES))

    def _prompts(self) -> list[str] | None:
        return None if self.ontology is None else list(self._classes())

    def _classes(self) -> Mapping[str, str]:
        """Return the class of each prompt."""
        prompts, classes = self.ontology.prompts(), self.ontology.classes()
        if wrong := [one for one in prompts if not isinstance(one, str)]:
            raise InputError(f"ontology: expected prompts of text, got {type(wrong[0]).__name__}")
        return dict(zip(prompts, map(str, classes), strict=True))

    def _named(self, dataset: Dataset) -> Dataset:
        if self.ontology is None:
            return dataset
        classes = self._classes()
        names = dict.fromkeys(classes.values())
        named = Dataset.reading(lambda: (_as_classes(one, classes) for one in dataset))
        return replace(named, kinds=dict.fromkeys(names, "object"))


def _as_classes(annotation: Annotation, classes: Mapping[str, str]) -> Annotation:
    """Call what was found for a prompt by the class of the prompt."""
    names = tuple(dict.fromkeys(classes.values()))
    found = annotation.detections
    called = [classes[str(name)] for name in found.data["class_name"]]
    detections = replace(
        found,
        class_id=np.array([names.index(name) for name in called], int),
        data={**found.data, "class_name": np.array(called, str)},
    )
    return replace(
        annotation, tags=Tags.of(names), detections=detections, ungrounded={}, rejected=()
    )


def _places(input_folder: str, output_folder: str | None) -> tuple[Path, Path]:
    folder = Path(input_folder).expanduser()
    if not folder.is_dir():
        raise InputError(f"input_folder: there is no folder {str(folder)!r}")
    output = Path(output_folder or f"{folder}_labeled").expanduser()
    if output.resolve().is_relative_to(folder.resolve()):
        raise InputError(
            f"output_folder: {str(output)!r} lies in the input folder, where its copies would be "
            "labelled too; choose one beside it"
        )
    return folder, output


def _source(folder: Path, extension: str) -> str:
    """Return a source of the images whose names end in a certain way, whatever the case."""
    if not extension:
        return str(folder)
    wanted = extension.lower()
    endings = Counter(path.suffix for path in folder.rglob("*") if path.is_file())
    if not any(path.name.lower().endswith(wanted) for path in folder.rglob("*")):
        there = ", ".join(f"{number} x {name or 'none'}" for name, number in endings.most_common(5))
        raise InputError(
            f"extension: no file in {str(folder)!r} ends in {extension!r}; endings there: "
            f"{there or 'no files at all'}; extension='' takes all images"
        )
    any_case = "".join(f"[{one}{one.upper()}]" if one.isalpha() else escape(one) for one in wanted)
    return str(Path(escape(str(folder.absolute())), "**", f"*{any_case}"))


def _export(
    dataset: Dataset,
    folder: Path,
    *,
    masks: MaskFormat = "rle",
    pictures: Pictures = "copy",
    record_confidence: bool = False,
) -> None:
    """Write train/images, train/labels, valid/... and data.yaml; an ``Exporter``."""
    export_yolo_segment(dataset, folder, masks=masks, pictures=pictures)
    for name in SHARES:
        for part in ("images", "labels"):
            (folder / name / part).mkdir(parents=True)
            if (folder / part / name).is_dir():
                (folder / part / name).rename(folder / name / part)
    for part in ("images", "labels"):
        (folder / part).rmdir()
    if record_confidence:
        _write_confidence(dataset, folder)
    names = list(dataset.classes)
    # Where so few images are there that none is for validation, a trainer still wants some.
    val = "valid" if "valid" in dataset.split_names else "train"
    told = {"train": "train/images", "val": f"{val}/images", "nc": len(names), "names": names}
    with replacing(folder / "data.yaml") as file:
        file.write(yaml.safe_dump(told, allow_unicode=True, sort_keys=False).encode())


def _write_confidence(dataset: Dataset, folder: Path) -> None:
    """Write the box scores of each label file, a line an object, as autodistill names them."""
    places = {name: Places(reserved={"images"}) for name in SHARES}  # as the export has them
    for annotation in dataset:
        name = dataset.split_of(annotation)
        place = places[name].of(key_of(annotation.image))
        found = annotation.detections
        areas, values = annotation.masks.area, np.asarray(found.confidence).tolist()
        kept = [str(value) for value, area in zip(values, areas, strict=True) if area]
        path = (folder / name / "labels" / place).with_name(f"confidence-{place.stem}.txt")
        path.write_text("".join(f"{one}\n" for one in kept), "utf-8")


def _supervision(dataset: Dataset) -> sv.DetectionDataset:
    numbers = {name: number for number, name in enumerate(dataset.classes)}
    found = {}
    for annotation in dataset:
        names = annotation.detections.data["class_name"]
        ids = np.array([numbers[str(name)] for name in names], int)
        found[str(annotation.image.path)] = replace(annotation.detections, class_id=ids)
    return sv.DetectionDataset(list(dataset.classes), list(found), found)


def __getattr__(name: str) -> Any:
    """Make ``AutodistillModel`` on its first use: its base is autodistill's."""
    if name != "AutodistillModel":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    detection = needed("autodistill.detection", what=name, install=_INSTALL)
    globals()[name] = found = inherit(_AutodistillModel, [detection.DetectionBaseModel], name)
    return found
