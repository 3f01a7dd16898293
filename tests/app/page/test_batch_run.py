from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from grounded_ram.app.page.batch_cards import (
    Card,
    draw_card,
    facts_html,
    failures_html,
    gallery_html,
    large_html,
    names_html,
    object_html,
)
from grounded_ram.app.page.batch_gallery import choices_of, page_changes
from grounded_ram.app.page.batch_job import LabelJob
from grounded_ram.app.page.batch_review import Desk, changes
from grounded_ram.app.page.batch_run import EVERYTHING, WITHOUT, OpenRun, page_of
from grounded_ram.app.page.batch_runs import MOST_OPEN, Runs
from grounded_ram.app.page.templates import render
from grounded_ram.autolabel.run import label_dataset
from grounded_ram.autolabel.run_folder import Run
from grounded_ram.errors import InputError, UnknownNameError
from tests.colours import colours_model, draw

HOSTILE = "<img src=x onerror=alert(1)> ${alert(2)} {{ 7 * 7 }} 'a\"b.png"


def new_runs() -> Runs:
    return Runs(colours_model(), threading.Lock())


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    draw(folder / "a.png", "apple", "car", first=(1, 1, 9))
    draw(folder / "b.png", "apple", first=(2, 2, 9), side=64)
    draw(folder / "c.png", first=(3, 3, 9))
    draw(folder / HOSTILE, "tree", first=(4, 4, 9))
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8\xff no picture")
    return folder


@pytest.fixture
def run(photos: Path, tmp_path: Path) -> OpenRun:
    label_dataset(colours_model(), [photos], tmp_path / "run")
    found = OpenRun(tmp_path / "run")
    found.read(lambda done, total: None)
    return found


@pytest.mark.parametrize(
    ("total", "number", "expected", "at", "pages"),
    [
        (0, 1, [], 1, 1),
        (5, 1, [0, 1], 1, 3),
        (5, 3, [4], 3, 3),
        (5, 99, [4], 3, 3),
        (5, -1, [0, 1], 1, 3),
        (4, 2, [2, 3], 2, 2),
    ],
)
def test_a_page_out_of_range_is_the_nearest(
    total: int, number: int, expected: Sequence[int], at: int, pages: int
) -> None:
    names = [str(n) for n in range(total)]
    page = page_of(names, number, 2)
    assert (list(map(int, page.names)), page.number, page.pages, page.total) == (
        expected,
        at,
        pages,
        total,
    )


def test_pictures_are_chosen_by_label(run: OpenRun) -> None:
    assert run.labels == {"apple": 2, "car": 1, "tree": 1}
    assert run.chosen(EVERYTHING) == sorted(["a.png", "b.png", "c.png", HOSTILE])
    assert run.chosen("apple") == ["a.png", "b.png"]
    assert run.chosen(WITHOUT) == ["c.png"]
    assert run.chosen("zebra") == []
    assert [text for text, _ in choices_of(run)] == [
        *("All pictures (4)", "Pictures without an object (1)"),
        *("apple (2)", "car (1)", "tree (1)"),
    ]
    assert [name for name, _ in run.failures] == ["damaged.jpg"]


def test_reading_tells_how_far_it_is_and_is_done_once(run: OpenRun) -> None:
    told: list[tuple[int, int]] = []
    again = OpenRun(run.run.folder)
    for _ in range(2):
        again.read(lambda done, total: told.append((done, total)))
    assert told == [(done, 12) for done in range(1, 13)]


def test_decisions_land_in_the_run_and_in_the_gallery(run: OpenRun) -> None:
    items = {(item.name, item.label): item for item in run.queue}
    assert len(items) == 4
    run.decide(items["a.png", "car"], "reject")
    run.decide(items["b.png", "apple"], "rename", " pear ")
    run.decide(items["a.png", "apple"], "accept")
    assert run.counts() == {"reject": 1, "rename": 1, "accept": 1, "left": 1}
    assert run.chosen("car") == []
    assert run.chosen("pear") == ["b.png"]
    assert Run(run.run.folder).dataset().objects == {"apple": 1, "pear": 1, "tree": 1}
    lines = (run.run.folder / "review.jsonl").read_text().splitlines()
    assert [json.loads(line)["decision"] for line in lines] == ["reject", "rename", "accept"]
    run.decide(items["b.png", "apple"], None)
    assert run.chosen("apple") == ["a.png", "b.png"]
    assert run.counts()["left"] == 2


def test_a_queue_is_filled_with_what_is_left(run: OpenRun) -> None:
    first, *others = run.queue
    run.decide(first, "accept")
    run.fill("", lambda done, total: None)
    assert {(item.name, item.row) for item in run.queue} == {(o.name, o.row) for o in others}
    run.fill("apple", lambda done, total: None)
    left = {(item.name, item.label) for item in others if item.label == "apple"}
    assert {(item.name, item.label) for item in run.queue} == left != set()
    run.fill("zebra", lambda done, total: None)
    assert run.queue == []


def test_a_rename_to_nothing_is_refused_and_writes_nothing(run: OpenRun) -> None:
    with pytest.raises(InputError, match="should be called"):
        run.decide(run.queue[0], "rename", "  ")
    assert not (run.run.folder / "review.jsonl").exists()


def test_exports_have_the_decisions(run: OpenRun) -> None:
    items = {item.label: item for item in run.queue if item.name != "b.png"}
    run.decide(items["car"], "reject")
    run.decide(items["tree"], "rename", "bush")
    written = run.export(["coco", "csv"], masks="rle", pictures="none")
    assert sorted(written) == ["coco", "csv"]
    [file] = written["coco"].folder.rglob("[!.]*.json")
    names = {one["name"] for one in json.loads(file.read_text())["categories"]}
    assert names == {"apple", "bush"}


def test_an_export_of_nothing_or_of_the_unknown_is_refused(run: OpenRun) -> None:
    with pytest.raises(InputError, match="choose a format"):
        run.export([], masks="rle", pictures="none")
    with pytest.raises(UnknownNameError, match="cocoa"):
        run.export(["cocoa"], masks="rle", pictures="none")


def test_names_of_strangers_are_text(run: OpenRun) -> None:
    item = next(item for item in run.queue if item.name == HOSTILE)
    run.decide(item, "rename", HOSTILE)
    pages = [
        gallery_html(run, page_of(run.names, 1, 9)),
        large_html(run, HOSTILE),
        object_html(run, item),
        facts_html(item, run.labelled(item), run.decision(item)),
        failures_html([(HOSTILE, HOSTILE)]),
        names_html([HOSTILE]),
        names_html([HOSTILE], listed=True),
    ]
    for html in pages:
        assert "onerror=alert(1)" in html
        assert "<img src=x" not in html
        assert "49" not in re.sub(r"[0-9.]+%|base64,[^\"]*|d=\"[^\"]*\"", "", html)


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "\N{WOMAN}\u200d\N{PERSONAL COMPUTER}.png"])
def test_cards_and_chips_carry_names_unchanged(run: OpenRun, name: str) -> None:
    card = render("batch-gallery.html", cards=[Card(name, "", [])], most=1, total=1)
    assert f'data-picture="{name}"' in card
    assert f'data-name="{name}"' in names_html([name])
    assert f'value="{name}"' in names_html([name], listed=True)


def test_a_gallery_draws_its_page_alone(run: OpenRun, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def draw_one(run: OpenRun, name: str) -> Card:
        drawn.append(name)
        return Card(name, "", [])

    monkeypatch.setattr("grounded_ram.app.page.batch_cards.draw_card", draw_one)
    gallery_html(run, page_of(run.names, 2, 1))
    assert drawn == [run.names[1]]


def test_a_picture_that_is_gone_is_said_and_the_others_are_shown(
    run: OpenRun, photos: Path
) -> None:
    (photos / "a.png").unlink()
    card = draw_card(run, "a.png")
    assert card.picture == ""
    assert "a.png" in card.missing
    html = gallery_html(run, page_of(run.names, 1, 9))
    assert html.count("data:image/jpeg") == 3
    item = next(item for item in run.queue if item.name == "a.png")
    assert "no picture" in object_html(run, item)


def test_no_page_holds_a_path_that_the_browser_would_fetch(run: OpenRun) -> None:
    html = gallery_html(run, page_of(run.names, 1, 9)) + object_html(run, run.queue[0])
    assert set(re.findall(r'(?<=[ ])src="([a-z]+:)', html)) == {"data:"}
    assert "href" not in html


def test_zero_pictures_make_a_gallery_and_an_empty_queue(tmp_path: Path, run: OpenRun) -> None:
    (run.run.folder / "parts").rename(run.run.folder / "elsewhere")
    runs = new_runs()
    opened = runs.open(run.run.folder)
    empty = runs.of(opened)
    assert empty is not None
    empty.read(lambda done, total: None)
    assert (empty.names, empty.labels, empty.queue) == ([], {}, [])
    assert len(page_changes(runs, opened, EVERYTHING, 3)) == 6
    assert "Nothing to review" in changes(empty, Desk())[1].value


def test_runs_that_were_opened_long_ago_are_let_go(tmp_path: Path, run: OpenRun) -> None:
    runs = new_runs()
    first = runs.open(run.run.folder)
    for number in range(MOST_OPEN):
        folder = tmp_path / f"run{number}"
        folder.mkdir()
        (folder / "run.json").write_bytes((run.run.folder / "run.json").read_bytes())
        last = runs.open(folder)
    assert runs.of(last) is not None
    with pytest.raises(InputError, match=r"open .* again"):
        runs.of(first)


def test_one_job_is_at_work_at_a_time(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = new_runs()
    with monkeypatch.context() as patch:
        patch.setattr(LabelJob, "start", lambda self: None)
        job = runs.begin(str(photos), str(tmp_path / "one"))
        with pytest.raises(InputError, match="one' is being labelled"):
            runs.begin(str(photos), str(tmp_path / "two"))
    job.start()
    job.wait(60)
    runs.begin(str(photos), str(tmp_path / "two")).wait(60)
    assert len(OpenRun(tmp_path / "two").names) == 4


def test_a_run_that_was_labelled_is_opened_once_by_all_who_saw_it_end(
    photos: Path, tmp_path: Path
) -> None:
    runs = new_runs()
    job = runs.begin(str(photos), str(tmp_path / "one"))
    job.wait(60)
    first = runs.open_ended(job)
    assert runs.open_ended(job) == first
    again = runs.begin(str(photos), str(tmp_path / "one"))
    again.wait(60)
    assert runs.open_ended(again) != first


def test_edited_folders_are_told() -> None:
    class Written:
        folder, files, edited = Path("/r/coco-2"), 1, ("a<b>.json",)

    html = render("batch-written.html", written={"coco": Written})
    assert "/r/coco-2" in html
    assert "edited by hand" in html
    assert "a&lt;b&gt;.json" in html


def test_a_folder_without_a_run_is_told_in_words_of_the_page(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name a folder with pictures and press Label"):
        new_runs().open(tmp_path)
