import re
import subprocess
import sys
from pathlib import Path

import pytest

import grounded_ram

# What users may import. Changing this list is a change that CHANGELOG.md must tell.
PUBLIC = {
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
}


def test_all_is_exactly_the_promised_list() -> None:
    assert len(grounded_ram.__all__) == len(PUBLIC)
    assert set(grounded_ram.__all__) == PUBLIC
    assert set(dir(grounded_ram)) == PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC - {"__version__", "PRESETS"}))
def test_every_name_is_the_one_its_module_defines(name: str) -> None:
    assert getattr(grounded_ram, name).__name__ == name


def test_every_error_is_a_grounded_ram_error() -> None:
    errors = [getattr(grounded_ram, name) for name in PUBLIC if name.endswith("Error")]
    assert len(errors) == 5
    assert all(issubclass(error, grounded_ram.GroundedRAMError) for error in errors)


def test_the_version_is_the_projects() -> None:
    project = (Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8")
    version = re.search(r'^version = "(.+)"$', project, re.MULTILINE)
    assert version
    assert grounded_ram.__version__ in {version[1], "0+not.installed"}


def test_a_name_that_is_not_there_is_an_ordinary_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'GroundedRam'"):
        grounded_ram.GroundedRam  # type: ignore[attr-defined]  # noqa: B018


def test_import_is_light() -> None:
    """A fresh process: the large libraries are not loaded, and 0.3 s of CPU are not used up."""
    code = (
        "import sys, time; before = time.process_time(); import grounded_ram; "
        "spent = time.process_time() - before; "
        "print(spent, *(m for m in ('torch', 'cv2', 'supervision', 'numpy') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, *loaded = done.stdout.split()
    assert loaded == []
    assert float(seconds) < 0.3
