"""The routes of the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Security
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.requests import ClientDisconnect

import grounded_ram
from grounded_ram.app.server import answers, bodies, problems
from grounded_ram.app.server.guard import Guard
from grounded_ram.app.server.metrics import CONTENT_TYPE, Metrics
from grounded_ram.app.server.problems import Problem
from grounded_ram.app.server.schemas import (
    CocoDataset,
    Health,
    Models,
    PictureLabels,
    PictureTags,
    request_body,
)
from grounded_ram.app.server.service import Service, in_time
from grounded_ram.app.server.settings import Settings
from grounded_ram.app.server.work import AskLabels, AskTags
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.runtime import dtype_name

_ABOUT = """Tags, boxes and masks for any picture, with no class list.

Send a picture to `/annotate`; `format` says what comes back. Errors are
`{"error": {"code", "message"}}`, whatever their status. Where the status is 503, send the same
request again after `Retry-After` seconds."""

_LABEL_STATUSES = (400, 403, 408, 413, 415, 422, 500, 503, 504)


def create_app(
    model: GroundedRAM, settings: Settings | None = None, routers: Sequence[APIRouter] = ()
) -> FastAPI:
    """Make a server's application; its weights are loaded when it starts.

    Args:
        model: annotates; its ``batch_size`` is the most pictures that are annotated together.
        settings: the limits.
        routers: further routes. They find the ``service.Service`` at ``request.app.state.service``;
            one whose bodies may be longer than a picture says so in its ``body_room``, in bytes.
    """
    settings = settings or Settings()
    service = Service(model, settings, Metrics())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.close()

    app = FastAPI(
        title="grounded-ram",
        version=grounded_ram.__version__,
        description=_ABOUT,
        lifespan=lifespan,
        dependencies=_documented_keys(settings),
    )
    app.state.service, app.state.metrics = service, service.metrics
    problems.install(app)
    app.add_middleware(Guard, service=service)
    for router in (_labels(settings), _facts(settings), *routers):
        app.include_router(router)
        for route in router.routes:
            if room := getattr(route, "body_room", 0):
                service.body_room[getattr(route, "path", "")] = room
    return app


def _documented_keys(settings: Settings) -> list[Any]:
    """Return what tells OpenAPI of the key; it is ``Guard`` that asks for it."""
    if settings.api_key is None:
        return []
    return [
        Security(HTTPBearer(auto_error=False)),
        Security(APIKeyHeader(name="X-API-Key", auto_error=False)),
    ]


def _labels(settings: Settings) -> APIRouter:
    """Make the routes that take pictures."""
    router = APIRouter(tags=["pictures"])
    guarded = _guarded(settings)

    @router.post(
        "/annotate",
        summary="Tags, boxes and masks of a picture",
        openapi_extra=request_body(settings, labels=True),
        response_class=Response,
        responses={200: _label_answers(), **problems.documented(*guarded, *_LABEL_STATUSES)},
    )
    async def annotate(request: Request) -> Response:
        """Find out what is in a picture, where, and on which pixels.

        `json`: tags, boxes, scores, and why other boxes were rejected. `coco`: COCO with masks.
        `yolo`, `yolo-detect`, `voc`, `labelme`: a zip of that format's files. `overlay`: the
        picture with everything drawn on it. `masks`: a zip of a black and white PNG per object.
        """
        service, deadline = _service(request), _deadline(settings)
        data, given = await _taken(request, bodies.LabelOptions, deadline)
        asked = given.options
        ask = AskLabels(
            tags=None if asked.tags is None else tuple(asked.tags),
            tag_threshold=asked.tag_threshold,
            box_threshold=asked.box_threshold,
        )
        found = await in_time(request, service.ask(data, ask), deadline)
        content, media = await asyncio.to_thread(
            answers.annotated, found, asked.format, masks=asked.masks, name=given.name
        )
        return Response(content, media_type=media)

    @router.post(
        "/tags",
        summary="Tags of a picture",
        openapi_extra=request_body(settings, labels=False),
        response_class=Response,
        responses={
            200: {"model": PictureTags, "description": "What is in the picture."},
            **problems.documented(*guarded, *_LABEL_STATUSES),
        },
    )
    async def tags(request: Request) -> Response:
        """Say what is in a picture, without looking for where; synonyms are one tag."""
        service, deadline = _service(request), _deadline(settings)
        data, given = await _taken(request, bodies.TagOptions, deadline)
        ask = AskTags(tag_threshold=given.options.tag_threshold)
        seen = await in_time(request, service.ask(data, ask), deadline)
        return Response(answers.tagged(seen, name=given.name), media_type=answers.JSON)

    return router


def _facts(settings: Settings) -> APIRouter:
    """Make the routes that tell of the server itself."""
    router = APIRouter(tags=["server"])
    guarded = _guarded(settings)

    @router.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        """Show what to ask, to whoever opens the server's address in a browser."""
        return RedirectResponse("/docs")

    @router.get("/models", response_model=Models, responses=problems.documented(*guarded, 503))
    async def models(request: Request) -> Response:
        """Say which model answers, and what may be asked of it."""
        return JSONResponse({"models": [model_facts(_service(request))]})

    @router.get("/health", response_model=Health, responses=problems.documented(421))
    async def health(request: Request) -> Response:
        """Say that the server lives; the status is 200 as long as it does."""
        return JSONResponse(_health(_service(request)))

    @router.get(
        "/health/ready",
        response_model=Health,
        responses={
            **problems.documented(421),
            503: {"model": Health, "description": "Not yet, or not any more."},
        },
    )
    async def ready(request: Request) -> Response:
        """Say whether pictures are answered at once: the weights are loaded, nothing stops."""
        facts = _health(_service(request))
        return JSONResponse(facts, 200 if facts["status"] == "ready" else 503)

    @router.get(
        "/metrics",
        response_class=Response,
        responses={
            200: {"content": {"text/plain": {}}, "description": "For Prometheus."},
            **problems.documented(*guarded),
        },
    )
    async def metrics(request: Request) -> Response:
        """Count requests, refusals, batches, and what they took."""
        return Response(_service(request).metrics.text(), media_type=CONTENT_TYPE)

    return router


def _guarded(settings: Settings) -> tuple[int, ...]:
    """Return the statuses with which ``Guard`` refuses."""
    return (421,) if settings.api_key is None else (401, 421)


def _label_answers() -> dict[str, Any]:
    file = {"schema": {"type": "string", "format": "binary"}}
    return {
        "model": PictureLabels | CocoDataset,
        "description": "The labels, in the format that was asked for.",
        "content": {answers.JPEG: file, answers.PNG: file, answers.ZIP: file},
    }


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _deadline(settings: Settings) -> float:
    return time.monotonic() + settings.timeout_s


async def _taken(
    request: Request, kind: type[bodies.OptionsT], deadline: float
) -> tuple[bytes, bodies.Given[bodies.OptionsT]]:
    """Read a request, and get its picture's file.

    Args:
        request: not read yet.
        kind: what may be asked.
        deadline: by ``time.monotonic``.
    """
    service = _service(request)
    with service.admitted():
        try:
            given = await bodies.read(request, service.settings, kind)
        except ClientDisconnect as error:
            raise Problem("client_gone", "the body broke off") from error
        if given.url is None:
            assert given.data is not None  # bodies.read gives one of the two
            return given.data, given
        return await in_time(request, service.fetch(given.url), deadline), given


def model_facts(service: Service) -> dict[str, Any]:
    """Return what ``/models`` tells: names and numbers, no places on the disk."""
    model, settings = service.model, service.settings
    row = model.preset
    return {
        "preset": row.name,
        "summary": row.summary,
        "tagger": row.tagger,
        "detector": row.detector,
        "segmenter": row.segmenter,
        "tag_threshold": row.tag_threshold,
        "box_threshold": row.box_threshold,
        "device": str(model.device),
        "dtype": dtype_name(model.dtype),
        "licence": row.licence,
        "caution": row.caution,
        "formats": list(bodies.FORMATS),
        "limits": {
            "max_bytes": settings.max_bytes,
            "max_pixels": settings.max_pixels,
            "max_tags": settings.max_tags,
            "max_tag_length": settings.max_tag_length,
            "timeout_s": settings.timeout_s,
        },
    }


def _health(service: Service) -> dict[str, Any]:
    status = "ready" if service.ready else "loading"
    if service.failure is not None:
        status = "failed"
    if service.stopping:
        status = "stopping"
    return {
        "status": status,
        "version": grounded_ram.__version__,
        "waiting": service.waiting,
    }
