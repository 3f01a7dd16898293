from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from grounded_ram.annotation import Annotation, Reason, Rejected
from grounded_ram.evaluation import review_page
from grounded_ram.evaluation.review import Review, collect
from grounded_ram.evaluation.review_page import render, write_report
from grounded_ram.evaluation.templates import visible
from grounded_ram.export.dataset import Dataset
from tests.evaluation.picture_files import on_disk
from tests.hand_annotation import rectangle, ring

SIZE = (80, 120)
HOSTILE = (
    "<img src=x onerror=document.title='hacked'>.png",
    "\"><script>document.title='hacked'</script>",
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; &amp;amp;.jpg",
    "街/фото ünï 🐕.png",
    "javascript:alert(1)",
)
FACTS = {
    "preset": "tiny",
    "tagger": {"name": "ram:tiny", "sha256": {"weights": "ab" * 32}},
    "detector": None,
    "box_threshold": 0.45,
    "tag_threshold": None,
    "rules": {"least_score": 0.2},
    "ground_kinds": ["object", "stuff"],
}


class Page(HTMLParser):
    """What a browser would make of the page: its tags, its text outside of style and script."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.headings: list[str] = []
        self.feed(html)
        self.text = "".join(self.texts)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in ("img", "meta", "input", "path"):
            self.open.append(tag)
        if tag in ("h1", "h2", "h3"):
            self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag != "path":  # closes itself
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.texts.append(data)
            if {"h1", "h2", "h3"} & set(self.open):
                self.headings[-1] += data

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def review(*annotations: Annotation, **options: object) -> Review:
    return collect(Dataset.of(annotations), **options)


def some(folder: Path, names: Sequence[str], labels: Sequence[str]) -> list[Annotation]:
    """One picture a name, with an object of each label, a tag in vain and a rejected box."""
    annotations = []
    for seed, name in enumerate(names):
        objects = [
            (label, rectangle(SIZE, 2 * n, 2 * n, 2 * n + 20, 2 * n + 30))
            for n, label in enumerate(labels)
        ]
        found = on_disk(folder, name, objects, seed=seed, ungrounded=(f"no {labels[0]}",))
        rejected = Rejected(labels[0], 0.6, (1.0, 2.0, 30.0, 40.0), Reason.SMALL, labels[-1])
        annotations.append(replace(found, rejected=(rejected,)))
    return annotations


def test_zero_pictures_make_a_page() -> None:
    page = Page(render(review()))
    assert page.headings == ["Review of a labelled dataset", "Classes", "Settings"]
    assert "No class: nothing was found." in page.text
    assert page.of("img") == []
    assert page.open == []


def test_zero_objects_make_a_page(tmp_path: Path) -> None:
    page = Page(render(review(on_disk(tmp_path, "a.png"), on_disk(tmp_path, "b.png", seed=1))))
    assert page.headings[1:4] == ["Classes", "To review", "Pictures without an object 2"]
    assert sorted(image["alt"] for image in page.of("img")) == ["a.png", "b.png"]


def test_one_class_has_its_counts_scores_and_examples(tmp_path: Path) -> None:
    page = Page(render(review(*some(tmp_path, ["a.png"], ["dog"]), facts=FACTS), title="Mine"))
    assert page.headings[:3] == ["Mine", "Sample", "Classes"]
    assert "Labelled by preset tiny · ram:tiny" in page.text
    row = re.search(r"dog object\s+1\s+1\s+(\S+)\s+(\S+)\s+0", page.text)
    assert row is not None
    assert row.groups() == ("0.70", "0.80")
    limits = [path["d"] for path in page.of("path") if path.get("class") == "limit"]
    assert limits == ["M11.25 -1V21", "M5.0 -1V21"]
    assert page.headings.count("dog 1") == 1
    assert {"dog in a.png", "a.png, outlined in it: dog"} <= {i["alt"] for i in page.of("img")}
    assert "ab" * 32 in page.text
    assert "tag thresholdnot set" in re.sub(r"\s*\n\s*", "", page.text)


def test_every_link_leads_somewhere_and_ids_come_once(tmp_path: Path) -> None:
    found = some(tmp_path, ["a.png", "b.png"], ["dog", "cat", "ant"])
    failed = [("c.png", "damaged")]
    page = Page(render(review(*found, failures=failed, duplicates=[["a.png", "b.png"]])))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    links = [attributes["href"] for attributes in page.of("a")]
    assert len(links) > 8
    assert {link.removeprefix("#") for link in links} <= set(ids)
    named = [a["aria-labelledby"] for _, a in page.tags if "aria-labelledby" in a]
    assert set(named) <= set(ids)


def test_headings_step_down_one_by_one_and_pictures_have_words(tmp_path: Path) -> None:
    page = Page(render(review(*some(tmp_path, ["a.png", "b.png"], ["dog", "cat"]))))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    assert levels.count(1) == 1
    assert all(image["alt"] for image in page.of("img"))
    assert {"header", "nav", "main", "footer"} <= {tag for tag, _ in page.tags}


def test_the_page_fetches_nothing_and_forbids_it(tmp_path: Path) -> None:
    html = render(review(*some(tmp_path, ["a.png"], ["dog"])))
    page = Page(html)
    assert page.of("link") == page.of("iframe") == page.of("object") == []
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.of("img"))
    assert all("src" not in script for script in page.of("script"))
    policies = [m["content"] for m in page.of("meta") if "http-equiv" in m]
    assert policies[0].startswith("default-src 'none'; img-src data:;")
    assert "@import" not in html
    assert "url(" not in html


def test_names_of_strangers_are_text(tmp_path: Path) -> None:
    names = [name for name in HOSTILE if not name.startswith(("{", "javascript"))]
    found = some(tmp_path, [name.replace("//", "/") for name in names], HOSTILE)
    failed = [(name, f"cannot read {name}") for name in HOSTILE]
    facts = {name: name for name in HOSTILE}
    html = render(
        review(*found, failures=failed, duplicates=[list(HOSTILE)], facts=facts), title=HOSTILE[1]
    )
    page = Page(html)
    usual = Page(render(review(*some(tmp_path, ["a.png"], ["dog"]))))
    assert len(page.of("script")) == len(page.of("style")) == 1
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in usual.tags}
    assert not [key for _, a in page.tags for key in a if key.startswith("on")]
    assert not [a for a in page.of("a") if not a["href"].startswith("#")]
    for name in HOSTILE:
        assert page.text.count(name) >= 4
    assert page.open == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb\t\0", r"a\nb\t\x00"),
        ("photo\u202egnp.exe", r"photo\u202egnp.exe"),
        ("\udcff.png", r"\udcff.png"),
        ("ünï 街 🐕", "ünï 街 🐕"),
        ("", ""),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, expected: str) -> None:
    assert visible(text) == expected


def test_long_texts_are_cut_in_the_middle() -> None:
    short = visible("a" * 5000 + ".png")
    assert len(short) < 250
    assert short.startswith("aaa")
    assert short.endswith("aaa.png")
    assert "…" in short


def test_names_that_are_no_utf8_can_be_written(tmp_path: Path) -> None:
    file = tmp_path / "new" / "report.html"
    write_report(review(failures=[("\udcff\n.png", "damaged")]), file)
    assert r"\udcff\n.png" in Page(file.read_text("utf-8")).text


def test_a_picture_that_is_gone_is_said(tmp_path: Path) -> None:
    found = some(tmp_path, ["a.png"], ["dog"])
    Path(str(found[0].image.path)).unlink()
    page = Page(render(review(*found)))
    assert page.of("img") == []
    assert "no picture: expected an image file, but there is no file" in page.text
    assert re.search(r"\d pictures could not be shown", page.text)


def test_a_large_dataset_makes_a_page_of_limited_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review_page, "MOST_PICTURE_BYTES", 40_000)
    monkeypatch.setattr(review_page, "MOST_ROWS", 4)
    found = some(tmp_path, ["a.png"], [f"class {n}" for n in range(9)])
    copies = [[f"{n}/{m}.png" for m in range(30)] for n in range(300)]
    failed = [("x" * 10_000, "y" * 10_000)] * 1000
    html = render(review(*found, failures=failed, duplicates=copies))
    page = Page(html)
    assert sum(len(image["src"]) for image in page.of("img")) < 40_000
    assert "left out to keep this page small" in page.text
    assert "And 6 classes more" in page.text
    assert "And 800 more." in page.text
    assert "and 10 more" in page.text
    assert len(html) < 1_000_000


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)


def browse(file: Path, *options: str) -> tuple[str, list[str]]:
    """Open a page in a browser; return what it made of it, and what its console says."""
    if CHROMIUM is None:
        pytest.skip("needs a browser: no chromium or google-chrome on the PATH")
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",  # which root may not use; the page is our own
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--enable-logging=stderr",
            f"--user-data-dir={file.parent / 'profile'}",
            *options,
            "--dump-dom",
            file.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,  # which a page that opens a dialog takes in full: nobody closes it
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


TRY_OUT = """
<script>
{
const told = {};
const seen = () => [...document.querySelectorAll("[data-text]")].filter(
  (one) => one.getClientRects().length).length;
const first = () => document.querySelector("#class-table tbody tr th").dataset.value;
told.loaded = [...document.images].every((one) => one.complete && one.naturalWidth > 0);
told.all = seen();
told.first = first();
const buttons = document.querySelectorAll("#class-table th button");
buttons[0].click(); told.byName = first();
buttons[0].click(); told.byNameBack = first();
buttons[1].click(); told.byCount = first();
told.sorted = document.querySelector("[aria-sort]").textContent;
const filter = document.getElementById("filter");
const type = (text) => { filter.value = text; filter.dispatchEvent(new Event("input")); };
type("CAT 1.png"); told.some = seen(); told.said = document.getElementById("found").textContent;
told.heads = [...document.querySelectorAll("#sheets h3")].filter(
  (one) => one.getClientRects().length).length;
type("nothing like it"); told.none = seen();
type(""); told.again = seen();
const svg = document.querySelector(".frame svg");
told.drawn = getComputedStyle(svg).visibility;
document.getElementById("outlines").click(); told.hidden = getComputedStyle(svg).visibility;
told.wide = document.documentElement.scrollWidth <= innerWidth;
document.body.dataset.told = JSON.stringify(told);
}
</script>
"""


def try_out(html: str, folder: Path, *options: str) -> dict[str, object]:
    """Use a page in a browser as a person would; return what was seen."""
    file = folder / "report.html"
    html = re.sub("<meta http-equiv[^>]*>", "", html).replace("</body>", f"{TRY_OUT}</body>")
    file.write_text(html, "utf-8")
    dom, console = browse(file, *options)
    assert console == []
    told: dict[str, object] = json.loads(Page(dom).of("body")[0]["data-told"])
    return told


def test_a_browser_runs_our_script_and_no_other(tmp_path: Path) -> None:
    names = [name.replace("//", "/") for name in HOSTILE]
    found = some(tmp_path, names, HOSTILE)
    failed = [(name, name) for name in HOSTILE]
    html = render(review(*found, failures=failed, duplicates=[names]), title="Fine")
    file = tmp_path / "report.html"
    file.write_text(html, "utf-8")
    dom, console = browse(file)
    assert console == []
    assert '<html lang="en" data-script="on">' in dom
    assert "<title>Fine</title>" in dom

    # Escaping must do without the policy that would stop what slipped through.
    file.write_text(re.sub("<meta http-equiv[^>]*>", "", html), "utf-8")
    dom, console = browse(file)
    assert console == []
    assert "<title>Fine</title>" in dom
    page = Page(re.sub(r"<(img|input|meta)([^>]*)>", r"<\1\2>", dom))
    assert all(page.text.count(name) >= 4 for name in names)
    assert len(page.of("script")) == 1


def test_the_policy_stops_a_script_of_others(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    html = render(review(), title="Fine")
    intruder = "<script>document.title = 'hacked'</script>"
    file.write_text(html.replace("</body>", f"{intruder}</body>"), "utf-8")
    dom, console = browse(file)
    assert "<title>Fine</title>" in dom
    assert 'data-script="on"' in dom
    assert len(console) == 1
    assert "Content Security Policy" in console[0]


@pytest.mark.parametrize("size", ["1280,900", "500,900"])
def test_the_page_can_be_sorted_and_filtered(tmp_path: Path, size: str) -> None:
    two = some(tmp_path, ["1.png", "2.png"], ["cat", "bee"])
    three = some(tmp_path, ["3.png"], ["dog", "cat", "dog"])
    told = try_out(render(review(*two, *three)), tmp_path, f"--window-size={size}")
    assert told["loaded"]
    assert (told["first"], told["byName"], told["byNameBack"], told["byCount"]) == (
        "cat",
        "bee",
        "no dog",
        "cat",
    )
    assert told["sorted"] == "Objects"
    assert told["all"] == told["again"] > 15
    assert 1 <= told["some"] < told["all"]
    assert told["said"] == f"{told['some']} of {told['all']}"
    assert told["heads"] == 1
    assert told["none"] == 0
    assert (told["drawn"], told["hidden"]) == ("visible", "hidden")
    assert told["wide"]


def test_a_page_of_the_largest_size_works(tmp_path: Path) -> None:
    disc = ring((180, 180), (90, 90), -1, 88)  # of noise, which no JPEG makes small
    objects = [(f"class {n}", disc) for n in range(60)]
    found = [
        on_disk(tmp_path, f"cat {n}.png", objects, seed=n, scores={"label_score": [n / 12] * 60})
        for n in range(12)
    ]
    html = render(review(*found))
    assert "left out to keep this page small" in html
    assert 15_000_000 < len(html) < 20_000_000
    told = try_out(html, tmp_path)
    assert told["loaded"]
    assert told["all"] == told["again"] > 800
    assert 1 <= told["some"] < told["all"]
    assert told["none"] == 0
    assert (told["drawn"], told["hidden"], told["wide"]) == ("visible", "hidden", True)


def test_histograms_are_drawn_in_bars() -> None:
    counts = np.zeros(101, np.int64)
    counts[[0, 1, 99, 100]] = 1, 3, 1, 1
    assert review_page._bars(counts) == "M0 20v-20.0h1V20ZM24 20v-10.0h1V20Z"
