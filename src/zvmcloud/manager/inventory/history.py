"""The history of a directory entry: its versions, who made them, and what differs between two."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import sqlalchemy as sa

from zvmcloud.manager.database import Database
from zvmcloud.manager.errors import NotFound
from zvmcloud.manager.inventory.tables import baselines, entry_versions


class History:
    """Reads versions of entries, and forgets old ones."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def version(self, system: str, userid: str, number: int) -> sa.RowMapping:
        """A version; ``number`` 0 is the newest. Raises NotFound (version-unknown)."""
        table = entry_versions.c
        query = sa.select(entry_versions).where(table.system == system, table.userid == userid)
        query = query.where(table.number == number) if number else query.order_by(table.number.desc()).limit(1)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            raise NotFound(
                f"the history of {userid} on {system} has no version {number or ''}".rstrip(),
                code="version-unknown",
                remedy=f"see GET /v1/guests/{system}/{userid}/history",
                subject=userid,
            )
        return row

    async def diff(self, system: str, userid: str, number: int, against: int | None) -> str:
        """A unified diff from version ``against`` (the one before, if None) to ``number``; "" when they are the same
        but for a password. Raises NotFound (version-unknown)."""
        new = await self.version(system, userid, number)
        before = number - 1 if against is None else against
        old = await self.version(system, userid, before) if before else None
        return unified(old["entry"] if old else (), new["entry"], f"{userid} {before}", f"{userid} {number}")

    async def prune(self, before: float) -> int:
        """Forget versions that were made before that moment, in seconds since 1970; how many. The newest of each entry
        stays, and the one that its drift is measured from."""
        table, newer = entry_versions.c, entry_versions.alias()
        same = sa.and_(newer.c.system == table.system, newer.c.userid == table.userid)
        superseded = sa.exists().where(same, newer.c.number > table.number)
        measured = sa.exists().where(
            baselines.c.system == table.system,
            baselines.c.userid == table.userid,
            baselines.c.version == table.number,
        )
        query = sa.delete(entry_versions).where(table.at < before, superseded, ~measured)
        async with self._database.write() as connection:
            return int((await connection.execute(query)).rowcount)


def unified(old: Sequence[str], new: Sequence[str], old_name: str, new_name: str) -> str:
    """The difference of two entries as a unified diff."""
    lines = difflib.unified_diff(list(old), list(new), old_name, new_name, lineterm="")
    return "".join(f"{line}\n" for line in lines)
