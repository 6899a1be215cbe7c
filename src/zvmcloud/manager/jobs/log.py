"""The log of a job: a line for everything that somebody who watches it would want to read.

Lines are written in the transaction of what they tell. Jobs that are answered in the same request have none: who asked
has the answer, and the calls are in the journal.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from zvmcloud.manager.database import Connection, Database
from zvmcloud.manager.tables import job_log

LONGEST = 255
"""Characters of a line."""
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Line:
    """A line. ``step``: the name of the step that it is about, "" for the job. Time in seconds since 1970."""

    id: int
    at: float
    step: str
    text: str


async def note(connection: Connection, job: str, *lines: tuple[str, str]) -> None:
    """Append lines: the step's name, and what is to be told."""
    now = time.time()
    rows = [{"job_id": job, "at": now, "step": step, "text": text[:LONGEST]} for step, text in lines]
    if rows:
        await connection.execute(sa.insert(job_log), rows)


async def lines(database: Database, job: str, *, after: int = 0, limit: int = 1000) -> Sequence[Line]:
    """The lines behind the one with number ``after``, the oldest first."""
    query = (
        sa.select(job_log.c.id, job_log.c.at, job_log.c.step, job_log.c.text)
        .where(job_log.c.job_id == job, job_log.c.id > after)
        .order_by(job_log.c.id)
        .limit(limit)
    )
    async with database.read() as connection:
        return [Line(*row) for row in await connection.execute(query)]


def skeleton(text: str) -> str:
    """A text without its numbers: what goes up while a step runs says nothing new."""
    return _NUMBER.sub("#", text)
