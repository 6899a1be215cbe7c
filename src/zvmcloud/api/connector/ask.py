"""What a handler gets: the request, taken apart and checked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from zvmcloud.api.connector.envelope import Reply
from zvmcloud.manager.core import userid
from zvmcloud.manager.identity.roles import Caller
from zvmcloud.manager.jobs.plan import Json
from zvmcloud.manager.node import Node


@dataclass(frozen=True, slots=True)
class Ask:
    """One checked request. ``deploys`` limits how many deploys this door runs at once; ``caller``: who the door is."""

    node: Node
    system: str
    request: Request
    body: Mapping[str, Json]
    path: Mapping[str, str]
    query: Mapping[str, str]
    deploys: asyncio.Semaphore = field(repr=False)
    caller: Caller

    @property
    def userid(self) -> str:
        """The guest that the path names, in upper case. Raises BadInput."""
        return userid(self.path["userid"])

    @property
    def origin(self) -> str:
        """Who asked, for the job: door, method, path, client address."""
        client = self.request.client.host if self.request.client else "local"
        return f"connector {self.request.method} {self.request.url.path} from {client}"

    def member(self, name: str) -> Mapping[str, Json]:
        """An object inside the body; the schema has checked that it is one."""
        value = self.body.get(name)
        return value if isinstance(value, Mapping) else {}


Handler = Callable[[Ask], Awaitable[Reply | Response]]


def text(value: Json) -> str:
    """A text member, "" for null or absent."""
    return "" if value is None else str(value)


def texts(value: Json) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def objects(value: Json) -> tuple[Mapping[str, Json], ...]:
    return tuple(item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else ()


def count(value: Json, default: int = 0) -> int:
    """An integer member, given as a number or as digits."""
    return default if value is None or value == "" else int(str(value))


def megabytes(value: Json) -> int:
    """A memory size like "2g" or "4096M" in MiB; 0 for none."""
    size = text(value)
    return int(size[:-1]) * (1024 if size[-1] in "gG" else 1) if size else 0
