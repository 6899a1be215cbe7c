"""Volumes through the native API: pools in and out, volumes made, copied and wiped, attached to guests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from api.native import As, ok, refused, token_of
from api.test_connector_road import add_image
from api.test_plans import GUEST, LINUX01, over
from manager.fake_zhcp import FakeZhcp, Refused
from zvmcloud.manager import tables
from zvmcloud.manager.fcp import TemplateChange
from zvmcloud.manager.node import Node
from zvmcloud.zhcp.messages import parse_operation

VOLUMES = "/systems/zvm1/volumes"
POOL = "/systems/zvm1/volume-pools/p1"
SMALL, LARGE = "4010400400000000", "4010400500000000"
PORTS = ["5005076306138411", "5005076306138412"]
FILE = f"""#status,wwpn,lun,size,range,owner,channel,tag
free,{";".join(PORTS)},{SMALL},10G,,,,
free,{";".join(PORTS)},{LARGE},20G,,,,
"""
PLAIN = {"content-type": "text/plain"}


async def ready(admin: httpx.AsyncClient, node: Node) -> None:
    await node.fcp.create("ZVM1", TemplateChange(name="t", devices="1a00-1a03;1b00-1b03", host_default=True))
    await ok(await admin.put(f"{POOL}/file", content=FILE, headers=PLAIN))
    await over(admin, await admin.post("/systems/zvm1/guests", json=GUEST))


async def made(admin: httpx.AsyncClient, name: str, size_gb: int, **words: object) -> dict[str, Any]:
    wish = {"name": name, "pool": "p1", "size_gb": size_gb, **words}
    job = await over(admin, await admin.post(VOLUMES, json=wish))
    assert job["state"] == "done", job["error"]
    found: dict[str, Any] = await ok(await admin.get(f"{VOLUMES}/{name}"))
    return found


async def test_a_volume_has_a_name_and_a_lun_before_it_has_a_guest(
    admin: httpx.AsyncClient, node: Node, zhcp: FakeZhcp
) -> None:
    await ready(admin, node)
    found = await made(admin, "data", 15, tags={"env": "prod"})
    assert (found["lun"], found["wwpns"], found["size_gb"], found["lun_size_gb"]) == (LARGE, PORTS, 15, 20)
    assert (found["state"], found["attachments"], found["project"]) == ("available", [], "default")
    (pool,) = await ok(await admin.get("/systems/zvm1/volume-pools"))
    assert (pool["total_gb"], pool["free_gb"], pool["allocated_gb"], pool["used"]) == (30, 10, 15, 1)
    assert (pool["wipe"], pool["systems"], pool["shared"]) == ("zero", ["ZVM1"], False)
    listed = await ok(await admin.get(f"{VOLUMES}?tag=env=prod&pool=p1"))
    assert [item["name"] for item in listed["items"]] == ["data"]
    assert (await ok(await admin.get(f"{VOLUMES}?guest=linux01")))["items"] == []
    assert (await over(admin, await admin.post(f"{VOLUMES}/data/extend", json={"size_gb": 20})))["state"] == "done"
    problem = await refused(await admin.post(f"{VOLUMES}/data/extend", json={"size_gb": 21}), 409, "lun-too-small")
    assert "20 GB" in problem["detail"]
    (line,) = [line for line in (await admin.get(f"{POOL}/file")).text.splitlines() if LARGE in line]
    await ok(await admin.put(f"{POOL}/file", content=line.replace(",20G,", ",30G,"), headers=PLAIN))
    assert (await over(admin, await admin.post(f"{VOLUMES}/data/extend", json={"size_gb": 21})))["state"] == "done"
    await refused(await admin.post(f"{VOLUMES}/data/extend", json={"size_gb": 1}), 409, "volume-shrink")
    assert (await over(admin, await admin.post(f"{VOLUMES}/data/rename", json={"name": "logs"})))["state"] == "done"
    zhcp.luns[LARGE] = "what somebody wrote"
    assert (await over(admin, await admin.delete(f"{VOLUMES}/logs")))["state"] == "done"
    assert zhcp.luns == {}
    assert (await admin.get(f"{POOL}/file")).text == FILE.replace(",20G,", ",30G,")


async def test_pages_of_volumes_leave_nothing_out(admin: httpx.AsyncClient, node: Node) -> None:
    await ready(admin, node)
    for name in ("b", "a"):
        await made(admin, name, 1)
    first = await ok(await admin.get(f"{VOLUMES}?limit=1"))
    second = await ok(await admin.get(f"{VOLUMES}?limit=1&cursor={first['next']}"))
    assert [first["items"][0]["name"], second["items"][0]["name"], second["next"]] == ["a", "b", None]


async def test_a_volume_is_attached_and_detached(admin: httpx.AsyncClient, node: Node, zhcp: FakeZhcp) -> None:
    await ready(admin, node)
    await made(admin, "data", 15)
    wish = {"volume": "data"}
    shown = await ok(await admin.post(f"{LINUX01}/volumes?dry_run=true", json=wish))
    assert [step["kind"] for step in shown["steps"]] == [
        "manager.volume_attached", "fcp.dedicate", "reader.punch", "guest.configure", "manager.volume_connected",
    ]  # fmt: skip
    assert (await ok(await admin.get(f"{VOLUMES}/data")))["state"] == "available"
    job = await over(admin, await admin.post(f"{LINUX01}/volumes", json=wish))
    told = job["steps"][-1]["result"]
    assert (told["lun"], told["wwpns"], len(told["devices"]), len(told["paths"])) == (LARGE, PORTS, 2, 4)
    assert told["device_name"] == f"/dev/disk/by-path/ccw-0.0.{told['devices'][0]}-zfcp-0x{PORTS[0]}:0x{LARGE}"
    used = await ok(await admin.get(f"{VOLUMES}/data"))
    assert used["state"] == "in-use"
    assert [(item["guest"], item["system"], item["devices"]) for item in used["attachments"]] == [
        ("LINUX01", "ZVM1", told["devices"])
    ]
    assert [item["name"] for item in (await ok(await admin.get(f"{VOLUMES}?guest=linux01")))["items"]] == ["data"]
    (lun,) = [item for item in (await ok(await admin.get(POOL)))["luns"] if item["state"] == "used"]
    assert (lun["volume"], lun["guests"]) == ("data", ["LINUX01"])
    uses = {item["fcp"]: item["use"] for item in await ok(await admin.get("/systems/zvm1/fcp-devices"))}
    assert sorted(fcp for fcp, use in uses.items() if use == "used") == sorted(told["devices"])
    await refused(await admin.delete(f"{VOLUMES}/data"), 409, "volume-attached")
    await refused(await admin.post(f"{LINUX01}/volumes", json=wish), 409, "volume-attached")
    assert (await over(admin, await admin.post(f"{LINUX01}/volumes/detach", json=wish)))["state"] == "done"
    await refused(await admin.post(f"{LINUX01}/volumes/detach", json=wish), 409, "volume-not-attached")
    assert zhcp.guests["LINUX01"]["fcps"] == []
    assert (await ok(await admin.get(f"{VOLUMES}/data")))["state"] == "available"


async def test_a_guest_that_is_deleted_leaves_its_volumes(admin: httpx.AsyncClient, node: Node) -> None:
    await ready(admin, node)
    await made(admin, "data", 1)
    await over(admin, await admin.post(f"{LINUX01}/volumes", json={"volume": "data"}))
    await over(admin, await admin.delete(LINUX01))
    assert (await ok(await admin.get(f"{VOLUMES}/data")))["state"] == "available"
    assert {item["use"] for item in await ok(await admin.get("/systems/zvm1/fcp-devices"))} == {"free"}


async def test_only_a_shared_volume_has_two_guests(admin: httpx.AsyncClient, node: Node) -> None:
    await ready(admin, node)
    await over(admin, await admin.post("/systems/zvm1/guests", json={**GUEST, "userid": "linux02"}))
    for name, shared in (("mine", False), ("ours", True)):
        await made(admin, name, 1, shared=shared)
        await over(admin, await admin.post(f"{LINUX01}/volumes", json={"volume": name}))
    second = "/guests/zvm1/linux02/volumes"
    await refused(await admin.post(second, json={"volume": "mine"}), 409, "volume-attached")
    assert (await over(admin, await admin.post(second, json={"volume": "ours"})))["state"] == "done"
    both = await ok(await admin.get(f"{VOLUMES}/ours"))
    assert [item["guest"] for item in both["attachments"]] == ["LINUX01", "LINUX02"]
    devices = [set(item["devices"]) for item in both["attachments"]]
    assert not devices[0] & devices[1], "no FCP device is with two guests"


async def test_a_guest_that_is_off_is_made_to_boot_from_a_volume(admin: httpx.AsyncClient, node: Node) -> None:
    await ready(admin, node)
    await made(admin, "root", 1)
    wish = {"volume": "root", "boot": True}
    shown = await ok(await admin.post(f"{LINUX01}/volumes?dry_run=true", json=wish))
    boot = shown["steps"][-2]
    assert (boot["kind"], boot["parameters"]["ipl"]) == ("guest.change", "LOADDEV")
    assert boot["parameters"]["loaddev"] == {
        "device": "1A00", "portname": PORTS[0], "lun": SMALL, "alterdev": f"1B00 PORT {PORTS[1]}",
    }  # fmt: skip
    parse_operation(boot["kind"], boot["parameters"])
    await over(admin, await admin.post(f"{LINUX01}/start"))
    await refused(await admin.post(f"{LINUX01}/volumes", json=wish), 409, "guest-active")


async def test_a_volume_is_made_of_an_image_or_of_another_volume(
    admin: httpx.AsyncClient, node: Node, zhcp: FakeZhcp, door: httpx.AsyncClient, sample: Path
) -> None:
    await ready(admin, node)
    await add_image(door, sample)
    wish = {"name": "root", "pool": "p1", "size_gb": 10, "image": "sample"}
    await refused(await admin.post(VOLUMES, json=wish), 409, "image-kind-mismatch")
    await refused(await admin.post(VOLUMES, json={**wish, "source": "x"}), 400, "bad-input")
    await refused(await admin.post(VOLUMES, json={**wish, "image": "none"}), 404, "image-unknown")
    await made(admin, "first", 5)
    zhcp.luns[SMALL] = "the bytes"
    copy = await made(admin, "second", 5, source="first")
    assert (copy["source"], zhcp.luns[LARGE]) == ("first", "the bytes")
    zhcp.luns[SMALL] = "others"
    assert (await over(admin, await admin.post(f"{VOLUMES}/second/copy", json={"source": "first"})))["state"] == "done"
    assert zhcp.luns[LARGE] == "others"
    await refused(await admin.post(f"{VOLUMES}/second/copy", json={"source": "second"}), 400, "bad-input")
    await over(admin, await admin.post(f"{LINUX01}/volumes", json={"volume": "first"}))
    await over(admin, await admin.post(f"{LINUX01}/start"))
    await refused(await admin.post(f"{VOLUMES}/second/copy", json={"source": "first"}), 409, "guest-active")


async def test_what_is_released_is_handed_out_to_nobody_until_it_is_freed(
    admin: httpx.AsyncClient, node: Node, zhcp: FakeZhcp
) -> None:
    await ready(admin, node)
    found = await made(admin, "data", 1)
    zhcp.luns[SMALL] = "precious"
    assert (await over(admin, await admin.post(f"{VOLUMES}/data/release")))["state"] == "done"
    (lun,) = [item for item in (await ok(await admin.get(POOL)))["luns"] if item["lun"] == SMALL]
    assert (lun["state"], lun["owner"], zhcp.luns[SMALL]) == ("reserved", "data", "precious")
    await made(admin, "other", 1)
    await refused(
        await admin.post(VOLUMES, json={"name": "third", "pool": "p1", "size_gb": 1}), 409, "volume-pool-full"
    )
    adopted = {"name": "again", "pool": "p1", "lun": found["lun_name"]}
    assert (await over(admin, await admin.post(f"{VOLUMES}/adopt", json=adopted)))["state"] == "done"
    assert (await ok(await admin.get(f"{VOLUMES}/again")))["size_gb"] == 10
    await refused(await admin.post(f"{VOLUMES}/adopt", json={**adopted, "name": "x"}), 409, "lun-used")
    await over(admin, await admin.post(f"{VOLUMES}/again/release"))
    freed = await ok(await admin.post(f"{POOL}/luns/{found['lun_name']}/free"))
    assert (freed["state"], freed["owner"]) == ("free", "")
    await ok(await admin.delete(f"{POOL}/luns/{found['lun_name']}"), 204)
    await refused(await admin.delete(f"{POOL}/luns/{found['lun_name']}"), 404, "lun-unknown")


async def test_a_pool_that_is_not_wiped_leaves_the_bytes(admin: httpx.AsyncClient, node: Node, zhcp: FakeZhcp) -> None:
    await ready(admin, node)
    assert (await ok(await admin.patch(POOL, json={"wipe": "none"})))["wipe"] == "none"
    await made(admin, "data", 1)
    zhcp.luns[SMALL] = "left"
    await over(admin, await admin.delete(f"{VOLUMES}/data"))
    assert zhcp.luns == {SMALL: "left"}
    await refused(await admin.patch(POOL, json={"wipe": "shred"}), 400, "bad-input")
    await refused(await admin.patch(POOL, json={"shared": True}), 409, "no-cluster")


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        ({"name": "Data"}, 400, "bad-input"), ({"name": ""}, 400, "bad-input"), ({"name": "x" * 65}, 400, "bad-input"),
        ({"size_gb": 0}, 400, "bad-input"), ({"size_gb": 2**21}, 400, "bad-input"),
        ({"size_gb": "x"}, 400, "bad-input"), ({"pool": "none"}, 404, "volume-pool-unknown"),
        ({"pool": "../p"}, 400, "bad-input"),
        ({"size_gb": 21}, 409, "volume-pool-full"), ({"source": "none"}, 404, "volume-unknown"),
        ({"tags": {"x" * 300: ""}}, 400, "bad-input"), ({"project": "none"}, 404, "project-unknown"),
    ],
)  # fmt: skip
async def test_a_wish_that_cannot_be_met_takes_nothing(
    admin: httpx.AsyncClient, node: Node, words: dict[str, object], status: int, code: str
) -> None:
    await ready(admin, node)
    wish = {"name": "data", "pool": "p1", "size_gb": 1, **words}
    await refused(await admin.post(VOLUMES, json=wish), status, code)
    assert (await ok(await admin.get("/systems/zvm1/volume-pools")))[0]["free"] == 2


async def test_a_volume_is_of_a_project_and_counts_as_its_disks(
    admin: httpx.AsyncClient, node: Node, client: As
) -> None:
    await ready(admin, node)
    mel = client(await token_of(admin, "mel", "member", team="member"))
    await ok(await admin.patch("/projects/team", json={"quota": {"disk_mb": 10 * 1024}}))
    wish = {"name": "data", "pool": "p1", "size_gb": 8, "project": "team"}
    assert (await over(mel, await mel.post(VOLUMES, json=wish)))["state"] == "done"
    await refused(await mel.post(VOLUMES, json={**wish, "name": "more"}), 403, "quota")
    await refused(await mel.post(f"{VOLUMES}/data/extend", json={"size_gb": 11}), 409, "lun-too-small")
    stranger = client(await token_of(admin, "sam", "member", other="member"))
    assert (await ok(await stranger.get(VOLUMES)))["items"] == []
    assert (await stranger.get(f"{VOLUMES}/data")).status_code == 404
    assert (await stranger.delete(f"{VOLUMES}/data")).status_code == 404


async def test_a_write_that_fails_gives_the_lun_back(admin: httpx.AsyncClient, node: Node, zhcp: FakeZhcp) -> None:
    await ready(admin, node)
    await made(admin, "first", 5)
    zhcp.refuse_next = Refused(502, "copy-differs", "the LUN is broken")
    wish = {"name": "second", "pool": "p1", "size_gb": 5, "source": "first"}
    assert (await over(admin, await admin.post(VOLUMES, json=wish)))["state"] == "failed"
    await refused(await admin.get(f"{VOLUMES}/second"), 404, "volume-unknown")
    assert (await ok(await admin.get("/systems/zvm1/volume-pools")))[0]["free"] == 1
    await made(admin, "second", 5)
    zhcp.refuse_next = Refused(502, "copy-differs", "the LUN is broken")
    failed = await over(admin, await admin.post(f"{VOLUMES}/second/copy", json={"source": "first"}))
    assert failed["state"] == "failed"
    assert (await ok(await admin.get(f"{VOLUMES}/second")))["state"] == "error"
    await refused(await admin.post(f"{LINUX01}/volumes", json={"volume": "second"}), 409, "volume-state")
    assert (await over(admin, await admin.post(f"{VOLUMES}/second/copy", json={"source": "first"})))["state"] == "done"


SECRET = "gAAAA-the-caller-s-token"


async def test_bytes_go_to_a_url_and_come_from_one_and_its_headers_stay_secret(
    admin: httpx.AsyncClient, node: Node, zhcp: FakeZhcp, caplog: pytest.LogCaptureFixture
) -> None:
    await ready(admin, node)
    await made(admin, "data", 5)
    where = {"url": "http://glance.example.com:9292/v2/images/7/file", "headers": {"X-Auth-Token": SECRET}}
    shown = [await ok(await admin.post(f"{VOLUMES}/data/send?dry_run=true", json=where))]
    sent = await over(admin, await admin.post(f"{VOLUMES}/data/send", json=where))
    assert sent["state"] == "done", sent["error"]
    given = zhcp.access[-1]
    assert (given["url"], given["headers"]) == (where["url"], where["headers"])
    assert sent["steps"][-1]["result"] == {"sha256": "5" * 64, "sha512": "6" * 128, "file_bytes": 5 * 2**30}
    image = {**where, "sha512": "A" * 128, "bytes": 4096, "disk_format": "raw"}
    written = await over(admin, await admin.post(f"{VOLUMES}/data/write", json=image))
    assert written["state"] == "done", written["error"]
    assert zhcp.luns[SMALL] == "a" * 128
    zhcp.refuse_next = Refused(502, "source-refused", "HTTP 401")
    failed = await over(admin, await admin.post(f"{VOLUMES}/data/write", json=image))
    assert (failed["state"], (await ok(await admin.get(f"{VOLUMES}/data")))["state"]) == ("failed", "error")
    audit = await ok(await admin.get("/audit"))
    assert SECRET not in json.dumps([shown, sent, written, failed, audit]) + caplog.text
    folder = node.settings.folder
    async with node.core.database.read() as connection:
        for table in tables.metadata.sorted_tables:
            assert SECRET not in str((await connection.execute(sa.select(table))).all()), table.name
    holding = [path for path in folder.glob("jobs/*/*") if SECRET.encode() in path.read_bytes()]
    assert {path.parent.name for path in holding} == {shown[0]["id"], failed["id"]}, "for the plan, and a retry"
    assert {path.stat().st_mode & 0o777 for path in holding} == {0o600}


@pytest.mark.parametrize(
    "words",
    [
        {"url": "file:///etc/passwd"}, {"url": "http://"}, {"url": f"http://u:{SECRET}@h/x"}, {"url": "http://h/ x"},
        {"headers": {"a b": "x"}}, {"headers": {"X": f"{SECRET}\n"}}, {"headers": {f"x{n}": "" for n in range(33)}},
        {"sha512": ""}, {"sha512": SECRET}, {"bytes": -1}, {"bytes": 2**51}, {"disk_format": "vmdk"},
    ],
)  # fmt: skip
async def test_a_place_that_cannot_be_meant_is_refused_without_its_secret(
    admin: httpx.AsyncClient, node: Node, zhcp: FakeZhcp, words: dict[str, object]
) -> None:
    await ready(admin, node)
    await made(admin, "data", 1)
    wish = {"url": "http://h/x", "headers": {}, "sha512": "a" * 128, **words}
    before = len(zhcp.ran)
    problem = await refused(await admin.post(f"{VOLUMES}/data/write", json=wish), 400, "bad-input")
    assert SECRET not in json.dumps(problem) or words == {"sha512": SECRET}
    assert len(zhcp.ran) == before


async def test_wrong_lines_of_a_file_are_named(admin: httpx.AsyncClient, node: Node, client: As) -> None:
    await ready(admin, node)
    problem = await refused(await admin.put(f"{POOL}/file", content="free,1,2,,,,,\n", headers=PLAIN), 400, "bad-input")
    assert "line 1, wwpn" in problem["detail"]
    assert "line 1, lun" in problem["detail"]
    await refused(await admin.get("/systems/zvm1/volume-pools/none"), 404, "volume-pool-unknown")
    member = client(await token_of(admin, "mel", "member"))
    await refused(await member.get(POOL), 403, "role")


async def test_luns_that_the_storage_shows_are_told_and_added(
    admin: httpx.AsyncClient, node: Node, zhcp: FakeZhcp
) -> None:
    await ready(admin, node)
    new = "4010406000000000"
    rows = [{"device": "1A03", "wwpn": PORTS[0], "lun": lun, "uuid": lun, "bytes": 10 * 2**30} for lun in (SMALL, new)]
    zhcp.answers["luns"] = {"luns": rows}
    told = await ok(await admin.post(f"{POOL}/discover", json={}))
    assert {item["lun"]: (item["state"], item["pool"]) for item in told} == {
        SMALL: ("known", "p1"), LARGE: ("unseen", "p1"), new: ("new", ""),
    }  # fmt: skip
    assert (await ok(await admin.get(POOL)))["free"] == 2
    added = await ok(await admin.post(f"{POOL}/discover", json={"add": True, "luns": [f"{new}-{PORTS[0]}"]}))
    assert [item["state"] for item in added if item["lun"] == new] == ["added"]
    assert (await ok(await admin.get(POOL)))["free"] == 3
    await refused(await admin.post(f"{POOL}/discover", json={"add": True, "luns": ["none"]}), 400, "bad-input")
    await refused(await admin.post(f"{POOL}/discover", json={"luns": ["x" * 65]}), 400, "bad-input")
