"""One JSON form for every error: {"error": {"code", "message", "request_id"}}."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

# Status -> (code, when). A status has one code, so that a client may look at either.
KINDS = {
    400: ("malformed_request", "The multipart form cannot be read."),
    404: ("not_found", "There is no such route."),
    405: ("method_not_allowed", "The route does not take this method."),
    408: ("upload_too_slow", "The body did not arrive in time."),
    413: ("too_large", "The body has too many bytes or the picture too many pixels."),
    422: ("unprocessable", "A parameter is wrong, or the picture cannot be read or written."),
    429: ("busy", "The queue is full: try again after `Retry-After` seconds."),
    499: ("client_gone", "The client went away."),
    500: ("internal_error", "A fault of the service; its log has the request's id."),
    504: ("timed_out", "The work took longer than the service allows."),
}


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: str = Field(description="Stable, for programs.", examples=["unprocessable"])
    message: str = Field(description="One line for people.", examples=["strength: should be at most 1"])
    request_id: str = Field(description="The same as in the X-Request-ID header and the service's log.")


class ErrorBody(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail


class Refused(Exception):
    """Ends a request with an error of `KINDS`; `retry_after` is in seconds."""

    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


def error_body(status: int, message: str, request_id: str) -> dict[str, Any]:
    """The JSON of an error."""
    code = KINDS[status][0] if status in KINDS else HTTPStatus(status).name.lower()
    return {"error": {"code": code, "message": message, "request_id": request_id}}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """FastAPI's `responses` for error statuses."""
    seconds = {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds to wait."}
    documents: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        documents[status] = {"model": ErrorBody, "description": KINDS[status][1]}
        if status == 429:
            documents[status]["headers"] = {"Retry-After": seconds}
    return documents


def validation_message(errors: Any) -> str:
    """pydantic's list of errors as one line that names the parameters."""
    parts = []
    for error in errors:
        where = ".".join(str(part) for part in error["loc"] if part not in ("query", "body"))
        what = "no such parameter" if error["type"] == "extra_forbidden" else error["msg"]
        parts.append(f"{where}: {what[:1].lower()}{what[1:]}" if where else what)
    return "; ".join(parts)


def install_error_answers(app: FastAPI) -> None:
    """Give every error of ours, FastAPI's, Starlette's and Python's the one form."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        headers = {"Retry-After": str(error.retry_after)} if error.retry_after is not None else None
        return _answer(request, error.status, str(error), headers)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return _answer(request, 422, validation_message(error.errors()))

    async def framework(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        method, path = request.method, request.url.path
        messages = {404: f"there is no {path}", 405: f"{path} does not take {method}"}
        message = messages.get(error.status_code, str(error.detail))
        return _answer(request, error.status_code, message, error.headers)

    async def fault(request: Request, error: Exception) -> Response:
        return _answer(request, 500, "something went wrong here; the log has it under this request_id")

    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, framework)
    app.add_exception_handler(Exception, fault)


def _answer(request: Request, status: int, message: str, headers: Any = None) -> JSONResponse:
    return JSONResponse(error_body(status, message, request.state.request_id), status, headers)
