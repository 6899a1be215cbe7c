"""A connector door with the role member sees and changes what is its project's, and nothing of the whole system."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from api.native import ok
from api.test_connector_road import add_image, done
from api.test_plans import over
from manager.fake_zhcp import FakeZhcp
from manager.support import all_jobs, image_file, running, settings
from zvmcloud.api.connector.reach import GUEST, IMAGE, OPERATOR
from zvmcloud.api.connector.routes import RULES
from zvmcloud.api.connector.tokens import make_secret
from zvmcloud.api.program import doors
from zvmcloud.manager import borders
from zvmcloud.manager.errors import NotFound
from zvmcloud.manager.fcp import TemplateChange
from zvmcloud.manager.identity import refusals
from zvmcloud.manager.identity.acting import act_for
from zvmcloud.manager.identity.roles import SYSTEM, Caller, Role
from zvmcloud.manager.identity.tables import audit
from zvmcloud.manager.images import handed
from zvmcloud.manager.inventory.tables import marks
from zvmcloud.manager.jobs.plan import Step
from zvmcloud.manager.node import Node

OWN = {"userid": "MINE", "vcpus": 1, "memory": 512, "disk_list": [{"size": "10", "is_boot_disk": True}]}
TEMPLATE = {"name": "t", "fcp_devices": "1a00;1b00"}
CONNECTION = {
    "info": {
        "connection": {
            "assigner_id": "theirs",
            "zvm_fcp": ["1a00"],
            "target_wwpn": ["0x5005076802100c1b"],
            "target_lun": "0x0000000000000000",
            "os_version": "rhel7.2",
            "multipath": False,
            "mount_point": "",
        }
    }
}


@dataclass
class Shop:
    """A door of the project shop, which has the guest MINE, and an admin who made THEIRS in the project default."""

    door: httpx.AsyncClient
    admin: httpx.AsyncClient
    node: Node
    zhcp: FakeZhcp
    sample: Path


@pytest.fixture
async def shop(tmp_path: Path, database: str, zhcp: FakeZhcp) -> AsyncIterator[Shop]:
    connector = {"mode": "open", "open_from": ["127.0.0.1"], "role": "member", "project": "shop"}
    make_secret(tmp_path / "state" / "connector.token")
    async with running(zhcp, settings(tmp_path / "state", database=database, connector=connector)) as node:
        transport = httpx.ASGITransport(doors(node))
        token = {"authorization": f"Bearer {node.new_admin_token}"}
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://manager") as door,
            httpx.AsyncClient(transport=transport, base_url="http://manager/v1", headers=token) as admin,
        ):
            zhcp.fetch = door
            theirs = {"userid": "THEIRS", "disks": [{"size": "10", "boot": True}], "project": "default"}
            await over(admin, await admin.post("/systems/ZVM1/guests", json=theirs))
            nic = {"vdev": "1000", "nic_id": "their-port"}
            await over(admin, await admin.post("/guests/ZVM1/THEIRS/nics", json=nic))
            done(await door.post("/guests", json={"guest": OWN}))
            zhcp.ran.clear()
            yield Shop(door, admin, node, zhcp, image_file(tmp_path))


THEIRS: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/guests/theirs", None),
    ("GET", "/guests/theirs/user_direct", None),
    ("GET", "/guests/theirs/power_state_real", None),
    ("GET", "/guests/theirs/disks", None),
    ("GET", "/guests/stats?userid=mine,theirs", None),
    ("GET", "/guests/interfacestats?userid=theirs", None),
    ("DELETE", "/guests/theirs", None),
    ("POST", "/guests/theirs/action", {"action": "start"}),
    ("POST", "/guests/theirs/action", {"action": "capture", "image": "snap"}),
    ("POST", "/guests/theirs/action", {"action": "resize_cpus", "cpu_cnt": 2}),
    ("POST", "/guests/theirs/nic", {"nic": {}}),
    ("DELETE", "/guests/theirs/nic/1000", {"active": False}),
    ("POST", "/guests/theirs/disks", {"disk_info": {"disk_list": [{"size": "1g"}]}}),
    ("GET", "/volumes/conn/theirs", {"info": {"reserve": True}}),
    ("POST", "/guests/volumes", CONNECTION),
    ("DELETE", "/guests/volumes", CONNECTION),
)
OPERATORS: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/vswitches", {"vswitch": {"name": "VSWM"}}),
    ("DELETE", "/vswitches/VSW1", None),
    ("PUT", "/vswitches/VSW1", {"vswitch": {"grant_userid": "MINE"}}),
    ("POST", "/volumes/fcptemplates", TEMPLATE),
    ("GET", "/volumes/fcptemplates", None),
    ("GET", "/volumes/fcp/1a00", None),
    ("PUT", "/volumes/volume_refresh_bootmap", {"info": {"fcpchannel": ["1a00"], "wwpn": ["1"], "lun": "1"}}),
    ("POST", "/guests/maint/action", {"action": "register_vm", "meta": "rhel8", "net_set": "0"}),
    ("POST", "/guests/mine/action", {"action": "deregister_vm"}),
    ("POST", "/files", {"source_file": "/etc/passwd"}),
    ("PUT", "/images/any", {"location": {"dest_url": "file:///tmp/any"}}),
)


async def asked(door: httpx.AsyncClient, wanted: tuple[str, str, Any]) -> httpx.Response:
    method, path, body = wanted
    return await door.request(method, path, json=body)


async def test_a_guest_of_another_project_is_not_there(shop: Shop) -> None:
    assert done(await shop.door.get("/guests")) == ["MINE"]
    assert done(await shop.door.get("/guests/nics")) == []
    for wanted in THEIRS:
        answer = await asked(shop.door, wanted)
        assert answer.status_code == 404, (wanted, answer.text)
        body = answer.json()
        assert (body["overallRC"], body["modID"], body["rc"], body["rs"]) == (404, 10, 404, 1)
        assert "Guest 'THEIRS' does not exist." in body["errmsg"]
    assert shop.zhcp.ran == []
    assert {row["userid"] for row in await shop.node.guests.rows()} == {"MINE", "THEIRS"}


async def test_what_is_an_operators_is_refused(shop: Shop) -> None:
    for wanted in OPERATORS:
        answer = await asked(shop.door, wanted)
        assert answer.status_code == 403, (wanted, answer.text)
        assert (answer.json()["overallRC"], answer.json()["rs"]) == (403, 1)
        assert "needs the role operator" in answer.json()["errmsg"]
    assert shop.zhcp.ran == []


async def test_its_own_guests_and_the_host_are_as_at_any_door(shop: Shop) -> None:
    door = shop.door
    for path in ("/", "/host", "/host/guests", "/host/diskpool", "/vswitches", "/guests/mine", "/guests/mine/disks"):
        done(await door.get(path))
    for action in ("start", "stop"):
        done(await door.post("/guests/mine/action", json={"action": action}))
    done(await door.post("/guests/mine/nic", json={"nic": {"vdev": "1000"}}))
    done(await door.delete("/guests/mine"))
    done(await door.delete("/guests/nobody"))
    assert [row["userid"] for row in await shop.node.guests.rows()] == ["THEIRS"]


async def test_images_are_its_projects_and_public_ones(shop: Shop) -> None:
    door, images = shop.door, shop.node.images
    act_for(SYSTEM)  # not for the door, whose requests run in this task
    await images.import_url("public", shop.sample.as_uri(), "rhel8")
    await images.import_url("secret", shop.sample.as_uri(), "rhel8")
    await ok(await shop.admin.patch("/images/secret", json={"public": False}))
    await add_image(door, shop.sample, "own")
    own = await images.get("own")
    assert (own.project, own.public) == ("shop", False)
    assert [image["imagename"] for image in done(await door.get("/images"))] == ["own", "public"]
    for wanted in (
        ("GET", "/images?imagename=secret", None),
        ("GET", "/images/secret/root_disk_size", None),
        ("DELETE", "/images/secret", None),
    ):
        answer = await asked(door, wanted)
        assert (answer.status_code, answer.json()["modID"]) == (404, 40), wanted
    deploy = {"action": "deploy", "image": "secret"}
    answer = await door.post("/guests/mine/action", json=deploy)
    assert (answer.json()["overallRC"], answer.json()["rs"]) == (300, 20), "as one that there is none of"
    assert (await door.delete("/images/public")).status_code == 403
    assert {image.name for image in await images.list()} == {"own", "public", "secret"}
    done(await door.post("/guests/mine/action", json={**deploy, "image": "own"}))
    done(await door.delete("/images/own"))


async def test_its_guests_get_no_part_of_another_projects_network(shop: Shop) -> None:
    act_for(SYSTEM)  # not for the door, whose requests run in this task
    await shop.node.networks.create_vswitch("ZVM1", "VSW1", {"rdev": ["0500"]})
    mark = {"kind": "vswitch", "system": "ZVM1", "name": "VSW1", "project": "default", "tags": {}, "changed": 1.0}
    async with shop.node.core.database.write() as connection:
        await connection.execute(sa.insert(marks), {**mark, "actor": "admin"})
    done(await shop.door.post("/guests/mine/nic", json={"nic": {"vdev": "1000"}}))
    couple = {"info": {"couple": True, "vswitch": "vsw1"}}
    answer = await shop.door.put("/guests/mine/nic/1000", json=couple)
    assert (answer.status_code, answer.json()["modID"]) == (404, 400)
    assert "vswitch VSW1 of ZVM1 does not exist, or is not in a project" in answer.json()["errmsg"]
    assert "nic.couple" not in shop.zhcp.kinds()


def test_every_change_of_no_guest_is_an_operators_or_makes_something_new() -> None:
    changes = {f"{rule.method} {rule.path}" for rule in RULES if rule.method != "GET" and "{userid}" not in rule.path}
    unasked = {f"{rule.method} {rule.path}" for rule in RULES if rule.reach is GUEST}
    assert changes & unasked == {"POST /guests", "POST /images", "PUT /files"}
    reads = {rule.path for rule in RULES if rule.method == "GET" and rule.reach in {OPERATOR, IMAGE}}
    assert all(path.startswith(("/volumes/fcp", "/images/")) for path in reads)


PORT = "5005076306138411"
LUNS = tuple(f"401040040000000{number}" for number in range(3))
STATES = ("free", "free", "reserved")
POOL_FILE = "".join(f"{state},{PORT},{lun},10G,,,,\n" for state, lun in zip(STATES, LUNS, strict=True))


async def with_volumes(shop: Shop) -> None:
    """The volume theirs on the first LUN, and own on the second one; the third is reserved, and a pool's too."""
    act_for(SYSTEM)  # not for the door, whose requests run in this task
    await shop.node.fcp.create("ZVM1", TemplateChange(name="t", devices="1a00-1a03;1b00-1b03", host_default=True))
    await shop.node.pools.load("ZVM1", "p1", POOL_FILE)
    for name, project in (("theirs", "default"), ("own", "shop")):
        wish = {"name": name, "pool": "p1", "size_gb": 10, "project": project}
        job = await over(shop.admin, await shop.admin.post("/systems/ZVM1/volumes", json=wish))
        assert job["state"] == "done", job


async def by_number(shop: Shop, lun: str, guest: str = "mine", method: str = "POST", **more: Any) -> httpx.Response:
    fcp = {"mine": "1a00", "theirs": "1a01", "other": "1a02"}[guest]
    wish = {**CONNECTION["info"]["connection"], "assigner_id": guest, "zvm_fcp": [fcp]}
    wish |= {"target_wwpn": [f"0x{PORT.upper()}"], "target_lun": f"0x{lun}", **more}
    return await shop.door.request(method, "/guests/volumes", json={"info": {"connection": wish}})


async def test_a_lun_of_a_pool_that_is_no_volume_of_its_project_is_not_there(shop: Shop) -> None:
    await with_volumes(shop)
    for lun in (LUNS[0], LUNS[2]):
        ways: tuple[dict[str, Any], ...] = ({}, {"is_root_volume": True}, {"update_connections_only": True})
        for more in ways:
            answer = await by_number(shop, lun, **more)
            assert (answer.status_code, answer.json()["modID"]) == (404, 400), answer.text
            nothing = f"LUN {lun} behind {PORT} does not exist, or is not in a project of connector"
            assert nothing in answer.json()["errmsg"]
    assert shop.zhcp.ran == []
    assert [job.kind for job in await all_jobs(shop.node) if job.kind == "volume.attach"] == []


async def test_a_guest_does_not_boot_from_a_lun_of_another_project(shop: Shop) -> None:
    await with_volumes(shop)
    other = {"portname": "5005076306138499", "alterdev": f"1B00 PORT {PORT}"}
    for loaddev in ({"portname": PORT}, other):
        boots = {**OWN, "userid": "NEW", "loaddev": {**loaddev, "lun": LUNS[0]}}
        answer = await shop.door.post("/guests", json={"guest": boots})
        assert (answer.status_code, answer.json()["modID"]) == (404, 400), answer.text
    done(await shop.door.post("/guests", json={"guest": {**boots, "loaddev": {"portname": PORT, "lun": LUNS[1]}}}))


async def test_a_new_guest_gets_the_devices_that_are_reserved_for_it(shop: Shop) -> None:
    await with_volumes(shop)
    mine = [device.fcp for device in (await shop.node.fcp.reserve("ZVM1", "NEW")).devices]
    other = next(fcp for fcp in ("1a00", "1a01") if fcp not in mine)
    for devices in ([other], [*mine, "2f00"]):
        guest = {**OWN, "userid": "NEW", "dedicate_vdevs": devices}
        answer = await shop.door.post("/guests", json={"guest": guest})
        assert (answer.status_code, answer.json()["rs"]) == (403, 1), answer.text
        assert f"not reserved for NEW needs the role operator: {devices[-1]}" in answer.json()["errmsg"]
    done(await shop.door.post("/guests", json={"guest": {**OWN, "userid": "NEW", "dedicate_vdevs": mine}}))


async def test_an_image_is_not_written_to_a_lun_of_another_project(node: Node) -> None:
    """CoreOS goes to the LUN that the guest's entry names, whoever put it there."""
    await node.pools.load("ZVM1", "p1", POOL_FILE)
    place: dict[str, Any] = {"userid": "MINE", "volume": {"lun": LUNS[0], "wwpns": [PORT], "devices": []}}
    caller = Caller("connector", Role.MEMBER, {"shop": Role.MEMBER}, "shop")
    async with node.core.database.read() as connection:
        for kind in ("disk.write_image", "volume.ignition"):
            with pytest.raises(NotFound):
                await borders.check(connection, caller, "ZVM1", [Step("write", "", kind, place)])
        other = {**place, "volume": {**place["volume"], "lun": "4010404000000009"}}
        await borders.check(connection, caller, "ZVM1", [Step("write", "", "disk.write_image", other)])


async def test_a_volume_attached_by_its_number_is_recorded_as_attached(shop: Shop) -> None:
    await with_volumes(shop)
    done(await by_number(shop, LUNS[1]))
    own = await ok(await shop.admin.get("/systems/ZVM1/volumes/own"))
    assert own["state"] == "in-use"
    assert [(item["guest"], item["devices"]) for item in own["attachments"]] == [("MINE", ["1a00"])]


async def test_the_files_of_a_project_have_a_limit_together(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether their length is announced or not, and also when they come at the same time."""
    folder = shop.node.settings.folder / "files" / "imported" / "of-shop"
    monkeypatch.setattr(handed, "_LOOK", 4)
    small = replace(shop.node.settings, connector=replace(shop.node.settings.connector, files_limit=30))
    monkeypatch.setattr(shop.node, "settings", small)
    type_of = {"content-type": "application/octet-stream"}

    async def in_parts() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"1234"
            await asyncio.sleep(0)

    done(await shop.door.put("/files", content=b"x" * 20, headers=type_of))
    for content in (b"y" * 11, in_parts()):
        answer = await shop.door.put("/files", content=content, headers=type_of)
        assert (answer.status_code, answer.json()["modID"]) == (413, 60), answer.text
        assert "project shop has 1 file(s) of 20 bytes" in answer.json()["errmsg"]
    assert [path.stat().st_size for path in folder.iterdir()] == [20], "nothing of what was refused is kept"
    answers = await asyncio.gather(*(shop.door.put("/files", content=b"z" * 4, headers=type_of) for _ in range(5)))
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 30
    assert {answer.status_code for answer in answers} <= {200, 413}
    monkeypatch.setattr(handed, "MOST_FILES", len(list(folder.iterdir())))
    assert (await shop.door.put("/files", content=b"", headers=type_of)).status_code == 413


async def test_the_files_of_another_project_are_not_there(shop: Shop) -> None:
    act_for(SYSTEM)  # not for the door, whose requests run in this task
    data = shop.sample.read_bytes()

    async def piece() -> AsyncIterator[bytes]:
        yield data

    theirs = await handed.keep(shop.node.settings, "default", piece())
    own = done(await shop.door.put("/files", content=data, headers={"content-type": "application/octet-stream"}))
    for url, status in ((theirs.path.as_uri(), 500), (own["dest_url"], 200)):
        image = {"image_name": "up", "url": url, "image_meta": {"os_version": "rhel8"}}
        answer = await shop.door.post("/images", json={"image": image})
        assert answer.status_code == status, answer.text
    assert (await shop.node.images.get("up")).project == "shop"
    image = {"image_name": "no", "url": f"{own['dest_url']}0", "image_meta": {"os_version": "rhel8"}}
    assert (await shop.door.post("/images", json={"image": image})).status_code == 500, "there is none at all"
    query = sa.select(audit.c.subject, audit.c.detail).where(audit.c.action == refusals.ACTION)
    async with shop.node.core.database.read() as connection:
        written = [(subject, detail) for subject, detail in await connection.execute(query)]
    assert written == [("POST /images", {"code": "file-unknown", "about": str(theirs.path)[:128]})]
