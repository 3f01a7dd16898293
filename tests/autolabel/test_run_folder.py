from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from grounded_ram.annotation import Annotation
from grounded_ram.autolabel.outcomes import Failed, Labelled
from grounded_ram.autolabel.run_folder import Run, Share, begin, forget, threads_of
from grounded_ram.errors import InputError
from grounded_ram.export.dataset import key_of
from grounded_ram.export.records import encode
from tests.hand_annotation import annotate, rectangle

CONFIG = {"model": {"preset": "tiny", "rules": {"support": 0.5}}, "tags": None, "threads": 1}


def labelled(name: str, *, seed: int = 0) -> Labelled:
    annotation = annotate([("dog", rectangle((9, 9), 1, 1, 5, 5))], seed=seed)
    annotation = with_name(annotation, name)
    return Labelled(name, annotation.image.sha256, 1, encode(annotation))


def with_name(annotation: Annotation, name: str) -> Annotation:
    from dataclasses import replace

    return replace(annotation, image=replace(annotation.image, file_name=name))


def test_a_run_is_read_in_the_order_of_names_whatever_the_order_of_the_work(tmp_path: Path) -> None:
    run = begin(tmp_path / "run", CONFIG)
    for number, names in ((2, ["z", "b/1"]), (1, ["c", "a", "b/2", "alone"])):
        with run.open_part(Share(number, 2)) as part:
            part.commit([labelled(name, seed=len(name)) for name in names])
            part.commit([Failed(f"bad {number}", "damaged")])
    again = Run(tmp_path / "run")
    dataset = again.dataset()
    assert [key_of(one.image) for one in dataset] == ["a", "alone", "b/1", "b/2", "c", "z"]
    assert dataset.objects == {"dog": 6}
    assert {json.dumps(one.run) for one in dataset} == {json.dumps(CONFIG["model"])}
    assert again.failures() == [("bad 1", "damaged"), ("bad 2", "damaged")]
    assert again.duplicates() == [["a", "c", "z"], ["b/1", "b/2"]]


def test_a_run_that_has_done_nothing_is_an_empty_dataset(tmp_path: Path) -> None:
    run = begin(tmp_path, CONFIG)
    assert (len(run.dataset()), run.failures(), run.duplicates()) == (0, [], [])


def test_the_same_question_goes_on_and_another_is_refused_with_the_difference(
    tmp_path: Path,
) -> None:
    begin(tmp_path, CONFIG)
    assert begin(tmp_path, CONFIG).config["threads"] == 1
    other = {**CONFIG, "model": {"preset": "tiny", "rules": {"support": 0.7}}, "tags": ["dog"]}
    with pytest.raises(InputError) as caught:
        begin(tmp_path, other)
    lines = str(caught.value).splitlines()
    assert lines[1:3] == [
        "  model.rules.support: 0.5 then, 0.7 now",
        '  tags: null then, ["dog"] now',
    ]
    assert lines[3:] == ["Use the choices it was begun with, or another folder"]
    with pytest.raises(InputError, match=r"now\nask somebody$"):
        begin(tmp_path, other, remedy="ask somebody")
    assert Run(tmp_path).config["tags"] is None


def test_a_run_keeps_its_threads_also_where_it_left_them_to_torch(tmp_path: Path) -> None:
    assert threads_of(tmp_path / "none", 7) == 7
    for threads in (3, None):
        begin(tmp_path / str(threads), {**CONFIG, "threads": threads})
        assert threads_of(tmp_path / str(threads), 7) == threads
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        threads_of(tmp_path, 7)


def test_the_versions_of_libraries_are_kept_and_may_change(tmp_path: Path) -> None:
    run = begin(tmp_path, CONFIG)
    assert {"python", "torch", "numpy"} <= set(run.config["versions"])
    changed = {**run.config, "versions": {"torch": "1.0"}}
    (tmp_path / "run.json").write_text(json.dumps(changed))
    assert begin(tmp_path, CONFIG).config["versions"] == {"torch": "1.0"}


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(InputError, match=r"-o must name a folder, but .* is a file"):
        begin(tmp_path / "photo.jpg", CONFIG)


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(InputError, match=r"holds no run, but 'photo.jpg' is in it"):
        begin(tmp_path, CONFIG)
    with pytest.raises(InputError, match="begin one: grounded-ram label"):
        Run(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "damaged"), ("[]", "--restart"), ('{"layout": 99}', "another")],
)
def test_a_configuration_that_is_none_is_told(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(InputError, match=message):
        Run(tmp_path)


def test_a_damaged_record_is_told_by_its_picture(tmp_path: Path) -> None:
    run = begin(tmp_path, CONFIG)
    with run.open_part(Share()) as part:
        part.commit([labelled("a"), labelled("b")])
    shard = tmp_path / "parts/1-of-1/records-00000.jsonl"
    shard.write_bytes(shard.read_bytes().replace(b'"sha256"', b'"sha-256"', 1))
    with pytest.raises(InputError, match="the record of 'a' is damaged"):
        list(run.dataset())


def test_a_run_finds_the_pictures_that_it_keeps_where_it_was_moved_to(tmp_path: Path) -> None:
    run = begin(tmp_path / "run", CONFIG)
    for name in ("clip/1.jpg", "other.jpg"):
        one = with_name(annotate(path=f"/old/run/images/{name}"), name)
        if name == "other.jpg":
            one = with_name(annotate(path="/photos/other.jpg"), name)
        with run.open_part(Share()) as part:
            part.commit([Labelled(name, one.image.sha256, 0, encode(one))])
    paths = [one.image.path for one in run.dataset()]
    assert paths == [str(tmp_path / "run/images/clip/1.jpg"), "/photos/other.jpg"]


def test_two_processes_do_not_write_into_one_part(tmp_path: Path) -> None:
    run = begin(tmp_path, CONFIG)
    script = (
        "import sys; from pathlib import Path; from grounded_ram.autolabel.run_folder import *\n"
        "with Run(Path(sys.argv[1])).open_part(Share()): pass"
    )
    with run.open_part(Share()):
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
        )
    assert "another process is labelling into" in done.stderr
    with run.open_part(Share()):
        pass


def test_a_run_keeps_the_number_of_its_shares(tmp_path: Path) -> None:
    run = begin(tmp_path, CONFIG)
    with run.open_part(Share(1, 4)):
        pass
    with pytest.raises(InputError, match=r"begun in 4 parts, not in 1; say --shard I/4"):
        run.open_part(Share()).__enter__()


def test_shares_are_read_as_typed() -> None:
    assert Share.parse("2/8") == Share(2, 8)
    for text in ("0/8", "9/8", "1", "1/0", "a/b", "-1/2"):
        with pytest.raises(InputError, match=r"--shard expects I/N"):
            Share.parse(text)


def test_what_is_forgotten_is_what_the_run_knows(tmp_path: Path) -> None:
    run = begin(tmp_path, CONFIG)
    with run.open_part(Share()) as part:
        part.commit([labelled("a")])
    (tmp_path / "coco").mkdir()
    forget(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"coco", ".lock"}
