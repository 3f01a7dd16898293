from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import PIL.Image
import pytest

from grounded_ram.app.page.batch import batch_tab
from grounded_ram.app.page.templates import asset
from grounded_ram.autolabel.run_folder import Run
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.scenes.scene import make_scene

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A page that is nothing but the batch tab."""
    monkeypatch.setattr("os.cpu_count", lambda: 1)  # torch's threads get in each other's way here
    with gr.Blocks(analytics_enabled=False) as page:
        batch_tab(GroundedRAM("tiny", device="cpu"))
    _, found, _ = page.launch(
        server_name="127.0.0.1",
        prevent_thread_lock=True,
        share=False,
        quiet=True,
        ssr_mode=False,
        css=asset("page.css"),
    )
    yield found
    page.close(verbose=False)
    del page
    gc.collect()  # gradio closes neither its loops nor their sockets; see the mark below


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_folder_is_labelled_reviewed_and_exported_in_a_browser(
    address: str, tmp_path: Path
) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("needs a browser: no chromium or google-chrome on the PATH")
    photos, folder = tmp_path / "photos", tmp_path / "run"
    (photos / "<b>x").mkdir(parents=True)
    for seed, name in enumerate(("a.png", "b.png", "<b>x/${1+1} {{7*7}}.png")):
        PIL.Image.fromarray(make_scene(seed).image).save(photos / name)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.set_default_timeout(60_000)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        _label(page, photos, folder)
        rejected, renamed = _review(page)
        page.get_by_role("tab", name="Export").click()
        page.locator("#batch-export").click()
        page.locator("#batch-written code").wait_for()
        assert page.locator("#batch-written code").inner_text() == str(folder / "coco")
        _look_again(page)
        browser.close()
    assert errors == []
    lines = [json.loads(line) for line in (folder / "review.jsonl").read_text().splitlines()]
    assert [line["decision"] for line in lines] == ["reject", "rename"]
    assert [line["label"] for line in lines] == [rejected, renamed]
    [file] = (folder / "coco").rglob("[!.]*.json")
    coco = json.loads(file.read_text())
    before = sum(Run(folder).dataset(reviewed=False).objects.values())
    assert len(coco["annotations"]) == before - 1
    [zebra] = [one["id"] for one in coco["categories"] if one["name"] == "zebra <i>&"]
    assert [one["category_id"] for one in coco["annotations"]].count(zebra) == 1


def _label(page: Any, photos: Path, folder: Path) -> None:
    """Name a folder that is not there, and then the one that is."""
    page.locator("#batch-folder :is(input, textarea)").fill(str(folder))
    page.locator("#batch-pictures :is(input, textarea)").fill(str(photos / "gone"))
    page.locator("#batch-label").click()
    page.locator("#batch-message [role=alert]").wait_for()
    assert "there is no file or folder" in page.locator("#batch-message").inner_text()
    page.locator("#batch-pictures :is(input, textarea)").fill(str(photos))
    page.locator("#batch-label").click()
    page.locator(".b-progress.done").wait_for()
    page.locator(".b-card img").nth(2).wait_for()
    assert page.locator(".b-progress dd").first.inner_text() == "3 of 3"
    assert page.locator("#batch-message [role=alert]").count() == 0
    named = page.locator(".b-name").all_inner_texts()
    assert named == ["<b>x/${1+1} {{7*7}}.png", "a.png", "b.png"]


def _review(page: Any) -> tuple[str, str]:
    """Reject an object by its key, rename the next one by typing; return what they were called."""
    page.get_by_role("tab", name="Review").click()
    page.locator("#batch-object .b-tile img").first.wait_for()
    label = page.locator(".b-facts h3 bdi").first
    rejected = label.inner_text()
    page.keyboard.press("r")
    page.get_by_text("1 rejected").wait_for()
    renamed = label.inner_text()
    page.keyboard.press("n")
    page.keyboard.type("zebra <i>&")  # with an a, which must not accept anything
    page.keyboard.press("Enter")
    page.get_by_text("1 renamed").wait_for()
    assert page.get_by_text("0 accepted").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    return rejected, renamed


def _look_again(page: Any) -> None:
    """See the new name in the gallery, and the picture large."""
    page.get_by_role("tab", name="Gallery").click()
    page.locator(".b-card", has_text="zebra <i>&").first.click()
    page.locator(".b-large img").wait_for()
    page.locator("[data-close]").click()
    page.locator(".b-large").wait_for(state="detached")
