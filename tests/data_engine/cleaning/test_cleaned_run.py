from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grounded_ram.annotation import Reason, Tags
from grounded_ram.autolabel.outcomes import Failed, Labelled
from grounded_ram.autolabel.run_folder import Run, Share, begin
from grounded_ram.data_engine.cleaning import cleaned_run
from grounded_ram.data_engine.cleaning.cleaned_run import clean_run
from grounded_ram.data_engine.cleaning.verdicts import Cleaning
from grounded_ram.errors import InputError
from grounded_ram.export.dataset import key_of
from grounded_ram.export.records import encode
from grounded_ram.images import Image
from grounded_ram.vocabulary.labelling import Words
from tests.evaluation.picture_files import on_disk
from tests.hand_annotation import rectangle

SIZE = (40, 60)
SMALL, LARGE = rectangle(SIZE, 2, 2, 12, 12), rectangle(SIZE, 2, 20, 38, 58)


class BySize:
    """Embeds a picture by its size, so that small and large regions look different."""

    def embed(self, images: Sequence[Image]) -> np.ndarray:
        rows = [(1.0, 0.0) if one.shape[0] < 20 else (0.0, 1.0) for one in images]
        return np.array(rows).reshape(-1, 2)


def sees_all(crops: list[Image]) -> list[Tags]:
    return [Tags.of(["dog", "cat"]) for _ in crops]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Eleven pictures with a small dog each, and in the last one a large one, too; one failed."""
    started = begin(tmp_path / "run", {"model": {"preset": "tiny"}, "tags": ["dog"]})
    done = []
    for number in range(11):
        name = f"{number:02d}.png"
        things = [("dog", SMALL)] + ([("dog", LARGE)] if number == 10 else [])
        one = on_disk(tmp_path, name, things, seed=number)
        done.append(Labelled(name, one.image.sha256, len(things), encode(one)))
    with started.open_part(Share()) as part:
        part.commit([*done, Failed("bad.png", "damaged")])
    (tmp_path / "run" / "failures.jsonl").write_text("{}\n")
    (tmp_path / "run" / "summary.json").write_text('{"skipped": {"hidden": 3}}')
    return started


def clean(run: Run, new: Path, **options: Any) -> cleaned_run.CleanedRun:
    how = {"embedder": BySize(), "look": sees_all}
    for name in ("embedder", "seen_by", "overwrite", "on_seen"):
        if name in options:
            how[name] = options.pop(name)
    return clean_run(run, new, Cleaning(**{"share": 0.1, **options}), **how)


def test_the_new_run_lacks_what_looks_wrong_and_the_old_one_is_untouched(
    run: Run, tmp_path: Path
) -> None:
    before = files_of(run.folder)
    done = clean(run, tmp_path / "new")
    assert files_of(run.folder) == before
    new = Run(tmp_path / "new")
    assert [key_of(one.image) for one in new.dataset()] == [f"{n:02d}.png" for n in range(11)]
    assert new.dataset().objects == {"dog": 11}
    *_, last = new.dataset()
    assert [(one.name, one.reason) for one in last.rejected] == [("dog", Reason.OUTLIER)]
    assert done.removed == 1
    assert new.failures() == [("bad.png", "damaged")]
    assert (tmp_path / "new" / "failures.jsonl").read_text() == "{}\n"
    summary = json.loads((tmp_path / "new" / "summary.json").read_bytes())
    assert summary["objects"] == 11
    assert summary["skipped"] == {"hidden": 3}


def test_each_removal_is_listed_with_its_reason(run: Run, tmp_path: Path) -> None:
    clean(run, tmp_path / "new")
    (line,) = (tmp_path / "new" / "removed.jsonl").read_text().splitlines()
    found = json.loads(line)
    assert found["image"] == "10.png"
    assert found["label"] == "dog"
    assert found["box_xyxy"] == [20, 2, 58, 38]
    assert found["reason"] == "it looks unlike the others of its label"
    assert found["distance"] > 1
    assert found["score_alone"] == 1


def test_the_new_run_tells_how_it_was_cleaned_also_of_several_times(
    run: Run, tmp_path: Path
) -> None:
    clean(run, tmp_path / "new")
    again = clean(Run(tmp_path / "new"), tmp_path / "newer", share=0.0)
    told = again.run.config["model"]["cleaned"]
    assert (told["run"], told["share"]) == ("new", 0.0)
    assert (told["before"]["run"], told["before"]["share"]) == ("run", 0.1)
    assert next(iter(again.run.dataset())).run["cleaned"] == told


def test_contradicted_labels_go(run: Run, tmp_path: Path) -> None:
    def sees_no_large_dogs(crops: list[Image]) -> list[Tags]:
        scores = [0.9 if crop.shape[0] < 40 else 0.1 for crop in crops]
        return [Tags(("dog",), np.array([s], np.float32), ("object",)) for s in scores]

    asked = Cleaning(share=0.0)
    new = tmp_path / "new"
    done = clean_run(run, new, asked, embedder=BySize(), look=sees_no_large_dogs)
    assert [(one.label, one.contradicted) for one in done.labels] == [("dog", 1)]
    asked = Cleaning(share=0.0, contradictions=False)
    other = clean_run(run, tmp_path / "other", asked, embedder=BySize(), look=sees_no_large_dogs)
    assert other.removed == 0


def test_labels_of_pictures_that_are_gone_stay_and_the_others_keep_theirs(
    run: Run, tmp_path: Path
) -> None:
    path = next(iter(run.dataset())).image.path
    Path(str(path)).unlink()
    done = clean(run, tmp_path / "new")
    assert [*done.unread] == ["00.png"]
    assert done.run.dataset().objects == {"dog": 11}
    *_, last = done.run.dataset()
    assert [one.box_xyxy for one in last.rejected] == [(20, 2, 58, 38)]


def test_pictures_that_the_old_run_keeps_are_in_the_new_one(tmp_path: Path) -> None:
    started = begin(tmp_path / "run", {"model": {}, "tags": ["dog"]})
    kept = tmp_path / "run" / "images" / "clip"
    kept.mkdir(parents=True)
    one = on_disk(kept, "clip/1.png", [("dog", SMALL)])
    Path(str(one.image.path)).rename(kept / "1.png")
    moved = encode(one).replace(str(one.image.path).encode(), str(kept / "1.png").encode())
    with started.open_part(Share()) as part:
        part.commit([Labelled("clip/1.png", one.image.sha256, 1, moved)])
    done = clean(started, tmp_path / "new")
    (found,) = done.run.dataset()
    assert found.image.path == str(tmp_path / "new" / "images" / "clip" / "1.png")
    assert Path(str(found.image.path)).is_file()
    assert done.unread == {}


def test_a_run_without_objects_is_cleaned_into_one(tmp_path: Path) -> None:
    started = begin(tmp_path / "run", {"model": {}, "tags": None})
    done = clean(started, tmp_path / "new")
    assert (done.removed, done.labels, len(done.run.dataset())) == (0, [], 0)
    assert (tmp_path / "new" / "removed.jsonl").read_text() == ""


def test_nothing_is_left_where_cleaning_fails(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError("no space left")

    before = sorted(path.name for path in tmp_path.iterdir())
    monkeypatch.setattr(cleaned_run, "_write_facts", full)
    with pytest.raises(OSError, match="no space left"):
        clean(run, tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_what_a_kill_leaves_is_no_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleaned_run.shutil, "rmtree", lambda *a, **k: None)  # as nobody tidies up
    monkeypatch.setattr(cleaned_run, "_write_facts", lambda *a: (_ for _ in ()).throw(OSError()))
    with pytest.raises(OSError):  # noqa: PT011
        clean(run, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    (left,) = tmp_path.glob(".new.*.part")
    with pytest.raises(InputError, match="expected the folder of a run"):
        Run(left)


@pytest.mark.parametrize("place", ["there", "run", "run/inside", "."])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_place_that_is_taken_or_inside_the_run_is_refused(
    run: Run, tmp_path: Path, place: str, overwrite: bool
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "thesis.txt").write_text("years of work")
    before = files_of(tmp_path)
    with pytest.raises(InputError, match="-o") as told:
        clean(run, tmp_path / place, overwrite=overwrite)
    assert "--overwrite" not in str(told.value)  # it would not help
    assert files_of(tmp_path) == before


def test_an_earlier_cleaned_run_is_replaced_on_request_alone(run: Run, tmp_path: Path) -> None:
    new = tmp_path / "new"
    clean(run, new)
    (new / "coco").mkdir()
    (new / "coco" / "edited.json").write_text("by hand")
    before = files_of(new)
    with pytest.raises(InputError, match="choose another folder with -o, or replace it with --ov"):
        clean(run, new, share=0.0)
    assert files_of(new) == before
    done = clean(run, new, share=0.0, overwrite=True)
    assert done.run.config["model"]["cleaned"]["share"] == 0.0
    assert done.run.dataset().objects == {"dog": 12}
    assert not (new / "coco").exists()
    assert [path.name for path in tmp_path.glob(".new*")] == []


def test_what_was_there_stays_where_replacing_it_fails(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = tmp_path / "new"
    clean(run, new)
    before = files_of(tmp_path)
    rename = Path.rename

    def refuses(self: Path, target: Path) -> Path:
        if self.name.endswith(".part"):
            raise OSError("read-only")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuses)
    with pytest.raises(OSError, match="read-only"):
        clean(run, new, share=0.0, overwrite=True)
    assert files_of(tmp_path) == before


def test_what_came_into_the_place_meanwhile_is_not_replaced(run: Run, tmp_path: Path) -> None:
    new = tmp_path / "new"

    def other(seen: int) -> None:
        if seen == 11:
            clean(run, new, share=0.0)

    with pytest.raises(InputError, match="--overwrite"):
        clean(run, new, on_seen=other)
    assert Run(new).config["model"]["cleaned"]["share"] == 0.0


class Looks(BySize):
    """Counts the pictures that it embeds."""

    def __init__(self) -> None:
        self.embedded = 0

    def embed(self, images: Sequence[Image]) -> np.ndarray:
        self.embedded += len(images)
        return super().embed(images)


@pytest.mark.parametrize("stop", [1, 5, 11])
def test_what_was_killed_goes_on_and_ends_as_if_it_had_not_been(
    run: Run, tmp_path: Path, stop: int
) -> None:
    def kill(seen: int) -> None:
        if seen == stop:
            raise KeyboardInterrupt

    whole = clean(run, tmp_path / "whole" / "new", seen_by="me")
    with pytest.raises(KeyboardInterrupt):
        clean(run, tmp_path / "new", seen_by="me", on_seen=kill)
    assert not (tmp_path / "new").exists()
    embedder, told = Looks(), list[int]()
    again = clean(run, tmp_path / "new", seen_by="me", embedder=embedder, on_seen=told.append)
    assert embedder.embedded == 12 - stop - (stop == 11)  # the last picture has two objects
    assert told == ([11] if stop == 11 else list(range(stop + 1, 12)))
    assert (again.labels, again.regions, again.verdicts) == (
        whole.labels,
        whole.regions,
        whole.verdicts,
    )
    assert files_of(tmp_path / "new") == files_of(tmp_path / "whole" / "new")
    assert [path.name for path in tmp_path.glob(".new*")] == []


def test_what_others_saw_or_in_other_crops_or_of_other_labels_is_not_used(
    run: Run, tmp_path: Path
) -> None:
    def kill(seen: int) -> None:
        if seen == 11:
            raise KeyboardInterrupt

    def asked(run: Run, **changes: Any) -> int:
        embedder = Looks()
        options = {"seen_by": "me", "embedder": embedder, "on_seen": kill, **changes}
        with pytest.raises(KeyboardInterrupt):
            clean(run, tmp_path / "new", **options)
        return embedder.embedded

    assert asked(run) == 12
    assert asked(run) == 0
    assert asked(run, share=0.5) == 0
    assert asked(run, seen_by="you") == 12
    assert asked(run, margin=0.1) == 12
    assert asked(run, seen_by="") == 12
    assert asked(run) == 0
    one = on_disk(tmp_path, "03.png", [("cat", LARGE)], seed=3)
    with run.open_part(Share()) as part:
        part.commit([Labelled("03.png", one.image.sha256, 1, encode(one))])
    assert asked(run) == 1


def test_words_that_were_asked_for_are_their_own_labels(run: Run) -> None:
    assert isinstance(cleaned_run.labels_of(run), Words)
