"""Figures for a monitoring system, in the text format of Prometheus."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse

from zvmcloud.api.v1.context import Credentials, TheNode, address_of, caller_of, node_of
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.metrics.exposition import MEDIA_TYPE

router = APIRouter(tags=["metrics"])

MONITOR = Caller("monitor", Role.OPERATOR)
"""A scraper that comes without a token, from an address of the settings."""


async def scraper(request: Request, credentials: Credentials) -> Caller:
    """Who holds the token, a reader at least; or MONITOR from an address that needs none."""
    if credentials is None and _is_open(address_of(request), node_of(request).settings.metrics_open_from):
        return MONITOR
    caller = await caller_of(request, credentials)
    caller.needs(Role.READER)
    return caller


@router.get("/metrics", name="metrics.show", response_class=StreamingResponse)
async def metrics(node: TheNode, caller: Annotated[Caller, Depends(scraper)]) -> StreamingResponse:
    """Figures of the manager, of every system, and of the guests that the caller sees."""
    return StreamingResponse(node.metrics.text(caller), media_type=MEDIA_TYPE)


def _is_open(address: str, networks: tuple[str, ...]) -> bool:
    try:
        peer = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(peer in ipaddress.ip_network(network, strict=False) for network in networks)
