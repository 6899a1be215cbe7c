"""Values that nobody should send: each is refused or means what it says; none breaks the door."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api.test_connector_road import create
from manager.fake_zhcp import FakeZhcp
from zvmcloud.manager.node import Node

JSON = {"content-type": "application/json"}
LUN = "0x4000000000000000"
VOLUME = {
    "assigner_id": "linux01", "zvm_fcp": ["1a00"], "target_wwpn": ["0x5005076300000001"], "target_lun": LUN,
    "multipath": True, "os_version": "rhel8", "mount_point": "/dev/sda", "fcp_template_id": "x",
}  # fmt: skip
GUEST: dict[str, Any] = {
    "userid": "new", "vcpus": 1, "memory": 1024, "user_profile": "LINDFLT", "max_cpu": 4, "max_mem": "2g",
    "disk_list": [{"size": "1", "format": "ext4", "is_boot_disk": True, "vdev": "0100", "disk_pool": "ECKD:POOL1"}],
    "ipl_from": "CMS", "ipl_param": "x", "ipl_loadparam": "1", "dedicate_vdevs": ["1"], "account": "a",
    "loaddev": {"portname": "1", "lun": "1", "alterdev": "1"}, "comments": ["x"], "cschedule": "P",
    "cshare": "REL 100", "rdomain": "D",
}  # fmt: skip
NETWORK = {
    "method": "static", "ip_addr": "10.0.0.2", "dns_addr": ["10.0.0.1"], "gateway_addr": "10.0.0.1",
    "mac_addr": "02:00:00:00:00:01", "cidr": "10.0.0.0/24", "nic_vdev": "1100", "nic_id": "x", "hostname": "h",
    "mtu": 1500,
}  # fmt: skip
SWITCH = {
    "name": "FZ", "rdev": "1", "controller": "*", "persist": True, "connection": "CONNECT", "queue_mem": 8,
    "router": "NONROUTER", "network_type": "IP", "vid": 3, "port_type": "ACCESS", "gvrp": "GVRP", "native_vid": 1,
}  # fmt: skip
TEMPLATE = {
    "name": "t", "description": "d", "fcp_devices": "1a00;1b00", "host_default": False, "storage_providers": ["v"],
    "min_fcp_paths_count": 2,
}  # fmt: skip
IMAGE = {
    "image_name": "n", "url": "file:///tmp/none", "remote_host": "a@192.0.2.1",
    "image_meta": {"os_version": "rhel8", "md5sum": "0" * 32, "disk_type": "DASD"},
}  # fmt: skip
DEPLOY = {
    "action": "deploy", "image": "sample", "transportfiles": "/x", "remotehost": "a@192.0.2.1", "vdev": "0100",
    "hostname": "h", "skipdiskcopy": True,
}  # fmt: skip
MOVE = {
    "action": "live_migrate_vm", "destination": "X", "operation": "test", "dest_zcc_userid": "X",
    "parms": {"maxtotal": 1, "maxquiesce": 1, "immediate": "yes", "forcearch": "yes"},
}  # fmt: skip
ACTION = "/guests/linux01/action"
REQUESTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", "/guests", {"guest": GUEST}),
    ("POST", ACTION, {"action": "start", "timeout": 0}),
    ("POST", ACTION, {"action": "softstop", "timeout": 1, "poll_interval": 1}),
    ("POST", ACTION, DEPLOY),
    ("POST", ACTION, {"action": "capture", "image": "q", "capture_type": "rootonly", "compress_level": 1}),
    ("POST", ACTION, {"action": "register_vm", "meta": "os_version=x", "net_set": "1", "port_macs": {"a": "b"}}),
    ("POST", ACTION, MOVE),
    ("POST", ACTION, {"action": "resize_cpus", "cpu_cnt": 1, "cpu_share": "REL 100"}),
    ("POST", ACTION, {"action": "live_resize_mem", "size": "1g"}),
    ("POST", ACTION, {"action": "grow_root_volume", "os_version": "rhel8"}),
    ("POST", "/guests/linux01/disks", {"disk_info": {"disk_list": [GUEST["disk_list"][0]]}}),
    ("PUT", "/guests/linux01/disks", {"disk_info": {"disk_list": [{"vdev": "0200", "format": "xfs", "mntdir": "/m"}]}}),
    ("DELETE", "/guests/linux01/disks", {"vdev_info": {"vdev_list": ["0200"]}}),
    ("POST", "/guests/linux01/nic", {"nic": {"vdev": "1000", "nic_id": "x", "mac_addr": "02:00:00:00:00:01"}}),
    ("PUT", "/guests/linux01/nic/1000", {"info": {"couple": True, "vswitch": "VSW1", "vlan_id": 3}}),
    ("POST", "/guests/linux01/interface", {"interface": {"os_version": "rhel8", "guest_networks": [NETWORK]}}),
    ("DELETE", "/guests/linux01/interface", {"interface": {"os_version": "rhel8", "vdev": "1100", "active": False}}),
    ("POST", "/guests/volumes", {"info": {"connection": VOLUME}}),
    ("DELETE", "/guests/volumes", {"info": {"connection": VOLUME}}),
    ("GET", "/volumes/conn/linux01", {"info": {"reserve": True, "pchid_info": {"0100": {"allocated": 1, "max": 2}}}}),
    ("PUT", "/volumes/volume_refresh_bootmap", {"info": {"lun": LUN, "fcpchannel": ["1a00"], "wwpn": [LUN]}}),
    ("POST", "/volumes/fcptemplates", TEMPLATE),
    ("PUT", "/volumes/fcptemplates/x", TEMPLATE),
    ("PUT", "/volumes/fcp/1a00", {"info": {"userid": "fx", "reserved": 0, "connections": 0, "fcp_template_id": "x"}}),
    ("POST", "/images", {"image": IMAGE}),
    ("PUT", "/images/nope", {"location": {"dest_url": "file:///x", "remote_host": "a@192.0.2.1"}}),
    ("POST", "/files", {"source_file": "/x"}),
    ("POST", "/vswitches", {"vswitch": SWITCH}),
    ("PUT", "/vswitches/VSW1", {"vswitch": {"grant_userid": "X", "user_vlan_id": {"userid": "X", "vlanid": 2}}}),
    ("GET", "/vswitch", {"portid": "x"}),
)
NASTY: tuple[Any, ...] = (
    None, True, -1, 1.5, 2**70, "", "\n", "1\n", "2g\n", "abc\n", "rhel8\n", "REL 100\n", "ECKD:POOL1\n",
    "a\x00b", "\ud800", "ß", "\uff11", "²", "../x", "$(id)", "x" * 300, "9" * 5000, [], {}, [None], ["\ud800"],
    "file:///\x00", "http://[::1", "http://a:99999/x", "file:///%ff%00", "x\nMDISK 0200 3390 0 END VOL1 MR",
)  # fmt: skip


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something else could stand in a document."""
    yield at
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield from places(item, (*at, key))


def with_value(document: Any, at: tuple[Any, ...], value: Any) -> Any:
    if not at:
        return value
    changed = copy.deepcopy(document)
    inner = changed
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value
    return changed


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("method", "path", "body"),
    REQUESTS,
    ids=[f"{method} {path} {body.get('action', '')}" for method, path, body in REQUESTS],
)
async def test_no_value_of_any_field_breaks_the_door(
    door: httpx.AsyncClient, method: str, path: str, body: dict[str, Any]
) -> None:
    await create(door)
    for at in places(body):
        for value in NASTY:
            content = json.dumps(with_value(body, at, value))
            answer = await door.request(method, path, content=content, headers=JSON)
            found = answer.json()
            assert 500 not in {found["overallRC"], found["rs"]}, (at, value, found["errmsg"])
            if isinstance(value, str) and ("\x00" in value or "\ud800" in value):
                assert answer.status_code == 400, (at, value)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/volumes/fcp/1a00", {"info": {"userid": "abc\n", "reserved": 1, "connections": 0}}),
        ("PUT", "/vswitches/VSW1", {"vswitch": {"revoke_userid": "abc\n"}}),
        ("POST", ACTION, {"action": "live_resize_mem", "size": "2g\n"}),
        ("GET", "/host/diskpool?poolname=ECKD:POOL1%0a", None),
        ("GET", "/guests/linux01%0a/info", None),
        ("DELETE", "/vswitches/%C3%9F", None),
        ("GET", "/images?imagename=%00", None),
        ("DELETE", "/images/%00", None),
        ("GET", "/guests/nics?nic_id=%00", None),
    ],
)
async def test_a_line_end_or_a_character_that_upper_case_would_change_is_no_name(
    door: httpx.AsyncClient, zhcp: FakeZhcp, method: str, path: str, body: dict[str, Any] | None
) -> None:
    """A pattern's "$" lets a line end through, and "ß" in upper case is a switch named SS."""
    await create(door)
    zhcp.vswitches["SS"] = {}
    answer = await door.request(method, path, json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["overallRC"] in {100, 400}, "refused by the schema, or by the manager"
    assert zhcp.kinds() == ["guest.create"]


@pytest.mark.parametrize("content", [b'{"info": NaN}', b'{"info": -Infinity}', b'"\xed\xa0\x80"'])
async def test_what_only_python_calls_json_is_malformed(door: httpx.AsyncClient, content: bytes) -> None:
    answer = await door.put("/volumes/fcp/1a00", content=content, headers=JSON)
    assert answer.status_code == 400
    assert "Malformed JSON" in answer.json()["errmsg"]


async def test_of_three_creates_at_once_one_succeeds(door: httpx.AsyncClient, node: Node, zhcp: FakeZhcp) -> None:
    body = {"guest": {"userid": "new", "vcpus": 1, "memory": 1024, "disk_list": [{"size": "1"}]}}
    answers = await asyncio.gather(*(door.post("/guests", json=body) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    assert list(zhcp.guests) == ["NEW"]
    assert (await node.guests.list("ZVM1")).userids == ("NEW",)


async def test_a_guest_deleted_while_others_change_it_is_gone_from_zvm_and_from_the_table(
    door: httpx.AsyncClient, node: Node, zhcp: FakeZhcp
) -> None:
    await create(door)
    path = "/guests/linux01"
    answers = await asyncio.gather(
        door.post(f"{path}/action", json={"action": "start"}),
        door.post(f"{path}/nic", json={"nic": {}}),
        door.delete(path),
        door.post(f"{path}/disks", json={"disk_info": {"disk_list": [{"size": "1"}]}}),
        door.delete(path),
    )
    assert all(answer.status_code in {200, 404, 409} for answer in answers), [answer.text for answer in answers]
    assert answers[2].status_code == 200
    assert zhcp.guests == {}
    assert (await node.guests.list("ZVM1")).userids == ()
    assert await node.networks.nics("ZVM1") == (), "no row of a NIC stays behind"
