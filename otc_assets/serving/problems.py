"""Errors as RFC 9457 has them: which argument is wrong, and what is allowed."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from otc_assets.serving.limits import QUERY_SECONDS
from otc_assets.warehouse.engine import StoreError

MEDIA_TYPE = "application/problem+json"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string", "examples": ["Unprocessable Content"]},
        "status": {"type": "integer", "examples": [422]},
        "detail": {"type": "string", "examples": ["no tier 'T1'; there are NMS Tier 1, ..."]},
        "argument": {"type": "string", "examples": ["tier"]},
    },
}
ENDED = ("interrupted", "statement timeout")
"""What the databases say of a query that they have ended."""

log = logging.getLogger(__name__)
_said: list[str] = []
"""What was last said of the store."""


class Problem(Exception):
    """What is wrong with a request, or with us."""

    def __init__(
        self,
        status: int,
        detail: str,
        argument: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answer with ``status``; ``argument`` is what the client has to change."""
        super().__init__(detail)
        self.status, self.detail, self.argument = status, detail, argument
        self.headers = dict(headers or {})


def response(problem: Problem) -> Response:
    """Return a problem as an answer."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.argument:
        body["argument"] = problem.argument
    text = orjson.dumps(body, default=str)
    return Response(text, problem.status, problem.headers, media_type=MEDIA_TYPE)


def add_handlers(app: FastAPI) -> None:
    """Let every error of an app be answered with a problem."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(StoreError, _store)


def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return response(error)


def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    argument = next((str(part) for part in first["loc"][1:]), None)
    return response(Problem(422, f"{argument}: {first['msg']}", argument))


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    details = {
        404: f"nothing is at {request.url.path!a}; /v1/openapi.json lists what there is",
        405: "only GET and HEAD are answered: nothing can be changed here",
    }
    detail = details.get(error.status_code, str(error.detail))
    return response(Problem(error.status_code, detail, headers=error.headers))


def _store(_request: Request, error: Exception) -> Response:
    if any(said in str(error) for said in ENDED):
        detail = f"the query took longer than {QUERY_SECONDS} s: ask for fewer weeks or symbols"
        return response(Problem(503, detail, headers={"Retry-After": "10"}))
    if _said != [str(error)]:  # once, and not for each request
        log.error("the store cannot be read: %s", error)
        _said[:] = [str(error)]
    detail = "the store cannot be read; /health says why"
    return response(Problem(503, detail, headers={"Retry-After": "10"}))
