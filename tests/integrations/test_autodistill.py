"""Our half of the base model, without autodistill; ``readers/test_autodistill.py`` has both."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import yaml
from typer.testing import CliRunner

from grounded_ram import Annotation, GroundedRAM, InputError
from grounded_ram.cli.root import app
from grounded_ram.integrations.autodistill import _AutodistillModel as Model
from grounded_ram.integrations.autodistill import _source


class Ontology:
    """What autodistill's CaptionOntology says, of the same dict."""

    def __init__(self, pairs: dict[str, str]) -> None:
        self.pairs = pairs

    def prompts(self) -> list[str]:
        return list(self.pairs)

    def classes(self) -> list[str]:
        return list(self.pairs.values())


@pytest.fixture
def folder(pictures: list[PIL.Image.Image], tmp_path: Path) -> Path:
    folder = tmp_path / "a [b]"
    (folder / "deep").mkdir(parents=True)
    pictures[0].save(folder / "one.jpg")
    pictures[1].save(folder / "deep" / "two.JPG")
    pictures[1].save(folder / "other.png")
    (folder / "broken.jpg").write_text("no picture")
    return folder


def test_class_ids_are_places_in_the_ontology_the_first_where_prompts_share_a_class(
    model: GroundedRAM, pictures: list[PIL.Image.Image], annotations: list[Annotation]
) -> None:
    first, *others = dict.fromkeys(annotations[0].detections.data["class_name"].tolist())
    pairs = {"guitar": "thing", first: "thing", **dict.fromkeys(others, "other")}
    found = Model(Ontology(pairs), model=model).predict(pictures[0])
    assert len(found) > 1
    places = {"thing": 0, "other": 2}
    assert found.class_id.tolist() == [places[name] for name in found.data["class_name"]]
    assert "thing" in found.data["class_name"]


def test_without_an_ontology_it_predicts_what_annotate_finds(
    model: GroundedRAM, pictures: list[PIL.Image.Image], annotations: list[Annotation]
) -> None:
    found, expected = Model(model=model).predict(pictures[0]), annotations[0].detections
    np.testing.assert_array_equal(found.xyxy, expected.xyxy)
    np.testing.assert_array_equal(found.class_id, expected.class_id)
    assert found.data["class_name"].tolist() == expected.data["class_name"].tolist()


def test_a_folder_becomes_a_dataset_sub_folders_too_and_broken_files_are_named(
    model: GroundedRAM,
    annotations: list[Annotation],
    folder: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "grounded_ram"):
        found = Model(model=model).label(str(folder), ".jpg")
    assert "broken.jpg" in caplog.text
    out = folder.with_name("a [b]_labeled")
    told = yaml.safe_load((out / "data.yaml").read_bytes())
    assert told == {
        "train": "train/images",
        "val": "train/images",  # of two, none is left for it
        "nc": len(found.classes),
        "names": found.classes,
    }
    pictures = {p.name for p in out.rglob("*") if p.suffix in (".jpg", ".JPG", ".png")}
    assert pictures == {"one.jpg", "two.JPG"}
    labels = {p.name for p in out.glob("train/labels/**/*.txt")}
    assert labels == {"one.txt", "two.txt"}
    assert sorted(map(Path, found.image_paths)) == [folder / "deep/two.JPG", folder / "one.jpg"]


def test_what_was_labelled_is_not_labelled_again(
    model: GroundedRAM, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Model(Ontology({"tree": "tree"}), model=model)
    first = target.label(str(folder), ".png")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it was asked again")

    monkeypatch.setattr(GroundedRAM, "annotate_batch", refuse)
    assert target.label(str(folder), ".png") == first


def test_the_command_goes_on_with_its_run(model: GroundedRAM, folder: Path) -> None:
    Model(model=model).label(str(folder), ".png")
    run = folder.with_name("a [b]_labeled") / "run"
    options = ("-o", str(run), "--preset", "tiny")
    done = CliRunner().invoke(app, ["label", _source(folder, ".png"), *options])
    assert done.exit_code == 0, done.output
    assert "pictures: 1," in done.stdout
    told = CliRunner().invoke(app, ["label", str(folder), *options])
    assert told.exit_code == 2
    assert "another folder with -o, or begin anew with --restart" in told.stderr


def test_what_cannot_be_labelled_is_said(model: GroundedRAM, folder: Path) -> None:
    target = Model(model=model)
    with pytest.raises(InputError, match=r"ends in '\.tif'.*\.jpg.*extension='' takes all"):
        target.label(str(folder), ".tif")
    with pytest.raises(InputError, match="there is no folder"):
        target.label(str(folder / "absent"))
    with pytest.raises(InputError, match="lies in the input folder"):
        target.label(str(folder), ".jpg", str(folder / "out"))
    with pytest.raises(InputError, match="sahi_predict"):
        target.label(str(folder), sahi=True)
    with pytest.raises(InputError, match="prompts of text, got int"):
        Model(Ontology({7: "seven"}), model=model)  # type: ignore[dict-item]


def test_a_folder_of_which_nothing_can_be_read_gives_no_empty_dataset(
    model: GroundedRAM, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "broken.jpg").write_text("no picture")
    with pytest.raises(InputError, match=r"none of the 1 images .*: broken\.jpg: "):
        Model(model=model).label(str(folder))
