"""What OpenAPI says of bodies: of requests, which are forms or JSON, and of answers."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from grounded_ram.app.server.bodies import FORM, FORMATS, JSON
from grounded_ram.app.server.settings import Settings

_PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNQ2LADAAJ8AYn68Y9OAAAAAElFTkSuQmCC"
)
_NAME = r"^[^,\s\x00-\x1f\x7f-\xa0]([^,\x00-\x1f\x7f-\xa0]*[^,\s\x00-\x1f\x7f-\xa0])?$"


class TagFacts(BaseModel):
    """A tag that the picture shows."""

    name: str
    kind: str = Field(description="Such as object, stuff, scene, attribute or action.")
    score: float


class ObjectFacts(BaseModel):
    """An object, with whatever scores are known of it."""

    model_config = ConfigDict(extra="allow")
    name: str
    box_xyxy: list[float] = Field(min_length=4, max_length=4, description="Corners in pixels.")
    mask_area: int = Field(description="In pixels.")
    tag_score: float
    box_score: float
    mask_score: float
    label_score: float


class RejectedFacts(BaseModel):
    """A box that became no label."""

    name: str
    box_score: float
    box_xyxy: list[float] = Field(min_length=4, max_length=4)
    reason: str
    instead: str = ""


class PictureTags(BaseModel):
    """What is in a picture."""

    name: str | None = Field(description="What the file was called; null where nobody said.")
    height: int
    width: int
    sha256: str = Field(description="Of the picture's file.")
    notes: list[str] = Field(description="What to know of how it was read.")
    tags: list[TagFacts] = Field(description="Best first.")


class PictureLabels(PictureTags):
    """What is in a picture, and where."""

    objects: list[ObjectFacts]
    not_found: list[str] = Field(description="Tags that were looked for in vain.")
    ungrounded: dict[str, str] = Field(description="Why a tag is no object's name.")
    rejected: list[RejectedFacts]


class CocoDataset(BaseModel):
    """A COCO dataset of one picture."""

    model_config = ConfigDict(extra="allow")
    images: list[dict[str, Any]]
    annotations: list[dict[str, Any]]
    categories: list[dict[str, Any]]


class ModelFacts(BaseModel):
    """Which model answers, and what may be asked of it."""

    preset: str
    summary: str
    tagger: str
    detector: str
    segmenter: str
    tag_threshold: float | None = Field(description="null: the checkpoint's own for each tag.")
    box_threshold: float
    device: str
    dtype: str
    licence: str = Field(description="Of the weights.")
    caution: str = Field(description="What to know before trusting a result.")
    formats: list[str]
    limits: dict[str, float]


class Models(BaseModel):
    """The models of this server."""

    models: list[ModelFacts]


class Health(BaseModel):
    """How the server is."""

    status: str = Field(description="ready, loading, stopping or failed.")
    version: str
    waiting: int = Field(description="Pictures in the queue.")


def request_body(settings: Settings, *, labels: bool) -> dict[str, Any]:
    """Return what OpenAPI says of the bodies that a route takes.

    Args:
        settings: the limits.
        labels: as ``/annotate`` has them; else as ``/tags``.
    """
    form, plain = _form_fields(settings, labels=labels), _json_fields(settings, labels=labels)
    example: dict[str, Any] = {"tags": ["cat", "tree"], "box_threshold": 0.4} if labels else {}
    return {
        "requestBody": {
            "required": True,
            "content": {
                FORM: {
                    "schema": _one_of({"file": {"type": "string", "format": "binary"}}, form),
                    "encoding": {"file": {"contentType": "image/*"}},
                },
                JSON: {
                    "schema": _one_of({"image": {"type": "string", "format": "byte"}}, plain),
                    "example": {"image": _PIXEL, **example},
                },
            },
        }
    }


def _one_of(picture: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    """Return objects that hold a picture, or its address."""
    url = {"url": {"type": "string", "format": "uri", "description": "If the server allows it."}}
    return {
        "oneOf": [
            {
                "type": "object",
                "properties": {**which, **fields},
                "required": list(which),
                "additionalProperties": False,
            }
            for which in (picture, url)
        ]
    }


def _form_fields(settings: Settings, *, labels: bool) -> dict[str, Any]:
    share = {"type": "number", "minimum": 0, "maximum": 1}
    if not labels:
        return {"tag_threshold": share}
    names = {
        "type": "string",
        "pattern": _NAME,
        "maxLength": settings.max_tag_length,
        "description": "Names to look for instead of asking the tagger; commas between them.",
    }
    return {"tag_threshold": share, "box_threshold": share, "tags": names, **_choices()}


def _json_fields(settings: Settings, *, labels: bool) -> dict[str, Any]:
    share = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
    if not labels:
        return {"tag_threshold": share}
    names = {
        "type": ["array", "null"],
        "items": {"type": "string", "pattern": _NAME, "maxLength": settings.max_tag_length},
        "minItems": 1,
        "maxItems": settings.max_tags,
        "description": "Names to look for instead of asking the tagger.",
    }
    return {"tag_threshold": share, "box_threshold": share, "tags": names, **_choices()}


def _choices() -> dict[str, Any]:
    return {
        "format": {"type": "string", "enum": list(FORMATS), "default": "json"},
        "masks": {
            "type": "string",
            "enum": ["rle", "polygon"],
            "default": "rle",
            "description": "How shapes are written, where a format has both.",
        },
    }
