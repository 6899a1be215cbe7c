"""What all parts of the driver are made from: the options, read once, and one client of the manager."""

from __future__ import annotations

from typing import Any

import nova.conf
from nova.virt import driver

from zvmcloud.client import Client
from zvmcloud.openstack import connection
from zvmcloud.openstack.nova import options
from zvmcloud.openstack.nova.facts import Facts
from zvmcloud.openstack.nova.imagecache import ImageCache
from zvmcloud.openstack.nova.moving import Mover
from zvmcloud.openstack.nova.rescuing import Rescuer
from zvmcloud.openstack.nova.servers import Servers
from zvmcloud.openstack.nova.snapshots import Snapshotter
from zvmcloud.openstack.nova.spawning import Spawner
from zvmcloud.openstack.nova.volumes import Volumes

CONF = nova.conf.CONF
options.register(CONF)


class Connected(driver.ComputeDriver):
    """A driver that connects when it is first asked for something."""

    def __init__(self, virtapi: Any) -> None:
        """Connects to nothing; a wrong option is told by ``init_host``."""
        super().__init__(virtapi)
        self._parts: Parts | None = None

    def _connected(self) -> Parts:
        if self._parts is None:
            self._parts = Parts(connection.connect(CONF), connection.system(CONF), self.virtapi)
        return self._parts

    @property
    def _spawner(self) -> Spawner:
        return self._connected().spawner

    @property
    def _servers(self) -> Servers:
        return self._connected().servers


class Parts:
    """What needs a connection."""

    def __init__(self, client: Client, system: str, virtapi: Any) -> None:
        self.client = client
        self.servers = Servers(
            client, system, prefix=CONF.zvmcloud.userid_prefix, patience=float(CONF.zvmcloud.busy_timeout)
        )
        self.images = ImageCache(client)
        self.volumes = Volumes(self.servers)
        self.spawner = Spawner(self.servers, self.images, self.volumes, virtapi)
        self.mover = Mover(self.servers)
        self.rescuer = Rescuer(self.servers, self.images)
        self.snapshots = Snapshotter(self.servers)
        self.facts = Facts(self.servers)
