"""Lists in pages: ``{"items": [...], "next": "..."}``, by cursor, so that nothing is left out or seen twice when rows
come and go between two pages.

A cursor is the key of the last row of a page, in base64; only the list that made it understands it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel

from zvmcloud.manager.errors import BadInput
from zvmcloud.manager.listing import Key, Narrowed

Tags = Annotated[
    list[Annotated[str, Query(min_length=1, max_length=511)]],
    Query(max_length=8, description="only what has this tag: name, or name=value; may be repeated"),
]
Time = Annotated[float | None, Query(ge=0, le=2**40)]


def _times(since: Time = None, until: Time = None) -> Narrowed:
    return Narrowed(since=since, until=until)


def _tags(tag: Tags = []) -> Narrowed:  # noqa: B006  FastAPI copies it
    return Narrowed(tags=tuple(tag))


def _both(tag: Tags = [], since: Time = None, until: Time = None) -> Narrowed:  # noqa: B006  FastAPI copies it
    return Narrowed(tuple(tag), since, until)


InTime = Annotated[Narrowed, Depends(_times)]
"""Of a list: ``since`` and ``until``."""
Tagged = Annotated[Narrowed, Depends(_tags)]
TaggedInTime = Annotated[Narrowed, Depends(_both)]

Item = TypeVar("Item", bound=BaseModel)
Row = TypeVar("Row")

Limit = Annotated[int, Query(ge=1, le=1000, description="rows in one page, 1 to 1000")]
Cursor = Annotated[str, Query(max_length=512, description="`next` of the page before; empty for the first page")]


class Page(BaseModel, Generic[Item]):
    """A page of a list. ``next`` is null on the last one."""

    items: list[Item]
    next: str | None = None


def cursor(key: Key) -> str:
    """The text of a key."""
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def key_of(text: str, *kinds: type[str] | type[int] | type[float]) -> Key | None:
    """The key in a cursor; None for "". Raises BadInput (cursor) for one that this list did not make."""
    if not text:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        found = None
    if not isinstance(found, list) or [type(value) for value in found] != list(kinds):
        raise BadInput("cursor", text, "the value of `next` of the page before")
    return tuple(found)


def page(rows: Sequence[Row], limit: int, item: Callable[[Row], Item], key: Callable[[Row], Key]) -> Page[Item]:
    """A page of rows of which one more than ``limit`` was asked for."""
    shown = rows[:limit]
    return Page(items=[item(row) for row in shown], next=cursor(key(shown[-1])) if len(rows) > limit else None)
