"""Label Studio's protocol for machine-learning backends.

    POST /setup      a project is connected, or its page is opened: who is there?
    POST /predict    what is in these tasks' pictures?
    POST /webhook    something happened in the project
    GET  /versions   which versions are there?

Label Studio also asks GET /health, which the server answers anyway. Requests hold a Label Studio's
address and a key of its user; neither is used: pictures come from where the server's owner said.
Nothing of a request is kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from grounded_ram.annotation import Annotation
from grounded_ram.app.server.label_studio_config import Config, read_labelling_config
from grounded_ram.app.server.label_studio_pictures import Pictures, Studio
from grounded_ram.app.server.label_studio_results import Answers, questions
from grounded_ram.app.server.problems import Problem, documented
from grounded_ram.app.server.service import Service
from grounded_ram.app.server.settings import Settings
from grounded_ram.errors import GroundedRAMError, InputError
from grounded_ram.export.label_studio import model_version as told_version

if TYPE_CHECKING:
    from grounded_ram.pipeline import GroundedRAM

logger = logging.getLogger(__name__)

Annotate: TypeAlias = Callable[[bytes, Sequence[str] | None], Awaitable[Annotation]]
"""Looks for tags, or for what the tagger sees, in a picture's file."""

GetPicture: TypeAlias = Callable[[str, int], Awaitable[bytes]]
"""Gets a picture by what a task says of where it lies, and the task's number."""

MAX_BODY_BYTES = 64 * 2**20
"""Of a request; the tasks that Label Studio sends bring what was drawn in them before."""

AT_ONCE = 4
"""Tasks of one request that are worked on at a time."""

Event: TypeAlias = Literal[
    "START_TRAINING",
    "PROJECT_CREATED",
    "PROJECT_UPDATED",
    "PROJECT_DELETED",
    "TASKS_CREATED",
    "TASKS_DELETED",
    "ANNOTATION_CREATED",
    "ANNOTATIONS_CREATED",
    "ANNOTATION_UPDATED",
    "ANNOTATIONS_DELETED",
    "LABEL_LINK_CREATED",
    "LABEL_LINK_UPDATED",
    "LABEL_LINK_DELETED",
]
"""What Label Studio tells backends of."""

_EXAMPLE_CONFIG = (
    '<View><Image name="image" value="$image"/><RectangleLabels name="label" toName="image">'
    '<Label value="car"/></RectangleLabels></View>'
)


class SetupRequest(BaseModel):
    """A project asks who is there."""

    model_config = ConfigDict(json_schema_extra={"example": {"schema": _EXAMPLE_CONFIG}})
    config: str = Field(alias="schema")
    """Its labelling config."""


class SetupAnswer(BaseModel):
    """Who is there."""

    model_version: str
    """Tasks that have a prediction of this version are not asked for again."""


class VersionsAnswer(BaseModel):
    """Which versions are there."""

    versions: list[str]


class Task(BaseModel):
    """One task."""

    id: int
    data: dict[str, Any]
    """Its picture's address, under the key that the config names."""


class Parameters(BaseModel):
    """How a request is meant."""

    context: dict[str, Any] | None = None
    """What somebody drew and wants to be completed."""


class PredictRequest(BaseModel):
    """Tasks of one project."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "tasks": [{"id": 1, "data": {"image": "/data/upload/1/street.jpg"}}],
                "label_config": _EXAMPLE_CONFIG,
            }
        }
    )
    tasks: list[Task]
    label_config: str
    params: Parameters | None = None


class PredictAnswer(BaseModel):
    """One entry for each task, in their order."""

    results: list[dict[str, Any]]
    """A prediction: ``result``, ``score``, ``model_version``; or ``error``, a message."""


class WebhookRequest(BaseModel):
    """Something happened."""

    model_config = ConfigDict(json_schema_extra={"example": {"action": "ANNOTATION_CREATED"}})
    action: Event


class WebhookAnswer(BaseModel):
    """It was heard."""

    status: Literal["ok"] = "ok"


def label_studio_router(
    pictures: GetPicture, *, model_version: str, annotate: Annotate | None = None
) -> APIRouter:
    """Return the routes that Label Studio asks, for ``api.create_app``.

    Args:
        pictures: as above, see ``label_studio_pictures.Pictures``.
        model_version: as ``export.label_studio.model_version`` makes it of ``model.record()``.
        annotate: what it raises of ``Problem`` or ``GroundedRAMError`` is told of the one task;
            None for the model of the server.
    """
    router = APIRouter(tags=["Label Studio"], route_class=_LongRoute)
    answers = documented(413, 422, 503)

    @router.post("/setup", responses=answers, summary="Connect a project")
    async def setup(asked: SetupRequest) -> SetupAnswer:
        """Refuse a labelling config in which nothing can be filled in."""
        await asyncio.to_thread(_config, asked.config)
        return SetupAnswer(model_version=model_version)

    @router.post("/predict", responses=answers, summary="Predict tasks")
    async def predict(asked: PredictRequest, request: Request) -> PredictAnswer:
        """Annotate the pictures of tasks; one that fails does not stop the others."""
        if asked.params is not None and (asked.params.context or {}).get("result"):
            raise Problem(
                "invalid",
                "this model completes no regions that somebody draws; turn off 'Use for "
                "interactive preannotations' in the project's settings, Model",
            )
        config = await asyncio.to_thread(_config, asked.label_config)
        service: Service = request.app.state.service
        predictor = _Predictor(
            annotate or service.annotate,
            pictures,
            model_version=model_version,
            timeout_s=service.settings.timeout_s,
        )
        return PredictAnswer(results=await predictor.predict(asked.tasks, config, request))

    @router.get("/versions", summary="Name the model's version")
    async def versions() -> VersionsAnswer:
        """There is one."""
        return VersionsAnswer(versions=[model_version])

    @router.post("/webhook", responses=answers, summary="Hear of an event")
    async def webhook(asked: WebhookRequest) -> WebhookAnswer:
        """Take note of nothing; refuse to train."""
        if asked.action == "START_TRAINING":
            raise Problem(
                "invalid",
                "this model does not learn from a project; export it as COCO and see "
                "`grounded-ram train --help`",
            )
        return WebhookAnswer()

    return router


def router_for(
    model: GroundedRAM, settings: Settings, *, url: str | None, key: str | None
) -> APIRouter:
    """Return the routes for a server's model, whose pictures may lie in one Label Studio.

    Args:
        model: the server's.
        settings: the server's; they say whether other addresses are fetched, and how much of them.
        url: Label Studio's address; None where tasks hold no paths of its own.
        key: a user's key of it.

    Raises:
        InputError: one of the two is missing, or is none.
    """
    if (url is None) != (key is None):
        raise InputError(
            "expected --label-studio and --label-studio-key together, or the variables "
            "LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY; got "
            f"{'the key' if url is None else 'the address'} alone"
        )
    studio = None if url is None or key is None else Studio(url, key)
    pictures = Pictures(studio, public=settings.allow_urls, limits=settings.fetching)
    return label_studio_router(pictures, model_version=told_version(model.record()))


class _LongRoute(APIRoute):
    """Reads bodies that may be long, of few requests at a time; says which field is wrong."""

    body_room = MAX_BODY_BYTES

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()
        if "GET" in (self.methods or ()):
            return answer

        async def admitted(request: Request) -> Response:
            service: Service = request.app.state.service
            with service.admitted():  # until the answer: all that time the body is held
                try:
                    return await answer(request)
                except RequestValidationError as error:
                    raise Problem("invalid", _wrong(error)) from error

        return admitted


def _wrong(error: RequestValidationError) -> str:
    """Return which fields are wrong, the first of them first."""
    parts = []
    for one in error.errors()[:3]:
        name = ".".join(str(part) for part in one["loc"] if part != "body") or "the body"
        parts.append(f"{name}: {one['msg'][:200]}")
    return "; ".join(parts)


def _config(xml: str) -> Config:
    try:
        return read_labelling_config(xml)
    except InputError as error:
        logger.warning("%s", error)  # Label Studio shows its users the status alone
        raise Problem("invalid", str(error)) from error


class _Predictor:
    """Answers the tasks of requests, each in ``timeout_s`` seconds."""

    def __init__(
        self, annotate: Annotate, pictures: GetPicture, *, model_version: str, timeout_s: float
    ) -> None:
        self._annotate, self._pictures = annotate, pictures
        self._version, self._timeout_s = model_version, timeout_s

    async def predict(
        self, tasks: Sequence[Task], config: Config, request: Request
    ) -> list[dict[str, Any]]:
        """Return a prediction or an error for each task.

        Label Studio waits 100 seconds. Once it has gone, what is not begun is left.
        """
        free = asyncio.Semaphore(AT_ONCE)

        async def one(task: Task) -> dict[str, Any]:
            async with free:
                if await request.is_disconnected():
                    return {"error": "nobody waits for the answer"}
                return await self._try(task, config)

        return list(await asyncio.gather(*map(one, tasks)))

    async def _try(self, task: Task, config: Config) -> dict[str, Any]:
        """Return a task's prediction, or why there is none.

        An answer without ``result`` is none to Label Studio: it logs it, stores nothing, and asks
        for the task again next time.
        """
        try:
            return await asyncio.wait_for(self._answer(task, config), self._timeout_s)
        except asyncio.TimeoutError:
            logger.warning("task %d: not answered in %g seconds", task.id, self._timeout_s)
            return {"error": "the task was not answered in time; ask for it again"}
        except (GroundedRAMError, Problem) as error:
            logger.warning("task %d: %s", task.id, error)
            return {"error": str(error)}
        except Exception:  # of one task; the others' answers must not be lost with it
            logger.exception("task %d cannot be predicted", task.id)
            return {"error": "the server failed to answer; its log says why"}

    async def _answer(self, task: Task, config: Config) -> dict[str, Any]:
        answers, files = Answers(task.id), dict[str, bytes]()
        for question in questions(config, task.data):
            address = question.address
            if address not in files:
                files[address] = await self._pictures(address, task.id)
            annotation = await self._annotate(files[address], question.tags)
            await asyncio.to_thread(answers.add, question, annotation)
        return answers.prediction(self._version)
