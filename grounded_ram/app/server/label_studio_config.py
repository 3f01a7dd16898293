"""A Label Studio project's labelling config: what is to be filled in, and which words ask for it.

    <View>
      <Image name="image" value="$image"/>
      <RectangleLabels name="box" toName="image">
        <Label value="Car" predicted_values="car, taxi"/>
      </RectangleLabels>
    </View>

A label is looked for by its ``predicted_values`` where it has them, else by its ``value``, else by
its ``alias`` where the vocabulary knows that one alone. Results name it as Label Studio does: by
its ``alias`` where it has one. Labels and choices that lie in the tasks, as in ``value="$labels"``,
are read from each.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias
from xml.etree.ElementTree import Element, ParseError, fromstring
from xml.parsers import expat

from grounded_ram.errors import InputError
from grounded_ram.export.label_studio import Shape
from grounded_ram.vocabulary.table import official_vocabulary

SHAPES: Mapping[str, Shape] = {
    "rectanglelabels": "rectangle",
    "brushlabels": "rle",
    "polygonlabels": "polygon",
}
"""The controls whose results are places, and how those are drawn."""

CHOICES = ("choices", "taxonomy")
"""The controls whose results speak of the whole picture."""

MAX_CHARACTERS = 4 * 2**20
MAX_DEPTH = 32
MAX_CONTROLS = 100
"""One that belongs to several pictures counts once for each."""

_SUPPORTED = "RectangleLabels, BrushLabels, PolygonLabels, Choices, Taxonomy"

Path: TypeAlias = tuple[str, ...]
Attributes: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Option:
    """A label or a choice.

    Args:
        path: what results hold: its name, below the names of those above it in a taxonomy.
        words: what it is looked for as; at least one.
    """

    path: Path
    words: tuple[str, ...]


@dataclass(frozen=True)
class Control:
    """One element of the config that is filled in.

    Args:
        name: results call it so.
        to_name: the picture that it belongs to.
        kind: its element's name in small letters, a key of ``SHAPES`` or one of ``CHOICES``.
        options: its labels or choices; none where anything may be written.
        key: where more of them lie in a task's data; empty for nowhere.
        single: at most one may be chosen.
    """

    name: str
    to_name: str
    kind: str
    options: tuple[Option, ...]
    key: str = ""
    single: bool = False

    def of_task(self, data: Mapping[str, Any]) -> Control:
        """Return it with the options that a task has for it.

        Raises:
            InputError: they are none.
        """
        if not self.key or _at(data, self.key) is None:
            return self
        return replace(self, options=(*self.options, *_told_options(_at(data, self.key), self)))


@dataclass(frozen=True)
class Config:
    """What a project wants to know of its pictures.

    Args:
        images: the key of each picture in a task's data, by its name.
        controls: what is filled in; N may be 0.
    """

    images: Mapping[str, str]
    controls: tuple[Control, ...]

    def address(self, image: str, data: Mapping[str, Any]) -> str:
        """Return where a task's picture lies.

        Raises:
            InputError: the task does not say it.
        """
        found = _at(data, self.images[image])
        if not isinstance(found, str) or not found:
            raise InputError(
                f"the task's data: expected the address of a picture as {self.images[image]!r}, "
                f"got {type(found).__name__}"
            )
        return found


def read_labelling_config(xml: str) -> Config:
    """Read a project's labelling config; one without any controls is an empty ``Config``.

    Raises:
        InputError: it is no XML, declares a document type, has nothing that can be filled in, too
            many controls, or one inside another.
    """
    root = _parse(xml)
    images = {
        element.get("name", ""): element for element in root.iter() if _kind(element) == "image"
    }
    targets = [element for element in root.iter() if element.get("toName")]
    controls: list[Control] = []
    for element in targets:
        told = element.get("toName", "").replace(",", " ").split()
        names = [name for name in dict.fromkeys(told) if name in images]
        control = _control(element, names[0]) if names else None
        if control is not None:
            controls.extend(replace(control, to_name=name) for name in names)
        if len(controls) > MAX_CONTROLS:
            raise InputError(f"the labelling config: expected at most {MAX_CONTROLS} controls")
    if targets and not controls:
        found = ", ".join(sorted({element.tag for element in targets}))
        raise InputError(
            f"the labelling config: expected one of {_SUPPORTED} for an Image, got {found}"
        )
    used = {control.to_name for control in controls}
    return Config({name: _key_of(images[name]) for name in sorted(used)}, tuple(controls))


def words(options: Iterable[Option]) -> tuple[str, ...]:
    """Return what options are looked for as, each word once."""
    return tuple(dict.fromkeys(word for option in options for word in option.words))


def _parse(xml: str) -> Element:
    """Read XML that declares no document type, and so no entities."""
    if len(xml) > MAX_CHARACTERS:
        raise InputError(
            f"the labelling config: expected at most {MAX_CHARACTERS} characters, got {len(xml)}"
        )

    def refuse(*_: object) -> None:
        raise InputError("the labelling config: expected XML without <!DOCTYPE>")

    watch = expat.ParserCreate()
    watch.StartDoctypeDeclHandler = refuse
    try:
        watch.Parse(xml, True)
        return fromstring(xml)
    except (expat.ExpatError, ParseError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"the labelling config: expected XML; {error}") from error


def _kind(element: Element) -> str:
    return element.tag.lower() if isinstance(element.tag, str) else ""


def _key_of(image: Element) -> str:
    """Return the key of a picture's address."""
    value = image.get("value", "")
    if not value.startswith("$") or value == "$":
        got = repr(value[:100]) if value else "none"
        raise InputError(
            f'the labelling config: expected <Image value="$image"/> or another such key, got {got}'
        )
    return value[1:]


def _control(element: Element, to_name: str) -> Control | None:
    kind = _kind(element)
    of_regions = element.get("perRegion", "").lower() == "true"
    if of_regions or (kind not in SHAPES and kind not in CHOICES):
        return None
    for inner in element.iter():
        if inner is not element and inner.get("toName"):  # its options would be both's
            raise InputError(
                f"the labelling config: <{inner.tag}> lies inside <{element.tag}>; put it beside"
            )
    name = element.get("name", "")
    if not name:
        raise InputError(f"the labelling config: expected a name of <{element.tag}>, got none")
    value = element.get("value", "")
    key = value[1:] if value.startswith("$") else ""
    rows: Iterable[tuple[Attributes, Path]] = _leaves(element)
    if kind in SHAPES:
        rows = [(_own(label), ()) for label in element.iter() if _kind(label) == "label"]
    options = tuple(option for row, above in rows if (option := _option(row, above)) is not None)
    single = kind == "choices" and not element.get("choice", "single").startswith("multiple")
    return Control(name, to_name, kind, options, key, single)


def _own(element: Element) -> Attributes:
    return dict(element.attrib)


def _leaves(element: Element) -> Iterator[tuple[Attributes, Path]]:
    """Return choices that have none below them, each with the names of those above it."""
    waiting: deque[tuple[Element, Path]] = deque([(element, ())])
    while waiting:
        parent, above = waiting.popleft()
        for choice in parent:
            if _kind(choice) != "choice":
                waiting.append((choice, above))
            elif any(_kind(one) == "choice" for one in choice):
                _check_depth(above)
                waiting.append((choice, (*above, _written(_own(choice)))))
            else:
                yield _own(choice), above


def _told_options(found: Any, control: Control) -> Iterator[Option]:
    """Read the options of a task: names, or objects with a value and perhaps children."""
    waiting: deque[tuple[Any, Path]] = deque([(found, ())])
    while waiting:
        items, above = waiting.popleft()
        if not isinstance(items, list):
            raise InputError(
                f"the task's data: expected a list as {control.key!r}, got {type(items).__name__}"
            )
        for item in items:
            row = {"value": item} if isinstance(item, str) else item
            if not isinstance(row, dict) or not isinstance(row.get("value"), str):
                raise InputError(
                    f'the task\'s data: expected names or {{"value": name}} in {control.key!r}'
                )
            if not _written(row).isprintable():  # half a character cannot be sent back
                raise InputError(
                    f"the task's data: expected printable names in {control.key!r}, "
                    f"got {_written(row)[:60]!a}"
                )
            if row.get("children"):
                _check_depth(above)
                waiting.append((row["children"], (*above, _written(row))))
            elif (option := _option(row, above)) is not None:
                yield option


def _check_depth(above: Path) -> None:
    if len(above) >= MAX_DEPTH:
        raise InputError(f"choices lie in one another more than {MAX_DEPTH} deep")


def _written(row: Attributes) -> str:
    return str(row.get("alias") or row.get("value") or "")


def _option(row: Attributes, above: Path) -> Option | None:
    """Read one label or choice; None where it has no name."""
    written = _written(row)
    if not written:
        return None
    predicted = [part for part in str(row.get("predicted_values", "")).split(",") if part.strip()]
    names = predicted or [str(row.get("value") or written)]
    if not predicted and not _knows(_word(names[0])) and _knows(_word(written)):
        names = [written]
    return Option((*above, written), tuple(dict.fromkeys(map(_word, names))))


def _word(name: str) -> str:
    """Return what a label called so is looked for as: the vocabulary's spelling, if it has one."""
    spaced = " ".join(name.replace("_", " ").split())
    lower = spaced.lower()
    return lower if _knows(lower) and not _knows(spaced) else spaced


def _knows(word: str) -> bool:
    return official_vocabulary().knows(word)


def _at(data: Mapping[str, Any], key: str) -> Any:
    """Return what lies in a task's data at a key, or at several with dots between; None if none."""
    if key in data:
        return data[key]
    found: Any = data
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
