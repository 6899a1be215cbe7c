"""Jobs: list, look into, watch, cancel."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from zvmcloud.api.v1.context import Member, Reader, TheNode
from zvmcloud.api.v1.document import EVENT_STREAM
from zvmcloud.api.v1.models import Job, Mirror
from zvmcloud.api.v1.paging import Cursor, InTime, Limit, Page, key_of, page
from zvmcloud.manager import tables
from zvmcloud.manager.identity.roles import Role
from zvmcloud.manager.jobs import log as job_log
from zvmcloud.manager.jobs import rows as job_rows
from zvmcloud.manager.listing import Listing
from zvmcloud.manager.node import Node
from zvmcloud.manager.operations.rights import changeable

router = APIRouter(tags=["jobs"])

_LONGEST_ID = 19
JOBS = Listing(tables.jobs, ("created", "id"), descending=True, time="created")


@router.get("/jobs")
async def jobs(
    node: TheNode,
    caller: Reader,
    narrowed: InTime,
    userid: str = "",
    state: str = "",
    system: str = "",
    project: str = "",
    kind: Annotated[str, Query(description="name of the operation, such as guest.deploy")] = "",
    actor: Annotated[str, Query(description="who asked for it")] = "",
    parent: Annotated[str, Query(max_length=36, description="only the children of this job")] = "",
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Page[Job]:
    """The newest jobs of the caller's projects first, without their steps; with ``since`` and ``until`` those begun
    then. Children of other jobs are only shown when their parent or a userid is asked for."""
    where = [] if parent or userid else [tables.jobs.c.parent.is_(None)]
    equal = {"userid": userid.upper(), "state": state, "system": system.upper(), "project": project}
    rows = await JOBS.rows(
        node.core.database,
        caller,
        after=key_of(cursor, float, str),
        limit=limit,
        equal={**equal, "kind": kind, "actor": actor, "parent": parent},
        where=where,
        narrowed=narrowed,
    )
    return page(rows, limit, lambda row: Job.of(job_rows.without_steps(row)), JOBS.key)


class LogLine(Mirror):
    """A line of a job's log. ``step``: the name of the step that it is about, "" for the job. Time in seconds since
    1970."""

    id: int
    at: float
    step: str
    text: str


@router.get("/jobs/{job}/log")
async def log(node: TheNode, caller: Reader, job: str, limit: Limit = 100, cursor: Cursor = "") -> Page[LogLine]:
    """What a job said while it ran, the oldest line first; a job that was answered in its request has none."""
    record = await node.journal.get(job, with_calls=False)
    caller.enters(record.project, Role.READER, f"job {job}")
    (after,) = key_of(cursor, int) or (0,)
    found = await job_log.lines(node.core.database, job, after=int(after), limit=limit + 1)
    return page(found, limit, LogLine.of, lambda line: (line.id,))


@router.get("/jobs/{job}")
async def job(node: TheNode, caller: Reader, job: str) -> Job:
    """One job with its steps and every call they made."""
    record = await node.journal.get(job)
    caller.enters(record.project, Role.READER, f"job {job}")
    return Job.of(record)


@router.post("/jobs/{job}/cancel")
async def cancel(node: TheNode, caller: Member, job: str) -> Job:
    """Ask a job to stop and undo what it did."""
    await changeable(node, caller, job)
    return Job.of(await node.runner.cancel(job))


@router.post("/jobs/{job}/retry", status_code=202)
async def retry(node: TheNode, caller: Member, job: str) -> Job:
    """Run a job that failed or was cancelled again, from the step that failed; what was undone then is done again."""
    await changeable(node, caller, job)
    return Job.of(await node.core.again(job, backwards=False))


@router.post("/jobs/{job}/undo", status_code=202)
async def undo(node: TheNode, caller: Member, job: str) -> Job:
    """Take back a job that is done, its last step first; 409 when one of its steps cannot be taken back."""
    await changeable(node, caller, job)
    return Job.of(await node.core.again(job, backwards=True))


@router.get("/jobs/{job}/events", name="job.watch", response_class=StreamingResponse, responses={200: EVENT_STREAM})
async def events(node: TheNode, caller: Reader, request: Request, job: str) -> StreamingResponse:
    """Server-sent events until the job is over: the job as a ``job`` event now and after every change, and before it
    each new line of its log as a ``log`` event with an id, so that a reader that comes back with ``Last-Event-ID``
    misses no line."""
    record = await node.journal.get(job, with_calls=False)
    caller.enters(record.project, Role.READER, f"job {job}")
    last = request.headers.get("last-event-id", "")
    after = int(last) if last.isdecimal() and len(last) < _LONGEST_ID else 0
    return StreamingResponse(
        _events(node, job, after), media_type="text/event-stream", headers={"cache-control": "no-store"}
    )


async def _events(node: Node, job: str, after: int) -> AsyncIterator[str]:
    last = ""
    async for record in node.journal.watch(job):
        for line in await job_log.lines(node.core.database, job, after=after):
            after = line.id
            yield f"event: log\nid: {line.id}\ndata: {LogLine.of(line).model_dump_json()}\n\n"
        document = Job.of(record).model_dump_json()
        if document != last:
            last = document
            yield f"event: job\ndata: {document}\n\n"
