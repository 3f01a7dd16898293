"""What a request holds: a picture's bytes or address, and what is asked of it."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any, Generic, Literal, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from grounded_ram.app.server.problems import Problem, told
from grounded_ram.app.server.settings import Settings
from grounded_ram.names import is_inside

FORM, JSON = "multipart/form-data", "application/json"
FORMATS = ("json", "coco", "yolo", "yolo-detect", "voc", "labelme", "overlay", "masks")

_LONGEST_NAME = 100
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # as the OpenAPI's pattern has it
_FIELDS = 20
_LONGEST_FIELD = 2**14  # bytes

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class TagOptions(BaseModel):
    """What ``/tags`` takes beside the picture."""

    model_config = ConfigDict(extra="forbid")
    tag_threshold: Share | None = None


class LabelOptions(TagOptions):
    """What ``/annotate`` takes beside the picture."""

    tags: list[str] | None = None
    box_threshold: Share | None = None
    format: Literal["json", "coco", "yolo", "yolo-detect", "voc", "labelme", "overlay", "masks"] = (
        "json"
    )
    masks: Literal["rle", "polygon"] = "rle"


OptionsT = TypeVar("OptionsT", bound=TagOptions)


@dataclass(frozen=True)
class Given(Generic[OptionsT]):
    """A request taken apart.

    Args:
        data: the picture's file; None where its address came instead.
        url: its address.
        name: what the caller calls the file, without folders; to be shown, never to be opened.
        options: what is asked.
    """

    data: bytes | None
    url: str | None
    name: str | None
    options: OptionsT


async def read(request: Request, settings: Settings, kind: type[OptionsT]) -> Given[OptionsT]:
    """Take a request apart.

    Args:
        request: its body is a form or JSON; ``incoming`` limits how much of it comes.
        settings: the limits.
        kind: what may be asked.

    Raises:
        Problem: it cannot be used.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == FORM:
        form = await _form(request)
        try:
            return await _of_form(form, settings, kind)
        finally:
            await form.close()
    if media == JSON:
        return await asyncio.to_thread(_of_json, await request.body(), settings, kind)
    raise Problem(
        "unsupported_media_type",
        f"expected a body of {FORM} with the picture as file, as curl -F file=@picture.jpg sends "
        f"it, or of {JSON} with it as image in base64; got {media!a}",
    )


def clean_name(name: str | None) -> str | None:
    """Return a file's name without folders, if it is one that can be shown."""
    last = PurePosixPath((name or "").replace("\\", "/")).name
    fine = last and last.isprintable() and len(last) <= _LONGEST_NAME and is_inside(last)
    return last if fine else None


async def _form(request: Request) -> FormData:
    await request.body()  # whole, or the parser would leave files open where it breaks off
    try:
        return await request.form(max_files=1, max_fields=_FIELDS, max_part_size=_LONGEST_FIELD)
    except HTTPException as error:
        raise Problem("malformed", f"the form cannot be read: {error.detail}") from error
    except (LookupError, ValueError) as error:  # a charset nobody knows
        raise Problem("malformed", "the form cannot be read") from error


async def _of_form(form: FormData, settings: Settings, kind: type[OptionsT]) -> Given[OptionsT]:
    fields: dict[str, Any] = {}
    upload: UploadFile | None = None
    for key, value in form.multi_items():
        if isinstance(value, UploadFile):
            if key != "file":
                raise Problem("invalid", f"expected the picture in the field file, got {key!a}")
            upload = value
        elif key == "file":
            raise Problem("invalid", "file: expected a file with a file name, got a text")
        elif key == "tags":
            fields.setdefault("tags", []).extend(value.split(","))
        elif key in fields:
            raise Problem("invalid", f"{key[:60]!a} came twice; each field may come once")
        else:
            fields[key] = value
    url = fields.pop("url", None)
    if (upload is None) == (url is None):
        raise Problem("invalid", "expected a picture in the field file, or its address in url")
    options = _options(fields, settings, kind, strict=False)
    if upload is None:
        return Given(None, url, None, options)
    data = await upload.read()
    return Given(_sized(data, settings), None, clean_name(upload.filename), options)


def _of_json(data: bytes, settings: Settings, kind: type[OptionsT]) -> Given[OptionsT]:
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Problem("malformed", "the body is no JSON") from error
    if not isinstance(fields, dict):
        raise Problem("invalid", f"expected a JSON object, got a {type(fields).__name__}")
    image, url = fields.pop("image", None), fields.pop("url", None)
    if (image is None) == (url is None):
        raise Problem(
            "invalid", "expected a picture in base64 in the field image, or its address in url"
        )
    for key, value in (("image", image), ("url", url)):
        if not isinstance(value, str | None):
            raise Problem("invalid", f"{key}: expected a text, got a {type(value).__name__}")
    options = _options(fields, settings, kind, strict=True)
    if image is None:
        return Given(None, url, None, options)
    return Given(_decoded(image, settings), None, None, options)


def _decoded(image: str, settings: Settings) -> bytes:
    """Decode base64, with or without the front of a data: URL."""
    front, comma, rest = image.partition(";base64,")
    try:
        data = base64.b64decode(
            rest if comma and front.startswith("data:") else image, validate=True
        )
    except ValueError as error:
        raise Problem(
            "invalid",
            "image: expected the picture's bytes in base64; the address of a picture goes into "
            "url, and files of the server cannot be named",
        ) from error
    return _sized(data, settings)


def _sized(data: bytes, settings: Settings) -> bytes:
    if len(data) > settings.max_bytes:
        raise Problem(
            "too_large",
            f"expected a picture of at most {settings.max_bytes:,} bytes, got {len(data):,}",
        )
    return data


def _options(
    fields: Mapping[str, Any], settings: Settings, kind: type[OptionsT], *, strict: bool
) -> OptionsT:
    """Check what is asked.

    Args:
        fields: by name.
        settings: the limits of tags.
        kind: what may be asked.
        strict: numbers must be numbers, as in JSON; in a form all values are texts.
    """
    if unknown := sorted(set(fields) - set(kind.model_fields)):
        known = ", ".join(kind.model_fields)
        raise Problem("invalid", f"unknown field {unknown[0][:60]!a}; known: {known}")
    try:
        options = kind.model_validate(fields, strict=strict)
    except ValidationError as error:
        raise Problem("invalid", told(error)) from error
    if isinstance(options, LabelOptions) and options.tags is not None:
        options.tags = clean_tags(options.tags, settings)
    return options


def clean_tags(tags: Sequence[str], settings: Settings) -> list[str]:
    """Return names to look for, each once, without blanks around them.

    Raises:
        Problem: there are none or too many, or one cannot be a name.
    """
    if not 0 < len(tags) <= settings.max_tags:
        raise Problem(
            "invalid",
            f"tags: expected 1 to {settings.max_tags} names, got {len(tags)}; the server's "
            "--max-tags allows more",
        )
    each: dict[str, str] = {}
    for name in map(str.strip, tags):
        if not 0 < len(name) <= settings.max_tag_length or _CONTROL.search(name):
            raise Problem(
                "invalid",
                f"tags: expected names of 1 to {settings.max_tag_length} printable characters, "
                f"got {name[:60]!a}",
            )
        each.setdefault(name.casefold(), name)
    return list(each.values())
