"""Which functions this system has: handlers by request type.

    @handles(f.ImageQueryDM)
    def image_query_dm(call: Call, request: f.ImageQueryDM) -> Done: ...

A handler runs inside a transaction. It returns Done (rc 0 and, mostly, data) or raises Refused; what it changed before
it raised is taken back. A site's own functions are registered in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from zvmcloud.simulator.system import System
from zvmcloud.smapi.declare import Reply, Request
from zvmcloud.smapi.layout import CANONICAL, Shape


@dataclass(frozen=True, slots=True)
class Done:
    """A successful end: data, and codes when they are not 0/0."""

    reply: Reply | None = None
    rs: int = 0
    rc: int = 0
    """Not 0 for an end that keeps what was changed although it is no success."""
    shape: Shape = CANONICAL
    """How the data are spelled where the protocol leaves it free."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler knows beside its request."""

    system: System
    userid: str
    """The authenticated userid."""
    recent: Mapping[int, tuple[str, bytes]] = field(default_factory=dict, repr=False)
    """Whose request it was and the whole reply, by request id."""
    request_id: int = 0


R = TypeVar("R", bound=Request[Any])
Handler = Callable[[Call, Any], Done]


@dataclass(frozen=True, slots=True)
class Registered:
    """A handler and what dispatch must know about it."""

    handler: Handler
    changes_directory: bool
    may_run_later: bool
    authority: str = "judgement"
    """Where the behaviour is taken from: recorded, clients, document or judgement."""
    missing: str = ""
    """What is left out; empty when the function is complete."""


HANDLERS: dict[str, Registered] = {}


AUTHORITIES = ("recorded", "clients", "document", "judgement")


def handles(
    request_type: type[R],
    *,
    directory: bool = False,
    later: bool = False,
    authority: str = "judgement",
    missing: str = "",
) -> Callable[[Callable[[Call, R], Done]], Callable[[Call, R], Done]]:
    """Register the decorated function for a request type.

    `directory`: it changes the directory, which takes the directory manager's time. `later`: on a system with
    asynchronous directory changes the work is done after the answer 592.
    `authority` and `missing` are for the coverage page: one of AUTHORITIES, and what is left out.
    """

    def register(handler: Callable[[Call, R], Done]) -> Callable[[Call, R], Done]:
        HANDLERS[request_type.spec.name.upper()] = Registered(handler, directory or later, later, authority, missing)
        return handler

    return register
