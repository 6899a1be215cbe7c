"""Two managers of one PostgreSQL database: what both are asked for at the same moment is done once."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

import postgres
from api.native import ok
from api.test_events import SECRET, Receiver
from api.test_plans import GUEST, LINUX01, over
from manager.fake_zhcp import FakeZhcp
from manager.support import all_jobs, running, settings
from zvmcloud.api.program import doors
from zvmcloud.manager.events import webhooks
from zvmcloud.manager.identity.accounts import Accounts
from zvmcloud.manager.identity.throttle import FREE
from zvmcloud.manager.node import Node
from zvmcloud.manager.tables import leases, plans

GUESTS = "/systems/zvm1/guests"


@dataclass(frozen=True, slots=True)
class Pair:
    """Both managers, and a client of each."""

    nodes: tuple[Node, Node]
    clients: tuple[httpx.AsyncClient, httpx.AsyncClient]
    zhcp: FakeZhcp

    async def both(self, method: str, path: str, body: object = None, **headers: str) -> list[httpx.Response]:
        """The same request to both at the same moment."""
        asked = (client.request(method, path, json=body, headers=headers) for client in self.clients)
        return list(await asyncio.gather(*asked))


@pytest.fixture
async def pair(
    tmp_path: Path, postgres_server: postgres.Server, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Pair]:
    monkeypatch.setattr(webhooks, "_ROUND", 3600.0)
    url, zhcp = postgres_server.database(), FakeZhcp()
    more = {"database": postgres.patient(url), "shared": str(tmp_path / "shared"), "webhook_hosts": ["127.0.0.1"]}
    limits = {"directory_writers": 1, "image_copies": 1}
    async with AsyncExitStack() as opened:
        nodes: list[Node] = []
        for name in ("one", "two"):
            found = settings(tmp_path / name, node=name, limits=limits, **more)
            nodes.append(await opened.enter_async_context(running(zhcp, found)))
        token = {"authorization": f"Bearer {nodes[0].new_admin_token}"}
        clients = [
            await opened.enter_async_context(
                httpx.AsyncClient(
                    transport=httpx.ASGITransport(doors(node)), base_url="http://manager/v1", headers=token
                )
            )
            for node in nodes
        ]
        yield Pair((nodes[0], nodes[1]), (clients[0], clients[1]), zhcp)
    postgres_server.drop(url)


async def test_of_two_changes_of_what_both_callers_saw_one_is_made(pair: Pair) -> None:
    one, two = pair.clients
    await over(one, await one.post(GUESTS, json=GUEST))
    for number in range(5):
        tag = (await one.get(LINUX01)).headers["etag"]
        answers = await asyncio.gather(
            *(
                client.patch(LINUX01, json={"tags": {"last": f"{name}{number}"}}, headers={"if-match": tag})
                for name, client in (("one", one), ("two", two))
            )
        )
        assert sorted(answer.status_code for answer in answers) == [200, 412]
        (made,) = (answer.json()["tags"] for answer in answers if answer.status_code == 200)
        assert (await ok(await two.get(LINUX01)))["tags"] == made
    async with pair.nodes[0].core.database.read() as connection:
        assert (await connection.execute(sa.select(leases))).all() == []


async def test_a_change_that_waits_at_a_manager_that_was_replaced_is_refused(pair: Pair) -> None:
    one, two = pair.clients
    await over(one, await one.post(GUESTS, json=GUEST))
    tag = (await one.get(LINUX01)).headers["etag"]
    await pair.nodes[0].journal.membership.leave()
    answer = await one.patch(LINUX01, json={"tags": {"a": "b"}}, headers={"if-match": tag})
    assert (answer.status_code, answer.json()["code"]) == (503, "node-replaced")
    assert (await ok(await two.get(LINUX01)))["tags"] == {}


async def test_a_request_with_one_key_that_comes_to_both_is_one_job(pair: Pair) -> None:
    answers = await pair.both("POST", GUESTS, GUEST, **{"idempotency-key": "order 4711"})
    assert {answer.status_code for answer in answers} <= {202, 409}, [answer.text for answer in answers]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"idempotency-running"}
    (job,) = await all_jobs(pair.nodes[0])
    first = next(answer for answer in answers if answer.status_code == 202)
    assert (await over(pair.clients[1], first))["id"] == job.id
    again = await pair.both("POST", GUESTS, GUEST, **{"idempotency-key": "order 4711"})
    assert [answer.json()["id"] for answer in again] == [job.id, job.id]
    assert pair.zhcp.kinds() == ["guest.create"]


async def test_wrong_logins_that_come_to_both_at_once_are_counted_together(pair: Pair) -> None:
    for node in pair.nodes:  # the clock stands still, so that no pause ends meanwhile
        node.accounts = Accounts(node.core.database, node.tokens, lambda: 1e9)
    wrong = {"user": "carla", "password": "wrong one"}
    answers = await asyncio.gather(*(pair.both("POST", "/login", wrong) for _ in range(FREE)))
    assert Counter(answer.status_code for two in answers for answer in two) == {401: FREE, 429: FREE}


async def test_a_plan_that_both_apply_is_applied_once(pair: Pair) -> None:
    shown = await ok(await pair.clients[0].post(f"{GUESTS}?dry_run=true", json=GUEST))
    answers = await pair.both("POST", f"/plans/{shown['id']}/apply")
    assert sorted(answer.status_code for answer in answers) == [202, 409], [answer.text for answer in answers]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert refused.json()["code"] in {"plan-applied", "plan-stale"}
    await over(pair.clients[0], next(answer for answer in answers if answer.status_code == 202))
    assert pair.zhcp.kinds() == ["guest.create"]


async def test_a_plan_whose_manager_died_before_it_began_can_still_be_applied(pair: Pair) -> None:
    shown = await ok(await pair.clients[0].post(f"{GUESTS}?dry_run=true", json=GUEST))
    async with pair.nodes[0].core.database.write() as connection:
        await connection.execute(sa.update(plans).values(job=shown["id"]))
    job = await over(pair.clients[1], await pair.clients[1].post(f"/plans/{shown['id']}/apply"))
    assert (job["id"], job["state"]) == (shown["id"], "done")


async def test_an_event_is_delivered_by_one_of_them(pair: Pair) -> None:
    found = Receiver()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    one, two = pair.clients
    await ok(await one.post("/webhooks", json={"url": url, "secret": SECRET}), 201)
    for userid in ("linux01", "linux02", "linux03"):
        await over(one, await one.post(GUESTS, json={**GUEST, "userid": userid}))
        await asyncio.gather(*(node.webhooks.round() for node in (*pair.nodes, *pair.nodes)))
    for node in pair.nodes:
        await node.webhooks.round()
    got = [json.loads(data)["id"] for _, data in found.got]
    assert got == sorted(set(got)), "each once, in order"
    told = (await two.get("/events?after=0&follow=false")).text
    assert len(got) == told.count("data: ")
    server.close()


async def test_jobs_of_both_wait_in_one_queue(pair: Pair) -> None:
    most = 0
    run = pair.zhcp._do_guest_create

    def counted(parameters: dict[str, Any]) -> dict[str, Any]:
        nonlocal most
        most = max(most, sum(state["state"] == "running" for state in pair.zhcp.operations.values()))
        return run(parameters)

    pair.zhcp.delay = 0.05
    pair.zhcp._do_guest_create = counted  # type: ignore[method-assign]
    answers = await asyncio.gather(
        *(pair.clients[number % 2].post(GUESTS, json={**GUEST, "userid": f"linux{number}"}) for number in range(6))
    )
    deadline = time.monotonic() + 60
    for number, answer in enumerate(answers):
        assert answer.status_code == 202, answer.text
        while (await ok(await pair.clients[number % 2].get(f"/jobs/{answer.json()['id']}")))["state"] != "done":
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
    assert len(pair.zhcp.guests) == 6
    assert most == 1, "one directory writer for both managers"


async def test_of_two_changes_that_fit_a_quota_alone_and_not_together_one_is_accepted(pair: Pair) -> None:
    await ok(await pair.clients[0].patch("/projects/default", json={"quota": {"guests": 1, "image_mb": 1}}))

    async def at_once(path: str, *bodies: dict[str, Any]) -> list[httpx.Response]:
        asked = (client.post(path, json=body) for client, body in zip(pair.clients, bodies, strict=True))
        return list(await asyncio.gather(*asked))

    guests = await at_once(GUESTS, {**GUEST, "userid": "LINUX01"}, {**GUEST, "userid": "LINUX02"})
    assert sorted(answer.status_code for answer in guests) == [202, 403]
    await over(pair.clients[0], next(answer for answer in guests if answer.status_code == 202))
    assert len(pair.zhcp.guests) == 1
    half = {"bytes": 1_000_000, "sha256": "0" * 64}
    uploads = await at_once("/uploads", {**half, "name": "one"}, {**half, "name": "two"})
    assert sorted(answer.status_code for answer in uploads) == [201, 403]
    assert {answer.json()["code"] for answer in (*guests, *uploads) if answer.status_code == 403} == {"quota"}
