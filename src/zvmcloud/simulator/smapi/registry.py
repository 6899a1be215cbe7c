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

from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.system import System
from zvmcloud.smapi.declare import Reply, Request
from zvmcloud.smapi.spelling import CANONICAL, Shape


class Pending:
    """The end of work that goes on after its handler: Done, or Refused."""

    def __init__(self) -> None:
        self._end: Done | Refused | None = None
        self._waiter: Callable[[Done | Refused], None] | None = None

    def finish(self, end: Done | Refused) -> None:
        """The work has ended."""
        self._end = end
        if self._waiter is not None:
            self._waiter(end)

    def then(self, waiter: Callable[[Done | Refused], None]) -> None:
        """Call with the end, now or when it comes."""
        self._waiter = waiter
        if self._end is not None:
            waiter(self._end)


@dataclass(frozen=True, slots=True)
class Done:
    """A successful end: data, and codes when they are not 0/0."""

    reply: Reply | None = None
    rs: int = 0
    rc: int = 0
    """Not 0 for an end that keeps what was changed although it is no success."""
    pending: Pending | None = None
    """Set when the answer comes later: what it says, and nothing else here, is what is answered then."""
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
    authority: str = "judgement",
    missing: str = "",
) -> Callable[[Callable[[Call, R], Done]], Callable[[Call, R], Done]]:
    """Register the decorated function for a request type.

    `directory`: it changes the directory, which takes the directory manager's time, and on a system with asynchronous
    directory changes is done after the answer 592.
    `authority` and `missing` are for the coverage page: one of AUTHORITIES, and what is left out.
    """

    def register(handler: Callable[[Call, R], Done]) -> Callable[[Call, R], Done]:
        HANDLERS[request_type.spec.name.upper()] = Registered(handler, directory, authority, missing)
        return handler

    return register
