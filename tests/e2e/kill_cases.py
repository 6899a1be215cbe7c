"""What the kill campaign asks for: the operations that may be killed, each in a state of z/VM.

Every operation of the native API and every call of the connector that changes z/VM has a case; :func:`wanted` is the
list of them, made from the registers, so a new one without a case fails a test.
"""

from __future__ import annotations

import base64
import io
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coreos_image
from e2e.kill_states import (
    ATTACH,
    BOOT,
    COREOS,
    INTERFACE,
    LUN,
    NEW,
    OSV,
    PORT,
    SECOND,
    THIRD,
    USERID,
    Ask,
    Body,
    Facts,
    action,
    connection,
    fetched,
    native,
    on,
)
from zvmcloud.api.connector.routes import RULES
from zvmcloud.api.connector.schemas import ACTIONS
from zvmcloud.manager.operations import OPERATIONS

ROOT = {"size": "10", "is_boot_disk": True}
_IGNITION = base64.b64encode(b'{"ignition": {"version": "3.2.0"}}').decode()


@dataclass(frozen=True, slots=True)
class Case:
    """An operation, asked for in a state. ``of``: its name in the register; ``same``: it leaves z/VM as it was."""

    of: str
    state: str
    ask: Ask
    variant: str = ""
    same: bool = False

    @property
    def together(self) -> bool:
        """Whether it does several guests at the same time."""
        return self.of.startswith("bulk.")

    @property
    def name(self) -> str:
        return f"{self.of} ({self.variant or self.state})"


def _case(name: str, state: str, body: Body | Callable[[Facts], Body] | None = None, **more: Any) -> Case:
    variant, same = str(more.pop("variant", "")), bool(more.pop("same", False))
    return Case(name, state, native(name, body, **more), variant, same)


def _call(ask: Ask, state: str, template: str, *, same: bool = False, variant: str = "") -> Case:
    return Case(f"{ask.method} {template}", state, ask, variant, same)


def _act(ask: Ask, state: str, *, same: bool = False) -> Case:
    assert isinstance(ask.body, Mapping)
    return Case(f"action {ask.body['action']}", state, ask, "", same)


def _netboot(facts: Facts) -> Body:
    file = {"url": facts["url"], "sha256": facts["sha256"]}
    return {"kernel": file, "initrd": file, "parm": "quiet"}


def _drive() -> str:
    """A config drive: a tgz with what cloud-init looks for first."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        entry = tarfile.TarInfo("openstack/latest/meta_data.json")
        entry.size = 2
        archive.addfile(entry, io.BytesIO(b"{}"))
    return base64.b64encode(file.getvalue()).decode()


_DRIVE = _drive()
_DISKS = f"/guests/{USERID}/disks"
_NIC = f"/guests/{USERID}/nic"
_SWITCH = "/vswitches/{name}"

NATIVE = (
    _case("guest.create", "base", on(NEW, disks=[BOOT, {"size": "5", "format": "ext4"}])),
    _case(
        "guest.provision", "base",
        {
            "userid": NEW, "image": "sample", "hostname": "new",
            "interfaces": [{"network": "VSW1", "address": "192.0.2.9/24"}],
        },
    ),
    _case("vswitch.create", "base", {"name": "VSW2", "connection": "DISCONNECT"}),
    _case("vswitch.change", "base", {"isolation": "ON"}, item="VSW1"),
    _case("vswitch.delete", "base", item="VSW1"),
    _case("vswitch.delete", "off", item="VSW1"),
    _case("vswitch.grant", "off", {"userid": SECOND}, item="VSW1"),
    _case("vswitch.grant", "off", {"userid": SECOND, "vlan": 101}, item="VLANSW", variant="VLAN"),
    _case("vswitch.grant", "granted", {"userid": SECOND, "vlan": 102}, item="VLANSW", variant="another VLAN"),
    _case("vswitch.grant", "granted", {"userid": SECOND}, item="VLANSW", variant="no VLAN any more"),
    _case("vswitch.revoke", "off", {"userid": USERID}, item="VSW1"),
    _case("vswitch.revoke", "on", {"userid": USERID}, item="VSW1"),
    _case("vswitch.revoke", "granted", {"userid": SECOND}, item="VLANSW"),
    _case("lan.create", "base", {"name": "LAN2"}),
    _case("lan.delete", "base", {}, item="LAN1"),
    _case("guest.clone", "off", {"to": NEW, "networks": [{"network": "VSW1"}]}),
    _case("guest.deploy", "off", {"image": "sample", "hostname": "second"}, of=SECOND),
    _case(
        "guest.deploy", "coreos", {"image": "rhcos", "hostname": "w1", "ignition": _IGNITION, "vdev": "1a00"},
        variant="CoreOS",
    ),
    _case("guest.capture", "off", {"image": "captured", "os_version": OSV}),
    _case("guest.capture", "on", {"image": "captured"}),
    _case("guest.delete", "off"),
    _case("guest.delete", "on"),
    _case("guest.start", "off"),
    _case("guest.stop", "on"),
    _case("guest.shutdown", "on", {"timeout": 30}),
    _case("guest.reboot", "on", same=True),
    _case("guest.reset", "on", same=True),
    _case("guest.pause", "on"),
    _case("guest.unpause", "paused"),
    _case("guest.resize_cpus", "off", {"vcpus": 3}),
    _case("guest.resize_cpus", "on", {"vcpus": 3, "live": True}, variant="live"),
    _case("guest.resize_memory", "off", {"memory_mb": 2048}),
    _case("guest.resize_memory", "on", {"memory_mb": 2048, "live": True}, variant="live"),
    _case("guest.reconfigure", "off", {"share": "RELATIVE 300", "comments": ["WEB"], "account": "SHOP"}),
    _case("guest.reconfigure", "on", {"share": "RELATIVE 300", "live": True}, variant="live"),
    _case("guest.config_drive", "off", {"drive": _DRIVE}, of=SECOND),
    _case("guest.netboot", "off", _netboot),
    _case("disk.attach", "off", {"size": "5", "format": "ext4"}, variant="formatted"),
    _case("disk.attach", "on", {"size": "5", "format": "none"}, variant="live"),
    _case("disk.configure", "off", {"mounts": [{"vdev": "0101", "format": "ext4"}]}),
    _case("disk.detach", "off", item="0101"),
    _case("nic.attach", "off", {"network": "VSW1"}),
    _case("nic.attach", "on", {"network": "VSW1"}, variant="live"),
    _case("nic.detach", "off", item="1000"),
    _case("nic.detach", "on", item="1000", variant="live"),
    _case("nic.uncouple", "off", item="1000"),
    _case("nic.uncouple", "on", item="1000", variant="live"),
    _case("nic.couple", "off", {"vswitch": "VSW1"}, item="1003"),
    _case("volume.attach", "made on", {"volume": "data", "mount_point": "/dev/data"}),
    _case("volume.attach", "made", {"volume": "data", "boot": True}, variant="boot"),
    _case("volume.detach", "lun", {"volume": "data"}),
    _case("volume.detach", "booting from it", {"volume": "data"}, variant="boot"),
    _case("volume.detach", "lun, off", {"volume": "data"}),
    _case("guest.delete", "lun", variant="with a volume"),
    _case("guest.delete", "booting from it", variant="with its boot volume"),
    _case("volume.attach", "lun", {"volume": "more"}, variant="beside another"),
    _case("volume.attach", "made", {"volume": "data", "mount_point": "/dev/data"}, variant="off"),
    _case("volume.detach", "two luns", {"volume": "data"}),
    _case("volume.create", "off", {"name": "data", "pool": "p1", "size_gb": 1}),
    _case("volume.create", "made on", {"name": "copy", "pool": "p1", "size_gb": 1, "source": "data"}, variant="source"),
    _case("volume.delete", "written", item="data"),
    _case("volume.extend", "made", {"size_gb": 2}, item="data"),
    _case("volume.copy", "written", {"source": "data"}, item="other"),
    _case("volume.write", "made", fetched, item="data"),
    _case("volume.send", "written", lambda facts: {"url": facts["url"]}, item="data", same=True),
    _case("volume.rename", "made", {"name": "logs"}, item="data"),
    _case("volume.release", "made", item="data"),
    _case("volume.adopt", "off", {"name": "data", "pool": "p1", "lun": f"{LUN}-{PORT}"}),
    _case("reader.purge", "off", {}),
    _case("reader.order", "off", lambda facts: {"spoolids": facts["spool"][::-1]}),
    _case("reader.transfer", "off", lambda facts: {"spoolids": facts["spool"][:1], "to": SECOND}),
    _case(
        "reader.transfer", "off", lambda facts: {"spoolids": facts["spool"][:2], "to": SECOND}, variant="two files",
    ),
    _case("guest.adopt", "foreign", {}, of=THIRD),
    _case("guest.forget", "off", of=THIRD),
    _case("guest.repair", "revoked"),
    _case("guest.restore", "off", {"version": 1}, of=THIRD),
    _case("guest.relocate", "moving", {"destination": "ZVM3"}, variant="to a member without an agent"),
    _case("guest.relocate", "volumes at both", {"destination": "ZVM2"}),
    _case("guest.move", "volumes at both, off", {"destination": "ZVM2"}),
    _case(
        "guest.move", "volumes at both, off", {"destination": "ZVM1"}, of=SECOND, system="ZVM2",
        variant="volumes at both, back",
    ),
    _case("system.evacuate", "moving", {"destinations": ["ZVM3"]}),
    _case("system.evacuate", "volumes at both", {}),
)  # fmt: skip
TREES = (
    _case("bulk.deploy", "base", {"names": "new[01-02]", "image": "sample"}),
    _case("bulk.power", "off", {"verb": "start", "names": "linux01,guest02"}),
    _case("bulk.delete", "off", {"names": "linux01,guest02"}),
)
"""Jobs that run others: all that they ask for is done, or nothing of it."""
CONNECTOR = (
    _call(
        Ask("POST", "/guests", {"guest": {"userid": NEW, "vcpus": 1, "memory": 512, "disk_list": [ROOT]}}),
        "base", "/guests",
    ),
    _call(Ask("DELETE", f"/guests/{USERID}"), "off", "/guests/{userid}"),
    _call(Ask("POST", _NIC, {"nic": {"vdev": "2000"}}), "off", "/guests/{userid}/nic"),
    _call(Ask("POST", _NIC, {"nic": {"vdev": "2000", "active": True}}), "on", "/guests/{userid}/nic"),
    _call(Ask("DELETE", f"{_NIC}/1000", {}), "off", "/guests/{userid}/nic/{vdev}"),
    _call(
        Ask("PUT", f"{_NIC}/1000", {"info": {"couple": False}}), "off", "/guests/{userid}/nic/{vdev}",
        variant="uncouple",
    ),
    _call(
        Ask("PUT", f"{_NIC}/1003", {"info": {"couple": True, "vswitch": "VSW1"}}), "off", "/guests/{userid}/nic/{vdev}",
    ),
    _call(
        Ask("POST", f"/guests/{SECOND}/interface", INTERFACE),
        "off", "/guests/{userid}/interface",
    ),
    _call(
        Ask("DELETE", f"/guests/{USERID}/interface", {"interface": {"os_version": OSV, "vdev": "1003"}}),
        "off", "/guests/{userid}/interface",
    ),
    _call(
        Ask("POST", _DISKS, {"disk_info": {"disk_list": [{"size": "5", "format": "ext4"}]}}),
        "off", "/guests/{userid}/disks",
    ),
    _call(
        Ask("PUT", _DISKS, {"disk_info": {"disk_list": [{"vdev": "0101", "format": "ext4", "mntdir": "/data"}]}}),
        "off", "/guests/{userid}/disks",
    ),
    _call(Ask("DELETE", _DISKS, {"vdev_info": {"vdev_list": ["0101"]}}), "off", "/guests/{userid}/disks"),
    _call(ATTACH, "reserved", "/guests/volumes"),
    _call(Ask("DELETE", "/guests/volumes", connection), "volume", "/guests/volumes"),
    _call(
        Ask("PUT", "/volumes/volume_refresh_bootmap", {"info": {"fcpchannel": ["1a00"], "wwpn": [PORT], "lun": LUN}}),
        "base", "/volumes/volume_refresh_bootmap", same=True,
    ),
    _call(Ask("POST", "/vswitches", {"vswitch": {"name": "VSW2"}}), "base", "/vswitches"),
    _call(Ask("DELETE", "/vswitches/VSW1"), "base", _SWITCH),
    _call(Ask("PUT", "/vswitches/VSW1", {"vswitch": {"grant_userid": SECOND}}), "off", _SWITCH),
    _call(Ask("PUT", "/vswitches/VSW1", {"vswitch": {"revoke_userid": USERID}}), "off", _SWITCH, variant="revoke"),
    _call(
        Ask("PUT", "/vswitches/VLANSW", {"vswitch": {"user_vlan_id": {"userid": SECOND, "vlanid": 101}}}),
        "off", _SWITCH, variant="VLAN",
    ),
    _act(action("start"), "off"),
    _act(action("stop"), "on"),
    _act(action("softstop", timeout=30, poll_interval=1), "on"),
    _act(action("pause"), "on"),
    _act(action("unpause"), "paused"),
    _act(action("reboot"), "on", same=True),
    _act(action("reset"), "on", same=True),
    _act(action("deploy", SECOND, image="sample", hostname="second"), "off"),
    _act(action("capture", image="captured"), "on"),
    _act(action("resize_cpus", cpu_cnt=3), "off"),
    _act(action("live_resize_cpus", cpu_cnt=3), "on"),
    _act(action("resize_mem", size="2g"), "off"),
    _act(action("live_resize_mem", size="2g"), "on"),
    _act(action("deregister_vm", THIRD), "off"),
    _act(action("register_vm", THIRD, meta=f"os_version={OSV}", net_set="0"), "foreign"),
    _act(action("live_migrate_vm", dest_zcc_userid="ZHCP", destination="ZVM3", parms={}, operation="move"), "moving"),
)  # fmt: skip
CASES = (*NATIVE, *TREES, *CONNECTOR)


def images(sample: Path, folder: Path) -> tuple[Body, ...]:
    """The images that the cases need, as the connector is asked to import them. ``folder``: where one is made."""
    coreos = coreos_image.build(folder / "rhcos.raw")
    return (
        {"image_name": "sample", "url": sample.as_uri(), "image_meta": {"os_version": OSV}},
        {"image_name": "rhcos", "url": coreos.as_uri(), "image_meta": {"os_version": COREOS, "disk_type": "SCSI"}},
    )


CHANGES_NO_ZVM = {
    "POST /volumes/fcptemplates", "PUT /volumes/fcptemplates/{template}", "DELETE /volumes/fcptemplates/{template}",
    "PUT /volumes/fcp/{fcp_id}", "POST /images", "PUT /images/{name}", "DELETE /images/{name}", "PUT /files",
    "POST /files", "POST /guests/{userid}/action", "action get_console_output", "action grow_root_volume",
}  # fmt: skip
"""What only the manager's own records and files know of, or what asks; the actions of the connector have cases of their
own."""


def wanted() -> set[str]:
    """The names of everything that must have a case."""
    calls = {f"{rule.method} {rule.path}" for rule in RULES if rule.method != "GET"}
    return {*OPERATIONS, *calls, *(f"action {name}" for name in ACTIONS)} - CHANGES_NO_ZVM
