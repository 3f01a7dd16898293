"""The page in a real browser, as a person would use it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import requests
from playwright.sync_api import Browser, Page, expect
from pycocotools.coco import COCO

from grounded_ram.app.page.blocks import build_page
from grounded_ram.pipeline import GroundedRAM

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
pytestmark = pytest.mark.filterwarnings(
    "ignore:'future.no_silent_downcasting' is deprecated",  # gradio's use of pandas
)
TIMEOUT_MS = 20_000  # a busy machine must not turn a test red


@dataclass
class User:
    """One user's view of the page, and what the browser thinks of it.

    Args:
        page: which loads once: tests leave it as they found it, or say that it is not as it was.
        home: its address.
        example: that is shown, as it came.
        outside: addresses that the page asked for elsewhere.
        errors: of its scripts.
    """

    page: Page
    home: str
    example: int | None = None
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def listen(self) -> None:
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console",
            lambda said: self.errors.append(said.text) if said.type == "error" else None,
        )

    def _asked(self, url: str) -> None:
        if not url.startswith((self.home, "data:", "blob:")):
            self.outside.append(url)

    def begin(self) -> None:
        """Have no picture."""
        self.example = None
        again = self.page.locator("#again")
        if again.is_visible():
            again.click()
        expect(again).to_be_hidden()
        expect(self.page.locator("#stage .frame")).to_be_hidden()

    def see(self, example: int) -> None:
        """Have an example, as it came."""
        if self.example != example:
            self.begin()
            self.page.locator(f"[data-example='{example}']").click()
            expect(self.page.locator("#stage .frame")).to_be_visible()
            self.example = example

    def names(self) -> list[str]:
        """The names of the objects that are drawn, sorted."""
        return sorted(self.page.locator("#stage .name bdi").all_inner_texts())

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        script = "document.documentElement.scrollWidth - window.innerWidth"
        return int(self.page.evaluate(script))


@pytest.fixture(scope="module")
def one_user(browser: Browser, home: str) -> Iterator[User]:
    """A user at a wide screen."""
    with visit(browser, home, viewport=WIDE) as one:
        yield one


@pytest.fixture
def user(one_user: User) -> Iterator[User]:
    """The user; in the end, nothing may have gone wrong unseen."""
    yield one_user
    assert one_user.outside == []
    assert one_user.errors == []


@contextmanager
def visit(browser: Browser, home: str, **options: Any) -> Iterator[User]:
    """Load the page for another user."""
    context = browser.new_context(**options)
    context.set_default_timeout(TIMEOUT_MS)
    expect.set_options(timeout=TIMEOUT_MS)
    one = User(context.new_page(), home)
    one.listen()
    one.page.goto(home)
    expect(one.page.locator("[data-example='5']")).to_be_visible()
    yield one
    assert one.outside == []
    assert one.errors == []
    context.close()


def test_a_picture_is_dropped_labelled_and_taken_home(
    user: User, model: GroundedRAM, picture: Path, tmp_path: Path
) -> None:
    page = user.page
    user.begin()
    assert page.title() == "grounded-ram"
    assert "picture-book things" in page.locator(".caution").inner_text()
    page.set_input_files("#drop input[type=file]", picture)
    expect(page.locator("#stage .frame")).to_be_visible()
    usual = model.annotate(picture)
    assert user.names() == sorted(usual.detections.data["class_name"].tolist())
    with page.expect_download() as coming:
        page.click("#file-coco")
    assert coming.value.suggested_filename == "my scene.coco.json"
    coming.value.save_as(tmp_path / "coco.json")
    coco = COCO(str(tmp_path / "coco.json"))
    assert sorted(coco.cats[one["category_id"]]["name"] for one in coco.anns.values()) == (
        user.names()
    )
    with page.expect_download() as coming:
        page.click("#file-yolo")
    coming.value.save_as(tmp_path / "yolo.zip")
    with zipfile.ZipFile(tmp_path / "yolo.zip") as packed:
        assert "images/train/my scene.png" in packed.namelist()


def test_switches_and_sliders_change_the_overlay_and_ask_no_network(
    user: User, model: GroundedRAM
) -> None:
    user.see(0)
    page, before = user.page, user.names()
    asked = model.detector.calls
    cup = page.locator("[data-tag='cup']")
    cup.click()
    expect(page.locator("#stage .name", has_text="cup")).to_have_count(0)
    expect(cup).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#findings li", has_text="cup")).to_have_count(0)
    cup.click()
    expect(page.locator("#stage .name", has_text="cup")).to_have_count(1)
    assert user.names() == before
    slider = page.locator("#slide-box input[type=number]")
    usual = slider.input_value()
    slider.fill("0.85")
    slider.press("Enter")
    expect(page.locator("#stage .object")).not_to_have_count(len(before))
    assert 0 < len(user.names()) < len(before)
    slider.fill(usual)
    slider.press("Enter")
    expect(page.locator("#stage .object")).to_have_count(len(before))
    assert user.names() == before
    assert model.detector.calls == asked
    expect(page.locator("#fetch")).to_be_hidden()  # whatever gradio makes of an update
    page.set_viewport_size({"width": 1280, "height": 600})
    page.mouse.wheel(0, 150)
    page.wait_for_function("window.scrollY >= 100")
    top = page.evaluate("document.querySelector('#left').getBoundingClientRect().top")
    page.mouse.wheel(0, -150)
    page.set_viewport_size(WIDE)
    assert top >= 0  # the picture stays in sight of the sliders


def test_a_word_of_ones_own_is_looked_for_and_stays_a_text(user: User, model: GroundedRAM) -> None:
    user.see(0)
    page, asked = user.page, model.detector.calls
    word = "<img src=x onerror=a=1>${a=1}"
    page.locator("#words input, #words textarea").fill(word)
    page.click("#find")
    chip = page.locator("#tags .chip", has_text=word)
    expect(chip).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("typeof a") == "undefined"
    assert model.detector.calls > asked
    chip.click()
    expect(page.locator("#tags .chip", has_text=word)).to_have_attribute("aria-pressed", "false")
    assert page.locator("#message .message").count() == 0


def test_pointing_at_or_focusing_an_object_or_a_row_says_what_it_is(user: User) -> None:
    user.see(0)
    page = user.page
    card = page.locator("#stage .card:visible")
    cup = page.locator("#stage .object", has=page.locator("title", has_text="cup"))
    cup.hover()
    expect(card).to_have_count(1)
    assert "cup" in card.inner_text()
    assert "combined" in card.inner_text()
    assert "or container" in card.inner_text()
    page.keyboard.press("Escape")
    expect(card).to_have_count(0)
    page.locator("#stage .object").first.focus()
    expect(card).to_have_count(1)
    box = page.locator("#stage .rejected")
    expect(box).to_be_hidden()
    page.locator("#findings li[data-key='r0']").hover()
    expect(box).to_be_visible()
    assert "Rejected" in card.inner_text()


def test_tags_far_below_their_thresholds_are_shown_on_demand(user: User) -> None:
    user.see(0)
    chips = user.page.locator("#tags .chip:visible")
    every = user.page.locator("#tags .chip").count()
    few = chips.count()
    assert few < every
    user.page.get_by_text("more below the threshold").click()
    expect(chips).to_have_count(every)
    user.page.get_by_text("Show fewer").click()
    expect(chips).to_have_count(few)


def test_a_broken_file_is_told_in_words_and_the_next_picture_works(
    user: User, tmp_path: Path
) -> None:
    broken = tmp_path / "holiday.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n nonsense")
    user.begin()
    user.page.set_input_files("#drop input[type=file]", broken)
    message = user.page.locator("#message [role=alert]")
    expect(message).to_contain_text("'holiday.png' cannot be")
    expect(message).to_contain_text("save it anew")
    assert "Traceback" not in user.page.inner_text("body")
    user.see(3)
    expect(message).to_have_count(0)


def test_two_users_see_their_own_pictures_on_a_telephone_without_sideways_scrolling(
    user: User, browser: Browser, home: str
) -> None:
    user.see(0)
    first, telephone = user.names(), {"has_touch": True, "color_scheme": "dark"}
    with visit(browser, home, viewport=NARROW, **telephone) as other:
        assert other.overflow() <= 0
        other.page.locator("[data-example='3']").tap()
        expect(other.page.locator("#stage .frame")).to_be_visible()
        assert other.names() != first
        assert other.overflow() <= 0
        other.page.locator("#stage .object").last.tap()
        card = other.page.locator("#stage .card:visible")
        expect(card).to_have_count(1)
        place = card.bounding_box()
        assert place is not None
        assert place["x"] >= 0
        assert place["x"] + place["width"] <= NARROW["width"]
        chip = other.page.locator("#tags .chip").first.bounding_box()
        assert chip is not None
        assert chip["height"] >= 40  # a thumb's
    user.page.locator("[data-tag='cup']").click()
    expect(user.page.locator("#stage .name", has_text="cup")).to_have_count(0)
    assert {*first} - {"cup"} <= {*user.names()}
    user.example = None


def test_nothing_of_a_user_lies_where_another_could_get_it(
    user: User, home: str, kept: Path
) -> None:
    user.see(0)
    folders = list((kept / "sessions").iterdir())
    pictures = [path for folder in folders for path in folder.iterdir()]
    assert pictures != []
    for path in pictures:
        assert requests.get(f"{home}gradio_api/file={path}", timeout=30).status_code == 403
    for address in ("", "gradio_api/info", "config"):
        text = requests.get(f"{home}{address}", timeout=30).text
        assert [folder.name for folder in folders if folder.name in text] == []
    named = requests.get(f"{home}gradio_api/info", timeout=30).json()
    assert named["named_endpoints"] == {}


def test_folders_are_for_users_of_this_machine_alone(
    home: str, model: GroundedRAM, tmp_path: Path
) -> None:
    """A page that others reach has no such tab, and another name than this machine's no page."""
    assert "Folder" in requests.get(home, timeout=30).text
    assert requests.get(home, headers={"Host": "elsewhere.test"}, timeout=30).status_code == 400
    for folders in (True, False):
        page = build_page(model, tmp_path, folders=folders)
        tabs = [block.label for block in page.blocks.values() if isinstance(block, gr.Tab)]
        assert ("Folder" in tabs) is folders
