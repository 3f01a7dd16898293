from __future__ import annotations

import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from runpy import run_path
from typing import Any

import datasets
import numpy as np
import PIL.Image
import pytest
from datasets.fingerprint import Hasher
from pycocotools import mask as coco_mask
from transformers import (
    SegformerConfig,
    SegformerForSemanticSegmentation,
    SegformerImageProcessor,
    YolosConfig,
    YolosForObjectDetection,
    YolosImageProcessor,
    pipeline,
)

from grounded_ram import Annotation, GroundedRAM, InputError, UnknownNameError
from grounded_ram.integrations.huggingface import AddLabels, GroundedRAMPipeline
from tests.hand_annotation import annotate

Pictures = list[PIL.Image.Image]


def shape_of(value: Any) -> Any:
    """Return of what types an answer is made, a list by its first item."""
    if isinstance(value, dict):
        return {key: shape_of(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape_of(value[0])]
    if isinstance(value, PIL.Image.Image):
        return value.mode, value.size
    return type(value)


@pytest.fixture(scope="module")
def theirs() -> dict[str, Any]:
    """Pipelines of transformers, of random weights."""
    sizes = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    yolos = YolosForObjectDetection(
        YolosConfig(hidden_size=8, image_size=[64, 64], num_detection_tokens=4, **sizes)
    )
    small = {"shortest_edge": 64, "longest_edge": 64}
    segformer = SegformerForSemanticSegmentation(
        SegformerConfig(
            hidden_sizes=[4, 4, 4, 4], depths=[1] * 4, num_attention_heads=[1] * 4,
            decoder_hidden_size=8,
        )
    )  # fmt: skip
    return {
        "object-detection": pipeline(
            "object-detection", model=yolos, image_processor=YolosImageProcessor(size=small)
        ),
        "image-segmentation": pipeline(
            "image-segmentation",
            model=segformer,
            image_processor=SegformerImageProcessor(size={"height": 64, "width": 64}),
        ),
    }


@pytest.mark.parametrize("task", ["object-detection", "image-segmentation"])
def test_answers_are_made_as_those_of_transformers(
    task: str, theirs: dict[str, Any], model: GroundedRAM, pictures: Pictures
) -> None:
    options = {"threshold": 0.0} if task == "object-detection" else {}
    pipe = GroundedRAMPipeline(model, task=task)
    for given in (pictures[0], pictures):
        expected = shape_of(theirs[task](given, **options))
        found = shape_of(pipe(given))
        if task == "image-segmentation":  # a semantic pipeline gives None for a score
            one, other = (
                answer[0] if given is pictures else answer for answer in (expected, found)
            )
            one[0]["score"] = other[0]["score"]
        assert found == expected
    lazy = theirs[task]((one for one in pictures), **options)
    assert isinstance(lazy, Iterator)
    assert isinstance(pipe(one for one in pictures), Iterator)


def test_objects_are_those_of_annotate_best_first(
    model: GroundedRAM, pictures: Pictures, annotations: list[Annotation]
) -> None:
    for found, annotation in zip(GroundedRAMPipeline(model)(pictures), annotations, strict=True):
        scores = [one["score"] for one in found]
        assert scores == sorted(annotation.detections.confidence.tolist(), reverse=True)
        for one in found:
            row = annotation.detections.confidence.tolist().index(one["score"])
            assert one["label"] == annotation.detections.data["class_name"][row]
            box = [one["box"][side] for side in ("xmin", "ymin", "xmax", "ymax")]
            assert box == annotation.detections.xyxy[row].astype(int).tolist()
            mask = np.asarray(one["mask"])
            np.testing.assert_array_equal(mask, annotation.masks[row] * np.uint8(255))


def test_threshold_and_top_k_leave_the_best(model: GroundedRAM, pictures: Pictures) -> None:
    pipe = GroundedRAMPipeline(model, task="object-detection")
    every = pipe(pictures[0])
    middle = every[len(every) // 2]["score"]
    assert pipe(pictures[0], threshold=middle) == [one for one in every if one["score"] > middle]
    assert pipe(pictures[0], top_k=1) == every[:1]
    assert pipe([pictures[0]], threshold=1.0) == [[]]


def test_pictures_may_come_in_every_form_with_labels_of_their_own(
    model: GroundedRAM, pictures: Pictures, tmp_path: Path
) -> None:
    pictures[0].save(tmp_path / "a.png")
    pipe = GroundedRAMPipeline(model, task="zero-shot-object-detection", batch_size=2)
    first = pipe(str(tmp_path / "a.png"), candidate_labels=["tree", "house"])
    assert {one["label"] for one in first} <= {"tree", "house"}
    assert pipe(pictures[0], candidate_labels="tree, house") == first
    mixed = [
        {"image": pictures[0], "candidate_labels": ["tree", "house"]},
        {"image": pictures[0], "candidate_labels": ["guitar"]},
    ]
    assert list(pipe(iter(mixed))) == [first, []]
    data = b64encode((tmp_path / "a.png").read_bytes()).decode()
    assert pipe(f"data:image/png;base64,{data}", candidate_labels="tree, house") == first
    assert pipe([]) == []


def test_a_generator_is_read_no_further_than_a_batch(
    model: GroundedRAM, pictures: Pictures
) -> None:
    read = []

    def more() -> Iterator[PIL.Image.Image]:
        for number in range(5):
            read.append(number)
            yield pictures[1]

    answers = GroundedRAMPipeline(model, batch_size=2)(more())
    assert read == []
    next(answers)
    assert read == [0, 1]


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (np.zeros((8, 8, 3), np.uint8), {}, "RGB or BGR"),
        ({"picture": "a.jpg"}, {}, "got the keys \\['picture'\\]"),
        ("a.jpg", {"candidate_labels": []}, "candidate_labels: expected names"),
        ("a.jpg", {"batch_size": 0}, "batch_size: expected a whole number"),
        ("data:image/png;base64,AAA", {}, "cannot read the picture in the text"),
        (7, {}, "expected a picture or several, got int"),
    ],
)
def test_what_cannot_be_used_is_said(
    model: GroundedRAM, given: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        GroundedRAMPipeline(model)(given, **options)


def test_a_zero_shot_pipeline_needs_labels_and_a_task_must_be_known(model: GroundedRAM) -> None:
    with pytest.raises(InputError, match="candidate_labels"):
        GroundedRAMPipeline(model, task="zero-shot-object-detection")("a.jpg")
    with pytest.raises(UnknownNameError, match="object-detection"):
        GroundedRAMPipeline(model, task="depth-estimation")


@pytest.mark.parametrize("decode", [True, False])
def test_map_adds_what_annotate_finds_in_columns_of_known_types(
    decode: bool, model: GroundedRAM, pictures: Pictures, annotations: list[Annotation]
) -> None:
    plain = datasets.Dataset.from_dict({"image": pictures, "id": [3, 7]})
    plain = plain.cast_column("image", datasets.Image(decode=decode))
    columns = AddLabels(model)
    labelled = plain.map(columns, batched=True, features=columns.features(plain))
    assert labelled.features == columns.features(plain)
    assert labelled["id"] == [3, 7]
    for row, annotation in zip(labelled, annotations, strict=True):
        found, tags = annotation.detections, annotation.tags
        assert row["tags"]["name"] == list(tags.names)
        assert row["tags"]["kind"] == list(tags.kinds)
        np.testing.assert_allclose(row["tags"]["score"], tags.scores)
        assert row["objects"]["category"] == found.data["class_name"].tolist()
        assert row["objects"]["area"] == annotation.masks.area.tolist()
        np.testing.assert_allclose(row["objects"]["label_score"], found.data["label_score"])
        for mask, rle, (x, y, w, h) in zip(
            annotation.masks.to_dense(),
            row["objects"]["segmentation"],
            row["objects"]["bbox"],
            strict=True,
        ):
            np.testing.assert_array_equal(coco_mask.decode(rle), mask)
            assert mask[int(y) : int(y + h), int(x) : int(x + w)].sum() == mask.sum()


def test_the_example_leaves_rows_that_datasets_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["datasets_map.py"])
    run_path(str(Path(__file__).parents[2] / "examples" / "datasets_map.py"), run_name="__main__")
    rows = datasets.Dataset.from_parquet("labelled.parquet", cache_dir=str(tmp_path / "cache"))
    assert isinstance(rows.features["image"], datasets.Image)
    told = capsys.readouterr().out
    assert all(name in told for row in rows for name in row["objects"]["category"])
    assert "{'score': " in told


def test_pictures_without_objects_are_rows_too() -> None:
    class Blind(GroundedRAM):
        def annotate_batch(self, images: Any, **options: Any) -> list[Annotation]:
            return [annotate() for _ in images]

    plain = datasets.Dataset.from_dict({"image": [PIL.Image.new("RGB", (60, 40))] * 2})
    columns = AddLabels(Blind("tiny"))
    labelled = plain.map(columns, batched=True, features=columns.features(plain))
    assert labelled[0]["objects"]["bbox"] == labelled[1]["tags"]["name"] == []


def test_the_same_choices_have_the_same_fingerprint(model: GroundedRAM) -> None:
    """So ``datasets`` finds in its cache what another process labelled; other choices differ."""
    used = Hasher.hash(AddLabels(model))
    assert used == Hasher.hash(AddLabels(GroundedRAM("tiny")))
    assert used != Hasher.hash(AddLabels(GroundedRAM("tiny", box_threshold=0.9)))
    assert used != Hasher.hash(AddLabels(model, tags=["tree"]))


def test_map_without_batches_or_without_the_column_says_what_to_write(
    model: GroundedRAM, pictures: Pictures
) -> None:
    plain = datasets.Dataset.from_dict({"image": pictures[:1]})
    with pytest.raises(InputError, match="batched=True"):
        plain.map(AddLabels(model))
    with pytest.raises(InputError, match="no column 'photo'; there are image"):
        plain.map(AddLabels(model, image_column="photo"), batched=True)
