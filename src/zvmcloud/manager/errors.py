"""What can go wrong in the manager, as one tree.

::

    ManagerError                 code, status, title, detail, retryable, remedy, causes, job
      +-- BadInput               400  a field, its value, the limit it broke
      +-- NotAllowed             403  a path outside the allowed folders, a host that is not ours
      +-- NotFound               404  guest, image, virtual switch, job, system
      |     +-- Hidden           404  the same of what another project owns
      +-- Conflict               409  exists already, in use, wrong state
      +-- NotSupported           501
      +-- TooMany                429  requests or failed logins; ``wait`` seconds
      +-- QuotaExceeded          403  a project's limit
      +-- Changed                412  not what the caller saw (If-Match)
      +-- Busy                   503  a limit of this manager is reached; retry
      +-- AgentFailure           what the agent's problem says: SMAPI function with rc and rs, or CP message
      |     (status 404, 409, 422, 500, 502 ... from the problem)
      +-- AgentUnreachable       503  no answer from the agent; retry
      +-- JobCancelled           409

An error never carries a password, a token or the content of a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SmapiCause:
    """The SMAPI answer below an error: function name, return code, reason code, and what they mean."""

    function: str
    rc: int
    rs: int
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class CpCause:
    """The CP answer below an error: the command, the message number as return code, the response lines."""

    command: str
    rc: int
    lines: tuple[str, ...] = ()


class ManagerError(Exception):
    """Base of all errors the manager raises on purpose; see the tree in the module's docstring."""

    status = 500
    code = "internal"
    title = "Internal error"
    retryable = False

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        remedy: str = "",
        subject: str = "",
        smapi: SmapiCause | None = None,
        cp: CpCause | None = None,
        job: str = "",
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code
        self.remedy = remedy
        self.subject = subject
        self.smapi = smapi
        self.cp = cp
        self.job = job

    def problem(self) -> dict[str, object]:
        """The RFC 9457 problem document of this error."""
        document: dict[str, object] = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "retryable": self.retryable,
            "remedy": self.remedy,
            "subject": self.subject,
            "smapi": None,
            "cp": None,
        }
        if self.smapi is not None:
            document["smapi"] = {
                "function": self.smapi.function,
                "rc": self.smapi.rc,
                "rs": self.smapi.rs,
                "meaning": self.smapi.meaning,
            }
        if self.cp is not None:
            document["cp"] = {"command": self.cp.command, "rc": self.cp.rc, "lines": list(self.cp.lines)}
        if self.job:
            document["job"] = self.job
        return document


class BadInput(ManagerError):
    """A field of a request is not acceptable; nothing was changed."""

    status = 400
    code = "bad-input"
    title = "Bad input"

    def __init__(self, field: str, value: object, limit: str) -> None:
        super().__init__(f"{field}: {str(value)[:80]!r} is not acceptable: {limit}", subject=field)
        self.field = field
        self.value = value
        self.limit = limit


class NotAllowed(ManagerError):
    status = 403
    code = "not-allowed"
    title = "Not allowed"


class NotFound(ManagerError):
    """``code`` says what kind of thing is missing: guest-unknown, image-unknown, vswitch-unknown, job-unknown,
    system-unknown."""

    status = 404
    code = "not-found"
    title = "Not found"


class Hidden(NotFound):
    """What another project owns, told as if it were not there."""


class Conflict(ManagerError):
    status = 409
    code = "conflict"
    title = "Conflict"


class ImageUnusable(ManagerError):
    """The bytes are not a disk image that can be deployed, or not the ones that were announced."""

    status = 422
    code = "image-unusable"
    title = "Image not usable"


class NotSupported(ManagerError):
    status = 501
    code = "not-supported"
    title = "Not supported"


class TooMany(ManagerError):
    """``wait``: seconds after which a repetition can help."""

    status = 429
    code = "too-many"
    title = "Too many requests"
    retryable = True

    def __init__(self, detail: str, *, code: str, wait: float) -> None:
        super().__init__(detail, code=code)
        self.wait = wait


class QuotaExceeded(ManagerError):
    status = 403
    code = "quota"
    title = "Quota exceeded"


class Changed(ManagerError):
    """The thing is not any more what the caller saw; nothing was changed."""

    status = 412
    code = "changed"
    title = "Changed meanwhile"


class Busy(ManagerError):
    status = 503
    code = "busy"
    title = "Busy"
    retryable = True


class Replaced(ManagerError):
    """Another manager has taken over from this one: it must do nothing more, and end."""

    status = 503
    code = "node-replaced"
    title = "Replaced"


class AgentUnreachable(ManagerError):
    status = 503
    code = "agent-unreachable"
    title = "The z/VM system's agent does not answer"
    retryable = True
    sent = True
    """False when the request certainly never reached the agent."""


class JobCancelled(ManagerError):
    status = 409
    code = "cancelled"
    title = "Cancelled"


_PARAMETERS = "parameters."


def guest_busy(userid: str, job: str) -> Conflict:
    """A guest cannot be changed because a job changes it."""
    return Conflict(
        f"guest {userid} is being changed by job {job}",
        code="guest-busy",
        remedy="wait for that job to end, or cancel it",
        subject=userid,
    )


class AgentFailure(ManagerError):
    """The agent refused or failed; built from its problem document."""

    title = "The z/VM system refused"

    def __init__(self, problem: Mapping[str, object], *, job: str = "") -> None:
        smapi = problem.get("smapi")
        cp = problem.get("cp")
        detail = str(problem.get("detail") or problem.get("title") or "the agent gave no detail")
        code, remedy = str(problem.get("code") or "agent-failure"), str(problem.get("remedy") or "")
        if code == "bad-parameter":  # `parameters` is a member of what the agent is sent, not of what a caller sent
            detail, remedy = detail.removeprefix(_PARAMETERS), remedy.replace(f"correct {_PARAMETERS}", "correct ")
        super().__init__(
            detail,
            code=code,
            remedy=remedy,
            subject=str(problem.get("subject") or ""),
            smapi=_smapi(smapi) if isinstance(smapi, Mapping) else None,
            cp=_cp(cp) if isinstance(cp, Mapping) else None,
            job=job,
        )
        self.status = _number(problem.get("status"), 502)
        self.retryable = bool(problem.get("retryable"))
        self.title = str(problem.get("title") or self.title)


def from_problem(problem: Mapping[str, object], *, job: str = "") -> ManagerError:
    """The error that a stored problem document stands for (a job's error is stored this way)."""
    return AgentFailure(problem, job=job or str(problem.get("job") or ""))


def _smapi(source: Mapping[str, object]) -> SmapiCause:
    return SmapiCause(
        function=str(source.get("function") or ""),
        rc=_number(source.get("rc"), 0),
        rs=_number(source.get("rs"), 0),
        meaning=str(source.get("meaning") or ""),
    )


def _cp(source: Mapping[str, object]) -> CpCause:
    lines = source.get("lines")
    texts = tuple(str(line) for line in lines) if isinstance(lines, Sequence) and not isinstance(lines, str) else ()
    return CpCause(command=str(source.get("command") or ""), rc=_number(source.get("rc"), 0), lines=texts)


def _number(value: object, default: int) -> int:
    return value if isinstance(value, int) else default
