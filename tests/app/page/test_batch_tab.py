from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from playwright.sync_api import Browser

from grounded_ram.autolabel.run_folder import Run
from grounded_ram.scenes.scene import make_scene


def test_a_folder_is_labelled_reviewed_and_exported_in_a_browser(
    browser: Browser, home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)  # torch's threads get in each other's way here
    photos, folder = tmp_path / "photos", tmp_path / "run"
    (photos / "<b>x").mkdir(parents=True)
    for seed, name in enumerate(("a.png", "b.png", "<b>x/${1+1} {{7*7}}.png")):
        PIL.Image.fromarray(make_scene(seed).image).save(photos / name)
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.set_default_timeout(60_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(home)
    page.get_by_role("tab", name="Folder").click()
    _label(page, photos, folder)
    rejected, renamed = _review(page)
    page.get_by_role("tab", name="Export").click()
    page.locator("#batch-export").click()
    page.locator("#batch-written code").wait_for()
    assert page.locator("#batch-written code").inner_text() == str(folder / "coco")
    _look_again(page)
    page.context.close()
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
