"""Events: who sees which, coming back where one was; webhooks: signed, again and again, given up, never inwards."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from api.native import As, ok, refused, token_of
from manager.fake_zhcp import FakeZhcp
from manager.support import running, settings
from zvmcloud.manager.events import log, webhooks
from zvmcloud.manager.events.log import Wanted
from zvmcloud.manager.node import Node

SECRET = "sixteen characters and more"


def told(text: str) -> list[dict[str, object]]:
    """The events of a stream that has ended."""
    return [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]


async def create(admin: httpx.AsyncClient, userid: str, project: str = "") -> None:
    body = {"userid": userid, "disks": [{"size": "10"}], "project": project}
    job = await ok(await admin.post("/systems/ZVM1/guests", json=body), 202)
    answer = await admin.get(f"/jobs/{job['id']}/events")
    assert told(answer.text)[-1]["state"] == "done"


async def test_a_guest_that_is_made_is_told_in_order(admin: httpx.AsyncClient) -> None:
    await create(admin, "one")
    found = told((await admin.get("/events?after=0&follow=false")).text)
    assert [event["kind"] for event in found] == ["job.pending", "guest.created", "job.done"]
    assert {(event["system"], event["subject"], event["project"]) for event in found} == {("ZVM1", "ONE", "default")}


async def test_a_reader_that_comes_back_misses_nothing_and_sees_nothing_twice(admin: httpx.AsyncClient) -> None:
    await create(admin, "one")
    answer = await admin.get("/events?follow=false", headers={"Last-Event-ID": "1"})
    assert [event["id"] for event in told(answer.text)] == [2, 3]
    kinds = await admin.get("/events?after=0&follow=false&kinds=guest.*")
    assert [event["kind"] for event in told(kinds.text)] == ["guest.created"]


async def test_events_of_another_project_are_not_seen(admin: httpx.AsyncClient, client: As) -> None:
    sam = client(await token_of(admin, "sam", "member", shop="member"))
    await create(admin, "one")
    await create(admin, "two", "shop")
    found = told((await sam.get("/events?after=0&follow=false")).text)
    assert {event["subject"] for event in found} == {"TWO"}
    await refused(await sam.get("/events?project=default&follow=false"), 404, "not-found")


async def test_old_events_are_forgotten_and_the_reader_is_told(
    admin: httpx.AsyncClient, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "KEPT", 10)
    monkeypatch.setattr(log, "_SWEEP_EVERY", 8)
    for number in range(24):
        async with node.core.database.write() as connection:
            await log.append(connection, "test.event", subject=str(number))
    first, *rest = (await admin.get("/events?after=1&follow=false")).text.split("event: ")[1:]
    assert first.startswith("lost\n")
    assert len(rest) == 10


async def test_a_stream_goes_on_with_what_comes(node: Node) -> None:
    followed = node.events.follow(0, Wanted(), over=lambda: False)
    waiting = asyncio.ensure_future(anext(followed))
    async with node.core.database.write() as connection:
        await log.append(connection, "test.event")
    event = await asyncio.wait_for(waiting, 5)
    assert event is not None
    assert event.kind == "test.event"


class Receiver:
    """A server that a webhook calls; answers what it is told to."""

    def __init__(self) -> None:
        self.status = 200
        self.got: list[tuple[dict[str, str], bytes]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        self.got.append((headers, await reader.readexactly(int(headers["content-length"]))))
        writer.write(f"HTTP/1.1 {self.status} X\r\ncontent-length: 0\r\nlocation: http://x/\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[Receiver, str]]:
    found = Receiver()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    yield found, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    server.close()


@pytest.fixture
async def node(tmp_path: Path, zhcp: FakeZhcp, database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Node]:
    """A manager that may call this machine; its rounds are the test's."""
    monkeypatch.setattr(webhooks, "_ROUND", 3600.0)
    found = settings(tmp_path / "state", database=database, webhook_hosts=["127.0.0.1"])
    async with running(zhcp, found) as opened:
        await asyncio.sleep(0)
        yield opened


async def test_a_webhook_gets_signed_events_of_its_kinds(
    admin: httpx.AsyncClient, node: Node, receiver: tuple[Receiver, str]
) -> None:
    found, url = receiver
    body = {"url": url, "secret": SECRET, "kinds": ["job.*"]}
    hook = await ok(await admin.post("/webhooks", json=body), 201)
    assert SECRET not in json.dumps(hook)
    await create(admin, "one")
    await node.webhooks.round()
    assert [json.loads(data)["kind"] for _, data in found.got] == ["job.pending", "job.done"]
    for headers, data in found.got:
        signed = headers["zvm-timestamp"].encode() + b"." + data
        assert headers["zvm-signature"] == "v1=" + hmac.new(SECRET.encode(), signed, sha256).hexdigest()
    log_of = (await ok(await admin.get(f"/webhooks/{hook['id']}/deliveries")))["items"]
    assert [(item["kind"], item["status"], item["attempt"]) for item in log_of] == [
        ("job.done", 200, 1),
        ("job.pending", 200, 1),
    ]
    await node.webhooks.round()
    assert len(found.got) == 2


@pytest.mark.parametrize("status", [500, 302])
async def test_a_receiver_that_does_not_take_it_is_called_again_until_the_webhook_is_dead(
    admin: httpx.AsyncClient, node: Node, receiver: tuple[Receiver, str], monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(webhooks, "TRIES", 3)
    found, url = receiver
    found.status = status
    hook = await ok(await admin.post("/webhooks", json={"url": url, "secret": SECRET}), 201)
    await create(admin, "one")
    await node.webhooks.round()
    await node.webhooks.round()
    assert len(found.got) == 1, "the second call waits"
    monkeypatch.setattr(webhooks, "LONGEST_PAUSE", 0.0)
    await ok(await admin.patch(f"/webhooks/{hook['id']}", json={"revive": True}))
    for _ in range(5):
        await node.webhooks.round()
    assert len(found.got) == 4
    assert (await ok(await admin.get(f"/webhooks/{hook['id']}")))["state"] == "dead"
    found.status = 204
    await ok(await admin.patch(f"/webhooks/{hook['id']}", json={"revive": True}))
    await node.webhooks.round()
    assert [json.loads(data)["kind"] for _, data in found.got[4:]] == ["job.pending", "guest.created", "job.done"]
    await ok(await admin.delete(f"/webhooks/{hook['id']}"), 204)
    await refused(await admin.get(f"/webhooks/{hook['id']}"), 404, "webhook-unknown")


@pytest.mark.parametrize(
    ("url", "status", "code"),
    [
        ("http://10.0.0.1/", 403, "url-not-allowed"),
        ("http://169.254.169.254/latest", 403, "url-not-allowed"),
        ("http://[::ffff:10.0.0.1]/", 403, "url-not-allowed"),
        ("ftp://192.0.2.1/", 400, "bad-input"),
        ("http://user:word@127.0.0.1/", 400, "bad-input"),
        ("http://no-such-host.invalid/", 400, "bad-input"),
    ],
)
async def test_a_webhook_does_not_lead_inwards(admin: httpx.AsyncClient, url: str, status: int, code: str) -> None:
    await refused(await admin.post("/webhooks", json={"url": url, "secret": SECRET}), status, code)
    assert (await ok(await admin.get("/webhooks")))["items"] == []


async def test_a_webhook_needs_a_secret_and_kinds_that_make_sense(admin: httpx.AsyncClient) -> None:
    body = {"url": "http://127.0.0.1/", "secret": "short"}
    await refused(await admin.post("/webhooks", json=body), 400, "bad-input")
    await refused(await admin.post("/webhooks", json={**body, "secret": SECRET, "kinds": ["No!"]}), 400, "bad-input")
