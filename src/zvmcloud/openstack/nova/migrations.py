"""The driver's methods for servers that move: resize, cold and live migration, evacuation. See moving.py."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from nova import exception, objects
from nova.context import RequestContext
from nova.network.model import NetworkInfo
from nova.objects.flavor import Flavor
from nova.objects.image_meta import ImageMeta
from nova.objects.instance import Instance
from nova.objects.migrate_data import VMwareLiveMigrateData

from zvmcloud.client import ClientError
from zvmcloud.openstack.nova import failures
from zvmcloud.openstack.nova.connected import Connected
from zvmcloud.openstack.nova.moving import live_data
from zvmcloud.openstack.nova.volumes import BlockDevices, boots_from_volume


class Migrations(Connected):
    """Half of the driver; ``driver.py`` has the other."""

    # evacuation

    def _evacuated(
        self, instance: Instance, network: NetworkInfo, block_device_info: BlockDevices | None, *, power_on: bool
    ) -> None:
        with failures.told("take over the server"), self._spawner.plugged(instance, network):
            guest = self._connected().mover.taken(instance)
            self._connected().volumes.attach_all(guest, block_device_info)
        if power_on:
            with failures.told(f"start {guest.userid}"):
                self._servers.do(guest, "start")

    def instance_on_disk(self, instance: Instance) -> bool:
        """Whether the disks of an instance of another host can be used here: its guest is recorded at another member
        of this system's SSI cluster."""
        with failures.told("look for the server"):
            found = self._connected().mover.shared(instance.uuid)
        return found is not None and found.system != self._servers.system

    def check_instance_shared_storage_local(self, context: RequestContext, instance: Instance) -> dict[str, str]:
        """What the other host needs to say whether it has the same disks."""
        return {"uuid": str(instance.uuid)}

    def check_instance_shared_storage_remote(self, context: RequestContext, data: Mapping[str, str]) -> bool:
        """Whether the guest is in this system's SSI cluster."""
        with failures.told("look for the server"):
            return self._connected().mover.shared(data["uuid"]) is not None

    def check_instance_shared_storage_cleanup(self, context: RequestContext, data: Mapping[str, str]) -> None:
        """Nothing was made for the check."""

    # resize and cold migration

    def migrate_disk_and_power_off(
        self,
        context: RequestContext,
        instance: Instance,
        dest: str,
        flavor: Flavor,
        network_info: NetworkInfo | None,
        block_device_info: BlockDevices | None = None,
        timeout: int = 0,
        retry_interval: int = 0,
    ) -> str:
        """Check, shut down, and keep what a larger root disk is made from. Raises InstanceFaultRollback when nothing
        was changed."""
        mover, guest = self._connected().mover, self._servers.get(instance)
        on = False
        try:
            with failures.told("resize"):
                of_volume = boots_from_volume(block_device_info)
                mover.check(instance, flavor, self._destination(context, instance), of_volume=of_volume)
                on = self._servers.is_on(guest)
                self.power_off(instance, timeout, retry_interval)
                self._connected().volumes.detach_all(guest)
                return mover.leave(guest, instance, flavor, of_volume=of_volume)
        except exception.NovaException as error:
            with contextlib.suppress(ClientError):
                self._connected().volumes.attach_all(guest, block_device_info)
                if on:
                    self._servers.do(guest, "start")
            raise exception.InstanceFaultRollback(inner_exception=error) from error

    def _destination(self, context: RequestContext, instance: Instance) -> str:
        """The system that the instance is to go to: its migration's node."""
        migration = objects.Migration.get_by_id(context, instance.migration_context.migration_id)
        return str(migration.dest_node).upper()

    def finish_migration(
        self,
        context: RequestContext,
        migration: Any,
        instance: Instance,
        disk_info: str,
        network_info: NetworkInfo | None,
        image_meta: ImageMeta,
        resize_instance: bool,
        allocations: Mapping[str, Any] | None,
        block_device_info: BlockDevices | None = None,
        power_on: bool = True,
        share_info: Any = None,
    ) -> None:
        """The guest, which is off, belongs to this system and has the size of its new flavor; then it starts."""
        with failures.told("finish the resize"):
            with self._spawner.plugged(instance, network_info or NetworkInfo()):
                guest = self._connected().mover.arrive(instance, disk_info)
                self._connected().volumes.attach_all(guest, block_device_info)
            if power_on:
                self._servers.do(guest, "start")

    def confirm_migration(
        self, context: RequestContext, migration: Any, instance: Instance, network_info: NetworkInfo | None
    ) -> None:
        """Forget the old root disk, if one was kept. The guest is the destination's already."""
        with failures.told("confirm the resize"):
            self._connected().mover.settle(instance)

    def finish_revert_migration(
        self,
        context: RequestContext,
        instance: Instance,
        network_info: NetworkInfo | None,
        migration: Any,
        block_device_info: BlockDevices | None = None,
        power_on: bool = True,
        share_info: Any = None,
    ) -> None:
        """The guest is this system's again, and as it was before the resize."""
        with failures.told("revert the resize"):
            guest = self._connected().mover.back(instance)
            self._connected().volumes.attach_all(guest, block_device_info)
            if power_on:
                self._servers.do(guest, "start")

    # live migration

    def check_can_live_migrate_destination(
        self,
        context: RequestContext,
        instance: Instance,
        src_compute_info: Mapping[str, Any],
        dst_compute_info: Mapping[str, Any],
        block_migration: bool | None = False,
        disk_over_commit: bool | None = False,
    ) -> VMwareLiveMigrateData:
        """Both systems are members of one SSI cluster, and the guest has its rights to VSWITCHes here, which z/VM asks
        for when it checks. Raises MigrationPreCheckError."""
        if block_migration:
            raise exception.MigrationPreCheckError(reason="z/VM moves servers whose disks both members have; no blocks")
        mover = self._connected().mover
        try:
            guest = mover.shared(instance.uuid)
            if guest is None:
                source = src_compute_info.get("hypervisor_hostname")
                raise exception.MigrationPreCheckError(
                    reason=f"{source} and {self._servers.system} are not in one SSI cluster"
                )
            mover.allow(guest, self._servers.system)
        except ClientError as error:
            raise exception.MigrationPreCheckError(reason=failures.text(error)) from error
        return live_data(self._servers.system, str(instance.uuid))

    def cleanup_live_migration_destination_check(
        self, context: RequestContext, dest_check_data: VMwareLiveMigrateData
    ) -> None:
        """The rights go again: when the migration goes on, ``pre_live_migration`` gives them anew."""
        self._without_rights(dest_check_data.datastore_regex)

    def check_can_live_migrate_source(
        self,
        context: RequestContext,
        instance: Instance,
        dest_check_data: VMwareLiveMigrateData,
        block_device_info: BlockDevices | None = None,
    ) -> VMwareLiveMigrateData:
        """Ask z/VM whether the guest could go. Raises MigrationPreCheckError with each thing that stands against it
        and what mends it."""
        mover, guest = self._connected().mover, self._servers.get(instance)
        try:
            said = mover.against(guest, dest_check_data.cluster_name)
        except ClientError as error:
            raise exception.MigrationPreCheckError(reason=failures.text(error)) from error
        if said:
            raise exception.MigrationPreCheckError(reason=said)
        return dest_check_data

    def pre_live_migration(
        self,
        context: RequestContext,
        instance: Instance,
        block_device_info: BlockDevices | None,
        network_info: NetworkInfo | None,
        disk_info: Any,
        migrate_data: VMwareLiveMigrateData,
    ) -> VMwareLiveMigrateData:
        """On the destination: the guest's rights to VSWITCHes."""
        mover = self._connected().mover
        with failures.told("prepare the live migration"):
            guest = mover.shared(instance.uuid)
            if guest is not None:
                mover.allow(guest, self._servers.system)
        return migrate_data

    def live_migration(
        self,
        context: RequestContext,
        instance: Instance,
        dest: str,
        post_method: Callable[..., None],
        recover_method: Callable[..., None],
        block_migration: bool = False,
        migrate_data: Any = None,
    ) -> None:
        """VMRELOCATE; the guest runs on all the time."""
        self._connected().mover.relocate(
            context, instance, dest, (post_method, recover_method), migrate_data, block_migration=block_migration
        )

    def post_live_migration_at_source(
        self, context: RequestContext, instance: Instance, network_info: NetworkInfo | None
    ) -> None:
        """The guest has no rights to VSWITCHes here any more."""
        self._without_rights(instance.uuid)

    def rollback_live_migration_at_destination(
        self,
        context: RequestContext,
        instance: Instance,
        network_info: NetworkInfo | None,
        block_device_info: BlockDevices | None,
        destroy_disks: bool = True,
        migrate_data: Any = None,
    ) -> None:
        """The guest stayed where it was: nothing of it is left here."""
        self._without_rights(instance.uuid)

    def _without_rights(self, uuid: str) -> None:
        """Take the rights of a guest that is at another member back here."""
        mover = self._connected().mover
        with failures.told("take the rights back"):
            guest = mover.shared(uuid)
            if guest is not None and guest.system != self._servers.system:
                mover.forbid(guest, self._servers.system)

    def post_live_migration_at_destination(
        self,
        context: RequestContext,
        instance: Instance,
        network_info: NetworkInfo | None,
        block_migration: bool = False,
        block_device_info: BlockDevices | None = None,
    ) -> None:
        """The guest is here; raises InstanceNotFound if z/VM says otherwise."""
        self._servers.get(instance)
