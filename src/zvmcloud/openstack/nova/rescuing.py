"""Rescue: the server boots an image from a disk of its own, with its other disks beside it."""

from __future__ import annotations

from nova.context import RequestContext
from nova.network.model import NetworkInfo
from nova.objects.image_meta import ImageMeta
from nova.objects.instance import Instance
from oslo_log import log as logging

from zvmcloud.client import ClientError
from zvmcloud.openstack.nova import drives
from zvmcloud.openstack.nova.imagecache import ImageCache
from zvmcloud.openstack.nova.moving import ROOT
from zvmcloud.openstack.nova.servers import Guest, Servers
from zvmcloud.openstack.nova.spawning import placed

LOG = logging.getLogger(__name__)

RESCUE = "01FF"
"""The rescue disk; ephemeral and swap disks are numbered from 0101 on, and there are less than 254 of them."""


class Rescuer:
    """Rescues servers."""

    def __init__(self, servers: Servers, images: ImageCache) -> None:
        self._servers = servers
        self._images = images

    def rescue(
        self,
        context: RequestContext,
        instance: Instance,
        network: NetworkInfo,
        image_meta: ImageMeta,
        password: str | None,
    ) -> None:
        """The guest, which nova has powered off, boots ``image_meta``. A failure leaves it as it was. Raises
        ClientError."""
        guest = self._servers.get(instance)
        image = self._images.ensure(context, str(image_meta.id))
        pool = str(placed(instance)["pool"]) or self._default_pool()
        size = image["blocks"] if pool.startswith("FBA") else image["cylinders"]
        drive = drives.config_drive(instance, network, (), password)
        try:
            if not self._has_disk(guest):
                self._servers.do(
                    guest,
                    "disks",
                    {"vdev": RESCUE, "size": str(size or image["units"]), "format": "none", "pool": pool},
                )
            self._servers.do(guest, "deploy", {"image": self._images.name(str(image_meta.id)), "vdev": RESCUE})
            self._servers.do(guest, "config-drive", {"drive": drive})
            self._servers.do(guest, "reconfigure", {"ipl": RESCUE})
            self._servers.do(guest, "start")
        except ClientError:
            self._back(guest, instance)
            raise

    def unrescue(self, instance: Instance) -> None:
        """The guest boots its own disk again. Raises ClientError."""
        guest = self._servers.get(instance)
        self._restored(guest)
        self._servers.do(guest, "start")

    def _back(self, guest: Guest, instance: Instance) -> None:
        try:
            self._restored(guest)
        except ClientError:
            LOG.exception("the rescue disk is left", instance=instance)

    def _restored(self, guest: Guest) -> None:
        self._servers.do(guest, "stop")
        self._servers.do(guest, "reconfigure", {"ipl": ROOT})
        self._servers.do(guest, "reader/purge", {})
        if self._has_disk(guest):
            self._servers.run("DELETE", f"{guest.path}/disks/{RESCUE}")

    def _has_disk(self, guest: Guest) -> bool:
        disks = self._servers.facts(guest)["disks"]
        return any(str(disk["vdev"]).upper().zfill(4) == RESCUE for disk in disks)

    def _default_pool(self) -> str:
        host = self._servers.client.ask("GET", f"/systems/{self._servers.system}/host")
        return next((f"{pool['type']}:{pool['name']}" for pool in host["pools"] if pool["default"]), "")
