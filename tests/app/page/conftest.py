from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from playwright.sync_api import Browser, sync_playwright

from grounded_ram.app.page.serving import open_page
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.scenes.scene import make_scene

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)


class Counted:
    """A stage that counts how often it is asked."""

    def __init__(self, stage: Any) -> None:
        self.stage = stage
        self.calls = 0

    def detect(self, *args: Any, **options: Any) -> Any:
        self.calls += 1
        return self.stage.detect(*args, **options)

    def segment(self, *args: Any, **options: Any) -> Any:
        self.calls += 1
        return self.stage.segment(*args, **options)


@pytest.fixture(scope="package")
def model() -> GroundedRAM:
    """The tiny model, whose detector and segmenter count their calls."""
    tiny = GroundedRAM("tiny", device="cpu")
    detector, segmenter = Counted(tiny.detector), Counted(tiny.segmenter)
    return GroundedRAM("tiny", device="cpu", detector=detector, segmenter=segmenter)


@pytest.fixture(scope="package")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene in a file: six objects and a rejected box."""
    path = tmp_path_factory.mktemp("pictures") / "my scene.png"
    PIL.Image.fromarray(make_scene(2, size=512).image).save(path)
    return path


@pytest.fixture(scope="package")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene in a file in which nothing is found: quick."""
    path = tmp_path_factory.mktemp("pictures") / "nothing.png"
    PIL.Image.fromarray(make_scene(3).image).save(path)
    return path


@pytest.fixture(scope="module")
def kept() -> Iterator[Path]:
    """Where the page keeps what is its users'."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


@pytest.fixture(scope="module")
def home(model: GroundedRAM, kept: Path) -> Iterator[str]:
    """The address of a page of the counting model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(kept / "files"))
        page, address = open_page(model, kept)
        yield address
        page.close(verbose=False)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser without a window; no longer than a module, as Playwright's loop runs meanwhile."""
    if CHROMIUM is None:
        pytest.skip("needs a browser: no chromium or google-chrome on the PATH")
    with sync_playwright() as playwright:
        options = ["--no-sandbox"]  # which root may not use; the page is our own
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=options)
