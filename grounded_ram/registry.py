"""Backends by name: ours from a table, others from entry points; only what is used is imported.

A package adds an adapter by an entry point in the group of its stage, whose name is the adapter's
and whose value is "module:attribute"; the attribute is called as
``factory(checkpoint, *, device, dtype)`` and returns an object with the one method of its stage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from grounded_ram.errors import MissingDependencyError
from grounded_ram.names import split_backend, unknown_name

if TYPE_CHECKING:
    from grounded_ram.stages import Detector, Segmenter, Tagger

Stage: TypeAlias = Literal["tagger", "detector", "segmenter"]

BUILTIN: Mapping[Stage, Mapping[str, str]] = {
    "tagger": {"ram": "grounded_ram.tagging.ram:load_ram"},
    "detector": {"grounding-dino": "grounded_ram.detection.grounding_dino:load_grounding_dino"},
    "segmenter": {"sam": "grounded_ram.segmentation.sam:load_sam"},
}
"""Our own adapters: the factory of each, by stage and name."""

GROUPS: Mapping[Stage, str] = {stage: f"grounded_ram.{stage}s" for stage in BUILTIN}
"""The entry-point group of each stage."""


def adapters(stage: Stage) -> dict[str, str]:
    """Return "module:attribute" of every adapter of a stage by name; import none of them."""
    installed = {point.name: point.value for point in entry_points(group=GROUPS[stage])}
    return installed | dict(BUILTIN[stage])  # ours win: a plug-in replaces none of them silently


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
        MissingDependencyError: the adapter needs a library that is not installed.
    """
    adapter, _ = split_backend(name)
    table = adapters(stage)
    if adapter not in table:
        raise unknown_name(f"{stage} adapter", adapter, table)
    try:
        factory: Callable[..., Any] = resolve_name(table[adapter])
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"{stage} {adapter!r} ({table[adapter]}) needs the module {error.name!r}; "
            "install the package that brings it"
        ) from error
    return factory
