"""New servers: all of one is made, or nothing is left.

::

    image        in the manager's repository
    provision    one job: directory entry, disks, adapters (coupled to nothing), image, config drive; of a server that
                 boots from a volume a job each, and no image
    disks        ephemeral and swap: a script in the guest's reader mounts them at its first boot, and for good
    volumes      attached; the guest is off and sees them when it starts
    wait         until neutron's agent has coupled the adapters: network-vif-plugged
    start
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import nova.conf
from nova import block_device, exception
from nova.context import RequestContext
from nova.network.model import NetworkInfo
from nova.objects.instance import Instance
from nova.virt import driver
from oslo_log import log as logging

from zvmcloud.client import ClientError, ProblemError
from zvmcloud.openstack.nova import drives, failures
from zvmcloud.openstack.nova.imagecache import ImageCache
from zvmcloud.openstack.nova.servers import Guest, Servers
from zvmcloud.openstack.nova.volumes import BlockDevices, Volumes, boots_from_volume, check_devices

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

SHARE, POOL, PROFILE = "zvm:share", "zvm:disk_pool", "zvm:profile"
"""Extra specs of flavors."""
_PAUSE = 5.0


@dataclass(frozen=True, slots=True)
class Order:
    """A server as nova orders it. ``image``: glance's id; ``files``: for the config drive, path and content;
    ``password``: the administrator's, for the config drive too."""

    instance: Instance
    image: str
    network: NetworkInfo
    devices: BlockDevices | None
    files: tuple[tuple[str, bytes | str], ...] = field(repr=False)
    password: str | None = field(repr=False)
    power_on: bool


class Spawner:
    """Makes servers. ``virtapi`` waits for neutron's events."""

    def __init__(
        self,
        servers: Servers,
        images: ImageCache,
        volumes: Volumes,
        virtapi: Any,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._servers = servers
        self._images = images
        self._volumes = volumes
        self._virtapi = virtapi
        self._sleep = sleep

    def spawn(self, context: RequestContext, order: Order) -> None:
        """Raises NovaException: of these BuildAbortException, ImageUnacceptable, InvalidDiskInfo and
        VirtualInterfaceCreateException end the build; after any other nova tries another host."""
        instance = order.instance
        image = "" if boots_from_volume(order.devices) else order.image
        check_devices(instance, order.devices)
        left = self._servers.find(instance.uuid)
        if left is not None:
            raise exception.InstanceExists(name=f"{instance.name} (userid {left.userid})")
        try:
            if image:
                self._images.ensure(context, image)
            drive = drives.config_drive(instance, order.network, order.files, order.password)
            interfaces = [interface(vif) for vif in order.network]
            local = disks(instance, order.devices)
            where = placed(instance)
            pool = where.pop("pool")
            wish = {
                "vcpus": instance.flavor.vcpus,
                "memory_mb": instance.flavor.memory_mb,
                **where,
                "disks": local,
                "tags": Servers.tags(instance),
                "comments": [f"OpenStack {instance.uuid}"],
            }
            with self.plugged(instance, order.network):
                if image:
                    wish |= {
                        "image": self._images.name(image), "pool": pool, "interfaces": interfaces,
                        "disk_size": f"{instance.flavor.root_gb}G" if instance.flavor.root_gb else "",
                        "config_drive": drive, "start": False,
                    }  # fmt: skip
                    guest = self._make(instance, "/guests/provision", wish)
                else:
                    guest = self._without_image(instance, wish, interfaces, drive)
                self._mount(guest, local)
                self._volumes.attach_all(guest, order.devices)
            if order.power_on:
                self._servers.do(guest, "start")
        except ClientError as error:
            self.clear(instance)
            raise failures.of_spawn(error, image, instance.uuid) from error
        except Exception:
            self.clear(instance)
            raise

    def _without_image(
        self, instance: Instance, wish: Mapping[str, object], interfaces: Sequence[Mapping[str, str]], drive: str
    ) -> Guest:
        """A guest that is to boot from a volume. Raises ClientError."""
        guest = self._make(instance, "/guests", wish)
        for item in interfaces:
            self._servers.do(guest, "nics", item)
        self._servers.do(guest, "config-drive", {"drive": drive})
        return guest

    def _mount(self, guest: Guest, local: Sequence[Mapping[str, str]]) -> None:
        """Have the guest mount its ephemeral disks at /mnt/ephemeral<vdev> and swap. Raises ClientError."""
        if not local:
            return
        numbers = sorted(str(disk["vdev"]).zfill(4) for disk in self._servers.facts(guest)["disks"])[-len(local) :]
        mounts = [{"vdev": number, "format": disk["format"]} for number, disk in zip(numbers, local, strict=True)]
        self._servers.do(guest, "disks/configure", {"mounts": mounts})

    def _make(self, instance: Instance, route: str, wish: Mapping[str, object]) -> Guest:
        """The guest under the first userid that is free. Raises ClientError."""
        taken: ProblemError | None = None
        for userid in self._servers.userids(instance):
            try:
                self._servers.run("POST", f"/systems/{self._servers.system}{route}", {"userid": userid, **wish})
            except ProblemError as error:
                if error.code != "guest-exists":
                    raise
                taken = error
            else:
                return self._servers.get(instance)
        raise taken or exception.InstanceExists(name=str(instance.name))

    def plugged(self, instance: Instance, network: NetworkInfo) -> Any:
        """Wait, at the end of the ``with``, until neutron has said that the ports are up."""
        return _plugged(self._virtapi, instance, network)

    def clear(self, instance: Instance) -> None:
        """Leave nothing of a server that was not finished. nova gives it to another host next, or forgets that it was
        here: nobody else would take it away. So a manager that is lost is waited for, as long as for a busy guest."""
        deadline = time.monotonic() + CONF.zvmcloud.busy_timeout
        while True:
            try:
                self._servers.drop(instance)
            except ClientError as error:
                if not error.retryable or time.monotonic() >= deadline:
                    LOG.exception("what is left of the build is not cleared", instance=instance)
                    return
                LOG.warning("what is left of the build is cleared later: %s", error, instance=instance)
            else:
                return
            self._sleep(_PAUSE)


class _plugged:
    """See Spawner.plugged. The events of ports that were not active count from the beginning of the ``with``."""

    def __init__(self, virtapi: Any, instance: Instance, network: NetworkInfo) -> None:
        down = [vif["id"] for vif in network if vif.get("active", True) is False]
        events = [("network-vif-plugged", port) for port in down] if CONF.vif_plugging_timeout else []
        self._waiting = virtapi.wait_for_instance_event(
            instance, events, timeout=CONF.vif_plugging_timeout, error_callback=_failed
        )
        self._instance = instance

    def __enter__(self) -> None:
        self._waiting.__enter__()

    def __exit__(self, *error: Any) -> bool | None:
        try:
            return bool(self._waiting.__exit__(*error))
        except exception.InstanceEventTimeout as late:
            LOG.warning("neutron did not report all ports up: %s", late, instance=self._instance)
            if CONF.vif_plugging_is_fatal:
                raise exception.VirtualInterfaceCreateException() from late
            return None


def _failed(event: str, instance: Instance) -> bool:
    LOG.error("neutron failed: %s", event, instance=instance)
    if CONF.vif_plugging_is_fatal:
        raise exception.VirtualInterfaceCreateException()
    return True


def placed(instance: Instance) -> dict[str, object]:
    """Where a server goes and what it may use: options, and before them the flavor's extra specs."""
    specs: Mapping[str, str] = instance.flavor.extra_specs or {}
    options = CONF.zvmcloud
    return {
        "pool": specs.get(POOL, "") or options.disk_pool,
        "profile": specs.get(PROFILE, "") or options.profile,
        "share": specs.get(SHARE, ""),
        "max_cpus": max(options.max_cpus, instance.flavor.vcpus) if options.max_cpus else 0,
        "max_memory_mb": max(options.max_memory_mb, instance.flavor.memory_mb) if options.max_memory_mb else 0,
    }


def disks(instance: Instance, block_device_info: BlockDevices | None) -> list[dict[str, str]]:
    """The ephemeral disks and the swap disk, in this order; they are 0101, 0102, ... behind the root disk 0100."""
    pool = str(placed(instance)["pool"])
    found = []
    ephemerals = driver.block_device_info_get_ephemerals(block_device_info)
    for item in ephemerals:
        form = item.get("guest_format") or CONF.default_ephemeral_format or "ext4"
        found.append({"size": f"{item['size']}G", "format": str(form), "pool": pool})
    if not ephemerals and instance.flavor.ephemeral_gb:
        form = CONF.default_ephemeral_format or "ext4"
        found.append({"size": f"{instance.flavor.ephemeral_gb}G", "format": str(form), "pool": pool})
    swap = driver.block_device_info_get_swap(block_device_info)
    size = swap["swap_size"] if driver.swap_is_usable(swap) else instance.flavor.swap
    if size and not block_device.volume_in_mapping("swap", block_device_info):
        found.append({"size": f"{size}M", "format": "swap", "pool": pool})
    return found


def interface(vif: Mapping[str, Any]) -> dict[str, str]:
    """An adapter for a port, coupled to nothing: neutron's agent does that."""
    return {"mac": str(vif["address"]), "nic_id": str(vif["id"])}
