"""What every route begins with: the node it works on, and who asks.

A route declares the least role in its signature (``caller: Reader``, ``Member``, ``Operator``, ``Admin``); what a
caller may do with one thing of one project is asked of the caller itself (``Caller.enters``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, params
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param

from zvmcloud.manager.errors import ManagerError
from zvmcloud.manager.identity.acting import act_for
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.node import Node

_BEARER = HTTPBearer(auto_error=False, description="An API token: `zvm login`, `zvm token create`, or `zvm init`")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


NODE = "zvmcloud.node"
"""Where the scope of a request has the node that it is for."""
CALLER = "zvmcloud.caller"
"""Where it has who asks, once that is known."""
ONCE = "zvmcloud.once"
"""Where it has its :class:`Once`, when it came with an Idempotency-Key."""


@dataclass(slots=True)
class Once:
    """A request that is done once. ``caller``: who holds its token; ``job``: the id of the job that it begins, if it
    begins one; ``secret``: its answer holds one, and is not kept."""

    caller: Caller
    job: str
    secret: bool = False


class Unauthorized(ManagerError):
    status = 401
    code = "unauthorized"
    title = "Unauthorized"


def node_of(request: Request) -> Node:
    """The node that this application serves."""
    node: Node = request.scope[NODE]
    return node


TheNode = Annotated[Node, Depends(node_of)]


def address_of(request: Request) -> str:
    """The peer's address, "" when the transport has none."""
    return request.client.host if request.client else ""


def once_of(request: Request) -> Once | None:
    """How the request is done once; None for one without an Idempotency-Key."""
    found: Once | None = request.scope.get(ONCE)
    return found


def job_of(request: Request) -> str:
    """The id of the job that the request is to begin, "" for any."""
    once = once_of(request)
    return once.job if once is not None else ""


def _tells(request: Request) -> None:
    once = once_of(request)
    if once is not None:
        once.secret = True


TELLS_SECRET: params.Depends = Depends(_tells)
"""The mark of a route whose answer holds a new secret (``dependencies=[TELLS_SECRET]``): it is not kept under an
Idempotency-Key."""


async def holder_of(node: Node, request: Request) -> Caller | None:
    """Who holds the request's bearer token; None for no token, or one that is not valid any more."""
    scheme, token = get_authorization_scheme_param(request.headers.get("authorization"))
    if scheme.lower() != "bearer" or not token:
        return None
    return await node.tokens.caller(token, address_of(request))


async def caller_of(request: Request, _shown: Credentials) -> Caller:
    """Who holds the bearer token; the manager acts for that caller from here on. Raises Unauthorized."""
    once = once_of(request)
    found = once.caller if once is not None else await holder_of(node_of(request), request)
    if found is None:
        raise Unauthorized(
            "no valid token",
            remedy="send Authorization: Bearer with a token from `zvm login`, `zvm token create` or `zvm init`",
        )
    act_for(found)
    request.scope[CALLER] = found
    return found


def at_least(role: Role) -> params.Depends:
    """The caller, who has ``role`` somewhere; NotAllowed (role) otherwise."""

    async def needs(caller: Annotated[Caller, Depends(caller_of)]) -> Caller:
        caller.needs(role)
        return caller

    found: params.Depends = Depends(needs)
    return found


Reader = Annotated[Caller, at_least(Role.READER)]
Member = Annotated[Caller, at_least(Role.MEMBER)]
Operator = Annotated[Caller, at_least(Role.OPERATOR)]
Admin = Annotated[Caller, at_least(Role.ADMIN)]
