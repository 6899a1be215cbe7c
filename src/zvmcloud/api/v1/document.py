"""The OpenAPI document: what FastAPI finds in the routes, with what holds for all of them written once.

Headers, errors and the meaning of common names are said here; what a field of one request means comes from the
docstring of its class, where every such field is told as ``name``: meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from zvmcloud.api.v1.problems import MEDIA_TYPE, Problem

Json = dict[str, Any]

DESCRIPTION = """Cloud management for IBM z/VM.

Every route but /health and /login needs `Authorization: Bearer TOKEN`. Lists come in pages: `next` of a page is the
`cursor` of the following one. Documents have an `ETag`; a change with `If-Match` is refused with 412 when the document
is not that any more. A POST with `Idempotency-Key` can be sent again: it is done once. Changes of z/VM answer 202 with
a job, or with `dry_run=true` 200 with a plan that `POST /plans/{plan}/apply` runs exactly so. Errors are problem
documents (RFC 9457) with `causes`, z/VM's own words, and `remedy`. What has `x-asks` in this document takes something
away for good: a program asks its user first."""
EVENT_STREAM: Json = {
    "description": "server-sent events",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}
ASKS: Json = {"x-asks": True}
"""What an operation has in the document when a person who types it is asked first, as every DELETE has."""
OPEN = frozenset({"health.show", "session.login"})
"""Routes that need no token."""

MEANINGS: Mapping[str, tuple[str, object]] = {
    "system": ("name of a z/VM system", "ZVM1"),
    "userid": ("userid of a guest: 1 to 8 characters, any case", "LINUX01"),
    "project": ("project that owns it", "default"),
    "name": ("its name", "web"),
    "job": ("id of a job", "0b0f9f0e-6d0c-4a57-b4e5-2f4d2a3d6c11"),
    "plan": ("id of a plan", "0b0f9f0e-6d0c-4a57-b4e5-2f4d2a3d6c11"),
    "token": ("id of a token", "0b0f9f0e-6d0c-4a57-b4e5-2f4d2a3d6c11"),
    "webhook": ("id of a webhook", "0b0f9f0e-6d0c-4a57-b4e5-2f4d2a3d6c11"),
    "user": ("name of a user", "anna"),
    "pool": ("name of a pool", "POOL1"),
    "lun": ("name of a LUN of the pool", "4010400400000000-5005076306138411"),
    "size_gb": ("size in GiB", 10),
    "volume": ("name of a volume", "data1"),
    "vswitch": ("name of a virtual switch", "VSW1"),
    "vdev": ("virtual device number, four hexadecimal digits", "0100"),
    "image": ("name of an image", "rhel9"),
    "state": ("only those in this state", "done"),
    "action": ("only entries of this action", "guest.create"),
    "tag": ("only what has this tag: name, or name=value; may be repeated", "env=prod"),
    "kind": ("only those of this kind", "guest.create"),
    "since": ("only those of this time or later, in seconds since 1970", None),
    "until": ("only those of before this time, in seconds since 1970", None),
    "vcpus": ("virtual processors", 2),
    "memory_mb": ("memory in MiB", 2048),
    "max_cpus": ("most virtual processors that can be defined while it runs", 4),
    "max_memory_mb": ("most memory in MiB that it can have while it runs", 4096),
    "disks": ("disks to make", None),
    "mounts": ("minidisks to mount: `vdev`, `format` and `folder` each", None),
    "comments": ("lines of comment", None),
    "password": ("password; never shown again", None),
    "role": ("reader, member, operator or admin", "member"),
    "tags": ("names and values to find it by", {"env": "prod"}),
    "hostname": ("its host name", "web01"),
    "command": ("shell command", "uptime"),
    "profile": ("directory profile to include", "LNXDFLT"),
    "ipl": ("device or named system to boot from", "0100"),
    "ipl_parm": ("parameters of IPL", None),
    "loadparm": ("load parameter of IPL", None),
    "account": ("accounting number", None),
    "share": ("relative or absolute CPU share", "RELATIVE 200"),
    "cpu_pool": ("CPU pool", None),
    "relocation_domain": ("relocation domain", None),
    "description": ("what it is for", None),
    "enabled": ("whether it may be used", True),
    "quota": ("limits: guests, vcpus, memory_mb, disk_mb, fcp_devices, image_mb", {"guests": 10}),
}
_ERRORS: Mapping[str, tuple[str, str, str]] = {
    "400": ("BadInput", "A value that is not acceptable; nothing was changed", "bad-input"),
    "401": ("Unauthorized", "No valid token", "unauthorized"),
    "403": ("NotAllowed", "The caller's role or quota does not allow it", "role"),
    "404": ("NotFound", "There is none, or none that the caller sees", "guest-unknown"),
    "409": ("Conflict", "Exists already, in use, busy, or in the wrong state", "guest-busy"),
    "412": ("Changed", "It is not any more what If-Match names; nothing was changed", "changed"),
    "422": ("Refused", "z/VM cannot do that, or the data are not usable", "image-unusable"),
    "429": ("TooMany", "Too many failed logins or requests; Retry-After says how long to wait", "login-throttled"),
    "503": ("Unavailable", "The z/VM system, its agent or this manager cannot do it now", "agent-unreachable"),
}
_TOLD = re.compile(r"``(\w+)``(?:,? \w+)?(?::| is| are) +(.*?)(?=; ``|\. ``|\.\s|\.?$)", re.DOTALL)
_TEXT: Json = {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[ -~]+$"}


def completed(document: Json, docstrings: Mapping[str, str]) -> Json:
    """The document with everything that holds for all routes. ``docstrings``: of the classes of its schemas."""
    document["servers"] = [{"url": "/v1"}]
    parts = document.setdefault("components", {})
    schemas: dict[str, Json] = parts.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas.setdefault("Problem", Problem.model_json_schema(ref_template="#/components/schemas/{model}"))
    schemas.update(schemas["Problem"].pop("$defs", {}))
    parts["responses"] = {name: _error(status, what, code) for status, (name, what, code) in _ERRORS.items()}
    for name, schema in schemas.items():
        _describe(schema, docstrings.get(name, schema.get("description", "")))
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            _complete(path, method, operation)
    return document


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    """Path, method and operation of every route, in the order of their names."""
    found = [(path, method, item) for path, methods in document["paths"].items() for method, item in methods.items()]
    return iter(sorted(found, key=lambda one: one[2]["operationId"]))


def _complete(path: str, method: str, operation: Json) -> None:
    told = " ".join(operation.get("description", "").split())
    operation["description"] = told
    operation["summary"] = re.split(r"(?<=[a-z`)])[.;:] ", told)[0].rstrip(".") or operation["operationId"]
    parameters: list[Json] = operation.setdefault("parameters", [])
    for parameter in parameters:
        meaning, example = MEANINGS.get(parameter["name"], ("", None))
        parameter.setdefault("description", meaning)
        if example is not None and parameter["in"] == "path":
            parameter.setdefault("example", example)
        parameter["schema"].pop("title", None)
    if method == "delete":
        operation.update(ASKS)
    name = operation["operationId"]
    if method == "post" and name != "session.login":
        parameters.append(_header("Idempotency-Key", "a key of the caller's choice: with it, the request is done once"))
    if method in {"put", "patch", "delete"}:
        parameters.append(_header("If-Match", "ETag that the document must still have"))
    responses: Json = operation["responses"]
    for status, response in responses.items():
        if response.get("description") == "Successful Response":
            response["description"] = {"201": "made", "202": "begun: the job", "204": "done"}.get(status, "the answer")
    for status in _statuses(path, method, operation):
        responses[status] = {"$ref": f"#/components/responses/{_ERRORS[status][0]}"}


def _statuses(path: str, method: str, operation: Json) -> list[str]:
    found = ["400", "503"]
    if operation["operationId"] == "session.login":
        found += ["401", "429"]
    elif operation["operationId"] not in OPEN:
        found += ["401", "403", "404"]
    if method != "get":
        found += ["409", "422"]
    elif "{" in path:
        found += ["409"]
    if method in {"put", "patch", "delete"}:
        found.append("412")
    return sorted(found)


def _describe(schema: Json, docstring: str) -> None:
    """Give the properties of a schema their meaning."""
    if docstring:
        schema["description"] = " ".join(docstring.split())
    told = {name: " ".join(text.split()).rstrip(".") for name, text in _TOLD.findall(docstring)}
    for name, field in schema.get("properties", {}).items():
        field.pop("title", None)
        meaning, example = MEANINGS.get(name, ("", None))
        if not field.get("description"):
            field["description"] = told.get(name) or meaning or name.replace("_", " ")
        if example is not None and "example" not in field and "examples" not in field and "$ref" not in field:
            field["examples"] = [example]


def _header(name: str, meaning: str) -> Json:
    return {"name": name, "in": "header", "required": False, "description": meaning, "schema": dict(_TEXT)}


def _error(status: str, what: str, code: str) -> Json:
    example = Problem(title=what, status=int(status), code=code, detail=what).model_dump(mode="json")
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": what, "content": {MEDIA_TYPE: {"schema": schema, "example": example}}}
