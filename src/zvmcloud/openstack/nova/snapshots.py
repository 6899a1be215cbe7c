"""Snapshots: a server's root disk becomes an image of glance."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import nova.conf
from nova.compute import task_states, vm_states
from nova.context import RequestContext
from nova.image import glance
from nova.objects.instance import Instance
from oslo_log import log as logging

from zvmcloud.client import ClientError
from zvmcloud.openstack.nova.servers import Servers

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)


class Snapshotter:
    """Makes snapshots."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    def snapshot(
        self, context: RequestContext, instance: Instance, image: str, update_task_state: Callable[..., None]
    ) -> None:
        """Capture the root disk: a server that is on is shut down for it and started again. Then upload it. Raises
        ClientError, and what glance raises; the manager keeps no copy."""
        guest = self._servers.get(instance)
        name = f"openstack-snapshot-{image}"
        paused = instance.vm_state == vm_states.PAUSED
        if paused:
            self._servers.do(guest, "unpause")
        try:
            self._servers.do(guest, "capture", {"image": name})
            update_task_state(task_state=task_states.IMAGE_PENDING_UPLOAD)
            update_task_state(task_state=task_states.IMAGE_UPLOADING, expected_state=task_states.IMAGE_PENDING_UPLOAD)
            self._upload(context, name, image)
        finally:
            if paused:
                self._servers.do(guest, "pause")
            self._forget(name, instance)

    def _upload(self, context: RequestContext, name: str, image: str) -> None:
        facts = self._servers.client.image(name)
        service, _ = glance.get_remote_image_service(context, image)
        properties = {"os_version": facts["os_version"], "architecture": facts["architecture"]}
        about = {"disk_format": "raw", "container_format": "bare", "properties": properties}
        folder = Path(CONF.instances_path)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:  # glance may read it a second time
            self._servers.client.download(f"/images/{name}/content", file)
            file.seek(0)
            service.update(context, image, about, file, purge_props=False)

    def _forget(self, name: str, instance: Instance) -> None:
        try:
            self._servers.client.call("DELETE", f"/images/{name}")
        except ClientError as error:
            LOG.debug("image %s: %s", name, error, instance=instance)
