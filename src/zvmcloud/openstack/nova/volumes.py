"""Volumes of servers: LUNs that a guest reaches through FCP devices of its own.

Cinder's driver names the volume; the manager chooses the FCP devices, dedicates them, and has the guest bring the LUN
online, at once when it runs, else at its next start. In the guest a volume is found by the name that nova gave it
(/dev/vdb, a link that the guest makes) besides Linux's own.

An initiator is the guest, not the host of nova-compute, so a connector names the instance.
"""

from __future__ import annotations

import itertools
import re
import string
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import nova.conf
from nova import block_device, exception
from nova.compute import vm_states
from nova.context import RequestContext
from nova.objects.block_device import BlockDeviceMapping, BlockDeviceMappingList
from nova.objects.instance import Instance
from nova.virt import driver
from nova.volume import cinder
from oslo_log import log as logging

from zvmcloud.client import ClientError, ProblemError
from zvmcloud.client.http import Document
from zvmcloud.openstack.nova.servers import Guest, Servers

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

BlockDevices = Mapping[str, Any]
ConnectionInfo = dict[str, Any]
_LINK = re.compile(r"/dev/vd[a-z]{1,2}")
_BOOT_DEVICE = "/dev/sda"
_GIB = 2**30


class Volumes:
    """Attaches and detaches. May be used by several threads."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    def connector(self, instance: Instance) -> dict[str, Any]:
        """Who the instance is for cinder: the same each time on this system. It has no WWPNs: drivers that map LUNs to
        those of a host refuse it."""
        system = self._servers.system
        return {
            "host": f"{system}-{instance.uuid}", "ip": str(CONF.my_block_storage_ip), "initiator": None,
            "platform": "s390x", "os_type": "linux", "multipath": True,
            "zvm_system": system, "zvm_instance": str(instance.uuid),
        }  # fmt: skip

    # attach and detach

    def attach(
        self, guest: Guest, connection_info: ConnectionInfo, mount_point: str = "", *, boot: bool = False
    ) -> None:
        """Have a guest see a volume; one that it has already is fine. What it is reached through is noted in the
        connection. Raises InvalidVolume for one that is not of our Cinder driver, ClientError."""
        data = connection_info["data"]
        wish = {
            "volume": volume_of(connection_info), "template": str(data.get("zvm_template") or ""),
            "mount_point": mount_point if _LINK.fullmatch(mount_point) else "", "boot": boot,
        }  # fmt: skip
        try:
            self._servers.do(guest, "volumes", wish)
        except ProblemError as error:
            if error.code != "volume-attached" or self._held(guest, str(wish["volume"])) is None:
                raise
        held = self._held(guest, str(wish["volume"]))
        if held is not None:
            data["zvm_devices"] = held["devices"]

    def _held(self, guest: Guest, volume: str) -> Document | None:
        """How a guest has a volume; None when it has not."""
        found = self._servers.client.ask("GET", f"/systems/{guest.system}/volumes/{volume}")
        return next(
            (item for item in found["attachments"] if (item["system"], item["guest"]) == (guest.system, guest.userid)),
            None,
        )

    def attach_all(self, guest: Guest, block_device_info: BlockDevices | None) -> None:
        """All volumes of a server; the one with boot_index 0 is what it boots from. Raises what ``attach`` raises."""
        for item in driver.block_device_info_get_mapping(block_device_info):
            boot = item.get("boot_index") == 0
            self.attach(guest, item["connection_info"], str(item.get("mount_device") or ""), boot=boot)

    def detach(self, guest: Guest, volume: str) -> None:
        """Take a volume from a guest. Raises DiskNotFound when it does not have it, ClientError."""
        try:
            self._servers.do(guest, "volumes/detach", {"volume": volume})
        except ProblemError as error:
            if error.code not in {"volume-not-attached", "volume-unknown"}:
                raise
            raise exception.DiskNotFound(location=volume) from error

    def detach_all(self, guest: Guest) -> None:
        """Take all volumes from a guest. Raises ClientError."""
        for item in self.of(guest):
            self.detach(guest, str(item["name"]))

    def of(self, guest: Guest) -> list[Document]:
        """The volumes that a guest has."""
        path = f"/systems/{guest.system}/volumes"
        return list(self._servers.client.pages(path, {"guest": guest.userid}))

    def named(self, guest: Guest, connection_info: Mapping[str, Any], mount_point: str) -> str:
        """The volume of a connection; of one that nova did not write down, since it died, the volume that the guest
        has under that name. Raises DiskNotFound."""
        if connection_info.get("data"):
            return volume_of(connection_info)
        for item in self.of(guest):
            for held in item["attachments"]:
                if held["guest"] == guest.userid and held["mount_point"] == mount_point:
                    return str(item["name"])
        raise exception.DiskNotFound(location=mount_point)

    def swap(self, guest: Guest, old: ConnectionInfo, new: ConnectionInfo, mount_point: str) -> None:
        """Another volume in place of one, with its bytes: the guest lets go of the old one first, so nothing may be
        mounted. What fails brings the old one back. Raises InvalidVolume, ClientError."""
        before, after = volume_of(old), volume_of(new)
        self.detach(guest, before)
        try:
            path = f"/systems/{guest.system}/volumes/{after}/copy"
            self._servers.run("POST", path, {"source": before})
            self.attach(guest, new, mount_point)
        except ClientError:
            self.attach(guest, old, mount_point)
            raise

    def extended(self, guest: Guest, connection_info: ConnectionInfo, size: int) -> None:
        """The guest sees the whole LUN all the time; there has to be enough of it. Raises ExtendVolumeNotSupported,
        ClientError."""
        volume = volume_of(connection_info)
        found = self._servers.client.ask("GET", f"/systems/{guest.system}/volumes/{volume}")
        if found["lun_size_gb"] * _GIB < size:
            raise exception.ExtendVolumeNotSupported()

    # what a nova-compute that died has left

    def forget_begun(self, context: RequestContext, instance: Instance) -> None:
        """Attachments that were begun and never written down: taken from the guest, and from nova and cinder, so that
        the volume is available again. Raises ClientError."""
        guest = self._servers.find(instance.uuid)
        if guest is None or instance.vm_state not in {vm_states.ACTIVE, vm_states.STOPPED, vm_states.PAUSED}:
            return
        for item in BlockDeviceMappingList.get_by_instance_uuid(context, instance.uuid):
            if not item.is_volume or item.connection_info is not None or not item.attachment_id:
                continue
            LOG.warning("volume %s was not attached to its end; it is detached", item.volume_id, instance=instance)
            try:
                self.detach(guest, self.named(guest, {}, str(item.device_name)))
            except exception.DiskNotFound as error:
                LOG.debug("nothing to detach: %s", error, instance=instance)
            cinder.API().attachment_delete(context, item.attachment_id)
            item.destroy()


def volume_of(connection_info: Mapping[str, Any]) -> str:
    """The name of a volume in the manager. Raises InvalidVolume for one of another driver."""
    name = connection_info.get("data", {}).get("zvm_volume")
    if not name:
        raise exception.InvalidVolume(reason="z/VM guests get volumes of zvmcloud's Cinder driver only")
    return str(name)


def check_devices(instance: Instance, block_device_info: BlockDevices | None) -> None:
    """Raises BuildAbortException for a server with volumes of another driver, before anything is made."""
    for item in driver.block_device_info_get_mapping(block_device_info):
        try:
            volume_of(item["connection_info"])
        except exception.InvalidVolume as error:
            raise exception.BuildAbortException(instance_uuid=instance.uuid, reason=str(error)) from error


def boots_from_volume(block_device_info: BlockDevices | None) -> bool:
    """Whether a server's root disk is a volume."""
    mapping = driver.block_device_info_get_mapping(block_device_info)
    return any(item.get("boot_index") == 0 for item in mapping)


# names


def next_name(known: Collection[str], wanted: str = "") -> str:
    """/dev/vdb, /dev/vdc ..., the first that is free; the one that is wanted if it is such a name and free."""
    if _LINK.fullmatch(wanted) and wanted not in known:
        return wanted
    return next(name for name in _names("/dev/vd", "b") if name not in known)


def name_all(root: str, *lists: Iterable[BlockDeviceMapping]) -> None:
    """Names for the disks of a new server that have none yet: DASDs for ephemeral disks and swap, in their order, and
    links for volumes."""
    known = {root}
    dasds = _names("/dev/dasd", "b" if root.startswith("/dev/dasd") else "a")
    for item in itertools.chain(*lists):
        if not item.device_name:
            volume = item.destination_type == "volume"
            item.device_name = next_name(known) if volume else next(name for name in dasds if name not in known)
            item.save()
        known.add(str(block_device.prepend_dev(item.device_name)))


def root_name(root: BlockDeviceMapping) -> str:
    """What a server boots from is called: the first DASD or the first SCSI disk."""
    return _BOOT_DEVICE if root.destination_type == "volume" else "/dev/dasda"


def _names(prefix: str, first: str) -> Iterator[str]:
    letters = string.ascii_lowercase
    yield from (prefix + letter for letter in letters[letters.index(first) :])
    yield from (prefix + one + other for one in letters for other in letters)
