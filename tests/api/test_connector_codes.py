"""The same code for the same situation: every error that Feilong defines is made here, or a reason says why it cannot
be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from api.test_connector_road import GUEST, add_image, create
from manager.fake_zhcp import FakeZhcp, Refused
from zvmcloud.api.connector.envelope import Code
from zvmcloud.api.connector.errors import _BY_ANSWER, _BY_CODE, _BY_OPERATION, _DATABASE, _REFUSED
from zvmcloud.manager.node import Node

Numbers = tuple[int, int | None, int, int]
KNOWN: list[dict[str, Any]] = json.loads((Path(__file__).parent / "feilong_errors.json").read_text())
DEFINED: set[Numbers] = {(row["overallRC"], row["modID"], row["rc"], row["rs"]) for row in KNOWN}

ELSEWHERE: dict[Numbers, str] = {
    (403, 400, 403, 1): "what a door of one project may not do; Feilong knows no roles",
    (404, 400, 404, 1): "a z/VM system, a job or a project's network, which Feilong does not have",
    (101, 110, 101, 2): "made by the client there, when its server cannot be reached; here the agent cannot be",
    (500, None, 500, 1): "internal error",
}
"""Codes of ours that are not in Feilong's list of server errors."""

FROM_BELOW = {8, 4, 3, 2}
"""Classes that carry the codes of SMAPI, of the pool query, of CP and of commands in the guest."""


def test_each_code_that_is_answered_is_one_of_feilongs() -> None:
    tables: list[Mapping[Any, Code]] = [_BY_CODE, _REFUSED, _DATABASE, *_BY_OPERATION.values(), *_BY_ANSWER.values()]
    for code in {code for table in tables for code in table.values()}:
        numbers = (code.overall, code.module, code.rc, code.rs)
        same = {numbers, (code.overall, None, code.rc, code.rs)}
        assert same & DEFINED or numbers in ELSEWHERE or code.overall in FROM_BELOW, numbers


@dataclass(frozen=True, slots=True)
class Situation:
    """A request, what the agent refuses in it, what is removed before; and the four numbers of the answer."""

    codes: Numbers
    method: str
    path: str
    body: Mapping[str, Any] | None = None
    code: str = ""
    smapi: tuple[str, int, int] | None = None
    without_table: str = ""
    status: int = 500
    words: str = ""
    actions: tuple[str, ...] = field(default=())
    """Actions on the guest before."""


ONE = "/guests/linux01"
NIC, COUPLED, UNCOUPLED = f"{ONE}/nic/1000", {"couple": True, "vswitch": "VSW1"}, {"couple": False}
NETWORKS = {"os_version": "rhel8", "guest_networks": [{"ip_addr": "10.0.0.2", "cidr": "10.0.0.0/24"}], "active": True}
OSA = {"os_version": "rhel8", "guest_networks": [{"osa_device": "0a00", "nic_vdev": "2000"}]}
VOLUME = {
    "assigner_id": "linux01", "zvm_fcp": ["1a00"], "target_wwpn": ["0x5005076802100c1a"],
    "target_lun": "0x4010400000000000", "multipath": True, "os_version": "rhel8", "mount_point": "/dev/sdz",
}  # fmt: skip
TEMPLATE = {"name": "t", "fcp_devices": "1a00-1a01;1b00-1b01"}


def action(codes: Numbers, name: str, status: int = 500, **more: Any) -> Situation:
    fields = more.pop("fields", {})
    return Situation(codes, "POST", f"{ONE}/action", {"action": name, **fields}, status=status, **more)


def image(codes: Numbers, url: str = "", status: int = 500, meta: Mapping[str, str] | None = None) -> Situation:
    body = {"image_name": "new", "url": url or "file://{sample}", "image_meta": {"os_version": "rhel8", **(meta or {})}}
    return Situation(codes, "POST", "/images", {"image": body}, status=status)


def nic(codes: Numbers, method: str, body: Mapping[str, Any], function: str, rc: int, rs: int) -> Situation:
    path = NIC if method != "POST" else f"{ONE}/nic"
    return Situation(codes, method, path, body, "refused", (function, rc, rs), status=codes[0])


CPUS, MEMORY = {"cpu_cnt": 3}, {"size": "2g"}
COREOS = {"image": "RHCOS4.12", "skipdiskcopy": True}
IGNITED = {**COREOS, "transportfiles": "/worker.ign"}
ADAPTER = "Virtual_Network_Adapter"
SITUATIONS: tuple[Situation, ...] = (
    Situation((100, 400, 100, 3), "POST", "/guests", {"guest": {**GUEST, "disk_list": [{"size": "0"}]}}, status=400),
    Situation((300, 10, 300, 1), "GET", "/guests", without_table="guests"),
    Situation((300, 20, 300, 1), "GET", "/guests/nics", without_table="nics"),
    Situation((300, 30, 300, 1), "GET", "/volumes/fcp/1a00", without_table="fcp_devices"),
    Situation((300, 40, 300, 1), "GET", "/images", without_table="images"),
    Situation((300, 50, 300, 1), "GET", "/guests/stats?userid=linux01", without_table="guests"),
    Situation((300, 10, 300, 2), "POST", "/guests", {"guest": {**GUEST, "userid": "new"}}, "pool-full"),
    action((300, 10, 300, 3), "deploy", fields={"image": "sample"}, code="disk-io"),
    action((300, 10, 300, 4), "deploy", fields={"image": "sample", "transportfiles": "/none"}),
    action((300, 10, 300, 12), "deploy", fields={**IGNITED, "vdev": "0100"}, words="no adapter of LINUX01 has one"),
    action((300, 10, 300, 14), "deploy", fields={**IGNITED, "vdev": "1a00"}, words="LOADDEV"),
    action((300, 10, 300, 13), "deploy", fields=COREOS, words="ignition file is required"),
    action((300, 10, 300, 5), "capture", 409, fields={"image": "x"}, code="capture-failed", actions=("start",)),
    action((300, 10, 300, 6), "resize_cpus", fields=CPUS, code="refused", smapi=("Image_Definition_Update_DM", 8, 5)),
    action((300, 10, 300, 7), "live_resize_cpus", fields=CPUS, code="cpu-define-failed", actions=("start",)),
    action((300, 10, 300, 8), "live_resize_cpus", fields=CPUS, code="cpu-rescan-failed", actions=("start",)),
    action((300, 10, 300, 15), "live_resize_cpus", fields=CPUS, code="cpu-enable-failed", actions=("start",)),
    action((300, 10, 300, 9), "resize_mem", fields=MEMORY, code="directory-locked", smapi=("Image_Lock_DM", 400, 12)),
    action((300, 10, 300, 10), "resize_mem", fields=MEMORY, code="refused", smapi=("Image_Replace_DM", 500, 1)),
    action((300, 10, 300, 11), "live_resize_mem", fields=MEMORY, code="memory-define-failed", actions=("start",)),
    action((300, 10, 300, 17), "live_resize_mem", fields=MEMORY, code="memory-enable-failed", actions=("start",)),
    action((300, 10, 300, 16), "start", fields={"timeout": 1}, words="did not answer within 1 s"),
    Situation((300, 20, 300, 2), "POST", f"{ONE}/nic", {"nic": {}}, words="FFFD"),
    Situation(
        (300, 20, 300, 5), "POST", f"{ONE}/interface", {"interface": NETWORKS}, "network-script-failed",
        actions=("start",),
    ),
    image((300, 40, 300, 4), meta={"md5sum": "0" * 32}),
    image((300, 40, 300, 6), "file://{no_size}"),
    image((300, 40, 300, 7), "file://{noise}"),
    image((300, 40, 300, 9), "http://127.0.0.1:1/x"),
    image((300, 40, 300, 14), meta={"os_version": "rhcos4.12", "disk_type": "DASD"}),
    Situation(
        (300, 40, 300, 10), "POST", "/images",
        {"image": {"image_name": "n", "url": "file:///xy", "image_meta": {"os_version": "rhel8"},
                   "remote_host": "nova@192.0.2.9"}},
    ),
    image((300, 40, 300, 12), "file:///etc/none"),
    Situation(
        (300, 40, 300, 13), "POST", "/images",
        {"image": {"image_name": "sample", "url": "file:///xy", "image_meta": {"os_version": "rhel8"}}}, status=409,
    ),
    action((300, 40, 300, 20), "deploy", 404, fields={"image": "nothing"}),
    Situation(
        (300, 40, 300, 21), "PUT", "/images/sample",
        {"location": {"dest_url": "file:///x/y", "remote_host": "nova@192.0.2.200"}},
    ),
    Situation((300, 40, 300, 22), "PUT", "/images/sample", {"location": {"dest_url": "file:///etc/new"}}),
    Situation(
        (300, 30, 300, 5), "PUT", "/volumes/volume_refresh_bootmap",
        {"info": {"lun": "0x" + "f" * 16, "fcpchannel": ["1a00"], "wwpn": ["0x5005076802100c1a"]}},
    ),
    Situation(
        (300, 30, 300, 7), "PUT", "/volumes/volume_refresh_bootmap",
        {"info": {"lun": "0x" + "1" * 16, "fcpchannel": ["1a00"], "wwpn": ["0x5005076802100c1a"]}}, "bootmap-timeout",
    ),
    Situation(
        (300, 30, 300, 10), "PUT", "/volumes/volume_refresh_bootmap",
        {"info": {"lun": "0x" + "1" * 16, "fcpchannel": ["1a00"], "wwpn": ["0x5005076802100c1a"],
                  "guest_networks": NETWORKS["guest_networks"]}},
    ),
    Situation((300, 30, 300, 8), "POST", "/guests/volumes", {"info": {"connection": VOLUME}}, "volume-script-failed"),
    Situation((300, 30, 300, 9), "DELETE", "/guests/volumes", {"info": {"connection": VOLUME}}),
    Situation((300, 30, 300, 11), "GET", "/volumes/conn/linux01", {"info": {"reserve": True}}),
    Situation((300, 60, 300, 2), "POST", "/files", {"source_file": "/etc/passwd"}),
    Situation((404, 10, 404, 1), "GET", "/guests/nobody/info", status=404),
    Situation((404, 20, 404, 1), "GET", "/vswitches/NONE", status=404),
    Situation((404, 30, 404, 1), "GET", "/volumes/fcp/9999", status=404),
    Situation((404, 40, 404, 1), "GET", "/images?imagename=nothing", status=404),
    Situation((404, 400, 404, 2), "GET", "/host/volume?volumename=NOVOL", status=404),
    Situation((409, 10, 409, 1), "POST", f"{ONE}/action", {"action": "pause"}, status=409),
    action((409, 10, 409, 3), "resize_cpus", 409, fields=CPUS, code="cpu-maximum-unknown"),
    action((409, 10, 409, 4), "resize_cpus", 409, fields={"cpu_cnt": 64}),
    Situation(
        (409, 20, 409, 5), "PUT", "/vswitches/VSW1", {"vswitch": {"grant_userid": "LINUX01"}}, "refused",
        ("Virtual_Network_Vswitch_Set_Extended", 396, 2838), status=409,
    ),
    Situation((409, 20, 409, 6), "POST", f"{ONE}/nic", {"nic": {"vdev": "1000"}}, status=409),
    nic((409, 20, 409, 6), "POST", {"nic": {"vdev": "3000"}}, f"{ADAPTER}_Create_Extended", 204, 28),
    nic((409, 20, 409, 7), "POST", {"nic": {"vdev": "3000"}}, f"{ADAPTER}_Create_Extended_DM", 400, 12),
    nic((409, 20, 409, 8), "DELETE", {"active": True}, f"{ADAPTER}_Delete", 204, 28),
    nic((409, 20, 409, 9), "DELETE", {}, f"{ADAPTER}_Delete_DM", 400, 12),
    nic((409, 20, 409, 10), "PUT", {"info": COUPLED}, f"{ADAPTER}_Connect_Vswitch", 212, 28),
    nic((409, 20, 409, 11), "PUT", {"info": COUPLED}, "Image_Lock_DM", 400, 12),
    nic((404, 20, 404, 1), "PUT", {"info": COUPLED}, f"{ADAPTER}_Connect_Vswitch", 204, 8),
    nic((409, 20, 409, 12), "PUT", {"info": UNCOUPLED}, f"{ADAPTER}_Disconnect", 204, 28),
    nic((409, 20, 409, 13), "PUT", {"info": UNCOUPLED}, f"{ADAPTER}_Disconnect_DM", 400, 12),
    Situation((409, 20, 409, 14), "POST", f"{ONE}/interface", {"interface": OSA}, "osa-unavailable", status=409),
    Situation(
        (409, 20, 409, 14), "POST", f"{ONE}/interface", {"interface": OSA}, "refused",
        ("Image_Device_Dedicate", 204, 4), status=409,
    ),
    Situation(
        (409, 20, 409, 15), "POST", f"{ONE}/interface", {"interface": OSA}, "directory-locked",
        ("Image_Device_Dedicate_DM", 400, 12), status=409,
    ),
    nic((409, 20, 409, 16), "DELETE", {}, "Image_Device_Undedicate", 204, 44),
    nic((409, 20, 409, 17), "DELETE", {}, "Image_Device_Undedicate_DM", 400, 12),
    action((409, 10, 409, 18), "live_resize_mem", 409, fields=MEMORY, code="memory-shrink", actions=("start",)),
    action((409, 10, 409, 19), "resize_mem", 409, fields=MEMORY, code="storage-form"),
    action((409, 10, 409, 20), "resize_mem", 409, fields={"size": "9999g"}),
    action((409, 10, 409, 21), "live_resize_mem", 409, fields=MEMORY, code="memory-reserved", actions=("start",)),
    Situation((409, 30, 409, 22), "DELETE", "/volumes/fcptemplates/{used}", status=409),
    Situation(
        (409, 30, 409, 23), "POST", "/volumes/fcptemplates", {**TEMPLATE, "min_fcp_paths_count": 9}, status=409
    ),
    Situation((409, 30, 409, 24), "PUT", "/volumes/fcptemplates/{used}", {"fcp_devices": "1a01;1b01"}, status=409),
    Situation((500, None, 500, 1), "POST", f"{ONE}/nic", {"nic": {}}, "something-new"),
    Situation((501, 10, 501, 1), "DELETE", f"{ONE}/disks", {"vdev_info": {"vdev_list": ["0100"]}}, "guest-active",
              status=501),
    Situation((2, 1, 8, 1), "PUT", f"{ONE}/disks", {"disk_info": {"disk_list": [{"format": "xfs"}]}},
              "disks-script-failed"),
    action((8, 1, 400, 12), "stop", code="directory-locked", smapi=("Image_Deactivate", 400, 12)),
)  # fmt: skip
OTHER_TESTS: dict[Numbers, str] = {
    (300, 60, 300, 1): "below: files that are too large, or that the manager's disk does not take",
    (400, 120, 400, 1): "test_socket_door.py: test_what_is_no_call_is_answered_with_what_one_is",
    (404, None, 404, 3): "below: an entry that somebody else removed",
    (503, 120, 503, 1): "below: a deploy above the limit",
}
CANNOT: dict[Numbers, str] = {
    (100, 400, 100, 1): "a wrong number of arguments is refused by the socket door itself, 400/120/400/1",
    (100, 400, 100, 2): "types are checked by the schemas, 400/120/400/400",
    (100, 400, 100, 4): "a missing option of the settings: the manager does not start, or has a default",
    (300, 20, 300, 3): "the agent's journal holds the entry's state before; undoing goes on until z/VM takes it",
    (300, 20, 300, 4): "the same, of a NIC's creation",
    (300, 40, 300, 2): "other schemes than file, http and https are refused by the schema, 400",
    (300, 40, 300, 3): "the digest is made of the bytes as they pass",
    (300, 40, 300, 5): "no program reads the header",
    (300, 40, 300, 8): "the bytes are counted as they pass",
    (300, 40, 300, 11): "the form of remote_host is checked by the schema, 400",
    (300, 40, 300, 23): "the last use is in the table, not the file's time",
    (300, 30, 300, 3): "attaching again counts one more connection, as the original's attach does",
    (300, 30, 300, 4): "what is not attached cannot be detached: 300/30/300/9",
    (300, 30, 300, 6): "a guest that does not let the agent in reads the script at its next boot",
    (300, 30, 300, 12): "without pchid_info there is no limit",
    (409, None, 409, 2): "a running guest gives processors back, as the original's newest version has it",
}


def test_every_error_that_feilong_defines_is_made_or_has_a_reason() -> None:
    made = {situation.codes for situation in SITUATIONS}
    made |= {(overall, None, rc, rs) for overall, _, rc, rs in made}
    tables = (made, set(OTHER_TESTS), set(CANNOT))
    assert {codes for table in tables for codes in table} & DEFINED == DEFINED
    for numbers in DEFINED:
        assert sum(numbers in table for table in tables) == 1, numbers
    assert set(CANNOT) | set(OTHER_TESTS) <= DEFINED


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda found: f"{found.codes} {found.method} {found.path}")
async def test_the_same_situation_has_the_same_codes(
    door: httpx.AsyncClient, node: Node, zhcp: FakeZhcp, sample: Path, tmp_path: Path, situation: Situation
) -> None:
    await create(door)
    await add_image(door, sample)
    await door.post("/vswitches", json={"vswitch": {"name": "VSW1"}})
    await door.post(f"{ONE}/nic", json={"nic": {"vdev": "1000"}})
    if situation.codes == (300, 20, 300, 2):
        await door.post(f"{ONE}/nic", json={"nic": {"vdev": "FFFD"}})
    path = situation.path
    if "{used}" in path or path.startswith("/guests/volumes"):
        template = (await door.post("/volumes/fcptemplates", json=TEMPLATE)).json()["output"]["fcp_template"]["id"]
        reserved = {"reserve": True, "fcp_template_id": template}
        assert (await door.request("GET", "/volumes/conn/linux01", json={"info": reserved})).status_code == 200
        path = path.replace("{used}", template)
    for name in situation.actions:
        assert (await door.post(f"{ONE}/action", json={"action": name})).status_code == 200
    (tmp_path / "noise").write_bytes(b"\0" * 600)
    (tmp_path / "no_size").write_bytes(b"xCAT CKD Disk Image:".ljust(600))
    files = {"{sample}": sample, "{noise}": tmp_path / "noise", "{no_size}": tmp_path / "no_size"}
    content = json.dumps(situation.body)
    for mark, file in files.items():
        content = content.replace(mark, str(file))
    if situation.without_table:
        async with node.core.database.write() as connection:
            await connection.execute(sa.text(f"DROP TABLE {situation.without_table}"))
    if situation.code:
        status = 409 if situation.status == 409 else 502
        zhcp.refuse_next = Refused(status, situation.code, "it cannot be", situation.smapi)
    zhcp.deaf = situation.codes == (300, 10, 300, 16)
    before = len(zhcp.ran)
    answer = await door.request(situation.method, path, content=content, headers={"content-type": "application/json"})
    found = answer.json()
    assert (found["overallRC"], found["modID"], found["rc"], found["rs"]) == situation.codes, found
    assert answer.status_code == situation.status
    assert situation.words in found["errmsg"]
    if situation.smapi:
        assert str(situation.smapi[1]) in found["errmsg"], "the cause is named"
    if situation.code:
        assert len(zhcp.ran) > before, "the agent was asked"
        assert zhcp.refuse_next is None


async def test_a_guest_of_ours_whose_entry_somebody_else_removed(door: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    await create(door)
    zhcp.guests.clear()
    for path in (ONE, f"{ONE}/info", f"{ONE}/disks"):
        answer = await door.get(path)
        found = answer.json()
        assert (answer.status_code, found["overallRC"], found["modID"], found["rs"]) == (404, 404, 10, 3), path


async def test_a_deploy_above_the_limit(door: httpx.AsyncClient, node: Node, zhcp: FakeZhcp, sample: Path) -> None:
    await add_image(door, sample)
    await create(door)
    ask = {"action": "deploy", "image": "sample"}
    zhcp.delay = 0.2
    answers = await asyncio.gather(
        *(door.post(f"{ONE}/action", json=ask) for _ in range(node.settings.connector.deploys + 1))
    )
    found = [answer.json() for answer in answers if answer.status_code == 503]
    assert len(found) == 1
    assert (found[0]["overallRC"], found[0]["modID"], found[0]["rc"], found[0]["rs"]) == (503, 120, 503, 1)


async def test_a_file_that_is_too_large_or_that_the_disk_does_not_take(
    door: httpx.AsyncClient, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def put() -> tuple[int, Numbers]:
        answer = await door.put("/files", content=b"x" * 11, headers={"content-type": "application/octet-stream"})
        found = answer.json()
        return answer.status_code, (found["overallRC"], found["modID"], found["rc"], found["rs"])

    small = replace(node.settings, connector=replace(node.settings.connector, file_limit=10))
    monkeypatch.setattr(node, "settings", small)
    assert await put() == (413, (300, 60, 300, 1))
    folder = node.settings.folder / "files" / "imported"
    assert not folder.exists(), "nothing is kept"
    monkeypatch.undo()
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("where the folder should be")
    assert await put() == (500, (300, 60, 300, 1))
