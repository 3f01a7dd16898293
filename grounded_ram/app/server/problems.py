"""Why a request gets no answer: one shape of error, from one table of kinds.

{"error": {"code": "picture_too_large", "message": "expected at most ..., got ..."}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.exceptions import HTTPException

RETRY_AFTER_S = 1

KINDS: Mapping[str, tuple[int, str]] = {
    "malformed": (400, "The body cannot be read as what its Content-Type says."),
    "unauthorized": (401, "The API key is missing or wrong."),
    "urls_not_allowed": (403, "The server was started without --allow-urls."),
    "url_refused": (422, "The picture's address may not be asked, or gives no picture."),
    "timed_out_reading": (408, "The body did not arrive in time."),
    "too_large": (413, "The body, the picture's file or its number of pixels is over the limit."),
    "unsupported_media_type": (415, "The body is of another type, or the file is no picture."),
    "wrong_host": (421, "The server is not to be addressed by this name."),
    "invalid": (422, "A field is missing, unknown or out of range, or the picture is damaged."),
    "client_gone": (499, "Nobody waits for the answer; for the counters alone."),
    "internal": (500, "The server's fault; its log says more."),
    "queue_full": (503, "Too many pictures are waiting; try again after Retry-After seconds."),
    "stopping": (503, "The server is stopping."),
    "loading": (503, "The weights are still being read."),
    "timed_out": (504, "The picture was not annotated in time."),
}
"""What the codes of errors mean, each with its HTTP status."""

_BY_STATUS = {404: "not_found", 405: "method_not_allowed", 400: "malformed"}


class Problem(Exception):
    """Ends a request with an error.

    Args:
        code: one of ``KINDS``.
        message: what was expected, what came, what to do; the caller reads it.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = KINDS[code][0]


class ErrorFacts(BaseModel):
    """What went wrong."""

    code: str
    """One word for programs."""
    message: str
    """For people: what was expected, what came, what to do."""


class ErrorAnswer(BaseModel):
    """The body of every answer that is not 200."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "error": {
                    "code": "too_large",
                    "message": "expected a body of at most 21,037,056 bytes, got more",
                }
            }
        }
    )
    error: ErrorFacts


def install(app: FastAPI) -> None:
    """Turn whatever a route raises into answers of the one shape."""
    app.add_exception_handler(Problem, _of_problem)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(Exception, _of_fault)


def answer(problem: Problem) -> JSONResponse:
    """Return the answer that tells a problem."""
    headers = {}
    if problem.status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if problem.status in (408, 413):  # the rest of the body is not wanted
        headers["Connection"] = "close"
    return _answer(problem.status, problem.code, problem.message, headers)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of answers with these statuses."""
    return {
        status: {
            "model": ErrorAnswer,
            "description": " ".join(
                f"`{code}`: {text}" for code, (own, text) in KINDS.items() if own == status
            ),
        }
        for status in statuses
    }


def told(error: ValidationError) -> str:
    """Return what is wrong with fields, the first of them first, in one line."""
    parts = []
    for one in error.errors(include_url=False)[:3]:
        name = ".".join(map(str, one["loc"])) or "the body"
        got = ascii(one["input"])
        short = got if len(got) <= 60 else f"{got[:60]}..."
        parts.append(f"{name}: {one['msg'][:1].lower()}{one['msg'][1:]}, got {short}")
    return "; ".join(parts)


def _answer(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers)


async def _of_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    request.app.state.metrics.reject(error.code)
    return answer(error)


async def _of_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, Problem):  # raised while the framework read a body
        return await _of_problem(request, error.__cause__)
    code = _BY_STATUS.get(error.status_code, "invalid")
    message = str(error.detail)
    if code == "not_found":
        message = f"there is no {request.url.path[:100]!r} here; /docs lists what there is"
    elif code == "method_not_allowed":
        message = f"{request.url.path!r} does not take {request.method[:20]!r}"
    return _answer(error.status_code, code, message, error.headers)


async def _of_validation(request: Request, error: Exception) -> JSONResponse:
    return _answer(422, "invalid", "a field of the address or of a header cannot be used")


async def _of_fault(request: Request, error: Exception) -> JSONResponse:
    """Say nothing of what happened: the server logs it."""
    return _answer(500, "internal", "the server failed to answer; its log says why")
