from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType

import pytest

from grounded_ram import MissingDependencyError
from grounded_ram.integrations.bases import inherit

HOMES = {"autodistill": "AutodistillModel", "fiftyone": "FiftyOneModel"}


def loaded_anew(name: str) -> ModuleType:
    spec = find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("tool", "name"), HOMES.items())
def test_without_the_tool_its_class_says_what_to_install(
    tool: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, tool, None)  # as if it were not installed
    module = loaded_anew(f"grounded_ram.integrations.{tool}")
    assert name not in vars(module)
    with pytest.raises(MissingDependencyError, match=f"{name} needs {tool}.*pip install {tool}"):
        getattr(module, name)
    with pytest.raises(AttributeError, match="Nothing"):
        module.Nothing  # noqa: B018


@pytest.mark.parametrize(("tool", "name"), HOMES.items())
def test_the_class_is_made_once_and_is_one_of_the_tools_own(
    tool: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = type("Base", (), {"predict": lambda self: "theirs", "more": lambda self: "more"})
    for path, attribute in (
        ("autodistill.detection", "DetectionBaseModel"),
        ("fiftyone.core.models", "Model"),
    ):
        parent, stand_in = ModuleType(path.partition(".")[0]), ModuleType(path)
        setattr(stand_in, attribute, theirs)
        monkeypatch.setitem(sys.modules, parent.__name__, parent)
        monkeypatch.setitem(sys.modules, path.rpartition(".")[0], parent)
        monkeypatch.setitem(sys.modules, path, stand_in)
    module = import_module(f"grounded_ram.integrations.{tool}")
    try:
        made = getattr(module, name)
        assert issubclass(made, theirs)
        assert getattr(module, name) is made
        assert (made.__module__, made.__qualname__) == (module.__name__, name)
        assert made.predict is not theirs.predict
        assert made.more is theirs.more
        assert made.__doc__
    finally:
        vars(module).pop(name, None)


def test_where_both_have_a_method_ours_is_used() -> None:
    ours = type("Ours", (), {"say": lambda self: "ours"})
    theirs = type("Theirs", (), {"say": lambda self: "theirs", "other": lambda self: "other"})
    made = inherit(ours, [theirs], "Made")()
    assert (made.say(), made.other()) == ("ours", "other")
