"""The record of every change: who, from where, what, the job, the result. Appended, never changed, chained by hash.

``hash`` is the SHA-256 of the entry's canonical JSON with the hash of the entry before it, so an entry that was
changed, removed or put in later breaks the chain from there on; :meth:`Audit.verify` names the first such entry.
Whoever keeps the last hash elsewhere notices even a chain that was made anew as a whole.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from zvmcloud.manager.database import Connection, Database
from zvmcloud.manager.identity.roles import Caller
from zvmcloud.manager.identity.tables import audit
from zvmcloud.manager.prepared import Prepared

BEGINNING = "0" * 64
"""The hash before the first entry."""
_PAGE = 1000
_CHAINED = tuple(column.name for column in audit.c if column.name != "hash")
_LAST = Prepared(sa.select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1))
_INSERT = Prepared(sa.insert(audit))
_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Broken:
    """Where the chain does not hold."""

    number: int
    reason: str


class Audit:
    """Appends to the record and reads it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(
        self,
        caller: Caller,
        action: str,
        subject: str,
        *,
        project: str = "",
        job: str = "",
        result: str = "done",
        detail: Mapping[str, object] | None = None,
    ) -> int:
        """Append an entry in a transaction of its own; returns its number. See :func:`append`."""
        async with self._database.write() as connection:
            return await append(
                connection, caller, action, subject, project=project, job=job, result=result, detail=detail
            )

    async def verify(self) -> Broken | None:
        """The first entry that breaks the chain, None when it holds from the first to the last."""
        previous, expected = BEGINNING, 1
        async for row in self._all():
            if row["number"] != expected:
                return Broken(expected, f"entry {expected} is missing; {row['number']} follows")
            if row["previous"] != previous:
                return Broken(expected, "it does not follow the entry before it")
            if row["hash"] != _hash({name: row[name] for name in _CHAINED}):
                return Broken(expected, "its content is not what was hashed")
            previous, expected = row["hash"], expected + 1
        return None

    async def _all(self) -> AsyncIterator[sa.RowMapping]:
        after = 0
        while True:
            query = sa.select(audit).where(audit.c.number > after).order_by(audit.c.number).limit(_PAGE)
            async with self._database.read() as connection:
                rows = (await connection.execute(query)).mappings().all()
            for row in rows:
                yield row
            if len(rows) < _PAGE:
                return
            after = rows[-1]["number"]


async def append(
    connection: Connection,
    caller: Caller,
    action: str,
    subject: str,
    *,
    project: str = "",
    job: str = "",
    result: str = "done",
    detail: Mapping[str, object] | None = None,
) -> int:
    """Append an entry in the transaction of the change it tells of; returns its number.

    ``action`` is a dotted word (guest.create, token.revoke); ``result`` is begun, done, failed, cancelled or refused.
    ``detail`` holds no secrets. The chain has one end, because there is one writer at a time
    (:mod:`zvmcloud.manager.database`).
    """
    last = await connection.run(_LAST)
    number, previous = last[0] if last else (0, BEGINNING)
    row: dict[str, object] = {
        "number": number + 1,
        "time": round(time.time(), 3),
        "user": caller.user[:64],
        "role": str(caller.role),
        "token": caller.token,
        "project": project,
        "address": caller.address[:64],
        "action": action[:64],
        "subject": subject[:128],
        "job": job,
        "result": result,
        "detail": dict(detail or {}),
        "previous": previous,
    }
    row["hash"] = _hash(row)
    await connection.run(_INSERT, row)
    return int(number) + 1


def _hash(chained: Mapping[str, object]) -> str:
    """Of all columns but the hash itself."""
    return hashlib.sha256(_JSON.encode(chained).encode()).hexdigest()
