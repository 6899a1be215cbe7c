"""What every route begins with: the node it works on, and who asks.

A route declares the least role in its signature (``caller: Reader``, ``Member``, ``Operator``, ``Admin``); what a
caller may do with one thing of one project is asked of the caller itself (``Caller.enters``).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, params
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from zvmcloud.manager.errors import ManagerError
from zvmcloud.manager.identity.acting import act_for
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.node import Node

_BEARER = HTTPBearer(auto_error=False, description="An API token: `zvm login`, `zvm token create`, or `zvm init`")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


NODE = "zvmcloud.node"
"""Where the scope of a request has the node that it is for."""


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


async def caller_of(request: Request, credentials: Credentials) -> Caller:
    """Who holds the bearer token; the manager acts for that caller from here on. Raises Unauthorized."""
    found = None
    if credentials is not None:
        found = await node_of(request).tokens.caller(credentials.credentials, address_of(request))
    if found is None:
        raise Unauthorized(
            "no valid token",
            remedy="send Authorization: Bearer with a token from `zvm login`, `zvm token create` or `zvm init`",
        )
    act_for(found)
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
