"""Errors as problem documents (RFC 9457, ``application/problem+json``)."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from zvmcloud.manager.errors import ManagerError, TooMany

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """RFC 9457, with a stable ``code``, whether a repetition can help, what to do, and z/VM's own words."""

    type: str = "about:blank"
    title: str = ""
    status: int = 500
    code: str = ""
    detail: str = ""
    retryable: bool = False
    remedy: str = ""
    subject: str = ""
    smapi: dict[str, object] | None = None
    cp: dict[str, object] | None = None
    job: str | None = None


def install(app: FastAPI) -> None:
    """Answer every error of the application as a problem document."""
    app.add_exception_handler(ManagerError, _problem)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _validation_problem)


async def _problem(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, ManagerError):
        raise error
    headers: dict[str, str] = {}
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, TooMany):
        headers["retry-after"] = str(int(error.wait) + 1)
    return JSONResponse(error.problem(), error.status, headers, media_type=MEDIA_TYPE)


async def _http_problem(_request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = str(error.detail) if isinstance(error, HTTPException) else ""
    document = Problem(title=detail, status=status, code="http", detail=detail).model_dump()
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    return JSONResponse(document, status, headers, media_type=MEDIA_TYPE)


async def _validation_problem(_request: Request, error: Exception) -> JSONResponse:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    detail = "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in found)
    document = Problem(title="Bad input", status=400, code="bad-input", detail=detail).model_dump()
    return JSONResponse(document, 400, media_type=MEDIA_TYPE)
