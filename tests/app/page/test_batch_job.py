from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from grounded_ram.app.page.batch_job import (
    LabelJob,
    Progress,
    folder_of,
    sources_of,
    words_of,
)
from grounded_ram.autolabel.run_folder import Run, Share
from grounded_ram.errors import InputError
from tests.colours import colours_model, draw, draw_many


def label(pictures: Path, run: Path, *, retry_failed: bool = False) -> LabelJob:
    job = LabelJob(colours_model(), [str(pictures)], run, retry_failed=retry_failed)
    job.start()
    job.wait(60)
    return job


def test_progress_tells_rate_and_time_left() -> None:
    now = Progress(state="labelling", total=100, before=40, failed_before=2, done=8, seconds=4.0)
    assert now.reached == 50
    assert now.rate == 2.0
    assert now.seconds_left == 25.0
    assert now.share == 0.5


def test_progress_of_nothing_divides_by_nothing() -> None:
    assert (Progress().rate, Progress().seconds_left, Progress().share) == (0.0, None, None)
    assert Progress(total=0).share == 1.0


def test_a_job_leaves_what_the_command_leaves(tmp_path: Path) -> None:
    draw_many(tmp_path / "photos", 6)
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    job = label(tmp_path / "photos", tmp_path / "run")
    now = job.progress
    assert (now.state, now.total, now.done, now.failed) == ("done", 7, 6, 1)
    assert now.objects == sum(job.run.dataset().objects.values()) > 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["pictures"] == 6
    assert "damaged.jpg" in (tmp_path / "run" / "failures.jsonl").read_text()
    assert "notes.txt" in (tmp_path / "run" / "skipped.jsonl").read_text()


def test_a_job_that_is_stopped_is_gone_on_with(tmp_path: Path) -> None:
    draw_many(tmp_path / "photos", 40)
    first = LabelJob(colours_model(), [str(tmp_path / "photos")], tmp_path / "run")
    first.stop()
    first.start()
    first.wait(60)
    assert first.progress.state == "stopped"
    assert first.progress.reached < 41
    assert not (tmp_path / "run" / "summary.json").exists()
    second = label(tmp_path / "photos", tmp_path / "run").progress
    assert (second.state, second.reached) == ("done", 41)
    assert second.before == first.progress.done
    assert second.run_objects == sum(Run(tmp_path / "run").dataset().objects.values())
    again = label(tmp_path / "photos", tmp_path / "run").progress
    assert (again.state, again.done, again.before, again.failed_before) == ("done", 0, 40, 1)


def test_pictures_that_failed_are_labelled_again_if_asked_for(tmp_path: Path) -> None:
    draw_many(tmp_path / "photos", 2)
    assert label(tmp_path / "photos", tmp_path / "run").progress.failed == 1
    draw(tmp_path / "mended.png", "apple")
    (tmp_path / "mended.png").replace(tmp_path / "photos" / "damaged.jpg")
    assert label(tmp_path / "photos", tmp_path / "run").progress.failed_before == 1
    now = label(tmp_path / "photos", tmp_path / "run", retry_failed=True).progress
    assert (now.state, now.before, now.failed_before, now.done) == ("done", 2, 0, 1)
    assert now.reached == now.total == 3


def test_a_batch_waits_for_whoever_uses_the_model(tmp_path: Path) -> None:
    draw(tmp_path / "photos" / "a.png", "apple")
    gate = threading.Lock()
    job = LabelJob(colours_model(), [str(tmp_path / "photos")], tmp_path / "run", gate=gate)
    with gate:
        job.start()
        job.wait(0.5)
        assert job.progress.at_work
        assert job.progress.done == 0
    job.wait(60)
    assert (job.progress.state, job.progress.done) == ("done", 1)
    assert not gate.locked()


def test_no_count_is_lost_to_a_stop_at_the_same_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path / "photos" / "a.png", "apple")
    job = LabelJob(colours_model(), [str(tmp_path / "photos")], tmp_path / "run")
    stopper = threading.Thread(target=job.stop)

    def slowly(now: Progress, **changes: object) -> Progress:
        if "done" in changes:  # as if another thread came in between reading and writing
            stopper.start()
            stopper.join(0.5)
        return replace(now, **changes)  # type: ignore[arg-type]

    monkeypatch.setattr("grounded_ram.app.page.batch_job.replace", slowly)
    job._tell(done=1)
    stopper.join(60)
    assert (job.progress.done, job.progress.state) == (1, "stopping")


def test_a_run_that_another_has_open_is_said(tmp_path: Path) -> None:
    draw(tmp_path / "photos" / "a.png", "apple")
    job = LabelJob(colours_model(), [str(tmp_path / "photos")], tmp_path / "run")
    with Run(tmp_path / "run").open_part(Share()):
        job.start()
        job.wait(60)
    assert job.progress.state == "failed"
    assert "another process is labelling" in job.progress.message


def test_a_run_that_was_begun_otherwise_is_refused(tmp_path: Path) -> None:
    draw(tmp_path / "photos" / "a.png", "apple")
    label(tmp_path / "photos", tmp_path / "run")
    with pytest.raises(InputError, match="was begun otherwise"):
        LabelJob(colours_model(), [str(tmp_path / "photos")], tmp_path / "run", tags=["car"])


def test_a_folder_without_pictures_is_said(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    now = label(tmp_path / "photos", tmp_path / "run").progress
    assert now.state == "failed"
    assert "no pictures" in now.message


def test_an_error_that_nobody_expected_ends_the_job_and_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path / "photos" / "a.png", "apple")
    job = LabelJob(colours_model(), [str(tmp_path / "photos")], tmp_path / "run")

    def fail(self: Run) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(Run, "dataset", fail)
    job.start()
    job.wait(60)
    assert (job.progress.state, job.progress.message) == ("failed", "RuntimeError: out of luck")


def test_what_was_typed_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of")
    assert sources_of(" ~/a b \n\n c/*.jpg") == ["/home/of/a b", "c/*.jpg"]
    assert folder_of(" ~/run ") == Path("/home/of/run")
    assert words_of("car, Car , red door,") == ["car", "red door"]
    assert words_of(" , ") is None


@pytest.mark.parametrize("text", ["", " \n ", "photos\n-"])
def test_what_is_no_source_on_a_page_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="name a folder"):
        sources_of(text)


@pytest.mark.parametrize("text", ["", "  ", "a\0b"])
def test_what_is_no_folder_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="name the folder of the run"):
        folder_of(text)
