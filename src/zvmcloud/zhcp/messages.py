"""What goes over the agent's HTTP door, as frozen dataclasses: operations with their limits, and their outcome.

`OPERATIONS` maps each kind to its dataclass; `parse_operation` reads one strictly (FieldError names what is wrong),
`fields.write` gives the JSON back. The operations themselves are declared by subject, in the modules of SUBJECTS.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from zvmcloud.zhcp import (
    boot_messages,
    coreos_messages,
    disk_messages,
    entry_messages,
    expected,
    fcp_messages,
    fields,
    guest_messages,
    image_messages,
    kinds,
    network_messages,
    reader_messages,
    resource_messages,
)
from zvmcloud.zhcp.errors import Call, FieldError, Json, Problem

Operation = kinds.Operation
OPERATIONS = kinds.OPERATIONS
SUBJECTS = (
    boot_messages,
    coreos_messages,
    disk_messages,
    entry_messages,
    fcp_messages,
    guest_messages,
    image_messages,
    network_messages,
    reader_messages,
    resource_messages,
)
"""Importing them registers the operations declared there."""


def parse_operation(kind: object, parameters: object) -> Operation:
    """An operation from its wire form. FieldError names what is unknown, missing or beyond a limit."""
    if not isinstance(kind, str) or kind not in OPERATIONS:
        raise FieldError("kind", kind, "one of " + ", ".join(sorted(OPERATIONS)))
    parameters, _ = expected.taken_out(parameters)
    operation = fields.read(OPERATIONS[kind], parameters, "parameters")
    operation.check()
    return operation


def operation_json(operation: Operation) -> dict[str, Json]:
    """The parameters of an operation in their wire form."""
    written = fields.write(operation)
    if not isinstance(written, dict):
        raise TypeError(f"{type(operation).__name__} is no operation")
    return written


@dataclass(frozen=True)
class OperationOutcome:
    """The state of an operation: running, done or failed. `progress` goes from 0 to 1."""

    key: str
    kind: str
    state: str
    progress: float = 0.0
    detail: str = ""
    result: dict[str, Json] | None = None
    error: Problem | None = None
    calls: tuple[Call, ...] = ()

    @property
    def over(self) -> bool:
        """Whether it is done or failed."""
        return self.state != "running"

    @cached_property
    def document(self) -> str:
        """What the service answers and the journal keeps: a JSON object, encoded once, in ASCII."""
        return json.dumps(self.to_json(), separators=(",", ":"))

    def to_json(self) -> dict[str, Json]:
        """The same, not encoded."""
        return {
            "key": self.key,
            "kind": self.kind,
            "state": self.state,
            "progress": round(self.progress, 4),
            "detail": self.detail,
            "result": self.result,
            "error": self.error.to_json() if self.error else None,
            "calls": [call.to_json() for call in self.calls],
        }


def parse_call(data: Mapping[str, Any]) -> Call:
    """A reported call."""
    return Call(
        str(data.get("kind") or ""),
        str(data.get("name") or ""),
        dict(data.get("parameters") or {}),
        data.get("rc"),
        data.get("rs"),
        tuple(data.get("text") or ()),
        float(data.get("milliseconds") or 0),
    )


def parse_problem(data: Mapping[str, Any]) -> Problem:
    """A problem document; missing members read as their defaults."""
    return Problem(
        int(data.get("status") or 500),
        str(data.get("code") or "unknown"),
        str(data.get("detail") or ""),
        bool(data.get("retryable")),
        str(data.get("remedy") or ""),
        data.get("smapi"),
        data.get("cp"),
        tuple(parse_call(call) for call in data.get("calls") or ()),
    )


def parse_outcome(data: Mapping[str, Any]) -> OperationOutcome:
    """The outcome document."""
    error = data.get("error")
    return OperationOutcome(
        str(data.get("key") or ""),
        str(data.get("kind") or ""),
        str(data.get("state") or "running"),
        float(data.get("progress") or 0),
        str(data.get("detail") or ""),
        data.get("result"),
        parse_problem(error) if isinstance(error, Mapping) else None,
        tuple(parse_call(call) for call in data.get("calls") or ()),
    )
