"""A deploy of CoreOS: the image onto the SCSI volume that the guest boots from, and what its first start reads.

    write-image    (zHCP)   the image's bytes, as they are: they hold a boot record for SCSI disks
    deployed       (here)   what the guest runs
    ignition       (zHCP)   Ignition file and words of the kernel's command line, into the image's boot partition

CoreOS reads nothing from its reader. Its name and address come with the first start: of the guest's first adapter that
has one (``create_network_interface`` recorded it). Each start needs the path to the volume (``rd.zfcp``). Words and
their order: reference/connector/formats.md section 2 and Feilong's unpackdiskimage; MTU and name servers have words of
their own here, because ``ip=`` has room for one of the two (dracut.cmdline(7)).

An ECKD or FBA disk is refused: its boot record needs the loader of s390-tools, which is not in the image
(docs/reference/connector.md, RHCOS).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zvmcloud.manager.distributions import Distribution, subchannels
from zvmcloud.manager.errors import BadInput, Conflict, NotSupported
from zvmcloud.manager.facts import Document
from zvmcloud.manager.guest_plans import powered
from zvmcloud.manager.images import Image
from zvmcloud.manager.jobs.plan import NOTHING, Json, Step

STORED = "config.ign"
"""The name of the Ignition file among the files of the job."""
INSTALL_COREOS = "install it: guest.netboot with method coreos, profile (the Ignition file's URL) and install_device"
"""The other way to a CoreOS guest with its configuration, onto any disk."""
_NEEDS = 16
_WORDS = 3


@dataclass(frozen=True, slots=True)
class BootVolume:
    """The volume that a guest's entry has it boot from: pairs of FCP device and target port, and the LUN."""

    paths: tuple[tuple[str, str], ...]
    lun: str

    @property
    def words(self) -> list[str]:
        """What each start needs to find its disk."""
        found = [f"rd.zfcp=0.0.{fcp.lower()},0x{port},0x{self.lun}" for fcp, port in self.paths]
        return [*found, "zfcp.allow_lun_scan=0"]

    @property
    def parameters(self) -> dict[str, Json]:
        """The volume as operations of the agent name it."""
        return {"lun": self.lun, "wwpns": list(dict.fromkeys(port for _, port in self.paths)), "devices": []}


def boot_volume(owner: str, facts: Document, number: str) -> BootVolume:
    """From the guest's entry; ``number``: the FCP device ("": that of the entry). Raises Conflict (guest-active,
    loaddev-missing), NotSupported (coreos) when that is a disk of the guest."""
    if powered(facts):
        raise Conflict(
            f"guest {owner} is logged on; its disk cannot be written",
            code="guest-active",
            remedy="stop the guest first",
            subject=owner,
        )
    loads: dict[str, str] = {}
    others: list[tuple[str, str]] = []
    for line in facts.texts("entry"):
        words = line.upper().split()
        if words[:1] == ["LOADDEV"] and len(words) == _WORDS:
            loads[words[1]] = words[2]
        elif words[:3] == ["LOADDEV", "SCSI", "ALTERNATE"] and len(words) > 5 and words[4].startswith("PORT"):
            others.append((words[3], words[5]))
    fcp = number or loads.get("DEVICE", "") or facts.text("ipl").upper()
    disks = {item.text("vdev").upper().zfill(4) for item in facts.documents("disks")}
    if number and number in disks:
        raise NotSupported(
            f"{owner} {number} is a minidisk: CoreOS is deployed to the SCSI volume that LOADDEV of the entry names",
            code="coreos",
            remedy=INSTALL_COREOS,
            subject=number,
        )
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


def write_step(owner: str, volume: BootVolume, image: Image) -> Step:
    """Write the image to the volume; undone by emptying it. Raises Conflict (disk-type)."""
    if image.blocks is None:
        raise Conflict(
            f"image {image.name} is for {image.disk_type} disks, {owner} boots from a SCSI volume",
            code="disk-type",
            subject=image.name,
        )
    place: dict[str, Json] = {"userid": owner, "volume": volume.parameters}
    source = {"image": image.name, "sha256": image.sha256, "bytes": image.bytes}
    title = f"write {image.name} ({image.units} {image.kind}) to LUN {volume.lun} of {owner}"
    return Step("write-image", title, "disk.write_image", {**place, "source": source}, "disk.erase", place)


def ignition_step(owner: str, volume: BootVolume, first_start: Sequence[str], *, copied: bool) -> Step:
    """Prepare the first start. The last step: it undoes itself, and nothing behind it can fail. Later its traces go
    with the image, if that was ``copied``."""
    parameters: dict[str, Json] = {
        **({"userid": owner} if owner else {}), "volume": volume.parameters, "stored": STORED,
        "each_start": volume.words, "first_start": list(first_start),
    }  # fmt: skip
    title = f"give {owner or f'LUN {volume.lun}'} what its first start reads"
    return Step("ignition", title, "volume.ignition", parameters, NOTHING if copied else "")
