"""Answers that are kept under the caller's key, so that a request sent twice is done once.

A key belongs to the token it came with. Its first request is written down before it is done; its answer is kept for a
day and given again to the same request. A request that a crash cut off is done again, under the same job id, so a job
that had begun is found and not begun a second time.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from zvmcloud.manager.database import Database
from zvmcloud.manager.errors import BadInput, Conflict
from zvmcloud.manager.tables import idempotency, manager_nodes

KEPT = 86400.0
"""Seconds for which an answer is given again."""
LONGEST_KEY = 128
_JOBS = uuid.UUID("5c1d9f1e-6a0f-4c8e-9b67-0d6d3f3a9b11")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was given: HTTP status, headers worth keeping, body."""

    status: int
    headers: dict[str, str]
    body: str


class Idempotency:
    """The kept answers. The epoch in which a manager joined tells requests under way at a living manager from those
    that a crash cut off."""

    def __init__(self, database: Database, joined: int) -> None:
        self._database = database
        self._joined = joined

    @staticmethod
    def identify(token: str, key: str) -> str:
        """The id of a key of the holder of ``token``. Raises BadInput: 1 to 128 printable ASCII characters."""
        if not 1 <= len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
            raise BadInput("Idempotency-Key", key, f"1 to {LONGEST_KEY} printable ASCII characters")
        return hashlib.sha256(f"{token}\n{key}".encode()).hexdigest()

    @staticmethod
    def job(identity: str) -> str:
        """The id of the job that the request with this key begins, if it begins one."""
        return str(uuid.uuid5(_JOBS, identity))

    async def begin(self, identity: str, request: str) -> Answer | None:
        """Write the request (a digest of all that matters in it) down; None when it is to be done now, else the
        answer it had.

        Raises Conflict (idempotency-mismatch, idempotency-running).
        """
        now = time.time()
        row = {"id": identity, "request": request, "epoch": self._joined, "created": now}
        try:
            async with self._database.write() as connection:
                await connection.execute(sa.delete(idempotency).where(idempotency.c.created < now - KEPT))
                await connection.execute(sa.insert(idempotency), row)
        except IntegrityError:
            return await self._again(identity, request)
        return None

    async def expire(self) -> None:
        """Forget answers that are kept no longer; :meth:`begin` does so too."""
        async with self._database.write() as connection:
            await connection.execute(sa.delete(idempotency).where(idempotency.c.created < time.time() - KEPT))

    async def end(self, identity: str, answer: Answer) -> None:
        """Keep the answer."""
        async with self._database.write() as connection:
            await connection.execute(
                sa.update(idempotency)
                .where(idempotency.c.id == identity)
                .values(status=answer.status, headers=answer.headers, body=answer.body)
            )

    async def forget(self, identity: str) -> None:
        """The request came to nothing: the same key may try again."""
        async with self._database.write() as connection:
            await connection.execute(
                sa.delete(idempotency).where(idempotency.c.id == identity, idempotency.c.status.is_(None))
            )

    async def _again(self, identity: str, request: str) -> Answer | None:
        async with self._database.write() as connection:
            found = await connection.execute(sa.select(idempotency).where(idempotency.c.id == identity))
            row = found.mappings().one_or_none()
            if row is not None and row["request"] != request:
                raise Conflict(
                    "this Idempotency-Key came with another request before",
                    code="idempotency-mismatch",
                    remedy="use a new key for each new request",
                )
            if row is not None and row["status"] is not None:
                return Answer(row["status"], row["headers"], row["body"])
            alive = sa.select(manager_nodes.c.epoch)
            if row is not None and row["epoch"] in (await connection.execute(alive)).scalars().all():
                raise Conflict(
                    "the request with this Idempotency-Key is still being done",
                    code="idempotency-running",
                    remedy="wait, then send it again",
                )
            await connection.execute(
                sa.update(idempotency).where(idempotency.c.id == identity).values(epoch=self._joined)
            )
        return None
