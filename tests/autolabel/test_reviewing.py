"""What a person decides lands in all that reads the run, survives kills, and can be taken back."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from grounded_ram.annotation import Annotation, Reason
from grounded_ram.autolabel.outcomes import Labelled
from grounded_ram.autolabel.reviewing import REVIEW, Decision, Reviews
from grounded_ram.autolabel.run_folder import Run, Share, begin
from grounded_ram.errors import InputError
from grounded_ram.export.coco import to_coco
from grounded_ram.export.records import decode, encode
from tests.autolabel.test_run_folder import CONFIG, with_name
from tests.hand_annotation import annotate, rectangle


def pets(name: str = "a.jpg", *, first: int = 1) -> Annotation:
    """Two dogs and a cat."""
    places = [("dog", first), ("cat", 11), ("dog", 21)]
    objects = [(label, rectangle((30, 40), 2, x, 12, x + 8)) for label, x in places]
    return with_name(annotate(objects, ungrounded=("red",)), name)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = begin(tmp_path / "run", CONFIG)
    record(run, pets("a.jpg"), pets("b.jpg"))
    return run


def record(run: Run, *annotations: Annotation) -> None:
    with run.open_part(Share()) as part:
        part.commit(
            [Labelled(str(a.image.file_name), a.image.sha256, 1, encode(a)) for a in annotations]
        )


def lines(file: Path) -> list[str]:
    return file.read_text("utf-8").splitlines()


def labels(annotation: Annotation) -> list[str]:
    return [str(name) for name in annotation.detections.data["class_name"]]


def test_decisions_land_in_what_is_exported_and_the_records_stay(run: Run) -> None:
    raw = run.annotation("a.jpg", reviewed=False)
    run.reviews().decide(raw, 0, "reject")
    run.reviews().decide(raw, 1, "rename", " lynx ")
    run.reviews().decide(raw, 2, "accept")
    found = Run(run.folder).annotation("a.jpg")
    assert labels(found) == ["lynx", "dog"]
    assert labels(run.annotation("a.jpg", reviewed=False)) == ["dog", "cat", "dog"]
    assert found.tags.names == ("dog", "cat", "red", "lynx")
    assert found.tags.kinds[-1] == "object"
    assert found.detections.data["alternatives"][0][0][0] == "cat"
    assert [(r.name, r.reason) for r in found.rejected] == [("dog", Reason.REVIEWED)]
    assert found.ungrounded == {"cat": Reason.REVIEWED, "red": Reason.NO_BOX}
    np.testing.assert_array_equal(found.masks.to_dense(), raw.masks.to_dense()[1:])
    dataset = Run(run.folder).dataset()
    assert dataset.objects == {"lynx": 1, "dog": 3, "cat": 1}
    coco = to_coco(list(dataset))
    assert [c["name"] for c in coco["categories"]] == ["cat", "dog", "lynx"]
    assert len(coco["annotations"]) == 5
    assert Run(run.folder).dataset(reviewed=False).objects == {"dog": 4, "cat": 2}


def test_a_reviewed_annotation_can_be_written_down_and_read(run: Run) -> None:
    raw = run.annotation("a.jpg", reviewed=False)
    run.reviews().decide(raw, 0, "reject")
    found = run.annotation("a.jpg")
    again = decode(encode(found))
    assert labels(again) == labels(found)
    assert again.rejected == found.rejected


def test_the_last_decision_on_an_object_counts_and_can_be_taken_back(run: Run) -> None:
    raw, reviews = run.annotation("a.jpg", reviewed=False), run.reviews()
    assert reviews.decision_of(raw, 0) is None
    reviews.decide(raw, 0, "reject")
    reviews.decide(raw, 0, "rename", "wolf")
    assert reviews.decision_of(raw, 0) == Decision("rename", "wolf")
    assert labels(run.annotation("a.jpg")) == ["wolf", "cat", "dog"]
    reviews.undo(raw, 0)
    reviews.undo(raw, 0)
    assert len(reviews) == 0
    assert labels(run.annotation("a.jpg")) == ["dog", "cat", "dog"]
    assert [json.loads(line)["decision"] for line in lines(run.folder / REVIEW)] == [
        "reject", "rename", None,
    ]  # fmt: skip


def test_all_objects_rejected_leaves_a_picture_with_none(run: Run) -> None:
    raw, reviews = run.annotation("a.jpg", reviewed=False), run.reviews()
    for row in range(3):
        reviews.decide(raw, row, "reject")
    found = run.annotation("a.jpg")
    assert len(found.detections) == 0
    assert found.masks.shape == (0, 30, 40)
    assert found.ungrounded["dog"] is Reason.REVIEWED
    assert run.dataset().count == 2


def test_a_decision_belongs_to_no_object_that_came_later_in_its_place(run: Run) -> None:
    run.reviews().decide(run.annotation("a.jpg", reviewed=False), 0, "reject")
    record(run, pets("a.jpg", first=0))  # labelled again, and the first dog lies elsewhere
    assert labels(Run(run.folder).annotation("a.jpg")) == ["dog", "cat", "dog"]


def test_another_process_sees_each_decision_and_loses_none(run: Run) -> None:
    raw, one, other = run.annotation("a.jpg", reviewed=False), run.reviews(), run.reviews()
    one.decide(raw, 0, "reject")
    other.decide(raw, 1, "reject")
    one.refresh()
    assert (len(one), len(other), len(run.reviews())) == (2, 2, 2)


def test_a_kill_in_the_middle_of_a_line_costs_that_line_alone(run: Run) -> None:
    raw, file = run.annotation("a.jpg", reviewed=False), run.folder / REVIEW
    run.reviews().decide(raw, 0, "reject")
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"picture": "a.jp')
    reviews = run.reviews()
    assert len(reviews) == 1
    reviews.decide(raw, 1, "reject")
    assert len(run.reviews()) == 2
    assert file.read_bytes().startswith(whole)
    assert all(json.loads(line) for line in lines(file))


@pytest.mark.parametrize("left", [None, 0, 1])
def test_a_file_that_somebody_began_anew_is_read_anew(run: Run, left: int | None) -> None:
    """It was removed, or some of its lines were, while another process had it open."""
    raw, reviews, file = run.annotation("a.jpg", reviewed=False), run.reviews(), run.folder / REVIEW
    reviews.decide(raw, 0, "reject")
    reviews.decide(raw, 1, "rename", "lynx")
    kept = lines(file)[:left] if left else []
    file.unlink() if left is None else file.write_text("".join(f"{one}\n" for one in kept))
    reviews.refresh()
    assert len(reviews) == len(kept)
    reviews.decide(raw, 2, "accept")
    assert len(reviews) == len(run.reviews()) == len(kept) + 1
    assert b"\0" not in file.read_bytes()


def test_people_who_decide_at_the_same_time_lose_nothing(run: Run) -> None:
    raw = run.annotation("a.jpg", reviewed=False)

    def decide(number: int) -> None:
        reviews = run.reviews()
        for turn in range(20):
            reviews.decide(raw, number, "rename", f"name {number} {turn}")

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(decide, range(3)))
    assert len(lines(run.folder / REVIEW)) == 60
    assert {run.reviews().decision_of(raw, row) for row in range(3)} == {
        Decision("rename", f"name {row} 19") for row in range(3)
    }


def test_a_damaged_line_is_told(run: Run) -> None:
    (run.folder / REVIEW).write_text('{"picture": "a.jpg"}\n')
    with pytest.raises(InputError, match=r"review\.jsonl: damaged, it says .*remove that line"):
        run.reviews()


@pytest.mark.parametrize(
    ("row", "choice", "to", "message"),
    [
        (3, "reject", "", "expected one of 3 objects, got 3"),
        (-1, "reject", "", "got -1"),
        (0, "delete", "", "expected one of accept, reject, rename, got 'delete'"),
        (0, "rename", " ", "expected the name of the 'dog' in a.jpg, got ''"),
        (0, "rename", "a\0b", "expected the name"),
    ],
)
def test_what_cannot_be_decided_is_refused_and_not_written(
    run: Run, row: int, choice: str, to: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run.reviews().decide(run.annotation("a.jpg", reviewed=False), row, choice, to)  # type: ignore[arg-type]
    assert not (run.folder / REVIEW).exists()


def test_renamed_to_its_own_name_means_accepted(run: Run) -> None:
    raw = run.annotation("a.jpg", reviewed=False)
    assert run.reviews().decide(raw, 1, "rename", "cat") == Decision("accept")


def test_a_new_name_may_be_an_emoji(run: Run) -> None:
    family = "\U0001f468\u200d\U0001f467"
    run.reviews().decide(run.annotation("a.jpg", reviewed=False), 1, "rename", family)
    assert labels(run.annotation("a.jpg"))[1] == family


def test_a_name_that_the_picture_has_already_is_not_added_twice(run: Run) -> None:
    run.reviews().decide(run.annotation("a.jpg", reviewed=False), 1, "rename", "dog")
    found = run.annotation("a.jpg")
    assert found.tags.names == ("dog", "cat", "red")
    assert labels(found) == ["dog", "dog", "dog"]


def test_a_picture_that_is_not_in_the_run_is_told(run: Run) -> None:
    with pytest.raises(InputError, match=r"no picture 'c\.jpg' was labelled"):
        run.annotation("c.jpg")


def test_a_decision_is_on_the_disk_before_it_is_said_to_be(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    sync = os.fsync
    monkeypatch.setattr("os.fsync", lambda number: (synced.append(number), sync(number))[1])
    Reviews(run.folder).decide(run.annotation("a.jpg", reviewed=False), 0, "accept")
    assert synced
