from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grounded_ram.autolabel.outcomes import Failed, Labelled
from grounded_ram.autolabel.run_folder import Share, begin
from grounded_ram.data_engine.reading.sources import open_examples
from grounded_ram.errors import InputError
from grounded_ram.export.records import encode
from tests.data_engine.picture_folder import put, told
from tests.hand_annotation import annotate, rectangle

MASK = rectangle((9, 9), 1, 1, 5, 5)


def write_run(folder: Path, *labels: tuple[str, list[str], tuple[str, ...], str]) -> Path:
    """Write a run: name of a picture, its objects, further tags, caption."""
    run = begin(folder / "run", {"model": {"preset": "tiny"}, "tags": None})
    with run.open_part(Share()) as part:
        for seed, (name, objects, tags, caption) in enumerate(labels):
            options: dict[str, Any] = {"path": str(folder / name), "ungrounded": tags, "seed": seed}
            one = annotate([(obj, MASK) for obj in objects], **options)
            one = replace(one, image=replace(one.image, file_name=name), caption=caption)
            part.commit([Labelled(name, one.image.sha256, 0, encode(one))])
        part.commit([Failed("bad", "damaged")])
    return folder / "run"


def test_objects_and_tags_of_a_run_are_tags(tmp_path: Path) -> None:
    put(tmp_path, "b.jpg", "Ünï 猫/a.PNG")
    run = write_run(
        tmp_path,
        ("b.jpg", ["dog", "cat", "dog"], ("beach", "red"), "A dog and a cat."),
        ("Ünï 猫/a.PNG", [], ("grass",), ""),
    )
    good = {
        "b.jpg": (("dog", "cat", "beach", "red"), ("A dog and a cat.",)),
        "Ünï 猫/a.PNG": (("grass",), ()),
    }
    assert told(run, tmp_path) == (good, [])
    assert told(f"run:{run}", tmp_path) == (good, [])
    assert open_examples(run).about == "labelled run run: 2 pictures"


def test_pictures_that_are_gone_or_without_tags_are_told(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "nothing.jpg")
    labels = ("gone.jpg", ["dog"], (), ""), ("nothing.jpg", [], (), ""), ("a.jpg", ["dog"], (), "")
    good, bad = told(write_run(tmp_path, *labels), tmp_path)
    assert good == {"a.jpg": (("dog",), ())}
    assert bad == [
        f"gone.jpg: there is no picture: '{tmp_path}/gone.jpg'",
        "nothing.jpg: neither tags nor captions",
    ]


def test_a_run_that_has_done_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no picture is labelled in it"):
        told(write_run(tmp_path), tmp_path)


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="begin one: grounded-ram label"):
        open_examples(f"run:{put(tmp_path, 'dog/a.jpg')}")
