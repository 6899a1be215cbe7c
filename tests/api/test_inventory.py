"""What was seen in z/VM, what changed it, where it is not as recorded, and what is done about it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from api.native import As, ok, refused, token_of
from api.test_roles import BODIES, LEAST
from manager.over_simulator import Managed, managed
from manager.support import settings
from zvmcloud.api.connector.tokens import make_secret
from zvmcloud.api.program import doors
from zvmcloud.directory import Entry
from zvmcloud.manager.facts import Document
from zvmcloud.manager.inventory import reconciler
from zvmcloud.manager.node import Node
from zvmcloud.simulator import guests
from zvmcloud.simulator.cp.interpreter import execute
from zvmcloud.simulator.faults import Rule

GUEST = "/guests/ZVM1/LINUX01"


@pytest.fixture
async def zvm(tmp_path: Path, database: str) -> AsyncIterator[Managed]:
    make_secret(tmp_path / "state" / "connector.token")
    connector = {"mode": "open", "open_from": ["127.0.0.1"]}
    async with managed(tmp_path, settings(tmp_path / "state", database=database, connector=connector)) as found:
        yield found


@pytest.fixture
def node(zvm: Managed) -> Node:
    return zvm.node


async def done(client: httpx.AsyncClient, answer: httpx.Response) -> dict[str, Any]:
    """The job that an answer began, when it is over."""
    job = await ok(answer, 202)
    for _ in range(500):
        found: dict[str, Any] = await ok(await client.get(f"/jobs/{job['id']}"))
        if found["state"] in {"done", "failed", "cancelled"}:
            assert found["state"] == "done", found["error"]
            await asyncio.sleep(0)
            return found
        await asyncio.sleep(0.01)
    raise AssertionError("the job does not end")


async def look(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = await ok(await client.post("/systems/ZVM1/look"))
    return found


async def drift(client: httpx.AsyncClient, **query: str) -> set[tuple[str, str, str]]:
    found = await ok(await client.get("/drift", params={"limit": 1000, **query}))
    return {(row["userid"], row["kind"], row["subject"]) for row in found["items"] if row["kind"] != "foreign"}


async def create(client: httpx.AsyncClient, node: Node) -> None:
    """LINUX01, made by us."""
    body = {"userid": "linux01", "disks": [{"size": "100", "boot": True}], "memory_mb": 2048, "max_memory_mb": 4096}
    await done(client, await client.post("/systems/ZVM1/guests", json=body))
    await node.reconciler.follow_jobs()


def by_hand(zvm: Managed, *more: str, userid: str = "LINUX01") -> None:
    """An administrator adds records to an entry in z/VM."""
    record = zvm.simulator.system.entries[userid]
    entry = Entry.parse([*record.entry.render(), *more])
    with zvm.simulator.system.transaction():
        zvm.simulator.system.entries.put(userid, replace(record, entry=entry))


def foreign(zvm: Managed, userid: str) -> None:
    """An administrator defines a virtual machine in z/VM."""
    system = zvm.simulator.system
    with system.transaction():
        entry = Entry.parse([f"USER {userid} LBYONLY 32M 32M G"])
        system.entries.put(userid, replace(system.entries["MAINT"], entry=entry))


async def test_all_of_a_system_is_seen(zvm: Managed, admin: httpx.AsyncClient) -> None:
    await create(admin, zvm.node)
    detail = await look(admin)
    assert detail["look"]["error"] is None
    assert detail["look"]["source"] == f"ZHCP at {zvm.simulator.system.name}"
    found = await ok(await admin.get("/inventory/guests", params={"foreign": False}))
    (guest,) = found["items"]
    assert (guest["userid"], guest["state"], guest["memory_mb"], guest["project"]) == (
        "LINUX01",
        "off",
        2048,
        "default",
    )
    assert guest["seen"] >= guest["first"]
    found = await ok(await admin.get("/inventory/guests", params={"foreign": True, "limit": 1000}))
    assert "MAINT" in {row["userid"] for row in found["items"]}
    (disk,) = (await ok(await admin.get("/inventory/disks", params={"userid": "linux01"})))["items"]
    assert (disk["vdev"], disk["size"], disk["unit"]) == ("0100", 100, "CYL")
    pools = (await ok(await admin.get("/inventory/resources", params={"kind": "pool"})))["items"]
    assert "POOL1" in {row["name"] for row in pools}


async def test_pages_have_every_entry_once(zvm: Managed, admin: httpx.AsyncClient) -> None:
    await look(admin)
    whole = (await ok(await admin.get("/inventory/guests", params={"limit": 1000})))["items"]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        found = await ok(await admin.get("/inventory/guests", params={"limit": 7, "cursor": cursor}))
        seen += [row["userid"] for row in found["items"]]
        cursor = found["next"]
    assert seen == [row["userid"] for row in whole]
    found = await ok(await admin.get("/inventory/guests", params={"userid": "mai", "limit": 1000}))
    assert [row["userid"] for row in found["items"]] == [name for name in seen if name.startswith("MAI")]


async def test_an_unchanged_system_is_not_written_again(zvm: Managed, admin: httpx.AsyncClient) -> None:
    first = await look(admin)
    found = await zvm.node.looks.look("ZVM1")
    assert (found.new, found.changed, found.gone) == ([], [], [])
    assert (await look(admin))["look"]["at"] > first["look"]["at"]


async def test_history_says_which_job_or_that_it_was_from_outside(zvm: Managed, admin: httpx.AsyncClient) -> None:
    await look(admin)
    await create(admin, zvm.node)
    (first,) = (await ok(await admin.get(f"{GUEST}/history")))["items"]
    jobs = (await ok(await admin.get("/jobs", params={"userid": "linux01"})))["items"]
    assert (first["number"], first["cause"], first["job"]) == (1, "job", jobs[-1]["id"])
    by_hand(zvm, "* CHANGED BY HAND")
    await look(admin)
    second, _ = (await ok(await admin.get(f"{GUEST}/history")))["items"]
    assert (second["number"], second["cause"], second["job"]) == (2, "outside", "")
    diff = await admin.get(f"{GUEST}/history/2/diff")
    assert diff.headers["content-type"].startswith("text/plain")
    assert diff.text.splitlines()[:2] == ["--- LINUX01 1", "+++ LINUX01 2"]
    assert "+* CHANGED BY HAND" in diff.text
    assert "-* CHANGED BY HAND" in (await admin.get(f"{GUEST}/history/1/diff", params={"against": 2})).text
    entry = (await ok(await admin.get(f"{GUEST}/history/2")))["entry"]
    assert entry[-1] == "* CHANGED BY HAND"
    await refused(await admin.get(f"{GUEST}/history/9"), 404, "version-unknown")
    await refused(await admin.get("/guests/ZVM1/NOBODY/history"), 404, "version-unknown")
    (maint, *_) = (await ok(await admin.get("/guests/ZVM1/MAINT/history")))["items"]
    assert maint["cause"] == "first"


async def test_a_change_from_outside_is_drift_until_it_is_taken_back(zvm: Managed, admin: httpx.AsyncClient) -> None:
    await look(admin)
    await create(admin, zvm.node)
    assert await drift(admin) == set()
    by_hand(zvm, "* CHANGED BY HAND")
    await look(admin)
    assert await drift(admin) == {("LINUX01", "entry-changed", "")}
    plan = await ok(await admin.post(f"{GUEST}/restore", params={"dry_run": True}, json={"version": 1}))
    assert [step["kind"] for step in plan["steps"]] == ["guest.restore"]
    assert await drift(admin) == {("LINUX01", "entry-changed", "")}
    job = await done(admin, await admin.post(f"/plans/{plan['id']}/apply"))
    await zvm.node.reconciler.follow_jobs()
    assert await drift(admin) == set()
    newest = (await ok(await admin.get(f"{GUEST}/history")))["items"][0]
    assert (newest["number"], newest["job"]) == (3, job["id"])
    assert (await admin.get(f"{GUEST}/history/3/diff", params={"against": 1})).text == ""


async def test_a_restore_that_was_planned_before_another_change_does_nothing(
    zvm: Managed, admin: httpx.AsyncClient
) -> None:
    await look(admin)
    await create(admin, zvm.node)
    by_hand(zvm, "* ONE")
    plan = await ok(await admin.post(f"{GUEST}/restore", params={"dry_run": True}, json={"version": 1}))
    by_hand(zvm, "* TWO")
    await refused(await admin.post(f"/plans/{plan['id']}/apply"), 409, "plan-stale")
    assert "* TWO" in zvm.simulator.system.entries["LINUX01"].entry.render()


async def test_adopting_takes_a_changed_guest_as_it_is(zvm: Managed, admin: httpx.AsyncClient) -> None:
    await look(admin)
    await create(admin, zvm.node)
    by_hand(zvm, "* CHANGED BY HAND")
    await look(admin)
    await done(admin, await admin.post(f"{GUEST}/adopt", json={}))
    await look(admin)
    assert await drift(admin) == set()
    assert "* CHANGED BY HAND" in zvm.simulator.system.entries["LINUX01"].entry.render()
    await refused(await admin.post(f"{GUEST}/adopt", json={"project": "other"}), 400, "bad-input")


async def test_a_foreign_guest_is_read_only_until_it_is_adopted(
    zvm: Managed, admin: httpx.AsyncClient, client: As
) -> None:
    member = client(await token_of(admin, "sam", "member", shop="member"))
    foreign(zvm, "OLDBOX")
    await look(admin)
    found = await ok(await admin.get("/drift", params={"kind": "foreign", "userid": "OLDBOX"}))
    assert [row["userid"] for row in found["items"]] == ["OLDBOX"]
    await refused(await admin.post("/guests/ZVM1/OLDBOX/stop"), 404, "guest-unknown")
    await refused(await member.get("/guests/ZVM1/OLDBOX/history"), 404, "not-found")
    assert (await ok(await member.get("/inventory/guests")))["items"] == []
    await done(admin, await admin.post("/guests/ZVM1/OLDBOX/adopt", json={"project": "shop", "tags": {"a": "b"}}))
    await look(admin)
    (seen,) = (await ok(await member.get("/inventory/guests")))["items"]
    assert (seen["userid"], seen["project"]) == ("OLDBOX", "shop")
    assert (await ok(await member.get("/guests/ZVM1/OLDBOX")))["tags"] == {"a": "b"}
    assert await drift(admin, userid="OLDBOX") == set()
    assert (await ok(await admin.get("/drift", params={"userid": "OLDBOX"})))["items"] == []
    await done(admin, await admin.post("/guests/ZVM1/OLDBOX/forget"))
    await look(admin)
    assert (await ok(await member.get("/inventory/guests")))["items"] == []
    assert "OLDBOX" in zvm.simulator.system.entries
    await refused(await admin.post("/guests/ZVM1/NOBODY/adopt", json={}), 404, "guest-unknown")
    await refused(await admin.post("/guests/ZVM1/LNXDFLT/adopt", json={}), 409, "not-a-guest")


async def test_no_door_and_no_operation_changes_a_foreign_guest(
    zvm: Managed, admin: httpx.AsyncClient, door: httpx.AsyncClient
) -> None:
    await look(admin)
    system = zvm.simulator.system
    before, on = system.entries["MAINT"].entry.render(), system.active("MAINT")
    guest = "/guests/{system}/{userid}"
    tried = [route for route in LEAST if f" {guest}" in route and not route.startswith("GET")]
    assert len(tried) > 25
    for route in tried:
        if route == f"POST {guest}/adopt":
            continue
        method, _, path = route.partition(" ")
        body = BODIES.get(route, {}) if method != "DELETE" else None
        place = path.format(system="ZVM1", userid="MAINT", vdev="0190")
        for query in ({}, {"dry_run": True}):
            answer = await admin.request(method, place, json=body, params=query)
            assert (answer.status_code, answer.json()["code"]) == (404, "guest-unknown"), (route, answer.text)
    for name in ("", "/console", "/console/stream"):
        await refused(await admin.get(f"/guests/ZVM1/MAINT{name}"), 404, "guest-unknown")
    actions = (
        "start",
        "stop",
        "softstop",
        "reboot",
        "reset",
        "pause",
        "unpause",
        "deploy",
        "capture",
        "grow_root_volumes",
    )
    calls: list[tuple[str, str, Any]] = [
        *(("POST", "/guests/maint/action", {"action": one, "image": "x"}) for one in actions),
        ("DELETE", "/guests/maint", None),
        ("POST", "/guests/maint/disks", {"disk_info": {"disk_list": [{"size": "1g"}]}}),
        ("DELETE", "/guests/maint/disks", {"vdev_info": {"vdev_list": ["0190"]}}),
        ("POST", "/guests/maint/nic", {"nic": {"vdev": "1000"}}),
        ("PUT", "/guests/maint/nic/1000", {"info": {"couple": False}}),
        ("DELETE", "/guests/maint/nic/1000", {"active": False}),
    ]
    for method, path, sent in calls:
        answer = await door.request(method, path, json=sent)
        assert answer.status_code >= 400, (method, path, answer.text)
    assert (system.entries["MAINT"].entry.render(), system.active("MAINT")) == (before, on)
    jobs = (await ok(await admin.get("/jobs", params={"userid": "MAINT"})))["items"]
    assert [job["kind"] for job in jobs if job["state"] == "done"] == []


async def test_adopting_counts_for_the_quota(zvm: Managed, admin: httpx.AsyncClient) -> None:
    foreign(zvm, "OLDBOX")
    await ok(await admin.post("/projects", json={"name": "small", "quota": {"guests": 0}}), 201)
    await refused(await admin.post("/guests/ZVM1/OLDBOX/adopt", json={"project": "small"}), 403, "quota")


async def test_a_grant_that_an_administrator_took_away_is_reported_and_repair_gives_it_back(
    zvm: Managed, admin: httpx.AsyncClient
) -> None:
    await look(admin)
    await create(admin, zvm.node)
    networks, system = zvm.node.networks, zvm.simulator.system
    for name, device in (("VSW1", "0500"), ("VSW2", "0600")):
        await networks.create_vswitch("ZVM1", name, {"rdev": [device]})
    await networks.create_nic("ZVM1", "LINUX01", number="1000")
    await networks.couple("ZVM1", "LINUX01", "1000", "VSW1")
    await networks.grant("ZVM1", "VSW1", "LINUX01")
    await networks.grant("ZVM1", "VSW2", "LINUX01")
    await done(admin, await admin.post(f"{GUEST}/start"))
    await zvm.node.reconciler.follow_jobs()
    await look(admin)
    assert await drift(admin) == set()

    with system.transaction():
        guests.log_on(system, "MAINT", ipl=False)
    for name in ("VSW1", "VSW2"):
        assert execute(system, "MAINT", f"SET VSWITCH {name} REVOKE LINUX01").rc == 0
    assert await drift(admin) == set(), "CP tells no event of it: it is seen at the next look"
    await look(admin)
    assert await drift(admin) == {("LINUX01", "grant-missing", "VSW1")}, "no adapter needs the other grant"
    (told,) = (await ok(await admin.get("/drift", params={"kind": "grant-missing"})))["items"]
    assert (told["project"], told["detail"]) == ("default", {"vdev": "1000", "vlan": None})
    event = (await admin.get("/events", params={"follow": False, "after": 0, "kinds": "drift.found"})).text
    assert '"kind": "grant-missing"' in event

    plan = await ok(await admin.post(f"{GUEST}/repair", params={"dry_run": True}))
    assert [(step["kind"], step["title"]) for step in plan["steps"]] == [("vswitch.grant", "let LINUX01 use VSW1")]
    assert not system.vswitches["VSW1"].grants, "a plan changes nothing"
    await done(admin, await admin.post(f"/plans/{plan['id']}/apply"))
    await look(admin)
    assert await drift(admin) == set()
    assert [grant.userid for grant in system.vswitches["VSW1"].grants] == ["LINUX01"]
    assert not system.vswitches["VSW2"].grants
    await refused(await admin.post(f"{GUEST}/repair"), 409, "nothing-to-repair")


async def test_what_happens_in_z_vm_is_drift_at_once(tmp_path: Path, database: str) -> None:
    found = settings(tmp_path / "state", database=database, inventory={"seconds": 86400})
    make_secret(tmp_path / "state" / "connector.token")
    async with managed(tmp_path, found) as zvm:
        transport = httpx.ASGITransport(doors(zvm.node))
        headers = {"authorization": f"Bearer {zvm.node.new_admin_token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://manager/v1", headers=headers) as client:
            await create(client, zvm.node)
            await done(client, await client.post(f"{GUEST}/start"))

            async def until(*wanted: tuple[str, str, str]) -> None:
                for _ in range(1500):
                    if await drift(client) == set(wanted):
                        return
                    await asyncio.sleep(0.02)
                raise AssertionError(await drift(client))

            for _ in range(1500):  # drift is measured from what was seen after our jobs
                rows = (await ok(await client.get("/inventory/guests", params={"userid": "LINUX01"})))["items"]
                if [row["state"] for row in rows] == ["on"]:
                    break
                await asyncio.sleep(0.02)
            await until()
            for _ in range(1500):
                if Document(await zvm.node.core.agent("ZVM1").get("/v1/events")).flag("listening"):
                    break
                await asyncio.sleep(0.02)
            by_hand(zvm, "* CHANGED BY HAND")
            await until(("LINUX01", "entry-changed", ""))
            with zvm.simulator.system.transaction():
                guests.log_off(zvm.simulator.system, "LINUX01")
            await until(("LINUX01", "entry-changed", ""), ("LINUX01", "state", ""))
            with zvm.simulator.system.transaction():
                zvm.simulator.system.entries.remove("LINUX01")
            await until(("LINUX01", "guest-gone", ""))
            told = (await client.get("/events", params={"follow": False, "after": 0, "project": "default"})).text
            assert told.count("event: drift.found") == 3
            assert "event: drift.over" in told, "what is gone has no state any more"
            assert '"kind": "entry-changed"' in told


@pytest.mark.parametrize("whole", [False, True])
async def test_guests_that_jobs_changed_are_looked_at_together(
    zvm: Managed, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    """Each by its name, or all of the system when they are a good part of it."""
    if whole:
        monkeypatch.setattr(reconciler, "_MANY", 3)
        monkeypatch.setattr(reconciler, "_SHARE", 100)
    await look(admin)
    names = ("LINUX01", "LINUX02", "LINUX03")
    jobs = {}
    for name in names:
        body = {"userid": name, "disks": [{"size": "100", "boot": True}]}
        jobs[name] = await done(admin, await admin.post("/systems/ZVM1/guests", json=body))
    await done(admin, await admin.post(f"{GUEST}/start"))
    agent = zvm.node.core.agents["ZVM1"]
    asked: list[dict[str, str | int]] = []
    ask = agent.get

    async def get(path: str, **query: str | int) -> object:
        asked.append(query)
        return await ask(path, **query)

    monkeypatch.setattr(agent, "get", get)
    assert await zvm.node.reconciler.follow_jobs() == 3
    assert [list(query) for query in asked] == ([["known"]] if whole else [["userids"]])
    assert whole or asked == [{"userids": ",".join(names)}]
    assert await zvm.node.reconciler.follow_jobs() == 0, "each is looked at once"
    assert await drift(admin) == set(), "what jobs of ours did is no drift"
    for name in names:
        (version,) = (await ok(await admin.get(f"/guests/ZVM1/{name}/history")))["items"]
        assert (version["cause"], version["job"]) == ("job", jobs[name]["id"])
    seen = (await ok(await admin.get("/inventory/guests", params={"userid": "LINUX"})))["items"]
    assert {row["userid"]: row["state"] for row in seen} == {"LINUX01": "on", "LINUX02": "off", "LINUX03": "off"}
    assert await drift(admin) == set()
    await look(admin)
    assert await drift(admin) == set()


async def test_a_guest_that_is_gone_is_noticed_and_can_be_forgotten(zvm: Managed, admin: httpx.AsyncClient) -> None:
    await look(admin)
    await create(admin, zvm.node)
    with zvm.simulator.system.transaction():
        zvm.simulator.system.entries.remove("LINUX01")
    await look(admin)
    assert await drift(admin) == {("LINUX01", "guest-gone", "")}
    newest = (await ok(await admin.get(f"{GUEST}/history")))["items"][0]
    assert (newest["gone"], newest["cause"]) == (True, "outside")
    (row,) = (await ok(await admin.get("/inventory/guests", params={"gone": True})))["items"]
    assert row["seen"] == row["gone"]
    await refused(await admin.post(f"{GUEST}/restore", json={"version": 1}), 404, "guest-unknown")
    await done(admin, await admin.post(f"{GUEST}/forget"))
    assert await drift(admin) == set()


async def test_a_guest_that_goes_off_by_itself_is_noticed(zvm: Managed, admin: httpx.AsyncClient) -> None:
    await look(admin)
    await create(admin, zvm.node)
    await done(admin, await admin.post(f"{GUEST}/start"))
    await zvm.node.reconciler.follow_jobs()
    await look(admin)
    assert await drift(admin) == set()
    with zvm.simulator.system.transaction():
        guests.log_off(zvm.simulator.system, "LINUX01")
    await look(admin)
    assert await drift(admin) == {("LINUX01", "state", "")}
    await done(admin, await admin.post(f"{GUEST}/start"))
    await zvm.node.reconciler.follow_jobs()
    assert await drift(admin) == set()


async def test_a_disk_that_changed_is_named(zvm: Managed, admin: httpx.AsyncClient) -> None:
    await look(admin)
    await create(admin, zvm.node)
    by_hand(zvm, "MDISK 0200 3390 T-DISK 5 MR")
    await look(admin)
    assert await drift(admin) == {("LINUX01", "entry-changed", ""), ("LINUX01", "disk-changed", "0200")}


async def test_what_z_vm_refuses_to_tell_is_said_and_kept_as_it_was(zvm: Managed, admin: httpx.AsyncClient) -> None:
    await look(admin)
    before = (await ok(await admin.get("/inventory/resources", params={"kind": "osa"})))["items"]
    assert before
    zvm.simulator.faults.add(Rule(function="Virtual_Network_OSA_Query", rc=100, rs=16))
    detail = await look(admin)
    assert list(detail["look"]["missing"]) == ["osas"]
    after = (await ok(await admin.get("/inventory/resources", params={"kind": "osa"})))["items"]
    assert [row["gone"] for row in after] == [None] * len(before)


async def test_a_look_that_fails_is_told_and_changes_nothing(zvm: Managed, admin: httpx.AsyncClient) -> None:
    good = await look(admin)
    zvm.simulator.faults.add(Rule(function="Query_All_DM", rc=596, rs=3600))
    await refused(await admin.post("/systems/ZVM1/look"), 503, "smapi-refused")
    detail = await ok(await admin.get("/systems/ZVM1"))
    assert detail["look"]["error"]["code"] == "smapi-refused"
    assert detail["look"]["at"] == good["look"]["at"]
    assert (await ok(await admin.get("/ready")))["agents_well"] == 0
    assert (await ok(await admin.get("/inventory/guests", params={"userid": "MAINT"})))["items"]


async def test_passwords_are_nowhere(zvm: Managed, admin: httpx.AsyncClient, stored: Any) -> None:
    record = zvm.simulator.system.entries["MAINT"]
    entry = record.entry.with_operand(2, "TOPSECRE")
    with zvm.simulator.system.transaction():
        zvm.simulator.system.entries.put("MAINT", replace(record, entry=entry))
    await look(admin)
    assert b"TOPSECRE" not in stored()
    assert b"MAINT" in stored()


async def test_systems_are_looked_at_when_they_are_due(tmp_path: Path, database: str) -> None:
    found = settings(tmp_path / "state", database=database, inventory={"seconds": 3600})
    async with managed(tmp_path, found) as zvm:
        for _ in range(500):
            row = await zvm.node.looks._last("ZVM1")
            if row is not None and row["at"] is not None:
                break
            await asyncio.sleep(0.01)
        assert row is not None
        assert row["at"] is not None
        assert await zvm.node.reconciler.look_at_due() == 0, "an hour has not gone by"


async def test_a_look_behind_jobs_waits_for_a_pause_between_them_but_not_for_long(
    zvm: Managed, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    clock = SimpleNamespace(time=time.time, monotonic=lambda: now)
    monkeypatch.setattr("zvmcloud.manager.jobs.journal.time", clock)
    journal = zvm.node.core.journal
    assert journal.changes() == (0.0, 0.0)
    for seconds in (0.0, 4.0):
        now = 1000.0 + seconds
        name = f"LINUX0{int(seconds)}"
        await done(admin, await admin.post("/systems/ZVM1/guests", json={"userid": name}))
    now = 1005.0
    assert journal.changes() == (5.0, 1.0)
    assert set(journal.take_changed()["ZVM1"]) == {"LINUX00", "LINUX04"}
    assert journal.changes() == (0.0, 0.0)


async def test_a_resize_is_not_undone_over_a_later_restoration_of_the_entry(
    zvm: Managed, admin: httpx.AsyncClient
) -> None:
    await create(admin, zvm.node)
    await look(admin)
    resized = await done(admin, await admin.post(f"{GUEST}/resize-memory", json={"memory_mb": 3072}))
    await look(admin)
    restored = await done(admin, await admin.post(f"{GUEST}/restore", json={"version": 1}))
    problem = await refused(await admin.post(f"/jobs/{resized['id']}/undo"), 409, "job-overtaken")
    assert restored["id"] in problem["detail"]
