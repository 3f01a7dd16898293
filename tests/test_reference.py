"""The API reference: every module has a page, every public name words, every reference a target."""

import importlib
import inspect
import re
import shlex
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pdoc.doc
import pdoc.extract
import pdoc.render
import pytest

import grounded_ram

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "grounded_ram"
README = (REPOSITORY / "README.md").read_text("utf-8")
GROUPS = {"grounded_ram.exporters"}
"""Of entry points: no modules."""

LEFT_OUT = re.compile(r"grounded_ram\.(__main__|cli)\b")
"""The command, which has ``--help``."""


def command() -> list[str]:
    """Return README's command that builds the reference, word for word."""
    (found,) = re.findall(r"^python -m pdoc .+$", README, re.MULTILINE)
    return shlex.split(found)


def specs() -> list[str]:
    """Return the modules that the command names, as a shell would spread them."""
    words = [word for word in command() if word.startswith(("grounded_ram", "!"))]
    found = ([str(p.relative_to(REPOSITORY)) for p in sorted(REPOSITORY.glob(w))] for w in words)
    return [path for word, paths in zip(words, found, strict=True) for path in paths or [word]]


@pytest.fixture(scope="module")
def modules() -> list[str]:
    """Return the modules that have a page."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of libraries as they are imported
        patch.chdir(REPOSITORY)
        patch.setattr(sys, "path", [*sys.path])  # which pdoc changes
        return pdoc.extract.walk_specs(specs())


def shown(module: ModuleType) -> Iterator[tuple[str, object]]:
    """Yield the classes and functions that a module's page shows, and their methods."""
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", "") != module.__name__:
            continue
        if inspect.isfunction(value) or inspect.isclass(value):
            yield f"{module.__name__}.{name}", value
        if inspect.isclass(value):
            for part, method in vars(value).items():
                is_one = inspect.isfunction(method) or isinstance(method, property | classmethod)
                if is_one and not part.startswith("_"):
                    yield f"{module.__name__}.{name}.{part}", getattr(value, part)


def test_ci_builds_what_readme_says() -> None:
    ci = (REPOSITORY / ".ci" / "run").read_text("utf-8")
    (here,) = [line for line in README.splitlines() if line.startswith("python -m pdoc")]
    assert here.partition("reference ")[2] in ci
    assert "check reference" in ci


def test_every_module_has_a_page(modules: list[str]) -> None:
    files = (f.relative_to(REPOSITORY).with_suffix("") for f in PACKAGE.rglob("*.py"))
    names = {".".join(file.parts).removesuffix(".__init__") for file in files}
    assert set(modules) == {name for name in names if not LEFT_OUT.match(name)}


def test_every_module_class_and_function_has_a_docstring(modules: list[str]) -> None:
    bare = []
    for name in modules:
        module = importlib.import_module(name)
        bare += [what for what, value in ((name, module), *shown(module)) if not value.__doc__]
    assert not bare


def test_the_front_page_shows_every_promised_name() -> None:
    page = pdoc.render.html_module(
        pdoc.doc.Module(grounded_ram), all_modules={"grounded_ram": pdoc.doc.Module(grounded_ram)}
    )
    shown = set(re.findall(r'<section id="([^"]+)">', page))
    assert {name for name in grounded_ram.__all__ if not name.startswith("_")} <= shown


def test_modules_that_docstrings_speak_of_are_there(modules: list[str]) -> None:
    spoken = re.compile(r"`(grounded_ram(?:\.\w+)+)`")
    lost = set()
    for name in modules:
        module = importlib.import_module(name)
        for target in spoken.findall(inspect.getsource(module)):
            if target not in GROUPS and not resolves(target):
                lost.add(f"{name}: {target}")
    assert not lost


def resolves(target: str) -> bool:
    """Tell whether a dotted name leads to a module, or to something in one."""
    found: object = grounded_ram
    so_far = "grounded_ram"
    for part in target.split(".")[1:]:
        so_far += f".{part}"
        try:
            found = importlib.import_module(so_far)
        except ImportError:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
    return True
