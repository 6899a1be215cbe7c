"""Statements that run with every job, made into SQL once.

What SQLAlchemy does for each execution (its cache, a context, a result) takes several times as long as SQLite takes to
run the statement, and a short job runs twenty. Statements are still written as SQLAlchemy's, so that they are the same
on both databases; on SQLite :meth:`Connection.run` hands their SQL straight to the driver.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa


class Prepared:
    """An insert, update, delete or select. Of what it gives back every column must be one that the driver has as it
    is: text or number, no JSON."""

    __slots__ = ("_forms", "statement")

    def __init__(self, statement: sa.Insert | sa.Update | sa.Delete | sa.Select[*tuple[Any, ...]]) -> None:
        self.statement = statement
        self._forms: dict[tuple[str, ...], Form] = {}

    def form(self, names: tuple[str, ...], dialect: sa.Dialect) -> Form:
        """The SQL for values with these names, in the dialect of the one database that this process has."""
        found = self._forms.get(names)
        if found is None:
            found = self._forms[names] = Form(self.statement, names, dialect)
        return found


class Form:
    """SQL with question marks, and how to put values in their place."""

    __slots__ = ("_constants", "_converted", "_pick", "sql")

    def __init__(self, statement: sa.Executable, names: tuple[str, ...], dialect: sa.Dialect) -> None:
        if not isinstance(statement, sa.ClauseElement):
            raise TypeError(f"no statement: {type(statement).__name__}")
        made = statement.compile(dialect=dialect, column_keys=list(names))
        if not isinstance(made, sa.sql.compiler.SQLCompiler):
            raise TypeError(f"{type(statement).__name__} has no parameters")
        whole = made.construct_expanded_state(dict.fromkeys(names))
        self.sql = whole.statement
        places = tuple(whole.positiontup or ())
        self._constants: dict[str, object] = {}
        self._converted: list[tuple[int, Callable[[Any], Any]]] = []
        for at, name in enumerate(places):
            bind = made.binds.get(name)
            convert = bind.type.dialect_impl(dialect).bind_processor(dialect) if bind is not None else None
            if name not in names:
                self._constants[name] = whole.parameters.get(name)
            if convert is not None:
                self._converted.append((at, convert))
        self._pick = _picker(places)

    def values(self, row: Mapping[str, object]) -> list[object]:
        """The values of a row in the order of the SQL, as the driver wants them."""
        found = self._pick({**row, **self._constants} if self._constants else row)
        for at, convert in self._converted:
            found[at] = convert(found[at])
        return found


def _picker(names: tuple[str, ...]) -> Callable[[Mapping[str, object]], list[object]]:
    """What takes these from a row, in their order; one call for all of them, as each statement has a dozen."""
    if len(names) > 1:
        several = operator.itemgetter(*names)
        return lambda row: list(several(row))
    return lambda row: [row[name] for name in names]
