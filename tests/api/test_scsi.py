"""LUNs through the native API: the pool file in and out, a volume attached to a guest and detached."""

from __future__ import annotations

import httpx

from api.native import As, ok, refused, token_of
from api.test_plans import GUEST, LINUX01, over
from manager.fake_zhcp import FakeZhcp
from zvmcloud.manager.fcp import TemplateChange
from zvmcloud.manager.node import Node
from zvmcloud.zhcp.messages import parse_operation

POOL = "/systems/zvm1/scsi-pools/p1"
FILE = """#status,wwpn,lun,size,range,owner,channel,tag
free,5005076306138411;5005076306138412,4010400400000000,10G,,,,
free,5005076306138411;5005076306138412,4010400500000000,20G,,,,
"""
PLAIN = {"content-type": "text/plain"}


async def ready(admin: httpx.AsyncClient, node: Node) -> None:
    await node.fcp.create("ZVM1", TemplateChange(name="t", devices="1a00-1a03;1b00-1b03", host_default=True))
    await ok(await admin.put(f"{POOL}/file", content=FILE, headers=PLAIN))
    await over(admin, await admin.post("/systems/zvm1/guests", json=GUEST))


async def test_a_volume_is_attached_and_detached(admin: httpx.AsyncClient, node: Node, zhcp: FakeZhcp) -> None:
    await ready(admin, node)
    wish = {"pool": "p1", "size_mb": 15000}
    shown = await ok(await admin.post(f"{LINUX01}/volumes?dry_run=true", json=wish))
    assert [step["kind"] for step in shown["steps"]] == [
        "manager.scsi_taken", "fcp.dedicate", "reader.punch", "guest.configure",
    ]  # fmt: skip
    assert (await ok(await admin.get("/systems/zvm1/scsi-pools")))[0]["free"] == 2
    assert (await over(admin, await admin.post(f"{LINUX01}/volumes", json=wish)))["state"] == "done"
    assert await ok(await admin.get("/systems/zvm1/scsi-pools")) == [
        {"name": "p1", "free": 1, "reserved": 0, "used": 1}
    ]
    (used,) = [item for item in await ok(await admin.get(POOL)) if item["state"] == "used"]
    assert (used["owner"], used["size_mb"]) == ("LINUX01", 20480)
    uses = {item["fcp"]: item["use"] for item in await ok(await admin.get("/systems/zvm1/fcp-devices"))}
    assert sorted(fcp for fcp, use in uses.items() if use == "used") == sorted(used["channels"])
    back = {"volume": used["name"]}
    assert (await over(admin, await admin.post(f"{LINUX01}/volumes/detach", json=back)))["state"] == "done"
    assert (await admin.get(f"{POOL}/file")).text == FILE
    assert zhcp.guests["LINUX01"]["fcps"] == []


async def test_a_guest_that_is_off_is_made_to_boot_from_a_volume(admin: httpx.AsyncClient, node: Node) -> None:
    await ready(admin, node)
    wish = {"pool": "p1", "size_mb": 1, "boot": True}
    shown = await ok(await admin.post(f"{LINUX01}/volumes?dry_run=true", json=wish))
    boot = shown["steps"][-1]
    assert (boot["kind"], boot["parameters"]["ipl"]) == ("guest.change", "LOADDEV")
    assert boot["parameters"]["loaddev"] == {
        "device": "1A00", "portname": "5005076306138411", "lun": "4010400400000000",
        "alterdev": "1B00 PORT 5005076306138412",
    }  # fmt: skip
    parse_operation(boot["kind"], boot["parameters"])
    await over(admin, await admin.post(f"{LINUX01}/start"))
    await refused(await admin.post(f"{LINUX01}/volumes", json=wish), 409, "guest-active")


async def test_luns_are_kept_for_a_time_and_wrong_lines_named(admin: httpx.AsyncClient, node: Node, client: As) -> None:
    await ready(admin, node)
    kept = await ok(await admin.post(f"{POOL}/reservations", json={"owner": "x", "size_mb": 1, "seconds": 60}), 201)
    assert (kept["state"], kept["owner"], kept["expires"] > 0) == ("reserved", "X", True)
    await refused(await admin.delete(f"/systems/zvm1/scsi-volumes/{kept['name']}"), 409, "scsi-volume-used")
    free = await ok(await admin.delete(f"/systems/zvm1/scsi-volumes/{kept['name']}/reservation"))
    assert (free["state"], free["expires"]) == ("free", None)
    await ok(await admin.delete(f"/systems/zvm1/scsi-volumes/{kept['name']}"), 204)
    problem = await refused(await admin.put(f"{POOL}/file", content="free,1,2,,,,,\n", headers=PLAIN), 400, "bad-input")
    assert "line 1, wwpn" in problem["detail"]
    assert "line 1, lun" in problem["detail"]
    await refused(await admin.get("/systems/zvm1/scsi-pools/none"), 404, "scsi-pool-unknown")
    member = client(await token_of(admin, "mel", "member"))
    await refused(await member.get(POOL), 403, "role")
