"""Servers that move or change their size.

In an SSI cluster a guest's directory entry, disks and reader belong to the cluster, so nothing is copied: a cold move
is a change of the manager's record, and a live one is VMRELOCATE. Systems that share no cluster share no disks either;
between them servers are not moved.

A resize changes processors and memory in the directory entry. A larger root disk is a new one: the old one is captured
as an image first, which is kept until the resize is confirmed, and written to it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nova import exception
from nova.context import RequestContext
from nova.objects.flavor import Flavor
from nova.objects.instance import Instance
from nova.objects.migrate_data import VMwareLiveMigrateData
from oslo_log import log as logging

from zvmcloud.client import ClientError, ProblemError
from zvmcloud.openstack.nova import failures
from zvmcloud.openstack.nova.servers import Guest, Servers
from zvmcloud.openstack.nova.spawning import placed

LOG = logging.getLogger(__name__)

ROOT = "0100"
_CYLINDER = 737_280


@dataclass(frozen=True, slots=True)
class Coupled:
    """A VSWITCH that an adapter of a guest is coupled to; VLAN 0 for none."""

    vswitch: str
    vlan: int


class Mover:
    """Resizes, cold and live migrations, evacuations."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    # clusters

    def members(self) -> frozenset[str]:
        """The systems of this one's SSI cluster, itself included."""
        found = self._servers.client.ask("GET", f"/systems/{self._servers.system}/host")
        return frozenset({self._servers.system, *(str(name).upper() for name in found["members"])})

    def shared(self, uuid: str) -> Guest | None:
        """The guest of an instance, if it is on this system or another of its cluster."""
        found = self._servers.find(uuid, anywhere=True)
        return found if found is not None and found.system in self.members() else None

    def taken(self, instance: Instance) -> Guest:
        """The guest, recorded here from now on if it was at another member. Raises InstanceNotFound, ClientError."""
        found = self.shared(instance.uuid)
        if found is None:
            raise exception.InstanceNotFound(instance_id=instance.uuid)
        if found.system != self._servers.system:
            self._servers.do(found, "move", {"destination": self._servers.system})
            found = self._servers.get(instance)
        return found

    # resize and cold migration

    def check(self, instance: Instance, flavor: Flavor, destination: str, *, of_volume: bool) -> None:
        """Raises ResizeError for what cannot be done, before anything is. ``of_volume``: it boots from a volume, so no
        root disk has its flavor's size."""
        old = instance.flavor
        if destination not in self.members():
            raise exception.ResizeError(
                reason=f"{destination} and {self._servers.system} are not in one SSI cluster, so they share no disks"
            )
        if not of_volume and 0 < flavor.root_gb < old.root_gb:
            raise exception.ResizeError(reason=f"a root disk of {old.root_gb} GB is not made smaller")
        if (flavor.ephemeral_gb, flavor.swap) != (old.ephemeral_gb, old.swap):
            raise exception.ResizeError(reason="ephemeral and swap disks are not changed")

    def leave(self, guest: Guest, instance: Instance, flavor: Flavor, *, of_volume: bool) -> str:
        """The source's part, with the guest off: keep the root disk as an image if it is to grow. What the destination
        has to know."""
        image = ""
        if not of_volume and flavor.root_gb > instance.flavor.root_gb:
            image = kept_image(instance)
            self._servers.do(guest, "capture", {"image": image, "compression": 1})
        return json.dumps({"image": image})

    def arrive(self, instance: Instance, told: str) -> Guest:
        """The destination's part: the guest is this system's and as large as the instance's flavor."""
        guest = self.taken(instance)
        self._sized(guest, instance.flavor)
        image = str(json.loads(told or "{}").get("image") or "")
        if image:
            self._root(guest, instance, image, f"{instance.flavor.root_gb}G")
        return guest

    def settle(self, instance: Instance) -> None:
        """A resize was confirmed: the old root disk is not needed any more."""
        with contextlib.suppress(ProblemError):
            self._servers.client.call("DELETE", f"/images/{kept_image(instance)}")

    def back(self, instance: Instance) -> Guest:
        """A resize was reverted: the guest is this system's, of the old size, with the old root disk."""
        guest = self.taken(instance)
        self._sized(guest, instance.flavor)
        image = kept_image(instance)
        try:
            kept = self._servers.client.image(image)
        except ProblemError as error:
            if error.status != 404:
                raise
            return guest
        size = f"{instance.flavor.root_gb}G" if instance.flavor.root_gb else str(kept["units"])
        self._root(guest, instance, image, size)
        self.settle(instance)
        return guest

    def _sized(self, guest: Guest, flavor: Flavor) -> None:
        facts = self._servers.facts(guest)
        if facts["vcpus"] != flavor.vcpus:
            self._servers.do(guest, "resize-cpus", {"vcpus": flavor.vcpus})
        if facts["memory_mb"] != flavor.memory_mb:
            self._servers.do(guest, "resize-memory", {"memory_mb": flavor.memory_mb})

    def _root(self, guest: Guest, instance: Instance, image: str, size: str) -> None:
        """A root disk of another size, with what the image holds."""
        disks = self._servers.facts(guest)["disks"]
        old = next((disk for disk in disks if str(disk["vdev"]).upper().zfill(4) == ROOT), None)
        if old is not None and _units(old, size) != old["size"]:
            self._servers.run("DELETE", f"{guest.path}/disks/{ROOT}")
            old = None
        if old is None:
            pool = str(placed(instance)["pool"])
            self._servers.do(guest, "disks", {"vdev": ROOT, "size": size, "format": "none", "pool": pool})
        self._servers.do(guest, "deploy", {"image": image, "vdev": ROOT})

    # live migration

    def allow(self, guest: Guest, member: str) -> None:
        """Give the guest its rights to VSWITCHes at a member. Raises ClientError."""
        for item in self._coupled(guest):
            path = f"/systems/{member}/vswitches/{item.vswitch}/grant"
            self._servers.run("POST", path, {"userid": guest.userid, "vlan": item.vlan})

    def forbid(self, guest: Guest, member: str) -> None:
        """Take them back. Raises ClientError."""
        for name in dict.fromkeys(item.vswitch for item in self._coupled(guest)):
            self._servers.run("POST", f"/systems/{member}/vswitches/{name}/revoke", {"userid": guest.userid})

    def _coupled(self, guest: Guest) -> list[Coupled]:
        found = self._servers.client.pages(f"/systems/{guest.system}/nics", {"userid": guest.userid})
        return [Coupled(str(nic["vswitch"]), int(nic["vlan"] or 0)) for nic in found if nic["vswitch"]]

    def against(self, guest: Guest, member: str) -> str:
        """What stands against a move of the running guest, and what mends it; "" when nothing does."""
        found = self._servers.client.ask("GET", f"{guest.path}/relocation", query={"destination": member})
        if found["possible"]:
            return ""
        said = [f"{item['what']} ({item['mend']})" for item in found["blockers"]]
        return f"{guest.userid} cannot move to {member}: {'; '.join(said) or 'z/VM does not say why'}"

    def relocate(
        self,
        context: RequestContext,
        instance: Instance,
        destination: str,
        methods: tuple[Callable[..., None], Callable[..., None]],
        data: VMwareLiveMigrateData,
        *,
        block_migration: bool,
    ) -> None:
        """Move the running guest to the member of ``data``. ``methods``: nova's, for success and for failure."""
        done, recover = methods
        try:
            self._servers.do(self._servers.get(instance), "relocate", {"destination": data.cluster_name})
        except (ClientError, exception.NovaException) as error:
            said = failures.text(error) if isinstance(error, ClientError) else str(error)
            LOG.error("not moved to %s: %s", data.cluster_name, said, instance=instance)  # noqa: TRY400
            recover(context, instance, destination, migrate_data=data)
            return
        done(context, instance, destination, block_migration, data)


def kept_image(instance: Instance) -> str:
    """What the root disk is called in the repository while a resize is not confirmed."""
    return f"openstack-resize-{instance.uuid}"


def live_data(system: str, uuid: str) -> VMwareLiveMigrateData:
    """What the computes tell each other of a live migration: the member that the guest goes to, as ``cluster_name``,
    and the instance, as ``datastore_regex``. It is one of nova's own classes, because conductors take no others; this
    one makes nova leave the source's disks alone."""
    return VMwareLiveMigrateData(cluster_name=system, datastore_regex=uuid)


def _units(disk: Mapping[str, Any], size: str) -> int:
    """How many units a size is on a disk of that kind; as the manager counts."""
    if size.isdigit():
        return int(size)
    block = _CYLINDER if str(disk.get("type") or disk.get("device_type")).upper().startswith(("ECKD", "3390")) else 512
    return -(-int(size[:-1]) * 2**30 // block)
