"""Changes of z/VM that are waited for: sent, and followed as a job to the end."""

from __future__ import annotations

from collections.abc import Mapping

from zvmcloud.client.errors import AnswerError, JobFailed, Json
from zvmcloud.client.http import Client, Document


def change(client: Client, method: str, path: str, body: Mapping[str, Json] | None = None) -> Document:
    """Ask for a change and wait until its job is over; the job as it ended, with its steps.

    A lost manager is asked again as often as the client's ``retries`` say; the job goes on meanwhile. Raises
    ClientError, of these JobFailed when the job did not come to its end.
    """
    begun = client.ask(method, path, body=dict(body) if body is not None else None)
    if "id" not in begun:
        raise AnswerError(f"{client.url}: the answer to {method} {path} is no job")
    return ended(client, str(begun["id"]))


def ended(client: Client, job: str) -> Document:
    """The job when it is done. Raises ClientError, of these JobFailed when it ended otherwise."""
    found = client.wait(job)
    if found["state"] != "done":
        raise JobFailed(found)
    return found
