from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from grounded_ram.annotation import Annotation
from grounded_ram.app.server.label_studio_config import read_labelling_config
from grounded_ram.app.server.label_studio_results import Answers, questions
from grounded_ram.errors import InputError
from tests.export.test_label_studio import decode
from tests.hand_annotation import annotate, rectangle

VIEW = '<View><Image name="img" value="$image"/>{}</View>'
BOXES = '<RectangleLabels name="box" toName="img">{}</RectangleLabels>'
CHOICES = '<Choices name="what" toName="img"{}>{}</Choices>'
SIZE = (40, 60)
DATA = {"image": "/data/upload/1/a.png"}


def ask(*controls: str, data: dict[str, Any] | None = None) -> list[Any]:
    return questions(read_labelling_config(VIEW.format("".join(controls))), data or DATA)


def label(*names: str) -> str:
    return "".join(f'<Label value="{name}"/>' for name in names)


def choice(*names: str) -> str:
    return "".join(f'<Choice value="{name}"/>' for name in names)


def answer(annotation: Annotation, *controls: str, number: int = 7) -> dict[str, Any]:
    answers = Answers(number)
    for question in ask(*controls):
        answers.add(question, annotation)
    return answers.prediction("us 1")


def test_labels_of_the_config_are_looked_for_and_choices_are_the_taggers() -> None:
    brush = BOXES.replace("Rectangle", "Brush").replace("box", "brush").format(label("dog", "Car"))
    asked = ask(BOXES.format(label("car")), brush, CHOICES.format("", choice("beach")))
    assert [(one.tags, [c.name for c in one.controls]) for one in asked] == [
        (("car", "dog"), ["box", "brush"]),
        (None, ["what"]),
    ]
    assert {one.address for one in asked} == {DATA["image"]}


def test_labels_that_nothing_lists_are_the_taggers() -> None:
    open_boxes = BOXES.replace("toName", 'value="$own" toName').format("")
    (asked,) = ask(open_boxes)
    assert asked.tags is None
    (asked,) = ask(open_boxes, data={**DATA, "own": ["cat"]})
    assert asked.tags == ("cat",)


def test_each_picture_is_asked_about_its_own_controls() -> None:
    config = read_labelling_config(
        '<View><Image name="a" value="$left"/><Image name="b" value="$right"/>'
        f"{BOXES.replace('img', 'a').format(label('car'))}"
        f"{BOXES.replace('img', 'b').replace('box', 'more').format(label('dog'))}</View>"
    )
    asked = questions(config, {"left": "l.png", "right": "r.png"})
    assert [(one.image, one.address, one.tags) for one in asked] == [
        ("a", "l.png", ("car",)),
        ("b", "r.png", ("dog",)),
    ]


def test_without_controls_or_a_picture_nothing_is_asked() -> None:
    with pytest.raises(InputError, match="set up the labelling interface"):
        questions(read_labelling_config("<View/>"), DATA)
    with pytest.raises(InputError, match="'image', got NoneType"):
        ask(BOXES.format(label("car")), data={"photo": "x"})


def test_boxes_are_percents_of_the_tight_box() -> None:
    found = annotate([("car", rectangle(SIZE, 10, 6, 30, 30))])
    prediction = answer(found, BOXES.format(label("car")))
    (item,) = prediction["result"]
    assert item == {
        "id": "7-0",
        "from_name": "box",
        "to_name": "img",
        "type": "rectanglelabels",
        "original_width": 60,
        "original_height": 40,
        "image_rotation": 0,
        "score": 0.8,
        "value": {
            "x": pytest.approx(10),
            "y": pytest.approx(25),
            "width": pytest.approx(40),
            "height": pytest.approx(50),
            "rotation": 0,
            "rectanglelabels": ["car"],
        },
    }
    assert prediction["score"] == 0.8
    assert prediction["model_version"] == "us 1"


def test_brushes_and_polygons_are_the_masks() -> None:
    mask = rectangle(SIZE, 10, 6, 30, 30) | rectangle(SIZE, 2, 40, 9, 50)
    for kind, parts in (("Brush", 1), ("Polygon", 2)):
        (control,) = [BOXES.replace("Rectangle", kind).format(label("car"))]
        items = answer(annotate([("car", mask)]), control)["result"]
        assert len(items) == parts
        assert all(item["value"][f"{kind.lower()}labels"] == ["car"] for item in items)
        if kind == "Brush":
            np.testing.assert_array_equal(decode(items[0]["value"]["rle"], SIZE), mask)
        else:
            corners = {tuple(map(float, p)) for item in items for p in item["value"]["points"]}
            assert (10.0, 25.0) in corners


def test_a_control_gets_its_own_labels_alone_and_writes_them_its_way() -> None:
    found = annotate([("car", rectangle(SIZE, 1, 1, 5, 5)), ("dog", rectangle(SIZE, 8, 8, 20, 20))])
    aliased = BOXES.format('<Label value="Dog" alias="D"/><Label value="cat"/>')
    cars = BOXES.replace("box", "cars").format('<Label value="V" predicted_values="car,bus"/>')
    items = answer(found, aliased, cars)["result"]
    told = [(item["from_name"], item["value"]["rectanglelabels"]) for item in items]
    assert told == [("box", ["D"]), ("cars", ["V"])]
    assert len({item["id"] for item in items}) == 2


def test_the_score_of_a_task_counts_each_object_once() -> None:
    """Of two controls and three regions, two objects: the mean of 0.8 and 0.7."""
    two = rectangle(SIZE, 1, 1, 5, 5) | rectangle(SIZE, 30, 1, 35, 5)
    found = annotate([("car", two), ("dog", rectangle(SIZE, 8, 8, 20, 20))])
    lines = BOXES.replace("Rectangle", "Polygon").replace("box", "line").format(label("car"))
    prediction = answer(found, BOXES.format(label("car", "dog")), lines)
    assert len(prediction["result"]) == 4
    assert prediction["score"] == 0.75


def test_objects_without_pixels_and_pictures_without_objects_give_no_regions() -> None:
    empty = annotate([("car", np.zeros(SIZE, bool))])
    for found in (empty, annotate()):
        assert answer(found, BOXES.format(label("car"))) == {"model_version": "us 1", "result": []}


def test_a_tag_chooses_what_means_the_same_and_what_it_is_a_kind_of() -> None:
    found = annotate([("dog", rectangle(SIZE, 1, 1, 5, 5))], ungrounded=("beach",))
    control = CHOICES.format(' choice="multiple"', choice("Animal", "cat", "seaside", "beach"))
    (item,) = answer(found, control)["result"]
    assert item["value"] == {"choices": ["Animal", "beach"]}
    assert item["type"] == "choices"
    assert item["score"] == pytest.approx(0.9)
    (item,) = answer(found, CHOICES.format("", choice("beach", "animal")))["result"]
    assert item["value"] == {"choices": ["animal"]}
    prediction = answer(found, CHOICES.format("", choice("kitchen")))
    assert prediction == {"model_version": "us 1", "result": []}


def test_choices_that_nothing_lists_are_the_tags() -> None:
    found = annotate([("dog", rectangle(SIZE, 1, 1, 5, 5))], ungrounded=("beach",))
    control = CHOICES.format(' choice="multiple" value="$more"', "")
    prediction = answer(found, control)
    assert prediction["result"][0]["value"] == {"choices": ["dog", "beach"]}
    assert prediction["score"] == pytest.approx(0.9)
    taxonomy = '<Taxonomy name="t" toName="img"/>'
    assert answer(found, taxonomy)["result"][0]["value"] == {
        "taxonomy": [["object", "dog"], ["scene", "beach"]]
    }
    inner = f'<Choice value="K">{choice("dog")}</Choice>'
    paths = f'<Taxonomy name="t" toName="img">{inner}</Taxonomy>'
    assert answer(found, paths)["result"][0]["value"] == {"taxonomy": [["K", "dog"]]}
