"""The driver's methods for volumes and the names of disks. See volumes.py."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nova import exception
from nova.context import RequestContext
from nova.objects.block_device import BlockDeviceMapping, BlockDeviceMappingList
from nova.objects.image_meta import ImageMeta
from nova.objects.instance import Instance

from zvmcloud.client import ClientError
from zvmcloud.openstack.nova import failures, volumes
from zvmcloud.openstack.nova.connected import Connected
from zvmcloud.openstack.nova.volumes import ConnectionInfo


class Storage(Connected):
    """A part of the driver."""

    def get_volume_connector(self, instance: Instance) -> dict[str, Any]:
        """See Volumes.connector."""
        return self._connected().volumes.connector(instance)

    def attach_volume(
        self,
        context: RequestContext,
        connection_info: ConnectionInfo,
        instance: Instance,
        mountpoint: str,
        disk_bus: str | None = None,
        device_type: str | None = None,
        encryption: Any = None,
    ) -> None:
        """At once in a running guest, else at its next start. Raises VolumeAttachFailed, InvalidVolume; nothing is
        attached then."""
        guest = self._servers.get(instance)
        try:
            self._connected().volumes.attach(guest, connection_info, mountpoint)
        except ClientError as error:
            raise exception.VolumeAttachFailed(
                volume_id=connection_info.get("serial") or "", reason=failures.text(error)
            ) from error

    def detach_volume(
        self,
        context: RequestContext,
        connection_info: ConnectionInfo,
        instance: Instance,
        mountpoint: str,
        encryption: Any = None,
    ) -> None:
        """Raises DiskNotFound for a volume that the guest does not have, DeviceDetachFailed when z/VM or the guest
        refuses."""
        guest = self._servers.find(instance.uuid)
        if guest is None:
            raise exception.DiskNotFound(location=mountpoint)
        parts = self._connected().volumes
        try:
            parts.detach(guest, parts.named(guest, connection_info, mountpoint))
        except ClientError as error:
            raise exception.DeviceDetachFailed(device=mountpoint, reason=failures.text(error)) from error

    def swap_volume(
        self,
        context: RequestContext,
        old_connection_info: ConnectionInfo,
        new_connection_info: ConnectionInfo,
        instance: Instance,
        mountpoint: str,
        resize_to: int,
    ) -> None:
        """See Volumes.swap. Raises VolumeRebaseFailed."""
        guest = self._servers.get(instance)
        try:
            self._connected().volumes.swap(guest, old_connection_info, new_connection_info, mountpoint)
        except (ClientError, exception.DiskNotFound) as error:
            reason = failures.text(error) if isinstance(error, ClientError) else str(error)
            raise exception.VolumeRebaseFailed(reason=reason) from error

    def extend_volume(
        self, context: RequestContext, connection_info: ConnectionInfo, instance: Instance, requested_size: int
    ) -> None:
        """See Volumes.extended. ``requested_size`` in bytes."""
        guest = self._servers.get(instance)
        with failures.told("extend a volume"):
            self._connected().volumes.extended(guest, connection_info, requested_size)

    # names

    def default_root_device_name(self, instance: Instance, image_meta: ImageMeta, root_bdm: BlockDeviceMapping) -> str:
        """/dev/dasda, or /dev/sda for a server that boots from a volume."""
        return volumes.root_name(root_bdm)

    def default_device_names_for_instance(
        self, instance: Instance, root_device_name: str, *block_device_lists: Iterable[BlockDeviceMapping]
    ) -> None:
        """DASDs for ephemeral disks and swap, /dev/vdb and on for volumes."""
        volumes.name_all(root_device_name, *block_device_lists)

    def get_device_name_for_instance(
        self, instance: Instance, bdms: BlockDeviceMappingList, block_device_obj: BlockDeviceMapping
    ) -> str:
        """The next free name of a volume, or the one that was asked for."""
        known = {str(item.device_name) for item in bdms if item.device_name}
        return volumes.next_name(known, str(block_device_obj.get("device_name") or ""))
