"""Rows of a table in pages by key: what the lists of the native API are made of.

A page begins behind a key, so rows that come and go between two pages are neither shown twice nor left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from zvmcloud.manager.database import Database
from zvmcloud.manager.identity.roles import Caller

Key = tuple[str | int | float, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """How a table is listed: the columns that order it (a unique key together), newest or last first if
    ``descending``, and the column that names the owning project."""

    table: sa.FromClause
    order: tuple[str, ...]
    descending: bool = False
    project: str = "project"

    async def rows(
        self,
        database: Database,
        caller: Caller,
        *,
        after: Key | None,
        limit: int,
        equal: Mapping[str, object],
        where: Sequence[sa.ColumnElement[bool]] = (),
    ) -> Sequence[sa.RowMapping]:
        """Up to ``limit`` + 1 rows that the caller sees, behind the key ``after``: one more than the page holds, if
        there is a next one. ``equal`` filters by columns; values that are "" or None do not."""
        columns = [self.table.c[name] for name in self.order]
        query = sa.select(self.table).order_by(*(column.desc() if self.descending else column for column in columns))
        for name, value in equal.items():
            if value not in {"", None}:
                query = query.where(self.table.c[name] == value)
        if caller.sees is not None and self.project:
            query = query.where(self.table.c[self.project].in_(caller.sees))
        if after is not None:
            query = query.where(_behind(columns, after, descending=self.descending))
        async with database.read() as connection:
            return (await connection.execute(query.where(*where).limit(limit + 1))).mappings().all()

    @property
    def kinds(self) -> tuple[type[str] | type[int] | type[float], ...]:
        """The types of a key's values."""
        return tuple(self.table.c[name].type.python_type for name in self.order)

    def key(self, row: sa.RowMapping) -> Key:
        """The key of a row."""
        return tuple(row[name] for name in self.order)


def _behind(columns: Sequence[sa.ColumnElement[object]], key: Key, *, descending: bool) -> sa.ColumnElement[bool]:
    left = sa.tuple_(*columns)
    right = sa.tuple_(*(sa.literal(value, column.type) for value, column in zip(key, columns, strict=True)))
    return left < right if descending else left > right
