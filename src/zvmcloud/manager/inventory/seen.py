"""What an agent's inventory says, as rows of the tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from zvmcloud.images.tracks import CYLINDER_DATA_BYTES
from zvmcloud.manager.facts import Document
from zvmcloud.manager.jobs.plan import Json

BLOCK_BYTES = 512
Row = dict[str, object]

RESOURCES = {"pools": "pool", "volumes": "volume", "vswitches": "vswitch", "osas": "osa", "fcps": "fcp"}
"""Lists of an inventory, and the kind of what is in them."""
CLUSTER = "ssi"
_NAMED = {"pool": "name", "volume": "volume", "vswitch": "name", "osa": "osa", "fcp": "fcp"}


@dataclass(frozen=True, slots=True)
class SeenEntry:
    """A directory entry as an agent tells it. ``state`` is on or off."""

    system: str
    userid: str
    state: str
    document: Document

    @property
    def digest(self) -> str:
        return self.document.text("digest")

    @property
    def texts(self) -> list[str]:
        """The statements, without passwords."""
        return list(self.document.texts("entry"))

    @property
    def guest(self) -> Row:
        """The row of ``seen_guests``, without its times."""
        found = self.document
        return {
            "system": self.system,
            "userid": self.userid,
            "kind": found.text("kind"),
            "digest": self.digest,
            "state": self.state,
            **sizes(found),
            "max_cpus": found.number("max_cpus"),
            "max_memory_mb": found.number("max_memory_mb"),
            "profile": found.text("profile")[:8],
            "ipl": found.text("ipl")[:8],
            "unreadable": found.text("unreadable")[:255],
        }

    @property
    def disks(self) -> list[Row]:
        """Rows of ``seen_disks``."""
        return [
            {
                "system": self.system,
                "userid": self.userid,
                "vdev": disk.text("vdev"),
                "type": disk.text("type"),
                "device_type": disk.text("device_type"),
                "size": disk.raw("size"),
                "unit": disk.text("unit"),
                "volume": disk.text("volume"),
                "start": disk.raw("start"),
                "mode": disk.text("mode"),
            }
            for disk in self.document.documents("disks")
        ]

    @property
    def nics(self) -> list[Row]:
        """Rows of ``seen_nics``."""
        return [
            {
                "system": self.system,
                "userid": self.userid,
                "vdev": nic.text("vdev"),
                "adapter_type": nic.text("adapter_type"),
                "lan_owner": nic.text("lan_owner"),
                "lan_name": nic.text("lan_name"),
                "mac_id": nic.text("mac_id"),
                "vlan": nic.text("vlan"),
            }
            for nic in self.document.documents("nics")
        ]


def sizes(found: Document) -> dict[str, int]:
    """What quotas count of an entry that an agent tells of."""
    return {
        "vcpus": found.number("vcpus"),
        "memory_mb": found.number("memory_mb"),
        "disk_mb": sum(megabytes(disk) for disk in found.documents("disks")),
    }


def megabytes(disk: Document) -> int:
    """The size of a minidisk that an agent tells of, in MiB; a begun one is a whole one, as of a new disk."""
    return -(-_bytes(disk) // 2**20)


def places(disks: list[Row]) -> dict[str, list[object]]:
    """Where each disk is: what tells that it is another one."""
    return {str(disk["vdev"]): [disk["device_type"], disk["volume"], disk["start"], disk["size"]] for disk in disks}


def entries(system: str, answer: Document) -> Iterator[SeenEntry]:
    """The entries of a whole inventory."""
    on = frozenset(answer.texts("on"))
    for found in answer.documents("entries"):
        userid = found.text("userid")
        yield SeenEntry(system, userid, "on" if userid in on else "off", found)


def resources(answer: Document) -> dict[str, dict[str, Mapping[str, Json]]]:
    """What is not an entry, by kind and name. A kind that z/VM refused to tell is not there."""
    found: dict[str, dict[str, Mapping[str, Json]]] = {}
    for part, kind in RESOURCES.items():
        if answer.has(part):
            named = answer.documents(part)
            found[kind] = {name: dict(item.items()) for item in named if (name := item.text(_NAMED[kind])[:16])}
    if answer.has("ssi"):
        cluster = answer.document("ssi")
        name = cluster.text("name")[:16]
        found[CLUSTER] = {name: dict(cluster.items())} if cluster.flag("member") and name else {}
    return found


def _bytes(disk: Document) -> int:
    return disk.number("size") * (CYLINDER_DATA_BYTES if disk.text("unit") == "CYL" else BLOCK_BYTES)
