"""The road through the connector door: create, import, deploy, start, look, delete; and what each call left in the
journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.native import ok
from manager.fake_zhcp import FakeZhcp
from zvmcloud.images import doscript, netfiles
from zvmcloud.manager.node import Node

GUEST = {"userid": "linux01", "vcpus": 2, "memory": 2048}


def done(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert list(body) == ["overallRC", "modID", "rc", "rs", "errmsg", "output"]
    assert (body["overallRC"], body["rc"], body["rs"], body["errmsg"]) == (0, 0, 0, "")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-cache"
    return body["output"]


async def create(door: httpx.AsyncClient, **more: object) -> Any:
    disks = [{"size": "10", "is_boot_disk": True}, {"size": "1g", "format": "xfs"}]
    return done(await door.post("/guests", json={"guest": {**GUEST, "disk_list": disks, **more}}))


async def add_image(door: httpx.AsyncClient, path: Path, name: str = "sample") -> None:
    image = {"image_name": name, "url": path.as_uri(), "image_meta": {"os_version": "RHEL8.6"}}
    assert done(await door.post("/images", json={"image": image})) == ""


async def test_a_guest_is_created_with_its_disks_settled(door: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    disks = await create(door)
    assert disks == [
        {"size": "7.0M", "is_boot_disk": True, "format": "none", "disk_pool": "ECKD:POOL1", "vdev": "0100"},
        {"size": "1g", "format": "xfs", "disk_pool": "ECKD:POOL1", "vdev": "0101"},
    ]
    made = zhcp.guests["LINUX01"]
    assert [(disk["vdev"], disk["size_units"], disk["boot"]) for disk in made["disks"]] == [
        ("0100", 10, True),
        ("0101", 1457, False),
    ]
    assert made["ipl"] == "0100"
    assert made["profile"] == "LNXDFLT"
    assert done(await door.get("/guests")) == ["LINUX01"]


async def test_a_guest_without_disks_is_created(door: httpx.AsyncClient) -> None:
    assert done(await door.post("/guests", json={"guest": {**GUEST, "loaddev": {}}})) == []


async def test_deploy_writes_the_image_and_punches_the_config_drive(
    door: httpx.AsyncClient, node: Node, zhcp: FakeZhcp, sample: Path, tmp_path: Path, stored: Callable[[], bytes]
) -> None:
    drive = tmp_path / "cfgdrive.iso"
    drive.write_bytes(b"iso with secrets")
    await create(door)
    await add_image(door, sample)
    answer = await door.post(
        "/guests/linux01/action", json={"action": "deploy", "image": "sample", "transportfiles": str(drive)}
    )
    assert done(answer) == ""
    assert zhcp.fetched == [sample.read_bytes()]
    (file,) = zhcp.guests["LINUX01"]["reader"]
    assert file == {"name": "CFGDRIVE", "type": "ISO", "class": "X", "data": b"iso with secrets"}
    job = await node.journal.get(answer.headers["zvm-job"])
    assert [(step.step.kind, step.state) for step in job.steps] == [
        ("disk.write_image", "done"),
        ("reader.punch", "done"),
        ("manager.guest_deployed", "done"),
    ]
    assert job.steps[0].calls[0].kind == "smapi"
    (row,) = await node.guests.rows()
    assert row["os_version"] == "rhel8.6"
    assert not (node.settings.state / "jobs" / job.id).exists()
    assert b"iso with secrets" not in stored()


async def test_a_hostname_without_config_drive_becomes_a_script_in_the_reader(
    door: httpx.AsyncClient, zhcp: FakeZhcp, sample: Path
) -> None:
    await create(door)
    await add_image(door, sample)
    done(await door.post("/guests/linux01/action", json={"action": "deploy", "image": "sample", "hostname": "web01"}))
    (file,) = zhcp.guests["LINUX01"]["reader"]
    assert (file["name"], file["type"]) == ("HOSTNAME", "SH")
    assert b"web01" in file["data"]


async def test_power_and_what_a_running_guest_tells(door: httpx.AsyncClient) -> None:
    await create(door)
    assert done(await door.get("/guests/LINUX01/power_state")) == "off"
    off = done(await door.get("/guests/linux01/info"))
    assert off == {
        "power_state": "off",
        "max_mem_kb": 2097152,
        "mem_kb": 0,
        "num_cpu": 2,
        "cpu_time_us": 0,
        "online_cpu_num": 0,
        "os_distro": "",
        "kernel_info": "",
    }
    done(await door.post("/guests/linux01/action", json={"action": "start", "timeout": 5}))
    on = done(await door.get("/guests/linux01/info"))
    assert on["power_state"] == "on"
    assert on["mem_kb"] == 1000
    assert (on["online_cpu_num"], on["os_distro"], on["kernel_info"]) == (2, "rhel8.6", "Linux 5.14.0 s390x")
    assert done(await door.post("/guests/linux01/action", json={"action": "get_console_output"})) == "linux01 login: "
    done(await door.post("/guests/linux01/action", json={"action": "softstop", "timeout": 5, "poll_interval": 1}))
    assert done(await door.get("/guests/linux01/power_state_real")) == "off"
    assert done(await door.get("/guests/nobody/power_state_real")) == "off"


async def test_a_network_interface_is_made_and_its_configuration_lies_in_the_reader(
    door: httpx.AsyncClient, zhcp: FakeZhcp
) -> None:
    await create(door)
    network = {"ip_addr": "192.0.2.10", "cidr": "192.0.2.0/24", "gateway_addr": "192.0.2.1", "dns_addr": ["192.0.2.2"]}
    body = {"interface": {"os_version": "rhel8.6", "guest_networks": [{**network, "nic_id": "p1", "mtu": "1500"}]}}
    (made,) = done(await door.post("/guests/linux01/interface", json=body))
    assert made["nic_vdev"] == "1000"
    assert made["primary"] is True
    (file,) = zhcp.guests["LINUX01"]["reader"]
    assert (file["name"], file["type"]) == ("NETWORK", "DOSCRIPT")
    (address,) = netfiles.networks(doscript.read(file["data"]))
    assert address.address == "192.0.2.10/24"
    done(await door.post("/vswitches", json={"vswitch": {"name": "vsw1", "rdev": "0600"}}))
    couple = {"info": {"couple": True, "vswitch": "VSW1", "vlan_id": -1}}
    done(await door.put("/guests/linux01/nic/1000", json=couple))
    assert zhcp.guests["LINUX01"]["nics"]["1000"]["vswitch"] == "VSW1"
    row = {"userid": "LINUX01", "interface": "1000", "switch": "VSW1", "port": "p1", "comments": None}
    assert done(await door.get("/guests/nics?userid=linux01")) == [row]
    assert done(await door.request("GET", "/vswitch", json={"portid": "p1"})) == [row]
    assert done(await door.post("/guests/linux01/nic", json={"nic": {}})) == "1003"
    (adapter, _) = done(await door.get("/guests/linux01/adapters"))["adapters"]
    assert adapter["mac_address"] == "02:00:00:00:00:0A"
    done(await door.put("/guests/linux01/nic/1000", json={"info": {"couple": False}}))
    done(await door.request("DELETE", "/guests/linux01/nic/1000", json={}))
    assert list(zhcp.guests["LINUX01"]["nics"]) == ["1003"]


async def test_a_failed_interface_takes_its_first_nic_back(door: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    await create(door)
    done(await door.post("/guests/linux01/nic", json={"nic": {"vdev": "2000"}}))
    networks = [{"nic_vdev": "1000"}, {"nic_vdev": "2000"}]
    answer = await door.post(
        "/guests/linux01/interface", json={"interface": {"os_version": "rhel8", "guest_networks": networks}}
    )
    assert answer.status_code == 409
    assert list(zhcp.guests["LINUX01"]["nics"]) == ["2000"]


async def test_virtual_switches_are_granted_and_queried(door: httpx.AsyncClient) -> None:
    await create(door)
    done(await door.post("/vswitches", json={"vswitch": {"name": "VSW1", "vid": 100, "persist": "False"}}))
    assert done(await door.get("/vswitches")) == ["VSW1"]
    done(await door.put("/vswitches/VSW1", json={"vswitch": {"grant_userid": "linux01"}}))
    found = done(await door.get("/vswitches/vsw1"))
    assert found["switch_name"] == "VSW1"
    assert found["authorized_users"]["LINUX01"]["vlan_count"] == "0"
    assert found["real_devices"]["0600"]["dev_status"] == "Device is active."
    done(await door.delete("/vswitches/VSW1"))
    assert done(await door.get("/vswitches")) == []


async def test_disks_are_added_after_the_last_one(door: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    await create(door)
    (disk,) = done(await door.post("/guests/linux01/disks", json={"disk_info": {"disk_list": [{"size": "20"}]}}))
    assert (disk["vdev"], disk["format"]) == ("0102", "ext4")
    config = {"disk_info": {"disk_list": [{"vdev": "0102", "format": "ext4", "mntdir": "/data"}]}}
    done(await door.put("/guests/linux01/disks", json=config))
    assert b"/data" in zhcp.guests["LINUX01"]["reader"][0]["data"]
    listed = done(await door.get("/guests/linux01/disks"))["minidisks"]
    assert [(disk["vdev"], disk["device_units"]) for disk in listed][-1] == ("0102", "Cylinders")
    done(await door.request("DELETE", "/guests/linux01/disks", json={"vdev_info": {"vdev_list": ["0102"]}}))
    assert len(zhcp.guests["LINUX01"]["disks"]) == 2


async def test_a_disk_may_be_an_extended_address_volume(door: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    await create(door)
    (disk,) = done(await door.post("/guests/linux01/disks", json={"disk_info": {"disk_list": [{"size": "262668"}]}}))
    assert disk["vdev"] == "0102"
    assert zhcp.guests["LINUX01"]["disks"][-1]["size_units"] == 262_668
    more = await door.post("/guests/linux01/disks", json={"disk_info": {"disk_list": [{"size": "262669"}]}})
    assert more.status_code == 400
    assert len(zhcp.guests["LINUX01"]["disks"]) == 3


async def test_images_by_query_size_and_deletion(door: httpx.AsyncClient, node: Node, sample: Path) -> None:
    await add_image(door, sample)
    await add_image(door, sample, "again")
    (image,) = done(await door.get("/images?imagename=sample"))
    assert image["disk_size_units"] == "10:CYL"
    assert image["imageosdistro"] == "rhel8.6"
    assert image["image_size_in_bytes"] == str(sample.stat().st_size)
    kept = Path(image["image_path"])
    assert done(await door.get("/images/sample/root_disk_size")) == "10"
    done(await door.delete("/images/sample"))
    assert kept.exists(), "another name still needs the bytes"
    done(await door.delete("/images/again"))
    assert not kept.exists()
    assert done(await door.get("/images")) == []
    assert done(await door.delete("/images/again")) == ""


async def test_a_file_is_uploaded_imported_as_an_image_and_read_back(door: httpx.AsyncClient, sample: Path) -> None:
    data = sample.read_bytes()
    stored = done(await door.put("/files", content=data, headers={"content-type": "application/octet-stream"}))
    assert stored["filesize_in_bytes"] == len(data)
    image = {
        "image_name": "up",
        "url": stored["dest_url"],
        "image_meta": {"os_version": "rhel8", "md5sum": stored["md5sum"]},
    }
    done(await door.post("/images", json={"image": image}))
    back = await door.post("/files", json={"source_file": stored["dest_url"].removeprefix("file://")})
    assert back.headers["content-type"] == "application/octet-stream"
    assert back.content == data


async def test_host_and_pool(door: httpx.AsyncClient) -> None:
    host = done(await door.get("/host"))
    assert host["hypervisor_hostname"] == "ZVM1"
    assert host["hypervisor_version"] == 730
    assert (host["disk_total"], host["disk_used"], host["disk_available"]) == (40, 10, 30)
    assert done(await door.get("/host/diskpool?poolname=ECKD:POOL1"))["disk_total"] == 40
    assert done(await door.get("/"))["api_version"] == "1.0"
    assert done(await door.get("/host/guests")) == ["MAINT"]
    assert (await door.get("/smapi-healthy")).json()["SMAPI"]["healthy"] is True


async def test_the_same_api_speaks_to_a_named_system(door: httpx.AsyncClient) -> None:
    await create(door)
    assert done(await door.get("/systems/zvm1/guests")) == ["LINUX01"]
    answer = await door.get("/systems/zvm9/guests")
    assert answer.status_code == 404
    assert "ZVM1" in answer.json()["errmsg"]


async def test_deleting_forgets_the_guest_and_an_unknown_one_is_fine(door: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    await create(door)
    done(await door.delete("/guests/linux01"))
    assert zhcp.guests == {}
    assert done(await door.get("/guests")) == []
    assert done(await door.delete("/guests/nobody")) == ""


@pytest.mark.parametrize("action", ["pause", "unpause", "reset", "reboot", "stop"])
async def test_actions_reach_the_agent(door: httpx.AsyncClient, zhcp: FakeZhcp, action: str) -> None:
    await create(door)
    done(await door.post("/guests/linux01/action", json={"action": "start"}))
    done(await door.post("/guests/linux01/action", json={"action": action}))
    assert zhcp.kinds()[-1] == f"guest.{action}"


async def test_a_guest_is_registered_with_its_ports_and_deregistered(door: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    await create(door)
    path = "/guests/linux01/action"
    done(await door.post(path, json={"action": "deregister_vm"}))
    assert done(await door.get("/guests")) == []
    assert "LINUX01" in zhcp.guests
    zhcp.guests["LINUX01"]["nics"]["1000"] = {"mac": "02:00:00:AB:CD:EF", "vswitch": "VSW1"}
    body = {
        "action": "register_vm",
        "meta": "os_version=rhel8.6",
        "net_set": "1",
        "port_macs": {"p1": "02:00:00:ab:cd:ef"},
    }
    done(await door.post(path, json=body))
    assert done(await door.get("/guests")) == ["LINUX01"]
    (row,) = done(await door.get("/guests/nics?nic_id=p1"))
    assert (row["interface"], row["switch"]) == ("1000", "VSW1")
    assert (await door.post(path, json=body)).status_code == 409


async def test_an_image_is_exported_into_an_allowed_folder_only(
    door: httpx.AsyncClient, sample: Path, tmp_path: Path
) -> None:
    await add_image(door, sample)
    target = tmp_path / "out" / "copy.img"
    exported = done(await door.put("/images/sample", json={"location": {"dest_url": target.as_uri()}}))
    assert exported["os_version"] == "rhel8.6"
    assert target.read_bytes() == sample.read_bytes()
    refused = await door.put("/images/sample", json={"location": {"dest_url": "file:///etc/zvmcloud-test"}})
    assert refused.status_code == 500
    assert not Path("/etc/zvmcloud-test").exists()
    readable = await door.put("/images/sample", json={"location": {"dest_url": (tmp_path / "new").as_uri()}})
    assert "export_folders" in readable.json()["errmsg"], "a folder to read from is not one to write to"
    assert not (tmp_path / "new").exists()


async def test_an_export_replaces_no_file_and_follows_no_link(
    door: httpx.AsyncClient, node: Node, sample: Path, tmp_path: Path
) -> None:
    await add_image(door, sample)
    out, other = tmp_path / "out", tmp_path / "authorized_keys"
    out.mkdir()
    (out / "there").write_text("mine")
    other.write_text("mine")
    (out / "link").symlink_to(other)
    (out / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("there", "link", "dangling", "../out/there"):
        answer = await door.put("/images/sample", json={"location": {"dest_url": f"file://{out}/{name}"}})
        assert answer.status_code in {409, 500}
    assert (out / "there").read_text() == "mine"
    assert other.read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()
    again = await door.put("/images/sample", json={"location": {"dest_url": (out / "there").as_uri()}})
    assert (again.status_code, again.json()["overallRC"]) == (409, 409)
    own = node.settings.state / "files" / "exported" / "copy.img"
    done(await door.put("/images/sample", json={"location": {"dest_url": own.as_uri()}}))
    assert own.read_bytes() == sample.read_bytes()
    assert sorted(path.name for path in out.iterdir()) == ["dangling", "link", "there"]


async def test_statistics_of_guests_that_are_on(door: httpx.AsyncClient) -> None:
    await create(door)
    assert done(await door.get("/guests/stats?userid=linux01")) == {}
    done(await door.post("/guests/linux01/action", json={"action": "start"}))
    assert done(await door.get("/guests/stats?userid=linux01, linux01"))["LINUX01"]["used_cpu_time_us"] == 5


async def test_nics_made_at_the_same_time_get_different_numbers(door: httpx.AsyncClient) -> None:
    await create(door)
    answers = await asyncio.gather(*(door.post("/guests/linux01/nic", json={"nic": {}}) for _ in range(4)))
    assert sorted(done(answer) for answer in answers) == ["1000", "1003", "1006", "1009"]


async def test_two_deploys_to_one_guest_do_not_run_at_once(
    door: httpx.AsyncClient, zhcp: FakeZhcp, sample: Path
) -> None:
    await create(door)
    await add_image(door, sample)
    zhcp.write_seconds = 0.3
    body = {"action": "deploy", "image": "sample"}
    answers = await asyncio.gather(*(door.post("/guests/linux01/action", json=body) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert zhcp.kinds().count("disk.write_image") == 1


@pytest.mark.parametrize(
    "change",
    [
        ("DELETE", "/guests/linux01", None),
        ("POST", "/guests/linux01/action", {"action": "stop"}),
        ("POST", "/guests/linux01/action", {"action": "deregister_vm"}),
        ("POST", "/guests/linux01/nic", {"nic": {}}),
        ("POST", "/guests/linux01/disks", {"disk_info": {"disk_list": [{"size": "1g"}]}}),
    ],
    ids=str,
)
async def test_a_guest_that_a_job_is_changing_is_not_changed_by_another(
    door: httpx.AsyncClient, admin: httpx.AsyncClient, zhcp: FakeZhcp, change: tuple[str, str, object]
) -> None:
    await create(door)
    zhcp.delay = 2.0
    job = await ok(await admin.post("/guests/zvm1/linux01/start"), 202)
    before = list(zhcp.ran)
    method, path, body = change
    answer = await door.request(method, path, json=body)
    assert answer.status_code == 409
    assert job["id"] in answer.json()["errmsg"]
    assert "is being changed by job" in answer.json()["errmsg"]
    zhcp.delay = 0.0
    assert list(zhcp.ran)[: len(before)] == before
    assert "guest.delete" not in zhcp.kinds()
    assert done(await door.get("/guests")) == ["LINUX01"]


async def test_an_image_that_a_deploy_reads_is_not_deleted(
    door: httpx.AsyncClient, zhcp: FakeZhcp, sample: Path
) -> None:
    await create(door)
    await add_image(door, sample)
    zhcp.write_seconds = 0.5
    deploy = asyncio.create_task(door.post("/guests/linux01/action", json={"action": "deploy", "image": "sample"}))
    while "disk.write_image" not in zhcp.kinds():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    refused = await door.delete("/images/sample")
    assert refused.status_code == 409
    assert "job" in refused.json()["errmsg"]
    done(await deploy)
    done(await door.delete("/images/sample"))
