"""Errors of the API: JSON with a code and one line, whatever went wrong."""

from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from mashpix.errors import MashpixError, spelled
from mashpix.web.scheduler import Full

CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed"}
"""Codes of the errors that the framework raises."""


class ApiError(HTTPException):
    """An error with a code that programs can rely on, and one line for people."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(status, detail=message, headers={name.replace("_", "-"): headers[name] for name in headers})
        self.code = code


def answer(status: int, code: str, message: str, headers: dict[str, Any] | None = None) -> JSONResponse:
    """Make the answer for an error; options in backquotes are spelled as in the request JSON."""
    line = " ".join(spelled(message, lambda option: option).split()).encode(errors="replace").decode()
    return JSONResponse({"code": code, "message": line}, status, headers)


def add_handlers(app: FastAPI) -> None:
    """Let every error be answered in the one form."""

    @app.exception_handler(StarletteHTTPException)
    async def _http(_: Request, error: StarletteHTTPException) -> JSONResponse:
        code = getattr(error, "code", CODES.get(error.status_code, "error"))
        return answer(error.status_code, code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return answer(422, "invalid", say_invalid(error.errors()))

    @app.exception_handler(MashpixError)
    async def _wrong(_: Request, error: MashpixError) -> JSONResponse:
        return answer(422, "invalid", str(error))

    @app.exception_handler(Full)
    async def _full(_: Request, error: Full) -> JSONResponse:
        return answer(429, "queue_full", str(error), {"Retry-After": str(error.retry)})

    @app.exception_handler(Exception)
    async def _bug(_: Request, error: Exception) -> JSONResponse:
        return answer(500, "internal", f"the server made an error ({type(error).__name__})")


def say_invalid(errors: Any) -> str:
    """Say in one line what is wrong with the first value that is."""
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body") or "body"
    return f"{where}: {first['msg']}"[:300]
