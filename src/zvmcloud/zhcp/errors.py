"""What can go wrong in the agent, as problems that a caller can act on.

AgentError                       carries a Problem: status, code, detail, retryable, remedy, cause
+-- FieldError                   a parameter breaks its limit: 400, names field, value and limit
+-- from_smapi(), from_cp()      z/VM refused: function with rc/rs, or CP command with its message
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from zvmcloud.smapi.errors import ConnectionLost, ParameterError, SmapiError, SmapiFault, TransportError

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class Call:
    """One thing that was done on z/VM: a SMAPI function, a CP command, a punch, a disk action. No secrets."""

    kind: str
    name: str
    parameters: dict[str, Json] = field(default_factory=dict)
    rc: int | None = None
    rs: int | None = None
    text: tuple[str, ...] = ()
    milliseconds: float = 0.0

    def to_json(self) -> dict[str, Json]:
        """The call as it is reported."""
        return {
            "kind": self.kind,
            "name": self.name,
            "parameters": dict(self.parameters),
            "rc": self.rc,
            "rs": self.rs,
            "text": list(self.text),
            "milliseconds": round(self.milliseconds, 1),
        }


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document (RFC 9457) with what z/VM said."""

    status: int
    code: str
    detail: str
    retryable: bool = False
    remedy: str = ""
    smapi: dict[str, Json] | None = None
    cp: dict[str, Json] | None = None
    calls: tuple[Call, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """The document."""
        return {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "retryable": self.retryable,
            "remedy": self.remedy,
            "smapi": self.smapi,
            "cp": self.cp,
            "calls": [call.to_json() for call in self.calls],
        }


def _encodable(text: str) -> str:
    """What came in may hold lone surrogates, which no answer could be encoded with."""
    return text.encode("utf-8", "backslashreplace").decode()


class AgentError(Exception):
    """Something was refused or failed; `problem` says what, and what helps."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        retryable: bool = False,
        remedy: str = "",
        smapi: dict[str, Json] | None = None,
        cp: dict[str, Json] | None = None,
    ) -> None:
        detail, remedy = _encodable(detail), _encodable(remedy)
        super().__init__(detail)
        self.undecided = False
        """Whether what was asked for may have been done all the same: its answer is missing, or made no sense."""
        self.problem = Problem(status, code, detail, retryable, remedy, smapi, cp)

    def with_calls(self, calls: tuple[Call, ...]) -> Problem:
        """The problem with the calls that were made until then."""
        return replace(self.problem, calls=calls)


class _Hidden:
    def __repr__(self) -> str:
        return "(not shown)"


HIDDEN = _Hidden()
"""Stands in a FieldError for a value that may hold a secret."""


class FieldError(AgentError):
    """A parameter breaks its limit. Nothing was touched."""

    def __init__(self, name: str, value: object, limit: str) -> None:
        self.field = name
        self.limit = limit
        shown = repr(value)
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        super().__init__(400, "bad-parameter", f"{name}: {shown} given, {limit}", remedy=f"correct {name}")


def smapi_document(error: SmapiError) -> dict[str, Json]:
    """Function, rc, rs and meaning for a problem."""
    return {"function": error.function, "rc": error.rc, "rs": error.rs, "meaning": error.meaning}


# What a refusal means whichever operation met it: (rc, rs) to status, code, remedy. rs None: any.
_MEANINGS: dict[tuple[int, int | None], tuple[int, str, str]] = {
    (24, None): (400, "bad-parameter", "correct the parameter that z/VM names"),
    (100, None): (403, "not-authorized", "authorize the agent's SMAPI userid for this function and target"),
    (120, 0): (502, "smapi-login", "check the SMAPI userid and password in the agent's settings"),
    (200, 4): (404, "guest-unknown", "see GET /v1/guests for the userids of this system"),
    (200, 8): (409, "guest-active", "stop the guest first"),
    (200, 12): (409, "guest-inactive", "start the guest first"),
    (200, 16): (409, "guest-going-off", "repeat when the guest is off"),
    (204, 4): (409, "device-exists", "choose another virtual device number"),
    (204, 8): (404, "device-unknown", "see the guest's devices"),
    (208, 36): (404, "disk-unknown", "see the guest's disks"),
    (212, 8): (409, "not-authorized-to-couple", "grant the guest access to the VSWITCH first"),
    (212, 12): (404, "vswitch-unknown", "see GET /v1/vswitches"),
    (212, 36): (409, "vswitch-exists", "choose another name, or use the VSWITCH that exists"),
    (212, 40): (404, "vswitch-unknown", "see GET /v1/vswitches"),
    (400, 4): (404, "guest-unknown", "see GET /v1/guests for the userids of this system"),
    (400, 8): (409, "guest-exists", "choose another userid, or delete the guest that exists"),
    (400, 12): (409, "guest-locked", "repeat later: another change of this entry is under way"),
    (404, 4): (409, "device-exists", "choose another virtual device number"),
    (404, 8): (404, "device-unknown", "see the guest's directory entry"),
    (404, 12): (409, "guest-locked", "repeat later: another change of this device is under way"),
    (408, 4): (409, "disk-exists", "choose another virtual device number"),
    (408, 8): (404, "disk-unknown", "see the guest's disks"),
    (408, 12): (409, "guest-locked", "repeat later: another change of this disk is under way"),
    (408, 24): (409, "pool-full", "free space in the pool, or choose another pool"),
    (436, 4): (404, "profile-unknown", "name a profile that the directory has"),
    (900, 12): (501, "smapi-function-missing", "this z/VM level does not have the function"),
}


def from_smapi(error: SmapiFault) -> AgentError:
    """The problem for a failed SMAPI call."""
    if isinstance(error, SmapiError):
        known = _MEANINGS.get((error.rc, error.rs)) or _MEANINGS.get((error.rc, None))
        status, code, remedy = known or (502, "smapi-refused", "see what z/VM said")
        refusal = AgentError(
            status, code, str(error), retryable=error.retryable, remedy=remedy, smapi=smapi_document(error)
        )
        refusal.undecided = error.undecided
        return refusal
    if isinstance(error, ParameterError):
        return FieldError(error.field, "the value", str(error))
    if isinstance(error, TransportError):
        failure = AgentError(
            503,
            "smapi-unreachable",
            f"the SMAPI request server did not answer: {error}",
            retryable=error.retryable,
            remedy="see whether the SMAPI servers run and the agent's settings name them",
        )
        failure.undecided = isinstance(error, ConnectionLost)
        return failure
    failure = AgentError(502, "smapi-answer", f"the SMAPI answer made no sense: {error}")
    failure.undecided = True
    return failure


def from_cp(
    command: str, rc: int, lines: tuple[str, ...], *, status: int = 502, code: str = "cp-refused"
) -> AgentError:
    """The problem for a refused CP command."""
    text = " / ".join(lines) or f"return code {rc}"
    return AgentError(
        status, code, f"CP refused {command}: {text}", cp={"command": command, "rc": rc, "lines": list(lines)}
    )


def lun_unreachable(devices: Sequence[str], lun: str, why: str) -> AgentError:
    """No path leads to a LUN: 409 `lun-unreachable`."""
    what = f"LUN 0x{lun} has no path" if lun else "there is no path to any LUN"
    return AgentError(
        409, "lun-unreachable", f"{what} through {', '.join(devices)}: {why}",
        remedy="give the agent's virtual machine the FCP devices; see the zoning and the LUN masking",
    )  # fmt: skip
