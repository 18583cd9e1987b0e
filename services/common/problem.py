"""RFC 9457 problems: the one way in which every service tells a caller that something is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.db import PASSING_FAULTS
from services.common.errors import Refusal

log = structlog.get_logger("http")

TYPE = "https://tallybook.dev/problems/"
MEDIA_TYPE = "application/problem+json"
BODY_BYTES_MAX = 1_000_000
REQUEST_ERRORS_MAX = 20

COMMON_STATUS = {
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "body_too_large": 413,
    "invalid_request": 422,
    "temporarily_unavailable": 503,
    "internal_error": 500,
    "book_broken": 500,
}


_PROBLEM = {
    "description": "A problem (RFC 9457): `code` is stable, `detail` says what to do.",
    "content": {
        MEDIA_TYPE: {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "code", "detail"],
                "properties": {
                    "type": {"type": "string", "format": "uri"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            }
        }
    },
}
PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {"4XX": _PROBLEM, "5XX": _PROBLEM}
"""For `FastAPI(responses=...)`, so that a service's OpenAPI says how it answers errors."""


def problem_of(code: str, detail: str) -> dict[str, Any]:
    """A problem document without a status, for where many are told in one answer."""
    return {
        "type": TYPE + code,
        "title": code.replace("_", " ").capitalize(),
        "code": code,
        "detail": detail,
    }


def problem(status: int, code: str, detail: str, **more: Any) -> JSONResponse:
    """A problem document. `detail` tells the caller what to do; `code` never changes its meaning."""
    body = {**problem_of(code, detail), "status": status, **more}
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        headers["Retry-After"] = "1"
    return JSONResponse(body, status, media_type=MEDIA_TYPE, headers=headers)


def install_problems(
    app: FastAPI, status_of: Mapping[str, int], body_bytes_max: Mapping[str, int] | None = None
) -> None:
    """Answer every error of `app` with a problem; `status_of` maps a service's refusal codes to HTTP.

    `body_bytes_max`: the paths that take more, or less, than `BODY_BYTES_MAX`.
    """
    statuses = {**COMMON_STATUS, **status_of}

    @app.exception_handler(Refusal)
    async def refused(_: Request, error: Refusal) -> JSONResponse:
        return problem(statuses.get(error.code, 422), error.code, error.detail)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        # Pydantic's own texts, without the input: it may hold personal data.
        errors = [
            {"field": ".".join(str(part) for part in e["loc"]), "detail": e["msg"]}
            for e in error.errors()[:REQUEST_ERRORS_MAX]
        ]
        first = errors[0] if errors else {"field": "body", "detail": "invalid"}
        detail = f"{first['field']}: {first['detail']}"
        if first["field"] == "body" and "json" not in request.headers.get("content-type", ""):
            # What is not said to be JSON is not read as JSON.
            detail = "body: send a JSON object, with the header Content-Type: application/json"
        return problem(422, "invalid_request", detail, errors=errors)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        match error.status_code:
            case 404:
                return problem(404, "not_found", "there is nothing at this path: /docs lists what there is")
            case 405:
                detail = f"{request.method} can't be done with this path: /docs says what can"
                return problem(405, "method_not_allowed", detail)
            case 413:
                return problem(413, "body_too_large", str(error.detail))
        return problem(
            422, "invalid_request", "body: it can't be read as JSON in UTF-8: send it uncompressed"
        )

    async def database_away(request: Request, error: Exception) -> JSONResponse:
        log.warning("passing fault", path=request.url.path, error=repr(error))
        return problem(
            503, "temporarily_unavailable", "the database did not answer: send the same request again"
        )

    for fault in (*PASSING_FAULTS, OperationalError, InterfaceError):
        app.add_exception_handler(fault, database_away)

    @app.exception_handler(DBAPIError)
    async def database_error(request: Request, error: DBAPIError) -> JSONResponse:
        return await (database_away if error.connection_invalidated else unexpected)(request, error)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("unexpected", path=request.url.path, error=repr(error), exc_info=error)
        return problem(500, "internal_error", "This is our fault and was logged; send the request again.")

    app.add_middleware(BodyLimit, of_path=body_bytes_max or {})


class BodyLimit:
    """Refuses a body over `BODY_BYTES_MAX` (or its path's own limit) before anything reads it whole."""

    def __init__(self, app: ASGIApp, of_path: Mapping[str, int]) -> None:
        self._app = app
        self._of_path = of_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._of_path.get(scope["path"], BODY_BYTES_MAX)
        length = next((v for k, v in scope["headers"] if k == b"content-length"), None)
        if length is not None and (not length.isdigit() or int(length) > most):
            await problem(413, "body_too_large", _too_large(most))(scope, receive, send)
            return
        seen = 0

        async def limited() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                # Not a Refusal: FastAPI passes on its own exceptions while it reads a body, and no others.
                raise HTTPException(413, _too_large(most))
            return message

        await self._app(scope, limited if length is None else receive, send)


def _too_large(most: int) -> str:
    return f"at most {most} bytes are taken: send less at a time"
