"""Owner and tags of everything there is, and lists narrowed by tag and time."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from api.native import As, ok, refused, token_of
from api.test_inventory import create, look
from manager.over_simulator import Managed
from zvmcloud.manager.inventory.tables import seen_resources
from zvmcloud.manager.node import Node

ODD = "a\"'.$[0]%' OR 1"
"""A name of a tag that means something in SQL and in JSON paths."""


@pytest.fixture
def node(zvm: Managed) -> Node:
    return zvm.node


async def names(client: httpx.AsyncClient, path: str, member: str = "name", **query: Any) -> list[str]:
    found = await ok(await client.get(path, params=query))
    return [row[member] for row in (found["items"] if isinstance(found, dict) else found)]


async def test_every_kind_of_thing_has_an_owner_and_tags(zvm: Managed, admin: httpx.AsyncClient, client: As) -> None:
    member = client(await token_of(admin, "sam", "member", shop="member"))
    await zvm.node.networks.create_vswitch("ZVM1", "VSW1", {"rdev": ["0500"]})
    await create(admin, zvm.node)
    await zvm.node.networks.create_nic("ZVM1", "LINUX01", number="1000")
    await look(admin)
    system = zvm.simulator.system
    (osa, *_) = await names(admin, "/inventory/resources", kind="osa")
    async with zvm.node.core.database.write() as connection:  # a cluster of which ZVM1 is a member
        facts = {"mode": "Stable", "members": []}
        row = {"system": "ZVM1", "kind": "ssi", "name": "SSI1", "facts": facts, "first": 1.0, "changed": 1.0}
        await connection.execute(sa.insert(seen_resources), row)
    things = [
        ("system", "zvm1", "/systems", {}),
        ("zhcp", "zvm1", "/inventory/zhcps", {}),
        ("disk", "linux01.100", "/inventory/disks", {"userid": "LINUX01"}),
        ("nic", "linux01.1000", "/inventory/nics", {"userid": "LINUX01"}),
        ("pool", "pool1", "/inventory/resources", {"kind": "pool"}),
        ("volume", next(iter(system.volumes)), "/inventory/resources", {"kind": "volume"}),
        ("vswitch", "vsw1", "/inventory/resources", {"kind": "vswitch"}),
        ("osa", osa, "/inventory/resources", {"kind": "osa"}),
        ("cluster", "ssi1", "/inventory/resources", {"kind": "ssi"}),
    ]
    for kind, name, path, query in things:
        place = f"/marks/{kind}/zvm1/{name}"
        before = await ok(await admin.get(place))
        assert (before["tags"], before["changed"]) == ({}, None), kind
        owner = {} if kind in {"disk", "nic"} else {"project": "shop"}
        made = await ok(await admin.patch(place, json={"tags": {"env": kind, ODD: "x"}, **owner}))
        assert made["tags"]["env"] == kind
        assert made["project"] == ("shop" if owner else "default")
        found = await ok(await admin.get(path, params={**query, "tag": f"env={kind}"}))
        (row,) = found["items"] if isinstance(found, dict) else found
        assert (row["tags"][ODD], row["project"]) == ("x", made["project"])
        assert row["seen"] is not None
        assert await names(admin, path, "seen", **query, tag=[f"env={kind}", f"{ODD}=y"]) == []
        assert len(await names(admin, path, "seen", **query, tag=ODD)) == 1
    (cluster,) = await ok(await admin.get("/inventory/clusters"))
    assert (cluster["systems"], cluster["project"], cluster["tags"]["env"]) == (["ZVM1"], "shop", "cluster")
    assert await names(member, "/inventory/resources", kind="pool") == ["POOL1"], "what is its project's it sees"
    await refused(await member.patch("/marks/pool/zvm1/pool1", json={"tags": {}}), 403, "role")
    await refused(await member.get("/marks/disk/zvm1/linux01.0100"), 404, "not-seen")
    await refused(await admin.delete("/projects/shop"), 409, "project-in-use")
    stored = await ok(await admin.get("/audit", params={"action": "mark.change"}))
    assert len(stored["items"]) == len(things)


async def test_members_tag_the_disks_of_their_guests(zvm: Managed, admin: httpx.AsyncClient, client: As) -> None:
    member = client(await token_of(admin, "sam", "member", default="member"))
    await create(admin, zvm.node)
    await look(admin)
    assert (await ok(await member.patch("/marks/disk/zvm1/linux01.0100", json={"tags": {"a": "b"}})))["actor"] == "sam"
    problem = {"project": "default"}
    await refused(await member.patch("/marks/disk/zvm1/linux01.0100", json=problem), 400, "bad-input")
    etag = (await member.get("/marks/disk/zvm1/linux01.0100")).headers["etag"]
    again = await member.patch("/marks/disk/zvm1/linux01.0100", json={"tags": {}}, headers={"if-match": etag})
    assert (await ok(again))["tags"] == {}
    old = await member.patch("/marks/disk/zvm1/linux01.0100", json={"tags": {}}, headers={"if-match": etag})
    await refused(old, 412, "changed")


UNMARKABLE: tuple[tuple[str, dict[str, Any], int, str], ...] = (
    ("/marks/pool/ZVM1/NOPOOL", {}, 404, "not-seen"),
    ("/marks/disk/ZVM1/MAINT", {}, 404, "not-seen"),
    ("/marks/nothing/ZVM1/X", {}, 400, "bad-input"),
    ("/marks/pool/ZVM9/POOL1", {}, 404, "system-unknown"),
    ("/marks/system/ZVM1/ZVM2", {}, 404, "not-seen"),
    ("/marks/pool/ZVM1/POOL1", {"project": "nothing"}, 404, "project-unknown"),
    ("/marks/pool/ZVM1/POOL1", {"tags": {"": "x"}}, 400, "bad-input"),
    ("/marks/pool/ZVM1/POOL1", {"tags": {"x": "y" * 256}}, 400, "bad-input"),
    ("/marks/pool/ZVM1/POOL1", {"tags": {str(n): "" for n in range(65)}}, 400, "bad-input"),
    ("/marks/pool/ZVM1/POOL1", {"other": 1}, 400, "bad-input"),
)


async def test_what_cannot_be_marked_is_refused(zvm: Managed, admin: httpx.AsyncClient) -> None:
    await zvm.node.looks.look("ZVM1")
    for place, body, status, code in UNMARKABLE:
        await refused(await admin.patch(place, json=body), status, code)
    assert (await ok(await admin.get("/marks/pool/ZVM1/POOL1")))["changed"] is None


async def test_lists_are_narrowed_by_userid_tag_and_time(zvm: Managed, admin: httpx.AsyncClient) -> None:
    await create(admin, zvm.node)
    await ok(await admin.patch("/guests/ZVM1/LINUX01", json={"tags": {"env": "prod", "tier": ""}}))
    (guest,) = (await ok(await admin.get("/guests")))["items"]
    made = guest["created"]
    for query, there in (
        ({"tag": "env"}, True),
        ({"tag": "env=prod"}, True),
        ({"tag": "tier="}, True),
        ({"tag": ["env=prod", "tier"]}, True),
        ({"tag": "env=test"}, False),
        ({"tag": ["env=prod", "other"]}, False),
        ({"since": made}, True),
        ({"until": made}, False),
        ({"since": made - 1, "until": made + 1}, True),
        ({"since": made + 1}, False),
        ({"userid": "linux"}, True),
        ({"userid": "INUX"}, False),
        ({"userid": "%"}, False),
    ):
        assert (await names(admin, "/guests", "userid", **query) == ["LINUX01"]) is there, query
    told = (await admin.get("/events", params={"follow": False, "after": 0, "kinds": "guest.changed"})).text
    assert told.count("event: guest.changed") == 1
    (entry,) = (await ok(await admin.get("/audit", params={"action": "guest.describe"})))["items"]
    assert (entry["project"], entry["detail"]) == ("default", {"tags": {"env": "prod", "tier": ""}})
    (job, *_) = (await ok(await admin.get("/jobs")))["items"]
    assert job["id"] in await names(admin, "/jobs", "id", since=job["created"])
    assert await names(admin, "/jobs", "id", since=job["created"] + 60) == []
    assert await names(admin, "/audit", "number", since=job["created"] + 60) == []
    assert await names(admin, "/images", tag="env", since=0) == []
    await look(admin)
    assert await names(admin, "/drift", "userid", since=2**39) == []
    assert await names(admin, "/inventory/guests", "userid", tag="env=prod") == ["LINUX01"]
    for query in ({"since": "yesterday"}, {"since": -1}, {"tag": ""}, {"tag": ["x"] * 9}):
        await refused(await admin.get("/guests", params=query), 400, "bad-input")
