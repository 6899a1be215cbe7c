"""Rows of a table in pages by key: what the lists of the native API are made of.

A page begins behind a key, so rows that come and go between two pages are neither shown twice nor left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from zvmcloud.manager.database import Database
from zvmcloud.manager.identity.roles import Caller

Key = tuple[str | int | float, ...]


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Which rows of a list are wanted. ``tags``: NAME or NAME=VALUE, all of them; ``since`` and ``until``: of the
    list's own time, in seconds since 1970, ``until`` not included; None for no bound."""

    tags: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None


ALL = Narrowed()


class _TagValue(sa.sql.functions.GenericFunction[str]):
    """The value of a tag, NULL without it. The name may hold anything, so it is never part of a path."""

    type = sa.String()
    inherit_cache = True
    name = "zvm_tag_value"


@compiles(_TagValue, "sqlite")
def _sqlite(element: _TagValue, compiler: SQLCompiler, **words: Any) -> str:
    column, name = (compiler.process(item, **words) for item in element.clauses)
    return f"(SELECT tag.value FROM json_each({column}) AS tag WHERE tag.key = {name})"  # noqa: S608 (bound values)


@compiles(_TagValue, "postgresql")
def _postgresql(element: _TagValue, compiler: SQLCompiler, **words: Any) -> str:
    column, name = (compiler.process(item, **words) for item in element.clauses)
    return f"json_extract_path_text({column}, {name})"


@dataclass(frozen=True, slots=True)
class Listing:
    """How a table is listed: the columns that order it (a unique key together), newest or last first if
    ``descending``, the column that names the owning project, and the one that is its time ("": it has none)."""

    table: sa.FromClause
    order: tuple[str, ...]
    descending: bool = False
    project: str = "project"
    time: str = ""

    async def rows(
        self,
        database: Database,
        caller: Caller,
        *,
        after: Key | None,
        limit: int,
        equal: Mapping[str, object],
        where: Sequence[sa.ColumnElement[bool]] = (),
        narrowed: Narrowed = ALL,
    ) -> Sequence[sa.RowMapping]:
        """Up to ``limit`` + 1 rows that the caller sees, behind the key ``after``: one more than the page holds, if
        there is a next one. ``equal`` filters by columns; values that are "" or None do not."""
        columns = [self.table.c[name] for name in self.order]
        query = sa.select(self.table).order_by(*(column.desc() if self.descending else column for column in columns))
        for name, value in equal.items():
            if value not in {"", None}:
                query = query.where(self.table.c[name] == value)
        query = self._narrowed(query, narrowed)
        if caller.sees is not None and self.project:
            query = query.where(self.table.c[self.project].in_(caller.sees))
        if after is not None:
            query = query.where(_behind(columns, after, descending=self.descending))
        async with database.read() as connection:
            return (await connection.execute(query.where(*where).limit(limit + 1))).mappings().all()

    def _narrowed(self, query: sa.Select[Any], wanted: Narrowed) -> sa.Select[Any]:
        for word in wanted.tags:
            name, equals, value = word.partition("=")
            found = _TagValue(self.table.c["tags"], sa.literal(name, sa.String()))
            query = query.where(found == value if equals else found.is_not(None))
        if wanted.since is not None:
            query = query.where(self.table.c[self.time] >= wanted.since)
        if wanted.until is not None:
            query = query.where(self.table.c[self.time] < wanted.until)
        return query

    @property
    def kinds(self) -> tuple[type[str] | type[int] | type[float], ...]:
        """The types of a key's values."""
        return tuple(self.table.c[name].type.python_type for name in self.order)

    def key(self, row: sa.RowMapping) -> Key:
        """The key of a row."""
        return tuple(row[name] for name in self.order)


def begins(column: sa.ColumnElement[str], text: str) -> tuple[sa.ColumnElement[bool], ...]:
    """Userids that begin with ``text``, all of them for "". The comparison is one that an index serves."""
    text = text.upper()
    return (column >= text, column.startswith(text, autoescape=True)) if text else ()


def _behind(columns: Sequence[sa.ColumnElement[object]], key: Key, *, descending: bool) -> sa.ColumnElement[bool]:
    left = sa.tuple_(*columns)
    right = sa.tuple_(*(sa.literal(value, column.type) for value, column in zip(key, columns, strict=True)))
    return left < right if descending else left > right
