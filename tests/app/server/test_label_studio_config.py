from __future__ import annotations

import pytest

from grounded_ram.app.server.label_studio_config import (
    MAX_CHARACTERS,
    MAX_CONTROLS,
    MAX_DEPTH,
    Control,
    Option,
    read_labelling_config,
    words,
)
from grounded_ram.errors import InputError
from grounded_ram.export.label_studio import labelling_config


def config(inner: str, image: str = '<Image name="img" value="$image"/>') -> str:
    return f"<View>{image}{inner}</View>"


def one(inner: str) -> Control:
    (control,) = read_labelling_config(config(inner)).controls
    return control


def test_the_kinds_of_controls_are_read_with_their_picture() -> None:
    read = read_labelling_config(
        "<View><Header value='x'/><Image name='a' value='$left'/><Image name='b' value='$right'/>"
        "<View><RectangleLabels name='box' toName='a'><Label value='car'/></RectangleLabels></View>"
        "<BrushLabels name='brush' toName='b'><Label value='car'/></BrushLabels>"
        "<PolygonLabels name='line' toName='a,b'><Label value='dog'/></PolygonLabels>"
        "<Choices name='what' toName='a' choice='multiple'><Choice value='beach'/></Choices>"
        "<TextArea name='text' toName='a'/><Image name='unused' valueList='$many'/></View>"
    )
    assert read.images == {"a": "left", "b": "right"}
    assert [(control.name, control.to_name, control.kind) for control in read.controls] == [
        ("box", "a", "rectanglelabels"),
        ("brush", "b", "brushlabels"),
        ("line", "a", "polygonlabels"),
        ("line", "b", "polygonlabels"),
        ("what", "a", "choices"),
    ]


@pytest.mark.parametrize(
    ("attributes", "written", "asked"),
    [
        ('value="car"', "car", ("car",)),
        ('value="Car"', "Car", ("car",)),
        ('value="traffic_light"', "traffic_light", ("traffic light",)),
        ('value="Fahrzeug" alias="car"', "car", ("car",)),
        ('value="car" alias="c1"', "c1", ("car",)),
        ('value="Vehicle" predicted_values="car, Taxi,"', "Vehicle", ("car", "taxi")),
        ('value="My_Gadget Mk2"', "My_Gadget Mk2", ("My Gadget Mk2",)),
    ],
)
def test_a_label_is_written_as_label_studio_does_and_asked_for_as_the_vocabulary_does(
    attributes: str, written: str, asked: tuple[str, ...]
) -> None:
    control = one(f'<BrushLabels name="l" toName="img"><Label {attributes}/></BrushLabels>')
    assert control.options == (Option((written,), asked),)


def test_words_of_several_labels_come_once() -> None:
    labels = '<Label value="car"/><Label value="Car"/><Label value="dog"/><Label/>'
    control = one(f'<RectangleLabels name="l" toName="img">{labels}</RectangleLabels>')
    assert [option.path for option in control.options] == [("car",), ("Car",), ("dog",)]
    assert words(control.options) == ("car", "dog")


def test_a_taxonomy_is_read_down_to_its_leaves() -> None:
    control = one(
        '<Taxonomy name="t" toName="img"><Choice value="object"><Choice value="dog" alias="d"/>'
        '<Choice value="cat"/></Choice><Choice value="beach"/></Taxonomy>'
    )
    paths = {option.path: option.words for option in control.options}
    assert paths == {("object", "d"): ("dog",), ("object", "cat"): ("cat",), ("beach",): ("beach",)}
    assert not control.single


def test_one_choice_may_be_made_unless_the_config_says_multiple() -> None:
    inner = '<Choices name="c" toName="img"{}><Choice value="beach"/></Choices>'
    assert one(inner.format("")).single
    assert one(inner.format(' choice="single-radio"')).single
    assert not one(inner.format(' choice="multiple"')).single


def test_options_of_a_task_join_those_of_the_config() -> None:
    control = one(
        '<RectangleLabels name="l" toName="img" value="$own"><Label value="car"/></RectangleLabels>'
    )
    data = {"own": ["Dog", {"value": "cat", "alias": "k"}]}
    assert [option.path for option in control.of_task(data).options] == [("car",), ("Dog",), ("k",)]
    assert control.of_task({}) == control
    nested = one('<Taxonomy name="t" toName="img" value="$tree"/>')
    tree = {"tree": [{"value": "object", "children": [{"value": "dog"}]}]}
    assert nested.of_task(tree).options == (Option(("object", "dog"), ("dog",)),)


@pytest.mark.parametrize("own", ["car", [1], [{"alias": "x"}], {"value": "car"}])
def test_options_of_a_task_that_are_none_are_refused(own: object) -> None:
    control = one('<RectangleLabels name="l" toName="img" value="$own"/>')
    with pytest.raises(InputError, match="the task's data: expected"):
        control.of_task({"own": own})


def test_the_config_that_we_export_can_be_filled_in() -> None:
    xml = labelling_config(["car"], {"object": ["car"]}, captions=True, masks="polygon")
    read = read_labelling_config(xml)
    assert [control.kind for control in read.controls] == ["polygonlabels", "taxonomy"]
    assert read.controls[1].options == (Option(("object", "car"), ("car",)),)


def test_pictures_lie_at_keys_and_at_keys_in_keys() -> None:
    read = read_labelling_config(
        config('<Choices name="c" toName="img"/>', image='<Image name="img" value="$page.photo"/>')
    )
    assert read.address("img", {"page": {"photo": "a.png"}}) == "a.png"
    assert read.address("img", {"page.photo": "b.png"}) == "b.png"
    for data in ({}, {"page": "x"}, {"page": {"photo": ["a.png"]}}, {"page": {"photo": ""}}):
        with pytest.raises(InputError, match=r"the address of a picture as 'page\.photo'"):
            read.address("img", data)


def test_a_project_without_controls_yet_is_an_empty_config() -> None:
    assert read_labelling_config("<View></View>").controls == ()


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("", "expected XML"),
        ("<View><Image></View>", "expected XML"),
        ('<!DOCTYPE v [<!ENTITY a "aaaa">]><View>&a;</View>', "without <!DOCTYPE>"),
        ('<!DOCTYPE v SYSTEM "file:///etc/passwd"><View/>', "without <!DOCTYPE>"),
        (
            config('<Ellipse name="e" toName="img"/>'),
            "expected one of RectangleLabels.*got Ellipse",
        ),
        (config('<BrushLabels name="b" toName="other"/>'), "for an Image, got BrushLabels"),
        (config('<Choices name="c" toName="img" perRegion="true"/>'), "got Choices"),
        (config('<BrushLabels toName="img"/>'), "expected a name of <BrushLabels>"),
        (
            config('<BrushLabels name="b" toName="img"/>', '<Image name="img" valueList="$p"/>'),
            'value="\\$image".*got none',
        ),
        ("<View>" + " " * MAX_CHARACTERS + "</View>", "expected at most"),
    ],
)
def test_what_cannot_be_filled_in_is_refused(xml: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_labelling_config(xml)


def test_a_control_belongs_to_a_picture_once_however_often_it_names_it() -> None:
    again = "img, img " * 500
    control = one(f'<Choices name="c" toName="{again}"><Choice value="beach"/></Choices>')
    assert [option.path for option in control.options] == [("beach",)]


def test_a_control_of_many_pictures_is_read_once() -> None:
    images = "".join(f'<Image name="i{n}" value="$i{n}"/>' for n in range(MAX_CONTROLS))
    names = " ".join(f"i{n}" for n in range(MAX_CONTROLS))
    choices = f'<Choices name="c" toName="{names}"><Choice value="beach"/></Choices>'
    controls = read_labelling_config(config(choices, images)).controls
    assert [control.to_name for control in controls] == names.split()
    assert len({id(control.options) for control in controls}) == 1
    more = '<Choices name="d" toName="i0"/>'
    with pytest.raises(InputError, match=f"at most {MAX_CONTROLS} controls"):
        read_labelling_config(config(choices + more, images))


def test_a_control_inside_another_is_refused() -> None:
    inner = '<Choices name="c" toName="img"><View>{}</View></Choices>'
    with pytest.raises(InputError, match="<Taxonomy> lies inside <Choices>"):
        read_labelling_config(config(inner.format('<Taxonomy name="t" toName="img"/>')))


def test_a_wide_config_is_read() -> None:
    """Its time once grew with the square: this took half a minute."""
    empty = "<View/>" * 400_000
    assert one(f'<Choices name="c" toName="img">{empty}</Choices>').options == ()


def test_what_a_config_says_cannot_begin_a_line_of_the_log() -> None:
    image = '<Image name="img" value="x&#10;ERROR root: all is lost"/>'
    with pytest.raises(InputError, match="got 'x") as told:
        read_labelling_config(config('<Choices name="c" toName="img"/>', image))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "row",
    [
        "\ud800",
        "a\nb",
        {"value": "a", "alias": "\ud800"},
        {"value": "\ud800", "children": [{"value": "a"}]},
    ],
)
def test_names_in_a_task_that_cannot_be_shown_are_refused(row: object) -> None:
    control = one('<Taxonomy name="t" toName="img" value="$own"/>')
    with pytest.raises(InputError, match="expected printable names in 'own'") as told:
        control.of_task({"own": ["beach", row]})
    assert str(told.value).isprintable()


def test_choices_that_lie_too_deep_are_refused() -> None:
    deep = MAX_DEPTH + 2
    inner = '<Choice value="a">' * deep + "</Choice>" * deep
    with pytest.raises(InputError, match="deep"):
        read_labelling_config(config(f'<Taxonomy name="t" toName="img">{inner}</Taxonomy>'))


def test_entities_cost_nothing() -> None:
    """Ten levels of ten would be 10 GB; the document type alone is refused."""
    entities = "".join(
        f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "lol" * 3}">' for n in range(10)
    )
    with pytest.raises(InputError, match="DOCTYPE"):
        read_labelling_config(f"<!DOCTYPE v [{entities}]><View>&e9;</View>")
