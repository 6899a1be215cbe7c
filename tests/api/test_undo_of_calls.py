"""A call of the connector that fails at any of its SMAPI or CP calls leaves z/VM, and the manager's tables, as before.

Each call is repeated with the first, second, ... of its calls refused, until one repetition needs fewer calls than
that. Where a refusal does not matter (a question that is asked in another way, something that is tried again), the call
succeeds, and its inverse must lead back.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.refusing import KINDS, Refusals
from api.test_enrollment import listening, served
from manager.over_simulator import Managed, managed
from manager.support import settings
from simulator.support import config_drive, write_image
from whole_system import differences, snapshot, unordered
from zvmcloud.api.connector.tokens import make_secret
from zvmcloud.api.program import doors
from zvmcloud.images.sample import write_sample_image
from zvmcloud.simulator import storage
from zvmcloud.simulator.presets import PRESETS

MOST_CALLS = 60
ONE = "/guests/linux01"
Wish = tuple[str, str, Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Case:
    """A call, in a state that leads to it; `inverse` leads back when it succeeded."""

    name: str
    call: Wish
    inverse: tuple[Wish, ...]
    before: tuple[Wish, ...] = ()
    running: bool = False
    exact: bool = True
    """Whether the inverse leads back to all that there was, files inside the guest and in its reader as well."""


def action(name: str, **fields: Any) -> Wish:
    return ("POST", f"{ONE}/action", {"action": name, **fields})


GUEST = {
    "userid": "linux02", "vcpus": 2, "memory": 1024, "max_cpu": 4, "max_mem": "4g",
    "disk_list": [{"size": "10", "is_boot_disk": True}, {"size": "5", "format": "ext4"},
                  {"size": "5", "format": "swap"}],
}  # fmt: skip
NET = {"os_version": "rhel8.6", "guest_networks": [
    {"ip_addr": "192.0.2.10", "cidr": "192.0.2.0/24", "nic_vdev": "1000"},
    {"ip_addr": "192.0.2.11", "cidr": "192.0.2.0/24", "nic_vdev": "1003"},
]}  # fmt: skip
NIC: Wish = ("POST", f"{ONE}/nic", {"nic": {"vdev": "1000"}})
ACTIVE_NIC: Wish = ("POST", f"{ONE}/nic", {"nic": {"vdev": "1000", "active": True}})
OSA_NET = {"os_version": "rhel8.6", "guest_networks": [{"osa_device": "1f00", "nic_vdev": "2000"}]}
GONE = {"os_version": "rhel8.6", "vdev": "2000"}
OSA: Wish = ("POST", f"{ONE}/interface", {"interface": OSA_NET})
NO_OSA: Wish = ("DELETE", f"{ONE}/interface", {"interface": GONE})
TEMPLATE: Wish = (
    "POST", "/volumes/fcptemplates", {"name": "t", "fcp_devices": "1a00;1b00", "host_default": True}
)  # fmt: skip
VOLUME = {"info": {"connection": {
    "assigner_id": "linux01", "zvm_fcp": ["1a00", "1b00"], "target_wwpn": ["0x500507630708d3b3"],
    "target_lun": "0x4000400100000000", "multipath": True, "os_version": "rhel8.6", "mount_point": "/dev/sdz",
}}}  # fmt: skip
RESERVE: Wish = ("GET", "/volumes/conn/linux01", {"info": {"reserve": True}})
ATTACH: Wish = ("POST", "/guests/volumes", VOLUME)
DETACH: Wish = ("DELETE", "/guests/volumes", VOLUME)
SWITCH: Wish = ("POST", "/vswitches", {"vswitch": {"name": "VSW7", "vid": 100}})
VLAN: Wish = ("PUT", "/vswitches/VSW7", {"vswitch": {"user_vlan_id": {"userid": "linux01", "vlanid": 7}}})
NO_SWITCH: Wish = ("DELETE", "/vswitches/VSW7", None)
GRANT: Wish = ("PUT", "/vswitches/VSW7", {"vswitch": {"grant_userid": "linux01"}})
REVOKE: Wish = ("PUT", "/vswitches/VSW7", {"vswitch": {"revoke_userid": "linux01"}})


def couple(yes: bool, active: bool) -> Wish:
    info: dict[str, Any] = {"couple": yes, "active": active}
    return ("PUT", f"{ONE}/nic/1000", {"info": {**info, "vswitch": "VSW7"} if yes else info})


def no_nic(vdev: str = "1000", active: bool = False) -> Wish:
    return ("DELETE", f"{ONE}/nic/{vdev}", {"active": active})


def interface(active: bool) -> Wish:
    return ("POST", f"{ONE}/interface", {"interface": {**NET, "active": active}})


def one_interface(active: bool) -> Wish:
    network = {"os_version": "rhel8.6", "guest_networks": NET["guest_networks"][:1], "active": active}
    return ("POST", f"{ONE}/interface", {"interface": network})


def no_interface(active: bool) -> Wish:
    return ("DELETE", f"{ONE}/interface", {"interface": {"os_version": "rhel8.6", "vdev": "1000", "active": active}})


ROOT = {"userid": "linux01", "vcpus": 2, "memory": 1024, "max_cpu": 4, "max_mem": "4g",
        "disk_list": [{"size": "10", "is_boot_disk": True}]}  # fmt: skip
CREATE: Wish = ("POST", "/guests", {"guest": ROOT})
IMPORT: Wish = ("POST", "/images", {"image": {
    "image_name": "sample", "url": "file://{folder}/sample.img", "image_meta": {"os_version": "rhel8.6"},
}})  # fmt: skip
DRIVE = "{folder}/cfgdrive.iso"

CASES = (
    Case("guest_create", ("POST", "/guests", {"guest": GUEST}), (("DELETE", "/guests/linux02", None),)),
    Case(
        "create_disks", ("POST", f"{ONE}/disks", {"disk_info": {"disk_list": [{"size": "5"}, {"size": "6"}]}}),
        (("DELETE", f"{ONE}/disks", {"vdev_info": {"vdev_list": ["0101", "0102"]}}),),
    ),
    Case(
        "create_disks of a running guest",
        ("POST", f"{ONE}/disks", {"disk_info": {"disk_list": [{"size": "5"}, {"size": "6"}]}}), (), running=True,
    ),
    Case("create_nic", NIC, (no_nic(),)),
    Case("create_nic active", ACTIVE_NIC, (no_nic(active=True),), running=True),
    Case("delete_nic", no_nic(), (NIC,), (NIC,)),
    Case("delete_nic active", no_nic(active=True), (ACTIVE_NIC,), (ACTIVE_NIC,), running=True, exact=False),
    Case("couple", couple(True, False), (couple(False, False),), (SWITCH, GRANT, NIC)),
    Case("couple active", couple(True, True), (couple(False, True),), (SWITCH, GRANT, ACTIVE_NIC), running=True),
    Case("uncouple active", couple(False, True), (couple(True, True),),
         (SWITCH, GRANT, ACTIVE_NIC, couple(True, True)), running=True),
    Case("create_interface", interface(False), (no_nic(), no_nic("1003")), exact=False),
    Case("create_interface active", interface(True), (no_nic(active=True), no_nic("1003", True)), running=True,
         exact=False),
    Case("vswitch_create", SWITCH, (NO_SWITCH,)),
    Case("vswitch_grant_user", GRANT, (REVOKE,), (SWITCH,)),
    Case("vswitch_revoke_user", REVOKE, (GRANT,), (SWITCH, GRANT)),
    Case("vswitch_set_vlan", VLAN, (REVOKE, GRANT), (SWITCH, GRANT)),
    Case("resize_cpus", action("resize_cpus", cpu_cnt=3), (action("resize_cpus", cpu_cnt=2),)),
    Case("live_resize_cpus", action("live_resize_cpus", cpu_cnt=3), (action("live_resize_cpus", cpu_cnt=2),),
         running=True, exact=False),
    Case("resize_mem", action("resize_mem", size="2g"), (action("resize_mem", size="1g"),)),
    Case("live_resize_mem", action("live_resize_mem", size="2g"), (), running=True),
    Case("create_interface osa", OSA, (NO_OSA,), exact=False),
    Case("create_interface osa active", ("POST", OSA[1], {"interface": {**OSA_NET, "active": True}}),
         (("DELETE", OSA[1], {"interface": {**GONE, "active": True}}),), running=True, exact=False),
    Case("delete_nic osa active", no_nic("2000", True), (("POST", OSA[1], {"interface": {**OSA_NET, "active": True}}),),
         (("POST", OSA[1], {"interface": {**OSA_NET, "active": True}}),), running=True, exact=False),
    Case("volume_attach", ATTACH, (DETACH,), (TEMPLATE, RESERVE), running=True, exact=False),
    Case("volume_detach", DETACH, (ATTACH,), (TEMPLATE, RESERVE, ATTACH), running=True, exact=False),
    Case("delete_interface", no_interface(False), (one_interface(False),), (one_interface(False),), exact=False),
    Case("delete_interface active", no_interface(True), (one_interface(True),), (one_interface(True),),
         running=True, exact=False),
    Case("guest_delete", ("DELETE", ONE, None), (CREATE,), exact=False),
    Case("guest_deploy", action("deploy", image="sample", transportfiles=DRIVE), (("DELETE", ONE, None), CREATE),
         (IMPORT,), exact=False),
    Case("guest_capture", action("capture", image="captured"), (("DELETE", "/images/captured", None),),
         running=True, exact=False),
    Case("deregister", action("deregister_vm"), (action("register_vm", meta="rhel8.6", net_set="0"),)),
)  # fmt: skip


@asynccontextmanager
async def opened(folder: Path, preset: str = "lpar", database: str = "") -> AsyncIterator[Managed]:
    """A manager over a simulated z/VM, whose connector is open to this machine, and an image and a drive for it."""
    door, port = listening()
    opened_from = {"mode": "open", "open_from": ["127.0.0.1"]}
    url = f"http://127.0.0.1:{port}"
    found = settings(folder / "state", database=database, base_url=url, connector=opened_from)
    make_secret(folder / "state" / "connector.token")
    write_sample_image(folder / "sample.img", cylinders=5, filler_bytes=0)
    (folder / "cfgdrive.iso").write_bytes(config_drive())
    async with managed(folder, found, PRESETS[preset]) as system, served(doors(system.node), door):
        yield system


@pytest.fixture
async def zvm(tmp_path: Path, request: pytest.FixtureRequest, database: str) -> AsyncIterator[Managed]:
    async with opened(tmp_path, getattr(request, "param", "lpar"), database) as system:
        yield system


@pytest.fixture
async def door(zvm: Managed) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(doors(zvm.node))
    folder = {"x-folder": str(zvm.node.settings.folder.parent)}
    async with httpx.AsyncClient(transport=transport, base_url="http://manager", headers=folder) as client:
        yield client


async def send(door: httpx.AsyncClient, wish: Wish) -> httpx.Response:
    """ "{folder}" in a body is where the image and the drive are."""
    method, path, body = wish
    text = json.dumps(body).replace("{folder}", door.headers.get("x-folder", ""))
    return await door.request(method, path, json=json.loads(text))


async def done(door: httpx.AsyncClient, *wishes: Wish) -> None:
    for wish in wishes:
        answer = await send(door, wish)
        assert answer.status_code == 200, (wish, answer.text)


async def prepared(zvm: Managed, door: httpx.AsyncClient, case: Case) -> None:
    await done(door, CREATE)
    if case.running:
        system = zvm.simulator.system
        write_image(storage.file_of(system, system.disks["LINUX01.0100"]))
        await done(door, action("start", timeout=60))
    await done(door, *case.before)


async def now(zvm: Managed, door: httpx.AsyncClient, wanted: Mapping[str, str] | None = None) -> dict[str, str]:
    """z/VM as soon as it is as wanted, or once nothing moves any more, and what the connector's tables say."""
    last = {key: text for key, text in (wanted or {}).items() if not key.startswith("/")}
    for _ in range(3000):
        found = {
            key: unordered(text) if key.startswith(("machines", "entries")) else text
            for key, text in snapshot(zvm.simulator.system, "LINUX").items()
        }
        if found == last and not any('"phase": "booting"' in text for text in found.values()):
            break
        last = found
        await asyncio.sleep(0.01)
    for path in ("/guests", "/guests/nics", "/volumes/fcp/1a00", "/volumes/fcp/1b00"):
        last[path] = (await door.get(path)).text
    return last


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_call_that_fails_anywhere_leaves_everything_as_before(
    zvm: Managed, door: httpx.AsyncClient, refusals: Refusals, case: Case
) -> None:
    await prepared(zvm, door, case)
    await door.get("/host")  # the agent's virtual machine is logged on from here on
    before = await now(zvm, door)
    for kind in KINDS:
        for number in range(MOST_CALLS):
            with refusals.of(zvm.simulator.faults, kind, number) as refused:
                answer = await send(door, case.call)
            if not refused.hit:
                break
            if answer.status_code == 200:
                before = await led_back(zvm, door, case, before)
            assert differences(before, await now(zvm, door, before)) == [], (kind, number, answer.text)
        else:
            raise AssertionError(f"more than {MOST_CALLS} calls")
        assert answer.status_code == 200, answer.text
        before = await led_back(zvm, door, case, before)


async def led_back(zvm: Managed, door: httpx.AsyncClient, case: Case, before: dict[str, str]) -> dict[str, str]:
    """The state from which the next repetition starts, after one that succeeded."""
    await done(door, *case.inverse)
    found = await now(zvm, door, before)
    assert not (case.inverse and case.exact) or differences(before, found) == [], "the inverse leads back"
    return found


@pytest.mark.parametrize("zvm", ["ssi4"], indirect=True)
async def test_a_move_that_fails_anywhere_leaves_the_guest_where_it_is(
    zvm: Managed, door: httpx.AsyncClient, refusals: Refusals
) -> None:
    """Each repetition has a guest of its own: one that moved is in nobody's reach here."""
    systems, stayed = zvm.simulator.cluster.systems, 0
    for kind in KINDS:
        for number in range(MOST_CALLS):
            userid = f"{kind[0]}{number:02d}"
            await done(door, ("POST", "/guests", {"guest": {**ROOT, "userid": userid}}))
            write_image(storage.file_of(systems["VM1"], systems["VM1"].disks[f"{userid}.0100"]))
            ask = f"/guests/{userid}/action"
            await done(door, ("POST", ask, {"action": "start", "timeout": 60}))
            move = {"action": "live_migrate_vm", "destination": "VM2", "operation": "move", "parms": {}}
            with refusals.of(zvm.simulator.faults, kind, number) as refused:
                answer = await send(door, ("POST", ask, move))
            where = [name for name, system in systems.items() if userid in system.machines]
            comments = (await zvm.node.core.owned("ZVM1", userid))["comments"]
            if answer.status_code == 200:
                assert (where, comments) == (["VM2"], {"migrated": 1})
            else:
                stayed += 1
                assert (where, comments) == (["VM1"], {}), answer.text
                running = systems["VM1"].machines[userid].system
                assert running is not None
                assert running.phase == "up"
            if not refused.hit:
                assert answer.status_code == 200, answer.text
                break
    assert stayed >= 2, "a call of each kind is needed for a move"
