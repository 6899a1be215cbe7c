"""What happens: the stream of events, and webhooks that are told of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from zvmcloud.api.v1.context import Member, Reader, TheNode
from zvmcloud.api.v1.document import EVENT_STREAM
from zvmcloud.api.v1.paging import Cursor, Limit, Page, key_of, page
from zvmcloud.manager.events import tables
from zvmcloud.manager.events.log import Event, Wanted
from zvmcloud.manager.identity.roles import Role
from zvmcloud.manager.listing import Listing
from zvmcloud.manager.node import Node

router = APIRouter(tags=["events"])

WEBHOOKS = Listing(tables.webhooks, ("created", "id"), descending=True)
DELIVERIES = Listing(tables.deliveries, ("id",), descending=True, project="")
Kinds = Annotated[
    list[str], Query(max_length=32, description="only these kinds, with * and ?: job.*, guest.created; may be repeated")
]


class Webhook(BaseModel):
    """Who is told of which events. ``state``: active, or dead after too many failures in a row. ``kinds``: patterns,
    none for all. ``position``: number of the last event it has. ``failures``: in a row. ``project`` "" is all."""

    id: str
    url: str
    kinds: list[str]
    project: str
    actor: str
    created: float
    state: str
    position: int
    failures: int

    @classmethod
    def of(cls, row: sa.RowMapping) -> Webhook:
        return cls(**{name: row[name] for name in cls.model_fields})


class WebhookRequest(BaseModel):
    """``url``: http or https, called with POST for every event. ``secret``: 16 to 128 characters that sign the calls.
    ``kinds``: job.*, guest.created, ...; none for all. ``project``: whose events, "" for that of the caller."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=1024)
    secret: str = Field(min_length=16, max_length=128, json_schema_extra={"format": "password"})
    kinds: list[str] = Field(default_factory=list, max_length=32)
    project: str = ""


class WebhookChange(BaseModel):
    """What is absent stays. ``revive``: let a dead one go on where it stopped. ``url``: http or https. ``secret``: 16
    to 128 characters. ``kinds``: patterns, none for all."""

    model_config = ConfigDict(extra="forbid")

    url: str | None = Field(default=None, max_length=1024)
    secret: str | None = Field(default=None, min_length=16, max_length=128, json_schema_extra={"format": "password"})
    kinds: list[str] | None = Field(default=None, max_length=32)
    revive: bool = False


class Delivery(BaseModel):
    """A call of a webhook. ``status``: HTTP status of the answer, null without one. ``attempt``: how often this event
    was tried."""

    id: int
    event: int
    kind: str
    time: float
    attempt: int
    status: int | None
    error: str
    milliseconds: float

    @classmethod
    def of(cls, row: sa.RowMapping) -> Delivery:
        return cls(**{name: row[name] for name in cls.model_fields})


@router.get("/events", name="event.watch", response_class=StreamingResponse, responses={200: EVENT_STREAM})
async def events(
    node: TheNode,
    caller: Reader,
    kinds: Kinds = [],  # noqa: B006  FastAPI copies it
    system: str = "",
    project: str = "",
    after: Annotated[int | None, Query(ge=0, le=2**62, description="begin behind this number; absent: now")] = None,
    follow: Annotated[bool, Query(description="go on with what comes; else end with what is there")] = True,
    last_event_id: Annotated[
        int | None, Header(ge=0, le=2**62, description="as `after`, sent by a reader that comes back")
    ] = None,
) -> StreamingResponse:
    """Server-sent events of what happens in the caller's projects: jobs, guests, images, drift.

    Each event's id is its number: a reader that comes back with Last-Event-ID misses nothing that is still kept; when
    events in between are not, the first one it gets is named ``lost``.
    """
    projects = caller.sees
    if project:
        caller.enters(project, Role.READER, f"project {project}")
        projects = (project,)
    wanted = Wanted(projects, tuple(kinds), node.core.system(system) if system else "")
    begin = last_event_id if last_event_id is not None else after
    number = await node.events.newest() if begin is None else begin
    headers = {"cache-control": "no-store"}
    return StreamingResponse(
        _stream(node, number, wanted, follow=follow), media_type="text/event-stream", headers=headers
    )


async def _stream(node: Node, number: int, wanted: Wanted, *, follow: bool) -> AsyncIterator[str]:
    oldest = await node.events.oldest()
    if oldest and number + 1 < oldest and number > 0:
        yield f"event: lost\ndata: {json.dumps({'after': number, 'oldest': oldest})}\n\n"
    newest = await node.events.newest()

    def over() -> bool:
        return node.stopping

    yield ": events follow\n\n"
    if not follow:
        while number < newest:
            found, read = await node.events.behind(number, wanted)
            for event in found:
                yield _told(event)
            if read == number:
                return
            number = read
        return
    async for news in node.events.follow(number, wanted, over=over):
        yield _told(news) if news is not None else ": still here\n\n"


def _told(event: Event) -> str:
    return f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(event.document())}\n\n"


@router.get("/webhooks")
async def list_webhooks(
    node: TheNode, caller: Reader, project: str = "", limit: Limit = 100, cursor: Cursor = ""
) -> Page[Webhook]:
    """The webhooks of the caller's projects, the newest first."""
    after = key_of(cursor, float, str)
    rows = await WEBHOOKS.rows(node.core.database, caller, after=after, limit=limit, equal={"project": project})
    return page(rows, limit, Webhook.of, WEBHOOKS.key)


@router.post("/webhooks", status_code=201)
async def add_webhook(node: TheNode, caller: Member, body: WebhookRequest) -> Webhook:
    """Have a URL called, signed, for every event of a project from now on."""
    project = body.project or caller.project
    await node.accounts.project(project)
    caller.enters(project, Role.MEMBER, f"project {project}")
    return Webhook.of(await node.webhooks.add(caller, project, body.url, body.secret, body.kinds))


@router.get("/webhooks/{webhook}")
async def get_webhook(node: TheNode, caller: Reader, webhook: str) -> Webhook:
    """One webhook; its secret is never shown."""
    return Webhook.of(await node.webhooks.get(caller, webhook, Role.READER))


@router.patch("/webhooks/{webhook}")
async def change_webhook(node: TheNode, caller: Member, webhook: str, body: WebhookChange) -> Webhook:
    """Change a webhook, or revive a dead one."""
    changed = await node.webhooks.change(
        caller, webhook, url=body.url, secret=body.secret, kinds=body.kinds, revive=body.revive
    )
    return Webhook.of(changed)


@router.delete("/webhooks/{webhook}", status_code=204)
async def remove_webhook(node: TheNode, caller: Member, webhook: str) -> Response:
    """Forget a webhook and its deliveries."""
    await node.webhooks.remove(caller, webhook)
    return Response(status_code=204)


@router.get("/webhooks/{webhook}/deliveries", name="webhook.deliveries")
async def webhook_deliveries(
    node: TheNode, caller: Reader, webhook: str, limit: Limit = 100, cursor: Cursor = ""
) -> Page[Delivery]:
    """The last calls of a webhook, the newest first: when, which event, what was answered."""
    row = await node.webhooks.get(caller, webhook, Role.READER)
    after = key_of(cursor, int)
    rows = await DELIVERIES.rows(node.core.database, caller, after=after, limit=limit, equal={"webhook": row["id"]})
    return page(rows, limit, Delivery.of, DELIVERIES.key)
