"""The house's walls: which room may import which, read from the source of every file."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import grounded_ram

PACKAGE = Path(grounded_ram.__file__).parent

# From the ground up: a room imports only from rooms above it in this list.
ROOMS = (
    "errors",
    "names",
    "plugins",
    "tags",
    "annotation",
    "decoding",
    "images",
    "vocabulary",
    "prompts",
    "stages",
    "rules",
    "run_lengths",
    "presets",
    "registry",
    "cache",
    "disk",
    "transfer",
    "hub",
    "downloads",
    "checkpoints",
    "weights",
    "pretrained",
    "wordpieces",
    "runtime",
    "scenes",
    "ram",
    "tagging",
    "detection",
    "segmentation",
    "merging",
    "cleaning",
    "crops",
    "drafts",
    "backends",
    "trio",
    "exploration",
    "pipeline",
    "overlay",
    "export",
    "autolabel",
    "video",
    "evaluation",
    "benchmark",
    "data_engine",
    "integrations",
    "training",
    "app",
    "cli",
)

# Against that order, each for a reason: (importer, imported) -> how.
DEFERRED = {
    ("annotation", "overlay"): "inside a function",  # Annotation.overlay()
    ("annotation", "export"): "inside a function",  # Annotation.to_coco(), .save()
    ("annotation", "images"): "for types",  # what LoadedImage says of the picture
    ("registry", "export"): "for types",  # find_exporter() returns an Exporter
}

# Stricter than that order.
ONLY = {
    "pipeline": {"ram", "tagging", "detection", "segmentation"},  # it asks registry for them
    "training": {"app"},
}
NOBODY_BUT = {"training": {"cli"}, "app": {"cli"}, "cli": set()}

# These carry plain facts: loading one must not load a large library.
LIGHT = (
    "errors",
    "names",
    "plugins",
    "tags",
    "annotation",
    "rules",
    "presets",
    "registry",
    "cache",
    "disk",
    "hub",
    "downloads",
    "checkpoints",
    "weights",
    "stages",
)
HEAVY = {"torch", "torchvision", "cv2", "supervision", "transformers", "timm", "groundingdino"}


@dataclass(frozen=True)
class Import:
    """One import statement: who, what, how."""

    file: Path
    line: int
    target: str
    how: str  # "at the top", "inside a function" or "for types"

    @property
    def importer(self) -> str:
        return room_of(self.file.relative_to(PACKAGE).with_suffix("").as_posix().split("/")[0])

    @property
    def imported(self) -> str | None:
        parts = self.target.split(".")
        return room_of(parts[1]) if parts[0] == "grounded_ram" and len(parts) > 1 else None

    def __str__(self) -> str:
        return f"{self.file.relative_to(PACKAGE)}:{self.line} imports {self.target} {self.how}"


def room_of(name: str) -> str:
    return "cli" if name == "__main__" else name


def read_imports(file: Path) -> Iterator[Import]:
    tree = ast.parse(file.read_text("utf-8"))
    yield from walk(tree, file, "at the top")


def walk(node: ast.AST, file: Path, how: str) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        inner = how
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            inner = "inside a function"
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            inner = "for types"
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(file, child.lineno, alias.name, how)
        elif isinstance(child, ast.ImportFrom):
            for target in targets(child, file):
                yield Import(file, child.lineno, target, how)
        yield from walk(child, file, inner)


def targets(node: ast.ImportFrom, file: Path) -> list[str]:
    """Return the dotted names that a ``from`` import reads, never the package alone."""
    module = node.module or ""
    if node.level:
        parents = ["grounded_ram", *file.relative_to(PACKAGE).parts[: -node.level]]
        module = ".".join([*parents, module]).rstrip(".")
    if module == "grounded_ram":  # a room, or a public name, which stands for the room it lives in
        names = [alias.name for alias in node.names if alias.name != "__version__"]
        return [f"{module}.{grounded_ram._HOME.get(name, name)}" for name in names]
    return [module]


FILES = sorted(PACKAGE.rglob("*.py"))
IMPORTS = [found for file in FILES for found in read_imports(file)]
OURS = [i for i in IMPORTS if i.imported and i.imported != i.importer and i.importer != "__init__"]


def test_there_is_something_to_read() -> None:
    assert len(FILES) > 20
    assert len(OURS) > 20


def test_every_file_lies_in_a_room_of_the_plan() -> None:
    found = {room_of(file.relative_to(PACKAGE).parts[0].removesuffix(".py")) for file in FILES}
    assert found - {"__init__"} <= set(ROOMS)


def test_every_import_of_ours_names_a_room() -> None:
    assert [str(i) for i in OURS if i.imported not in ROOMS] == []


def test_imports_run_one_way() -> None:
    wrong = [
        str(i)
        for i in OURS
        if ROOMS.index(i.imported or "") > ROOMS.index(i.importer)
        and DEFERRED.get((i.importer, i.imported or "")) != i.how
    ]
    assert wrong == []


def test_the_pipeline_meets_the_networks_only_through_the_registry() -> None:
    assert [str(i) for i in OURS if i.imported in ONLY.get(i.importer, set())] == []


@pytest.mark.parametrize("room", NOBODY_BUT)
def test_some_rooms_are_imported_by_nobody_below(room: str) -> None:
    wrong = [str(i) for i in OURS if i.imported == room and i.importer not in NOBODY_BUT[room]]
    assert wrong == []


def test_the_front_door_loads_only_for_types_and_on_demand() -> None:
    door = [i for i in IMPORTS if i.file == PACKAGE / "__init__.py" and i.how == "at the top"]
    assert {i.target for i in door} <= {"__future__", "importlib", "typing"}


def test_rooms_of_plain_facts_load_no_large_library() -> None:
    wrong = [
        str(i)
        for i in IMPORTS
        if i.importer in LIGHT and i.how == "at the top" and i.target.split(".")[0] in HEAVY
    ]
    assert wrong == []


def test_no_file_opens_a_sub_package_from_its_front_door() -> None:
    """An ``__init__.py`` of a room re-exports nothing: importing one part loads one part."""
    doors = [f for f in FILES if f.name == "__init__.py" and f.parent != PACKAGE]
    wrong = [str(i) for i in IMPORTS if i.file in doors and i.importer != "cli"]
    assert wrong == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import torch", [("torch", "at the top")]),
        ("def f():\n    import torch", [("torch", "inside a function")]),
        (
            "if TYPE_CHECKING:\n    from grounded_ram.images import Image",
            [("grounded_ram.images", "for types")],
        ),
        (
            "class A:\n    def f(self):\n        from grounded_ram import overlay",
            [("grounded_ram.overlay", "inside a function")],
        ),
        (
            "from grounded_ram import GroundedRAM, __version__",
            [("grounded_ram.pipeline", "at the top")],
        ),
        ("from ..errors import InputError", [("grounded_ram.errors", "at the top")]),
        ("from . import model", [("grounded_ram.ram", "at the top")]),
        ("try:\n    import cv2\nexcept ImportError:\n    pass", [("cv2", "at the top")]),
    ],
)
def test_the_reader_sees_every_kind_of_import(
    code: str, expected: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    file = tmp_path / "ram" / "part.py"
    file.parent.mkdir()
    file.write_text(code)
    assert [(i.target, i.how) for i in read_imports(file)] == expected
