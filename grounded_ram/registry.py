"""Backends and exporters by name: ours from a table, others' from entry points; all imported late.

A package adds an adapter by an entry point in the group of its stage, whose name is the adapter's
and whose value is "module:attribute"; the attribute is called as
``factory(checkpoint, *, device, dtype)`` and returns an object with the one method of its stage.
It adds a format by an entry point in ``grounded_ram.exporters``: see ``export.exporter.Exporter``.
``examples/plugin`` is such a package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from grounded_ram import plugins
from grounded_ram.errors import MissingDependencyError
from grounded_ram.names import split_backend, unknown_name

if TYPE_CHECKING:
    from grounded_ram.export.exporter import Exporter
    from grounded_ram.stages import Detector, Segmenter, Tagger

Stage: TypeAlias = Literal["tagger", "detector", "segmenter"]

BUILTIN: Mapping[Stage, Mapping[str, str]] = {
    "tagger": {
        "ram": "grounded_ram.tagging.ram:load_ram",
        "ram-captions": "grounded_ram.tagging.captions:load_ram_captioner",
        "ram-plus": "grounded_ram.tagging.ram_plus:load_ram_plus",
        "tag2text": "grounded_ram.tagging.tag2text:load_tag2text",
    },
    "detector": {
        "grounding-dino": "grounded_ram.detection.grounding_dino:load_grounding_dino",
        "sam3": "grounded_ram.segmentation.sam3:load_sam3",
        "transformers": "grounded_ram.detection.transformers:load_transformers",
    },
    "segmenter": {
        "edgetam": "grounded_ram.segmentation.sam2:load_edgetam",
        "sam": "grounded_ram.segmentation.sam:load_sam",
        "sam-hq": "grounded_ram.segmentation.sam_hq:load_sam_hq",
        "sam2": "grounded_ram.segmentation.sam2:load_sam2",
        "sam3": "grounded_ram.segmentation.sam3:load_sam3",
    },
}
"""Our own adapters: the factory of each, by stage and name."""

GROUPS: Mapping[Stage, str] = {stage: f"grounded_ram.{stage}s" for stage in BUILTIN}
"""The entry-point group of each stage."""

EXPORTERS: Mapping[str, str] = {
    "coco": "grounded_ram.export.coco:export_coco",
    "coco-captions": "grounded_ram.export.image_level:export_captions",
    "coco-tags": "grounded_ram.export.image_level:export_tags",
    "csv": "grounded_ram.export.table:export_table",
    "cvat": "grounded_ram.export.cvat:export_cvat",
    "fiftyone": "grounded_ram.export.fiftyone:export_fiftyone",
    "label-studio": "grounded_ram.export.label_studio:export_label_studio",
    "labelme": "grounded_ram.export.labelme:export_labelme",
    "overlays": "grounded_ram.export.overlays:export_overlays",
    "panoptic": "grounded_ram.export.panoptic:export_panoptic",
    "parquet": "grounded_ram.export.parquet:export_parquet",
    "voc": "grounded_ram.export.voc:export_voc",
    "yolo": "grounded_ram.export.yolo:export_yolo_segment",
    "yolo-detect": "grounded_ram.export.yolo:export_yolo_detect",
}
"""Our own formats: the exporter of each by name."""

EXPORTER_GROUP = "grounded_ram.exporters"


def adapters(stage: Stage) -> dict[str, str]:
    """Return "module:attribute" of every adapter of a stage by name; import none of them."""
    return _names(BUILTIN[stage], GROUPS[stage])


def exporters() -> dict[str, str]:
    """Return "module:attribute" of every exporter by the name of its format; import none."""
    return _names(EXPORTERS, EXPORTER_GROUP)


@overload
def find_factory(stage: Literal["tagger"], name: str) -> Callable[..., Tagger]: ...
@overload
def find_factory(stage: Literal["detector"], name: str) -> Callable[..., Detector]: ...
@overload
def find_factory(stage: Literal["segmenter"], name: str) -> Callable[..., Segmenter]: ...


def find_factory(stage: Stage, name: str) -> Callable[..., Any]:
    """Return the factory of the adapter in a backend name such as "sam:vit-b"; import nothing else.

    Raises:
        InputError: the name is not "adapter:checkpoint".
        UnknownNameError: the stage has no such adapter.
        MissingDependencyError: the adapter cannot be imported; the message says why.
    """
    adapter, _ = split_backend(name)
    factory: Callable[..., Any] = _find(f"{stage} adapter", adapter, BUILTIN[stage], GROUPS[stage])
    return factory


def find_exporter(name: str) -> Exporter:
    """Return the exporter of a format.

    Raises:
        UnknownNameError: no exporter has that name.
        MissingDependencyError: it cannot be imported; the message says why.
    """
    exporter: Exporter = _find("format", name, EXPORTERS, EXPORTER_GROUP)
    return exporter


def _names(ours: Mapping[str, str], group: str) -> dict[str, str]:
    added = {name: point.value for name, point in plugins.installed(group).items()}
    return added | dict(ours)  # ours win: a plug-in replaces none of them silently


def _find(what: str, name: str, ours: Mapping[str, str], group: str) -> Any:
    """Import what a name stands for."""
    if name in ours:
        try:
            return resolve_name(ours[name])
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                f"{what} {name!r} needs the module {error.name!r}; "
                "install the package that brings it"
            ) from error
    added = plugins.installed(group)
    if name not in added:
        raise unknown_name(what, name, [*ours, *added])
    return plugins.load(added[name])
