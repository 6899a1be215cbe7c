"""What a call of the manager can end in.

::

    ClientError               retryable
      +-- ConnectionFailed    no answer: refused, timed out, TLS not trusted
      +-- ProblemError        the manager's problem document: status, code, detail, remedy, SMAPI or CP cause
      |     +-- JobFailed     the problem of a job that failed or was cancelled
      +-- AnswerError         an answer that is not of this API
"""

from __future__ import annotations

from collections.abc import Mapping

Json = object


class ClientError(Exception):
    """Base of all errors of this library. ``retryable``: the same call may work later."""

    retryable = False


class ConnectionFailed(ClientError):
    """There was no answer, also not after the retries."""

    retryable = True


class AnswerError(ClientError):
    """The answer is not JSON, or not what this API answers: probably another server."""


class ProblemError(ClientError):
    """The manager said no, and why. ``document`` is the whole problem (RFC 9457)."""

    def __init__(self, document: Mapping[str, Json], status: int) -> None:
        self.document = dict(document)
        self.status = status
        self.code = str(document.get("code") or "")
        self.detail = str(document.get("detail") or document.get("title") or f"HTTP {status}")
        self.remedy = str(document.get("remedy") or "")
        self.retryable = bool(document.get("retryable"))
        super().__init__(self.detail + (f" ({self.remedy})" if self.remedy else ""))


class JobFailed(ProblemError):
    """A change was begun and did not come to its end. ``job``: its document, as it ended."""

    def __init__(self, job: Mapping[str, Json]) -> None:
        self.job = dict(job)
        found = job.get("error")
        error: Mapping[str, Json] = found if isinstance(found, dict) else {}
        status = error.get("status")
        told = error or {"code": f"job-{job.get('state')}", "detail": f"{job.get('title')}: {job.get('state')}"}
        super().__init__(told, status if isinstance(status, int) else 409)
