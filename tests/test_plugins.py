import os
import subprocess
import sys
from pathlib import Path

import pytest

from grounded_ram import plugins
from grounded_ram.errors import MissingDependencyError

GROUP = "grounded_ram.taggers"


def package(folder: Path, name: str, entry_points: str, code: str = "") -> None:
    """Lay out an installed package with one module of its own name."""
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\n{entry_points}")
    (folder / f"{name}.py").write_text(code)


def test_a_package_with_damaged_metadata_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(tmp_path, "damaged_plug_in", "this line has no value\n")
    package(tmp_path, "sound_plug_in", "sound = sound_plug_in:make\n", "make = dict")
    monkeypatch.syspath_prepend(tmp_path)
    found = plugins.installed(GROUP)
    assert "sound" in found
    assert plugins.load(found["sound"]) is dict


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import a_module_that_is_not_there", "a_module_that_is_not_there"),
        ("def make(:", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("", "AttributeError"),
    ],
)
def test_a_broken_package_says_which_it_is_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    package(tmp_path, "broken_plug_in", "broken = broken_plug_in:make\n", code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_plug_in", raising=False)
    point = plugins.installed(GROUP)["broken"]
    with pytest.raises(MissingDependencyError, match=rf"(?s)'broken_plug_in'.*{reason}"):
        plugins.load(point)


def test_of_two_packages_with_one_name_the_first_on_the_path_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("plug_in_b", "plug_in_a"):
        package(tmp_path / name, name, f"same = {name}:make\n")
        monkeypatch.syspath_prepend(tmp_path / name)
    assert plugins.installed(GROUP)["same"].value == "plug_in_a:make"


EXAMPLE = Path(__file__).parents[1] / "examples" / "plugin"

USE_IT = """
import sys
from pathlib import Path
from grounded_ram import GroundedRAM
from grounded_ram.export.dataset import Dataset
from grounded_ram.registry import find_exporter
from grounded_ram.scenes.scene import make_scene

scene = make_scene(4)
model = GroundedRAM("tiny", segmenter="grabcut:opencv")
annotation = model.annotate(scene.image, color="rgb", tags=[thing.name for thing in scene.objects])
find_exporter("table")(Dataset.of([annotation]), Path(sys.argv[1]))
print(len(annotation.detections), annotation.masks.area.min(), annotation.run["segmenter"]["name"])
"""


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that examples/plugin was installed into, as pip does it."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    package = source / "grounded_ram_example_plugin"
    package.mkdir(parents=True)
    for path in EXAMPLE.rglob("*"):  # building leaves files beside the source
        if path.suffix in {".py", ".toml", ".md"}:
            (source / path.relative_to(EXAMPLE)).write_bytes(path.read_bytes())
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--target", str(folder / "site"), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "site"


def test_the_example_package_installs_and_works(example: Path, tmp_path: Path) -> None:
    repository = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", USE_IT, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (example, repository)))},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    objects, smallest, segmenter = done.stdout.split()
    lines = (tmp_path / "objects.csv").read_text().splitlines()
    assert lines[0] == "image,name,score,x1,y1,x2,y2,mask_pixels"
    assert len(lines) == 1 + int(objects) > 1
    assert int(smallest) > 0
    assert segmenter == "grabcut:opencv"
