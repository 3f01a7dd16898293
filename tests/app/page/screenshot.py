"""Draw README's picture of the page: ``python -m tests.app.page.screenshot FILE``."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path

import PIL.Image
from playwright.sync_api import expect, sync_playwright

from grounded_ram.app.page.serving import open_page
from grounded_ram.pipeline import GroundedRAM

SIZE = {"width": 1180, "height": 880}


def main(file: Path) -> None:
    """Pick the first example and point at an object."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))))
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        page, address = open_page(GroundedRAM("tiny", device="cpu"), Path(made))
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        view = browser.new_page(viewport=SIZE)
        view.goto(address)
        view.locator("[data-example='0']").click()
        expect(view.locator("#stage .frame")).to_be_visible(timeout=60_000)
        view.locator("#stage .object").first.focus()
        view.evaluate("window.scrollTo(0, 0)")
        picture = PIL.Image.open(io.BytesIO(view.screenshot())).convert("RGB")
        picture.save(file, quality=82, optimize=True)
        browser.close()
        page.close(verbose=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
