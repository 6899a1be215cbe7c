"""Jobs: list, look into, watch, cancel."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from zvmcloud.api.v1.context import Member, Reader, TheNode
from zvmcloud.api.v1.document import EVENT_STREAM
from zvmcloud.api.v1.models import Job
from zvmcloud.api.v1.paging import Cursor, InTime, Limit, Page, key_of, page
from zvmcloud.manager import tables
from zvmcloud.manager.identity.roles import Role
from zvmcloud.manager.jobs import rows as job_rows
from zvmcloud.manager.listing import Listing
from zvmcloud.manager.node import Node

router = APIRouter(tags=["jobs"])

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
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Page[Job]:
    """The newest jobs of the caller's projects first, without their steps; with ``since`` and ``until`` those begun
    then."""
    rows = await JOBS.rows(
        node.core.database,
        caller,
        after=key_of(cursor, float, str),
        limit=limit,
        equal={"userid": userid.upper(), "state": state, "system": system.upper(), "project": project},
        narrowed=narrowed,
    )
    return page(rows, limit, lambda row: Job.of(job_rows.without_steps(row)), JOBS.key)


@router.get("/jobs/{job}")
async def job(node: TheNode, caller: Reader, job: str) -> Job:
    """One job with its steps and every call they made."""
    record = await node.journal.get(job)
    caller.enters(record.project, Role.READER, f"job {job}")
    return Job.of(record)


@router.post("/jobs/{job}/cancel")
async def cancel(node: TheNode, caller: Member, job: str) -> Job:
    """Ask a job to stop and undo what it did."""
    record = await node.journal.get(job, with_calls=False)
    caller.enters(record.project, Role.MEMBER, f"job {job}")
    return Job.of(await node.runner.cancel(job))


@router.post("/jobs/{job}/retry", status_code=202)
async def retry(node: TheNode, caller: Member, job: str) -> Job:
    """Run a job that failed or was cancelled again, from the step that failed; what was undone then is done again."""
    record = await node.journal.get(job, with_calls=False)
    caller.enters(record.project, Role.MEMBER, f"job {job}")
    return Job.of(await node.core.again(job, backwards=False))


@router.post("/jobs/{job}/undo", status_code=202)
async def undo(node: TheNode, caller: Member, job: str) -> Job:
    """Take back a job that is done, its last step first; 409 when one of its steps cannot be taken back."""
    record = await node.journal.get(job, with_calls=False)
    caller.enters(record.project, Role.MEMBER, f"job {job}")
    return Job.of(await node.core.again(job, backwards=True))


@router.get("/jobs/{job}/events", name="job.watch", response_class=StreamingResponse, responses={200: EVENT_STREAM})
async def events(node: TheNode, caller: Reader, job: str) -> StreamingResponse:
    """Server-sent events: the job as a ``job`` event now and after every change, until it is over."""
    record = await node.journal.get(job, with_calls=False)
    caller.enters(record.project, Role.READER, f"job {job}")
    return StreamingResponse(_events(node, job), media_type="text/event-stream", headers={"cache-control": "no-store"})


async def _events(node: Node, job: str) -> AsyncIterator[str]:
    last = ""
    async for record in node.journal.watch(job):
        document = Job.of(record).model_dump_json()
        if document != last:
            last = document
            yield f"event: job\ndata: {document}\n\n"
