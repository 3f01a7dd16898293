import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from grounded_ram.errors import InputError, MissingDependencyError, UnknownNameError
from grounded_ram.registry import (
    BUILTIN,
    EXPORTER_GROUP,
    EXPORTERS,
    GROUPS,
    Stage,
    adapters,
    exporters,
    find_exporter,
    find_factory,
)

ADAPTERS = [(stage, name) for stage, table in BUILTIN.items() for name in table]


def install(folder: Path, entry_points: str) -> None:
    """Lay out an installed package whose metadata has these entry points."""
    metadata = folder / "plug_in-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: plug-in\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(entry_points)


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with a detector, a broken tagger, and a name that is already ours."""
    install(
        tmp_path,
        "[grounded_ram.detectors]\n"
        "spotter = grounded_ram_plug_in:make_spotter\n"
        "grounding-dino = grounded_ram_plug_in:make_impostor\n"
        "[grounded_ram.exporters]\n"
        "list = grounded_ram_plug_in:export_list\n"
        "coco = grounded_ram_plug_in:make_impostor\n"
        "[grounded_ram.taggers]\n"
        "broken = grounded_ram_plug_in_that_is_not_there:make\n",
    )
    code = (
        "def make_spotter(checkpoint, *, device, dtype):\n    return 'a spotter'\n"
        "export_list = list\n"
    )
    (tmp_path / "grounded_ram_plug_in.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("stage", "name"), ADAPTERS)
def test_every_adapter_of_ours_resolves_to_something_callable(stage: Stage, name: str) -> None:
    factory = find_factory(stage, f"{name}:anything")  # type: ignore[call-overload]
    assert callable(factory)


@pytest.mark.parametrize("stage", list(BUILTIN))
def test_an_unknown_adapter_lists_the_known_ones(stage: Stage) -> None:
    known = next(iter(BUILTIN[stage]))
    with pytest.raises(UnknownNameError, match=rf"unknown {stage} adapter 'nobody'.*{known}"):
        find_factory(stage, "nobody:tiny")  # type: ignore[call-overload]


def test_a_near_miss_is_answered_with_the_right_name() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'grounding-dino'"):
        find_factory("detector", "groundingdino:tiny")


def test_a_name_without_a_checkpoint_is_refused() -> None:
    with pytest.raises(InputError, match="adapter:checkpoint"):
        find_factory("segmenter", "sam")


def test_a_plug_in_is_found_by_its_entry_point(plug_in: Path) -> None:
    assert find_factory("detector", "spotter:any")(None, device=None, dtype=None) == "a spotter"


def test_a_plug_in_does_not_replace_a_builtin(plug_in: Path) -> None:
    assert adapters("detector")["grounding-dino"] == BUILTIN["detector"]["grounding-dino"]


def test_one_broken_plug_in_stops_only_those_who_ask_for_it(plug_in: Path) -> None:
    assert "broken" in adapters("tagger")
    assert callable(find_factory("detector", "spotter:any"))
    with pytest.raises(MissingDependencyError, match="plug_in_that_is_not_there"):
        find_factory("tagger", "broken:any")


@pytest.mark.parametrize("name", EXPORTERS)
def test_every_exporter_of_ours_resolves_to_something_callable(name: str) -> None:
    assert callable(find_exporter(name))


def test_a_plug_in_adds_a_format_and_replaces_none(plug_in: Path) -> None:
    assert find_exporter("list") is list
    assert exporters() == {**EXPORTERS, "list": "grounded_ram_plug_in:export_list"}


def test_an_unknown_format_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown format 'cocoo'; did you mean 'coco'"):
        find_exporter("cocoo")


def test_groups_have_the_names_that_the_documentation_promises() -> None:
    assert sorted([*GROUPS.values(), EXPORTER_GROUP]) == [
        "grounded_ram.detectors",
        "grounded_ram.exporters",
        "grounded_ram.segmenters",
        "grounded_ram.taggers",
    ]
    assert EntryPoint("x", "m:a", GROUPS["tagger"]).group == "grounded_ram.taggers"


def test_listing_adapters_imports_no_network() -> None:
    code = (
        "import sys; from grounded_ram.registry import adapters; adapters('detector'); "
        "print(sorted({'torch', 'groundingdino', 'grounded_ram.detection'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
