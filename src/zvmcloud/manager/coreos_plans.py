"""A deploy of CoreOS: the image onto the disk that the guest boots from, and what its first start reads.

    write-image    (zHCP)   SCSI volume: the image's bytes, as they are: they hold a boot record for SCSI disks
                            ECKD minidisk: the partitions of the image
    deployed       (here)   what the guest runs
    ignition       (zHCP)   Ignition file and words of the kernel's command line, into the image's boot partition; onto
                            an ECKD minidisk what starts it

CoreOS reads nothing from its reader. Its name and address come with the first start: of the guest's first adapter that
has one (``create_network_interface`` recorded it). Each start needs the path to its disk (``rd.zfcp``, ``rd.dasd``).
Words and their order: reference/connector/formats.md section 2 and Feilong's unpackdiskimage; MTU and name servers have
words of their own here, because ``ip=`` has room for one of the two (dracut.cmdline(7)).

An FBA minidisk is refused, as there: no image of CoreOS is one for such disks.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zvmcloud.manager.disks import disk_kind
from zvmcloud.manager.distributions import Distribution, subchannels
from zvmcloud.manager.errors import BadInput, Conflict, NotFound
from zvmcloud.manager.facts import Document
from zvmcloud.manager.guest_plans import powered
from zvmcloud.manager.images import Image
from zvmcloud.manager.jobs.plan import NOTHING, Json, Step

STORED = "config.ign"
"""The name of the Ignition file among the files of the job."""
_NEEDS = 16
_WORDS = 3


@dataclass(frozen=True, slots=True)
class BootVolume:
    """The volume that a guest's entry has it boot from: pairs of FCP device and target port, and the LUN."""

    paths: tuple[tuple[str, str], ...]
    lun: str
    kind = "SCSI"

    @property
    def words(self) -> list[str]:
        """What each start needs to find its disk."""
        found = [f"rd.zfcp=0.0.{fcp.lower()},0x{port},0x{self.lun}" for fcp, port in self.paths]
        return [*found, "zfcp.allow_lun_scan=0"]

    @property
    def parameters(self) -> dict[str, Json]:
        """The disk as operations of the agent name it."""
        wwpns = list(dict.fromkeys(port for _, port in self.paths))
        return {"volume": {"lun": self.lun, "wwpns": wwpns, "devices": []}}

    def __str__(self) -> str:
        return f"LUN {self.lun}"


@dataclass(frozen=True, slots=True)
class BootMinidisk:
    """An ECKD minidisk of the guest; ``cylinders`` 0: not known."""

    vdev: str
    cylinders: int
    kind = "ECKD"

    @property
    def words(self) -> list[str]:
        """See BootVolume."""
        return [f"rd.dasd=0.0.{self.vdev.lower()}"]

    @property
    def parameters(self) -> dict[str, Json]:
        """See BootVolume."""
        return {"vdev": self.vdev}

    def __str__(self) -> str:
        return f"disk {self.vdev}"


def boot_disk(owner: str, facts: Document, number: str, *, eckd: bool | None) -> BootVolume | BootMinidisk:
    """From the guest's entry. ``number``: the minidisk or FCP device ("": that of the entry); ``eckd``: whether the
    image is one for ECKD disks, None when nobody knows. Raises Conflict (guest-active, loaddev-missing, disk-type),
    NotFound (disk-unknown)."""
    if powered(facts):
        raise Conflict(
            f"guest {owner} is logged on; its disk cannot be written",
            code="guest-active",
            remedy="stop the guest first",
            subject=owner,
        )
    disks = {item.text("vdev").upper().zfill(4): item for item in facts.documents("disks")}
    boots = facts.text("ipl").upper().zfill(4)
    number = number or (boots if boots in disks else "")
    if number in disks:
        return _minidisk(owner, number, disks[number], eckd=eckd)
    if eckd:
        raise NotFound(f"{owner} {number} not linked; not in CP directory", code="disk-unknown", subject=number)
    return _volume(owner, facts, number)


def _minidisk(owner: str, number: str, disk: Document, *, eckd: bool | None) -> BootMinidisk:
    kind = disk_kind(disk)
    if kind == "FBA" or eckd is False:
        raise Conflict(
            f"{owner} {number} is an {kind or 'ECKD'} minidisk: the image of CoreOS is for "
            + ("ECKD" if eckd else "SCSI or ECKD" if eckd is None else "SCSI") + " disks",
            code="disk-type",
            remedy="deploy the image whose name has dasd to an ECKD minidisk, the one with metal to the SCSI volume "
            "that LOADDEV of the entry names",
            subject=number,
        )  # fmt: skip
    return BootMinidisk(number, disk.number("size"))


def _volume(owner: str, facts: Document, number: str) -> BootVolume:
    loads: dict[str, str] = {}
    others: list[tuple[str, str]] = []
    for line in facts.texts("entry"):
        words = line.upper().split()
        if words[:1] == ["LOADDEV"] and len(words) == _WORDS:
            loads[words[1]] = words[2]
        elif words[:3] == ["LOADDEV", "SCSI", "ALTERNATE"] and len(words) > 5 and words[4].startswith("PORT"):
            others.append((words[3], words[5]))
    fcp = number or loads.get("DEVICE", "") or facts.text("ipl").upper()
    port, lun = loads.get("PORTNAME", ""), loads.get("LUN", "")
    if not port or not lun or not fcp or fcp == "LOADDEV":
        raise Conflict(
            f"wwpn and lun are required for FCP devices: the entry of {owner} has no LOADDEV with PORTNAME and LUN, or "
            "no FCP device",
            code="loaddev-missing",
            remedy="create the guest with loaddev (portname, lun) and name its FCP device as vdev",
            subject=owner,
        )
    paths = [(fcp, port), *others]
    return BootVolume(
        tuple((device.zfill(4), wwpn.lower().zfill(_NEEDS)) for device, wwpn in paths), lun.lower().zfill(_NEEDS)
    )


def network_words(owner: str, os_version: str, nics: Sequence[Mapping[str, Json]], hostname: str) -> list[str]:
    """The words of the first start that give the guest its address: of the first adapter with one. Raises Conflict
    (coreos-network) when there is none, BadInput (cidr). Without an ``owner`` the name may be empty."""
    for nic in nics:
        addresses = nic["addresses"]
        first = addresses[0] if isinstance(addresses, list) and addresses else None
        if isinstance(first, Mapping):
            return _words(owner, Distribution.of(os_version), str(nic["vdev"]), Document(first), hostname)
    raise Conflict(
        f"CoreOS gets its address at its first start: no adapter of {owner} has one",
        code="coreos-network",
        remedy="make an interface with ip_addr, gateway_addr and cidr, or method dhcp, first",
        subject=owner,
    )


def _words(owner: str, distribution: Distribution, vdev: str, address: Document, hostname: str) -> list[str]:
    device = distribution.interface(vdev)
    name = hostname or address.text("hostname") or owner.lower()
    mtu = f":{address.number('mtu')}" if address.number("mtu") else ""
    if address.text("method") == "dhcp":
        place = f"ip=::::{name}:{device}:dhcp{mtu}"
    else:
        ip, gateway = _bracketed(address.text("ip")), _bracketed(address.text("gateway"))
        try:
            prefix = ipaddress.ip_network(address.text("cidr"), strict=False).prefixlen
        except ValueError as error:
            raise BadInput("cidr", address.text("cidr"), f"a network like 192.168.0.0/24 ({error})") from error
        place = f"ip={ip}::{gateway}:{prefix}:{name}:{device}:none{mtu}"
    servers = [f"nameserver={_bracketed(server)}" for server in address.texts("dns")]
    znet = f"rd.znet=qeth,{','.join(subchannels(vdev))},layer2=1,portno=0"
    return [znet, "rd.neednet=1", place, *servers]


def _bracketed(address: str) -> str:
    """An IPv6 address in the brackets that words with colons need."""
    return f"[{address}]" if ":" in address else address


def write_step(owner: str, disk: BootVolume | BootMinidisk, image: Image) -> Step:
    """Write the image to the disk; undone by emptying it. Raises Conflict (disk-type, disk-too-small)."""
    needed = image.needs("ECKD" if disk.kind == "ECKD" else "FBA")
    if needed is None or (disk.kind == "ECKD") is not (image.disk_type == "ECKD"):
        raise Conflict(
            f"image {image.name} is for {image.disk_type or 'FBA or SCSI'} disks, {owner} boots from {disk}",
            code="disk-type",
            subject=image.name,
        )
    if isinstance(disk, BootMinidisk) and disk.cylinders and disk.cylinders < needed:
        raise Conflict(
            f"image {image.name} needs {needed} CYL, {owner} {disk.vdev} has {disk.cylinders}",
            code="disk-too-small",
            remedy="create the guest with a disk of the size that GET /v1/images/{name} tells",
            subject=disk.vdev,
        )
    place: dict[str, Json] = {"userid": owner, **disk.parameters}
    source = {"image": image.name, "sha256": image.sha256, "bytes": image.bytes}
    title = f"write {image.name} ({image.units} {image.kind}) to {disk} of {owner}"
    return Step("write-image", title, "disk.write_image", {**place, "source": source}, "disk.erase", place)


def ignition_step(owner: str, disk: BootVolume | BootMinidisk, first_start: Sequence[str], *, copied: bool) -> Step:
    """Prepare the first start. The last step: it undoes itself, and nothing behind it can fail. Later its traces go
    with the image, if that was ``copied``."""
    parameters: dict[str, Json] = {
        **({"userid": owner} if owner else {}), **disk.parameters, "stored": STORED,
        "each_start": disk.words, "first_start": list(first_start),
    }  # fmt: skip
    title = f"give {owner or disk} what its first start reads"
    return Step("ignition", title, "volume.ignition", parameters, NOTHING if copied else "")
