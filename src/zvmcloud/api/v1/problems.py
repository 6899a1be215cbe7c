"""Errors as problem documents (RFC 9457, ``application/problem+json``).

``causes`` tells an error's way down: the code of this API, the SMAPI function with its codes, the messages of the
directory manager (DVH...) and of CP (HCP...), the lines of Linux. What an agent could not do now (its 5xx) is told as
503: the only status above 499 that this API declares.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, model_validator
from starlette.exceptions import HTTPException

from zvmcloud.api.v1.context import CALLER, node_of
from zvmcloud.api.v1.remedies import remedy_of
from zvmcloud.manager.errors import ManagerError, TooMany
from zvmcloud.manager.identity.roles import Caller

MEDIA_TYPE = "application/problem+json"
_MESSAGE = re.compile(r"\b((?:DVH|HCP)[A-Z]{3}\d{3,5}[A-Z])\b")


class Cause(BaseModel):
    """One step of an error's way down. ``layer``: who says it; ``what``: the code, function, message id or command."""

    layer: Literal["api", "smapi", "directory", "cp", "linux"]
    what: str
    rc: int | None = None
    rs: int | None = None
    text: str = ""


class Problem(BaseModel):
    """RFC 9457, with a stable ``code``, whether a repetition can help, what to do, and z/VM's own words."""

    type: str = Field(default="about:blank", description="always about:blank: `code` names the problem")
    title: str = Field(default="", description="the kind of problem")
    status: int = Field(default=500, description="HTTP status")
    code: str = Field(default="", description="stable name of the problem", examples=["guest-exists"])
    detail: str = Field(default="", description="what happened, in words")
    retryable: bool = Field(default=False, description="whether the same request may work later")
    remedy: str = Field(default="", description="what to do")
    subject: str = Field(default="", description="what it is about")
    causes: list[Cause] = Field(default_factory=list, description="the way down: API, SMAPI, directory manager, CP")
    smapi: dict[str, object] | None = Field(default=None, description="SMAPI function, rc, rs, meaning")
    cp: dict[str, object] | None = Field(default=None, description="CP command, rc, lines")
    job: str | None = Field(default=None, description="the job it happened in")

    @model_validator(mode="after")
    def _with_causes_and_remedy(self) -> Problem:
        if not self.causes:
            self.causes = causes_of(self)
        if not self.remedy:
            function = str((self.smapi or {}).get("function") or "")
            self.remedy = remedy_of(self.code, self.status, retryable=self.retryable, smapi=function)
        return self


def causes_of(problem: Problem) -> list[Cause]:
    """The way down of a problem, from what it says of SMAPI and CP."""
    found = [Cause(layer="api", what=problem.code, text=problem.detail)]
    said = [problem.detail]
    if problem.smapi is not None:
        meaning = str(problem.smapi.get("meaning") or "")
        function = str(problem.smapi.get("function") or "")
        rc, rs = problem.smapi.get("rc"), problem.smapi.get("rs")
        found.append(Cause(layer="smapi", what=function, rc=_number(rc), rs=_number(rs), text=meaning))
        said.append(meaning)
    lines: list[str] = []
    if problem.cp is not None:
        lines = _texts(problem.cp.get("lines"))
        command = str(problem.cp.get("command") or "")
        found.append(Cause(layer="cp", what=command, rc=_number(problem.cp.get("rc")), text="\n".join(lines)))
    for text in (*said, *lines):
        for match in _MESSAGE.finditer(text):
            layer: Literal["directory", "cp"] = "directory" if match[1].startswith("DVH") else "cp"
            cause = Cause(layer=layer, what=match[1], text=text[match.end() :].splitlines()[0].strip(" :"))
            if all(cause.what != known.what for known in found):
                found.append(cause)
    return found


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _texts(value: object) -> list[str]:
    return [str(line) for line in value] if isinstance(value, Sequence) and not isinstance(value, str) else []


def install(app: FastAPI) -> None:
    """Answer every error of the application as a problem document."""
    app.add_exception_handler(ManagerError, _problem)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _validation_problem)


def answer(error: ManagerError) -> JSONResponse:
    """An error as the answer to a request."""
    headers: dict[str, str] = {}
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, TooMany):
        headers["retry-after"] = str(int(error.wait) + 1)
    document = dict(error.problem())
    if error.status >= 500:  # also a full disk, or an agent's own 500: no bug of this manager is a ManagerError
        document["status"] = 503
    return _answer(document, headers)


def _answer(document: Mapping[str, object], headers: Mapping[str, str] | None = None) -> JSONResponse:
    problem = Problem.model_validate(document)
    return JSONResponse(problem.model_dump(mode="json"), problem.status, dict(headers or {}), media_type=MEDIA_TYPE)


async def _problem(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, ManagerError):
        raise error
    caller = request.scope.get(CALLER)
    if isinstance(caller, Caller) and request.method != "GET":
        await node_of(request).refusals.note(caller, f"{request.method} {request.url.path}", error)
    return answer(error)


async def _http_problem(_request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = str(error.detail) if isinstance(error, HTTPException) else ""
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    return _answer({"title": detail, "status": status, "code": "http", "detail": detail}, headers)


async def _validation_problem(_request: Request, error: Exception) -> JSONResponse:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    detail = "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in found)
    detail = detail.encode("utf-8", "backslashreplace").decode()
    subject = ".".join(str(part) for part in found[0]["loc"][1:]) if found else ""
    subject = subject.encode("utf-8", "backslashreplace").decode()
    remedy = "see the operation in /v1/openapi.json, or `zvm NOUN VERB --help`"
    return _answer(
        {
            "title": "Bad input",
            "status": 400,
            "code": "bad-input",
            "detail": detail,
            "subject": subject,
            "remedy": remedy,
        }
    )
