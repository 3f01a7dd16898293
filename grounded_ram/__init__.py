"""Tags, boxes and masks for any picture with no class list: RAM, Grounding-DINO, SAM in one call.

    from grounded_ram import GroundedRAM

    annotation = GroundedRAM().annotate("street.jpg")

Importing this package loads none of the large libraries beneath it: each public name is loaded
from its module when it is first asked for.

Programs that need more find it in these modules:

- `grounded_ram.pipeline`, `grounded_ram.annotation`: the model, and what it says of a picture
- `grounded_ram.rules`, `grounded_ram.vocabulary.edits`: which boxes become labels, under what names
- `grounded_ram.stages`, `grounded_ram.backends`: what a tagger, detector or segmenter of yours does
- `grounded_ram.autolabel.run`, `grounded_ram.autolabel.run_folder`: label a dataset, read the run
- `grounded_ram.export.exporter`, `grounded_ram.export.dataset`: write it, and formats of your own
- `grounded_ram.evaluation.comparison`, `grounded_ram.evaluation.calibration`: how good labels are
- `grounded_ram.training.tagger`, `grounded_ram.training.rounds`: train, and RAM's data engine
- `grounded_ram.data_engine.reading.sources`: pictures with tags or captions, to learn from
- `grounded_ram.tagging.retrieval`: find pictures by text
- `grounded_ram.checkpoints`, `grounded_ram.downloads`: weights
- `grounded_ram.errors`: what can go wrong
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grounded_ram.annotation import Annotation, Tags
    from grounded_ram.errors import (
        GroundedRAMError,
        InputError,
        MissingDependencyError,
        UnknownNameError,
        WeightsError,
    )
    from grounded_ram.export.coco import to_coco
    from grounded_ram.images import load_image
    from grounded_ram.pipeline import GroundedRAM
    from grounded_ram.presets import PRESETS, Preset

    __version__: str

__all__ = [
    "PRESETS",
    "Annotation",
    "GroundedRAM",
    "GroundedRAMError",
    "InputError",
    "MissingDependencyError",
    "Preset",
    "Tags",
    "UnknownNameError",
    "WeightsError",
    "__version__",
    "load_image",
    "to_coco",
]

_HOME = {
    "Annotation": "annotation",
    "GroundedRAM": "pipeline",
    "GroundedRAMError": "errors",
    "InputError": "errors",
    "MissingDependencyError": "errors",
    "PRESETS": "presets",
    "Preset": "presets",
    "Tags": "annotation",
    "UnknownNameError": "errors",
    "WeightsError": "errors",
    "load_image": "images",
    "to_coco": "export.coco",
}


def __getattr__(name: str) -> object:
    """Load a public name from its module on first use."""
    if name == "__version__":
        value: object = _installed_version()
    elif name in _HOME:
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def _installed_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("grounded-ram")
    except PackageNotFoundError:  # read from a folder that nobody installed
        return "0+not.installed"
