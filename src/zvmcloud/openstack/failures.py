"""What the drivers tell of an error of the client: the same words for nova and cinder."""

from __future__ import annotations

from zvmcloud.client import ClientError, JobFailed, ProblemError


def text(error: ClientError) -> str:
    """What happened, what to do, and the job."""
    if not isinstance(error, ProblemError):
        return f"the manager is not to be reached: {error}"
    job = f" [job {error.job['id']}]" if isinstance(error, JobFailed) else ""
    remedy = f" To do: {error.remedy}." if error.remedy else ""
    return f"{error.detail}.{remedy}{job}".replace("..", ".")
