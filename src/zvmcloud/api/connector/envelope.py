"""The one shape of all answers, and the headers that go with it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from starlette.responses import Response

from zvmcloud.manager.jobs.plan import Json

JOB_HEADER = "Zvm-Job"


@dataclass(frozen=True, slots=True)
class Code:
    """The four numbers of an answer. ``overall`` is the class of the error (8 SMAPI, 100 input, 300 operation, 404,
    409, ...)."""

    overall: int
    module: int | str | None
    rc: int
    rs: int


OK = Code(0, None, 0, 0)


@dataclass(frozen=True, slots=True)
class Reply:
    """A handler's success. ``output`` None becomes ""; ``job`` is the job that made the change. ``document``: the
    output, when it is JSON text already."""

    output: Json = None
    job: str = ""
    document: bytes = b""


def success(reply: Reply) -> Response:
    """HTTP 200, whatever was done."""
    output: Json | bytes = "" if reply.output is None else reply.output
    return _respond(200, OK, "", reply.document or output, reply.job)


def failure(status: int, code: Code, message: str, job: str = "") -> Response:
    """An error found by a handler or below it."""
    return _respond(status, code, message, "", job)


def fault(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """An error found at the door: no token, malformed JSON, a field that the schema refuses, no such route."""
    return _respond(status, Code(400, 120, 400, status), message, "", "", headers)


def _respond(
    status: int, code: Code, message: str, output: Json | bytes, job: str, headers: dict[str, str] | None = None
) -> Response:
    """``output`` goes last: of bytes, which are JSON, the rest of the document is put in front."""
    rest: dict[str, Json] = {
        "overallRC": code.overall,
        "modID": code.module,
        "rc": code.rc,
        "rs": code.rs,
        "errmsg": message,
    }
    if isinstance(output, bytes):
        body = b'%s, "output": %s}' % (json.dumps(rest).encode()[:-1], output)
    else:
        body = json.dumps({**rest, "output": output}).encode()
    extra = {"cache-control": "no-cache", **(headers or {})}
    if job:
        extra[JOB_HEADER] = job
    return Response(body, status, extra, media_type="application/json")
