"""Deploys that copy nothing, and CoreOS, which reads nothing from its reader."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

import coreos_image
from api.test_connector_road import add_image, create, done
from api.test_enrollment import listening, served
from manager.fake_zhcp import FakeZhcp
from manager.over_simulator import Managed, managed
from manager.support import image_file, settings
from zvmcloud.api.connector.tokens import make_secret
from zvmcloud.api.program import doors
from zvmcloud.images import coreos
from zvmcloud.images.diskfile import FbaDisk
from zvmcloud.manager.node import Node
from zvmcloud.simulator import luns
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.model import GuestSystem
from zvmcloud.zhcp import coreos_disk


async def test_without_a_copy_the_system_on_the_disk_is_named_and_the_disk_stays_as_it_is(
    door: httpx.AsyncClient, node: Node, zhcp: FakeZhcp, sample: Path
) -> None:
    await create(door)
    ask = {"action": "deploy", "image": "sles15.5", "skipdiskcopy": True, "hostname": "web01"}
    answer = await door.post("/guests/linux01/action", json=ask)
    assert done(answer) == ""
    assert (zhcp.fetched, [file["name"] for file in zhcp.guests["LINUX01"]["reader"]]) == ([], ["HOSTNAME"])
    (row,) = await node.guests.rows()
    assert (row["os_version"], row["image_sha256"]) == ("sles15.5", None)
    await add_image(door, sample)
    done(await door.post("/guests/linux01/action", json={**ask, "image": "sample"}))
    (row,) = await node.guests.rows()
    assert (zhcp.fetched, row["os_version"]) == ([], "rhel8.6"), "an image's name means its system"
    for neither in ("nothing", "rhel8-web"):
        answer = await door.post("/guests/linux01/action", json={**ask, "image": neither})
        assert answer.json()["rs"] == 20, "neither a system nor an image"


PORT, OTHER_PORT, LUN = "500507630708D3B3", "50050763071BC5E3", "4000400100000000"
CONFIG = {
    "ignition": {"version": "3.2.0"},
    "storage": {"files": [{"path": "/etc/motd", "contents": {"source": "data:,very%20secret"}}]},
}
NETWORKS = [{"ip_addr": "192.0.2.5", "cidr": "192.0.2.0/24", "gateway_addr": "192.0.2.1", "dns_addr": ["192.0.2.2"],
             "nic_vdev": "1000", "mtu": 8992}]  # fmt: skip


@dataclass
class World:
    """A manager at a port, over an agent with two FCP devices, over a simulated z/VM."""

    zvm: Managed
    door: httpx.AsyncClient
    folder: Path

    async def action(self, name: str, **fields: object) -> httpx.Response:
        return await self.door.post("/guests/linux01/action", json={"action": name, **fields})

    async def deploy(self, **fields: object) -> httpx.Response:
        given = {"image": "rhcos", "transportfiles": str(self.folder / "worker.ign"), "vdev": "1a00", "hostname": "w1"}
        return await self.action("deploy", **{**given, **fields})

    async def started(self) -> GuestSystem:
        """The system of LINUX01, once it is up, or has given up."""
        done(await self.action("start"))
        for _ in range(3000):
            running = self.zvm.simulator.system.machines["LINUX01"].system
            if running is not None and running.phase != "booting":
                return running
            await asyncio.sleep(0.01)
        raise AssertionError("the guest does not boot")

    def lun(self) -> bytes:
        """What is on the LUN, as far as the image goes."""
        system = self.zvm.simulator.system
        with luns.file(system, system.luns[f"{PORT} {LUN}"]).open("rb") as file:
            return file.read(coreos_image.BLOCKS * 512)


def running_files(world: World) -> tuple[tuple[str, str], ...]:
    """What the system of LINUX01 has changed on its disk."""
    system = world.zvm.simulator.system
    running = system.machines["LINUX01"].system
    assert running is not None
    return tuple((item[0], item[1]) for item in system.memories[running.root].files)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    door, port = listening()
    connector = {"mode": "open", "open_from": ["127.0.0.1"]}
    found = settings(tmp_path / "state", base_url=f"http://127.0.0.1:{port}", connector=connector)
    make_secret(tmp_path / "state" / "connector.token")
    (tmp_path / "worker.ign").write_text(json.dumps(CONFIG))
    coreos_image.build(tmp_path / "rhcos.raw")
    async with (
        managed(tmp_path, found, storage={"fcps": ["1A02", "1B02"]}) as zvm,
        served(doors(zvm.node), door),
        httpx.AsyncClient(base_url=found.base_url, timeout=60) as client,
    ):
        made = World(zvm, client, tmp_path)
        done(await client.get("/host"))  # the agent's virtual machine is logged on from here on
        with zvm.simulator.system.transaction():
            for device in ("1A02", "1B02"):
                assert execute(zvm.simulator.system, "ZHCP", f"ATTACH {device} TO ZHCP AS {device}").rc == 0
        meta = {"os_version": "RHCOS4.16", "disk_type": "SCSI"}
        image = {"image_name": "rhcos", "url": (tmp_path / "rhcos.raw").as_uri(), "image_meta": meta}
        done(await client.post("/images", json={"image": image}))
        yield made


async def defined(world: World, **more: object) -> None:
    """A guest that boots from the LUN, with an adapter that has an address."""
    loaddev = {"portname": PORT, "lun": LUN, "alterdev": f"1B00 PORT {OTHER_PORT}"}
    guest = {"userid": "linux01", "vcpus": 1, "memory": 1024, "ipl_from": "1A00", "loaddev": loaddev,
             "dedicate_vdevs": ["1A00", "1B00"]}  # fmt: skip
    done(await world.door.post("/guests", json={"guest": {**guest, **more}}))
    interface = {"os_version": "rhcos4.16", "guest_networks": NETWORKS}
    done(await world.door.post("/guests/linux01/interface", json={"interface": interface}))


async def test_a_coreos_guest_starts_with_its_name_its_address_and_its_file(world: World) -> None:
    (image,) = done(await world.door.get("/images", params={"imagename": "rhcos"}))
    assert (image["imageosdistro"], image["disk_size_units"]) == ("rhcos4.16", f"{coreos_image.BLOCKS}:BLK")
    await defined(world)
    switch = {"name": "VSW7"}
    done(await world.door.post("/vswitches", json={"vswitch": switch}))
    done(await world.door.put("/vswitches/VSW7", json={"vswitch": {"grant_userid": "linux01"}}))
    done(await world.door.put("/guests/linux01/nic/1000", json={"info": {"couple": True, "vswitch": "VSW7"}}))
    answer = await world.deploy()
    assert done(answer) == ""
    job = await world.zvm.node.journal.get(answer.headers["zvm-job"])
    assert [step.step.kind for step in job.steps] == [
        "disk.write_image", "manager.guest_deployed", "volume.ignition",
    ]  # fmt: skip
    result = job.steps[2].result or {}
    assert result["command_line"] == (
        f"{coreos_image.OPTIONS} rd.zfcp=0.0.1a00,0x{PORT.lower()},0x{LUN} "
        f"rd.zfcp=0.0.1b00,0x{OTHER_PORT.lower()},0x{LUN} "
        "zfcp.allow_lun_scan=0 ignition.firstboot rd.znet=qeth,0.0.1000,0.0.1001,0.0.1002,layer2=1,portno=0 "
        "rd.neednet=1 ip=192.0.2.5::192.0.2.1:24:w1:enc1000:none:8992 nameserver=192.0.2.2"
    )
    running = await world.started()
    assert (running.phase, running.hostname, [item.ip for item in running.addresses]) == ("up", "w1", ["192.0.2.5"])
    assert {item[0]: item[1] for item in running_files(world)}["/etc/motd"] == "very secret"
    (row,) = await world.zvm.node.guests.rows()
    assert row["os_version"] == "rhcos4.16"
    assert b"very%20secret" not in (world.folder / "state" / "manager.sqlite").read_bytes()
    (adapter,) = done(await world.door.get("/guests/linux01/adapters"))["adapters"]
    assert adapter["mac_ip_address"] == "192.0.2.5", "what clients wait for"


async def test_a_coreos_guest_starts_from_an_eckd_minidisk(world: World) -> None:
    coreos_image.build(world.folder / "dasd.raw", eckd=True)
    image = {"image_name": "dasd", "url": (world.folder / "dasd.raw").as_uri()}
    image["image_meta"] = {"os_version": "rhcos4.16"}  # type: ignore[assignment]
    done(await world.door.post("/images", json={"image": image}))
    (found,) = done(await world.door.get("/images", params={"imagename": "dasd"}))
    size = done(await world.door.get("/images/dasd/root_disk_size"))
    assert (found["disk_size_units"], size) == (f"{size}:CYL", "18")
    disks = [{"size": str(int(size) - 1), "is_boot_disk": True}]
    guest = {"userid": "linux01", "vcpus": 1, "memory": 1024, "disk_list": disks}
    done(await world.door.post("/guests", json={"guest": guest}))
    interface = {"os_version": "rhcos4.16", "guest_networks": NETWORKS}
    done(await world.door.post("/guests/linux01/interface", json={"interface": interface}))
    small = (await world.deploy(image="dasd", vdev="0100")).json()
    assert (small["rs"], "needs 18 CYL" in small["errmsg"]) == (3, True)
    done(await world.door.delete("/guests/linux01"))
    disks[0]["size"] = size
    done(await world.door.post("/guests", json={"guest": guest}))
    done(await world.door.post("/guests/linux01/interface", json={"interface": interface}))
    answer = await world.action("deploy", image="dasd", transportfiles=str(world.folder / "worker.ign"), hostname="w1")
    assert done(answer) == ""
    job = await world.zvm.node.journal.get(answer.headers["zvm-job"])
    assert (job.steps[2].result or {})["command_line"] == (
        f"{coreos_image.OPTIONS} rd.dasd=0.0.0100 ignition.firstboot "
        "rd.znet=qeth,0.0.1000,0.0.1001,0.0.1002,layer2=1,portno=0 "
        "rd.neednet=1 ip=192.0.2.5::192.0.2.1:24:w1:enc1000:none:8992 nameserver=192.0.2.2"
    )
    running = await world.started()
    assert (running.phase, running.hostname, running.kernel) == ("up", "w1", "5.14.0-427.el9.s390x")
    assert {item[0]: item[1] for item in running_files(world)}["/etc/motd"] == "very secret"
    done(await world.action("stop"))
    assert (await world.started()).cmdline == f"{coreos_image.OPTIONS} rd.dasd=0.0.0100", "Ignition runs once"


async def test_without_a_copy_the_volume_keeps_its_system_and_gets_a_file(world: World) -> None:
    await defined(world)
    refused = await world.deploy(image="rhcos4.16", skipdiskcopy=True)
    assert refused.json()["rs"] == 12, "nothing is on the volume"
    assert "no GUID partition table" in refused.json()["errmsg"]
    done(await world.deploy())
    before = world.lun()
    done(await world.deploy(image="rhcos4.16", skipdiskcopy=True, hostname="w2"))
    assert world.lun() != before
    assert b"192.0.2.1:24:w2:enc1000" in world.lun()


async def test_the_native_deploy_takes_the_file_itself_and_for_coreos_only(world: World) -> None:
    await defined(world)
    world.door.headers["authorization"] = f"Bearer {world.zvm.node.new_admin_token}"
    deploy, config = "/v1/guests/ZVM1/LINUX01/deploy", base64.b64encode(json.dumps(CONFIG).encode()).decode()
    answer = await world.door.post(deploy, json={"image": "rhcos", "ignition": config})
    assert answer.status_code == 202, answer.text
    async for record in world.zvm.node.journal.watch(answer.json()["id"]):
        assert record.state in ("queued", "running", "done"), record.error
    assert b"very%20secret" in world.lun(), "the FCP device is that of the entry's IPL statement"
    await world.zvm.node.images.import_url("linux", image_file(world.folder).as_uri(), "rhel8.6")
    refused = await world.door.post(deploy, json={"image": "linux", "ignition": config})
    assert (refused.status_code, "for CoreOS only" in refused.text) == (400, True)
    refused = await world.door.post(deploy, json={"image": "rhcos", "ignition": "not base64"})
    assert (refused.status_code, "not base64" in refused.text) == (400, False)


async def test_the_boot_map_of_a_volume_is_refreshed_with_a_file_and_networks(world: World) -> None:
    """What a boot from a volume begins with: the guest is not there yet."""
    system = world.zvm.simulator.system
    ports = [PORT.lower(), OTHER_PORT.lower()]
    info = {"fcpchannel": ["1a01", "1b01"], "wwpn": ports, "lun": LUN, "wwid": "", "guest_networks": NETWORKS}

    async def refresh(**more: object) -> httpx.Response:
        return await world.door.put("/volumes/volume_refresh_bootmap", json={"info": {**info, **more}})

    found = (await refresh()).json()
    assert (found["modID"], found["rs"]) == (30, 10)
    ignition = str(world.folder / "worker.ign")
    found = (await refresh(transportfiles=ignition)).json()
    assert (found["modID"], found["rs"], "no GUID partition table" in found["errmsg"]) == (30, 5, True)
    with FbaDisk(luns.file(system, system.luns[f"{PORT} {LUN}"]), writable=True) as disk:
        disk.write(0, (world.folder / "rhcos.raw").read_bytes())
    assert done(await refresh(transportfiles=ignition)) == {"1a01": ports, "1b01": ports}
    with FbaDisk(luns.file(system, system.luns[f"{PORT} {LUN}"])) as disk:
        line = coreos.program(disk).text
    assert line.count("rd.zfcp=") == 4, "each device and each port"
    assert "ip=192.0.2.5::192.0.2.1:24::enc1000:none:8992 nameserver=192.0.2.2" in line
    bad = [{**NETWORKS[0], "ip_addr": ""}]
    found = (await refresh(transportfiles=ignition, guest_networks=bad)).json()
    assert (found["modID"], found["rs"]) == (30, 5)
    assert (await refresh(transportfiles=ignition, wwpn=[])).status_code == 400


async def test_a_deploy_that_fails_leaves_an_empty_volume_and_no_record(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await defined(world)
    (world.folder / "bad.ign").write_text("variant: fcos")
    refused = await world.deploy(transportfiles=str(world.folder / "bad.ign"))
    assert refused.json()["overallRC"] != 0
    assert not any(world.lun())
    (row,) = await world.zvm.node.guests.rows()
    assert (row["os_version"], row["image_sha256"]) == ("", None)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(coreos_disk, "overwrite", full)
    assert (await world.deploy()).json()["overallRC"] != 0
    assert not any(world.lun())


@pytest.mark.parametrize(
    ("fields", "rs", "why"),
    [
        ({"transportfiles": ""}, 13, "ignition file is required"),
        ({"transportfiles": "/nowhere"}, 4, "nowhere"),
        ({"transportfiles": "http://192.0.2.77/worker.ign"}, 4, "192.0.2.77"),
    ],
)
async def test_what_a_deploy_needs_is_said_before_the_volume_is_touched(
    world: World, fields: dict[str, object], rs: int, why: str
) -> None:
    await defined(world)
    found = (await world.deploy(**fields)).json()
    assert (found["overallRC"], found["modID"], found["rs"]) == (300, 10, rs)
    assert why in found["errmsg"]
    assert not any(world.lun())


async def test_a_guest_that_cannot_boot_coreos_is_refused_with_what_is_missing(world: World) -> None:
    guest = {"userid": "linux01", "vcpus": 1, "memory": 1024, "disk_list": [{"size": "10", "is_boot_disk": True}]}
    done(await world.door.post("/guests", json={"guest": guest}))
    found = (await world.deploy(vdev="0100")).json()
    assert (found["rs"], "ECKD minidisk" in found["errmsg"], "dasd" in found["errmsg"]) == (3, True, True)
    found = (await world.deploy(vdev="0200")).json()
    found = (await world.deploy()).json()
    assert (found["rs"], "LOADDEV" in found["errmsg"]) == (14, True)
    done(await world.door.delete("/guests/linux01"))
    await defined(world)
    interface = {"interface": {"os_version": "rhcos4.16", "vdev": "1000"}}
    done(await world.door.request("DELETE", "/guests/linux01/interface", json=interface))
    found = (await world.deploy()).json()
    assert (found["rs"], "no adapter of LINUX01 has one" in found["errmsg"]) == (12, True)


async def test_an_image_that_is_no_coreos_or_for_other_disks_is_not_imported(world: World) -> None:
    (world.folder / "other.raw").write_bytes(bytes(8192))

    async def imported(name: str, file: str, **meta: str) -> tuple[int, int, str]:
        image = {
            "image_name": name,
            "url": (world.folder / file).as_uri(),
            "image_meta": {"os_version": "rhcos4.16", **meta},
        }
        answer = await world.door.post("/images", json={"image": image})
        found = answer.json()
        return found["overallRC"], found["rs"], found["errmsg"]

    for meta in ({}, {"disk_type": "DASD"}):
        code, rs, why = await imported("eckd", "rhcos.raw", **meta)
        assert (code, rs, "no CoreOS for ECKD disks" in why, "disk_type" in why) == (300, 14, True, True)
    coreos_image.build(world.folder / "dasd.raw", eckd=True, label="root")
    code, rs, why = await imported("eckd", "dasd.raw")
    assert (code, rs, "no partition has a file system with the label boot" in why) == (300, 14, True)
    code, rs, why = await imported("eckd", "dasd.raw", disk_type="scsi")
    assert (code, rs, "no CoreOS for SCSI disks" in why) == (300, 14, True)
    code, rs, why = await imported("other", "other.raw", disk_type="scsi")
    assert (code, rs, "no GUID partition table" in why) == (300, 14, True)
    code, rs, _ = await imported("rhcos", "rhcos.raw", disk_type="scsi")
    assert (code, rs) == (300, 13), "the name is taken"
