"""Cinder's VolumeDriver for z/VM. Its methods are the contract of cinder 29."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cinder import exception, interface
from cinder.common import constants
from cinder.context import RequestContext
from cinder.objects.snapshot import Snapshot
from cinder.objects.volume import Volume
from cinder.objects.volume_type import VolumeType
from cinder.volume import driver as base
from cinder.volume import volume_utils
from oslo_config import cfg
from oslo_log import log as logging

from zvmcloud.client import ClientError
from zvmcloud.openstack import connection
from zvmcloud.openstack.changes import Changes
from zvmcloud.openstack.cinder import images, options
from zvmcloud.openstack.cinder.managing import Managing
from zvmcloud.openstack.cinder.volumes import Pool, Volumes, found_at
from zvmcloud.openstack.connection import ConfigurationError
from zvmcloud.openstack.failures import text

CONF = cfg.CONF
LOG = logging.getLogger(__name__)
options.register(CONF)

Connector = Mapping[str, Any]
Host = Mapping[str, Any]


class ZVMVolumeError(exception.VolumeDriverException):
    """The manager refused or a job failed: what z/VM said, what to do, and the job."""

    message = "%(reason)s"


@contextmanager
def told(what: str) -> Iterator[None]:
    """Raise ZVMVolumeError for what the client raises; ``what`` was being done."""
    try:
        yield
    except ClientError as error:
        raise ZVMVolumeError(reason=f"{what}: {text(error)}") from error


@interface.volumedriver
class ZVMVolumeDriver(Managing, base.VolumeDriver):
    """``volume_driver = zvmcloud.openstack.cinder.driver.ZVMVolumeDriver``: the pools of LUNs of one z/VM system or
    SSI cluster. Guests reach volumes through FCP devices of their own, so a connector names a guest, not the initiator
    of a host. Snapshots are copies. There is no QoS."""

    VERSION = "1.0.0"
    CI_WIKI_NAME = ""
    SUPPORTED = True
    SUPPORTS_ACTIVE_ACTIVE = True
    """The manager changes a volume for one caller at a time; nothing is kept here."""

    def __init__(self, *args: Any, **more: Any) -> None:
        """Connects to nothing; a wrong option is told by ``do_setup``."""
        super().__init__(*args, **more)
        self.configuration.append_config_values(options.OPTIONS)
        self._asked: Volumes | None = None

    @staticmethod
    def get_driver_options() -> list[cfg.Opt]:
        """Those of a backend section."""
        return options.OPTIONS

    @property
    def _volumes(self) -> Volumes:
        if self._asked is None:
            raise exception.DriverNotInitialized()
        return self._asked

    # start

    def do_setup(self, context: RequestContext) -> None:
        """Read the options; finish what a cinder-volume that died was moving. Raises InvalidConfigurationValue,
        ZVMVolumeError."""
        system = str(self.configuration.zvm_system or "").upper()
        if not system:
            raise exception.InvalidConfigurationValue(option="zvm_system", value="")
        try:
            client = connection.connect(CONF)
        except ConfigurationError as error:
            raise ZVMVolumeError(reason=str(error)) from error
        self._asked = Volumes(client, system, Changes(client, float(self.configuration.zvm_busy_timeout)))
        with told("finish what was begun"):
            self._asked.settle_all()

    def check_for_setup_error(self) -> None:
        """Raises InvalidConfigurationValue for a pool that the system does not reach, ZVMVolumeError."""
        with told(f"pools of {self._volumes.system}"):
            found = {pool.name for pool in self._volumes.pools()}
        for name in self._wanted_pools():
            if name not in found:
                raise exception.InvalidConfigurationValue(option="zvm_volume_pools", value=name)
        LOG.info("volumes of z/VM system %s through %s", self._volumes.system, self._volumes.client.url)

    def _wanted_pools(self) -> tuple[str, ...]:
        return tuple(str(name).lower() for name in self.configuration.zvm_volume_pools)

    # what there is

    def _update_volume_stats(self) -> None:
        """What cinder's ``get_volume_stats`` returns: each pool as it is now."""
        with told(f"pools of {self._volumes.system}"):
            pools = self._volumes.pools(self._wanted_pools())
        self._stats = {
            "volume_backend_name": self.configuration.safe_get("volume_backend_name") or self._volumes.system,
            "vendor_name": "zvmcloud",
            "driver_version": self.VERSION,
            "storage_protocol": constants.FC,
            "pools": [self._described(pool) for pool in pools],
        }

    def _described(self, pool: Pool) -> dict[str, Any]:
        return {
            "pool_name": pool.name,
            "total_capacity_gb": pool.total_gb,
            "free_capacity_gb": pool.free_gb,
            "allocated_capacity_gb": pool.allocated_gb,
            "provisioned_capacity_gb": pool.total_gb - pool.free_gb,
            "reserved_percentage": int(self.configuration.safe_get("reserved_percentage") or 0),
            "max_over_subscription_ratio": 1.0,
            "thin_provisioning_support": False,
            "thick_provisioning_support": True,
            "multiattach": True,
            "QoS_support": False,
            "online_extend_support": True,
            "total_volumes": pool.volumes,
            "zvm_largest_gb": pool.largest_gb,
            "location_info": " ".join((self._volumes.client.url, *pool.systems)),
            "filter_function": self.get_filter_function(),
            "goodness_function": self.get_goodness_function(),
        }

    def get_default_filter_function(self) -> str:
        """A volume needs one free LUN of its size, not that much room in all. It counts where the scheduler has the
        DriverFilter."""
        return "volume.size <= capabilities.zvm_largest_gb"

    # volumes and snapshots

    def create_volume(self, volume: Volume) -> None:
        """The smallest free LUN of the pool that is large enough."""
        with told("create a volume"):
            self._volumes.make(volume.name, pool_of(volume), volume.size, shared=bool(volume.multiattach))

    def delete_volume(self, volume: Volume) -> None:
        """Its LUN is wiped as the pool says. One that is gone is fine; one that a guest has is refused."""
        with told("delete a volume"):
            self._volumes.delete(volume.name)

    def extend_volume(self, volume: Volume, new_size: int) -> None:
        """As far as its LUN goes: guests that have it see the whole LUN already."""
        with told("extend a volume"):
            self._volumes.do(volume.name, "extend", size_gb=new_size)

    def create_cloned_volume(self, volume: Volume, src_vref: Volume) -> None:
        """A copy. The source must not be written meanwhile: a guest that has it is off."""
        self._copied(volume, src_vref.name)

    def create_volume_from_snapshot(self, volume: Volume, snapshot: Snapshot) -> None:
        """A copy of the snapshot."""
        self._copied(volume, snapshot.name)

    def _copied(self, volume: Volume, source: str) -> None:
        with told("copy a volume"):
            shared = bool(volume.multiattach)
            self._volumes.make(volume.name, pool_of(volume), volume.size, shared=shared, source=source)

    def create_snapshot(self, snapshot: Snapshot) -> None:
        """A copy in the volume's pool; a guest that has the volume is off."""
        with told("snapshot a volume"):
            self._volumes.make(
                snapshot.name, pool_of(snapshot.volume), snapshot.volume_size, source=snapshot.volume.name
            )

    def delete_snapshot(self, snapshot: Snapshot) -> None:
        """As a volume: nothing depends on it, since all copies are whole."""
        with told("delete a snapshot"):
            self._volumes.delete(snapshot.name)

    def revert_to_snapshot(self, context: RequestContext, volume: Volume, snapshot: Snapshot) -> None:
        """The volume, which no guest has, gets the snapshot's bytes and keeps its size."""
        with told("revert a volume"):
            self._volumes.do(volume.name, "copy", source=snapshot.name)

    def snapshot_revert_use_temp_snapshot(self) -> bool:
        """No: a temporary copy would need a LUN more, and what fails can be done again."""
        return False

    # images

    def clone_image(
        self,
        context: RequestContext,
        volume: Volume,
        image_location: Any,
        image_meta: Mapping[str, Any],
        image_service: Any,
    ) -> tuple[dict[str, Any], bool]:
        """A new volume with the bytes of an image, always by this road: the other one reads the image at the cinder
        host. What fails leaves no volume."""
        source = images.source(context, image_meta)
        self.create_volume(volume)
        try:
            with told("write an image to a volume"):
                self._volumes.do(volume.name, "write", **source)
        except ZVMVolumeError:
            self._cleared(volume)
            raise
        return {}, True

    def _cleared(self, volume: Volume) -> None:
        try:
            self._volumes.delete(volume.name)
        except ClientError as error:
            LOG.warning("volume %s is left: %s", volume.name, text(error))

    def copy_image_to_volume(
        self,
        context: RequestContext,
        volume: Volume,
        image_service: Any,
        image_id: str,
        disable_sparse: bool = False,
    ) -> None:
        """Overwrite a volume with an image."""
        source = images.source(context, image_service.show(context, image_id))
        with told("write an image to a volume"):
            self._volumes.do(volume.name, "write", **source)

    def copy_volume_to_image(
        self, context: RequestContext, volume: Volume, image_service: Any, image_meta: Mapping[str, Any]
    ) -> None:
        """The agent sends the volume's bytes to glance; both must have counted the same digest."""
        image = str(image_meta["id"])
        with told("send a volume to glance"):
            sent = self._volumes.do(volume.name, "send", **images.target(context, image_meta))
        has = image_service.show(context, image)
        if has.get("os_hash_algo") == "sha512" and has.get("os_hash_value") != sent.get("sha512"):
            raise exception.ImageUnacceptable(image_id=image, reason="glance has other bytes than the volume")

    # moves

    def retype(
        self, context: RequestContext, volume: Volume, new_type: VolumeType, diff: Mapping[str, Any], host: Host
    ) -> bool:
        """True when it is done: another pool that the system reaches and another way of sharing, by a copy to another
        LUN while no guest has the volume; any other extra spec, at once. QoS is not for this driver to enforce."""
        if diff.get("encryption") or diff.get("qos_specs"):
            return False
        _, multiattach = (diff.get("extra_specs") or {}).get("multiattach", (None, None))
        shared = multiattach == "<is> True" if multiattach else bool(volume.multiattach)
        pool = str(volume_utils.extract_host(host["host"], level="pool"))
        if pool == pool_of(volume) and shared == bool(volume.multiattach):
            return True
        return self._moved(volume, pool, host, shared=shared)

    def migrate_volume(self, context: RequestContext, volume: Volume, host: Host) -> tuple[bool, dict[str, Any] | None]:
        """To a pool that this backend's system reaches too, by a copy to another LUN."""
        pool = str(volume_utils.extract_host(host["host"], level="pool"))
        moved = self._moved(volume, pool, host, shared=bool(volume.multiattach))
        return moved, ({} if moved else None)

    def _moved(self, volume: Volume, pool: str, host: Host, *, shared: bool) -> bool:
        url, *systems = str(host["capabilities"].get("location_info") or "-").split()
        if url != self._volumes.client.url or self._volumes.system not in systems:
            return False
        with told("move a volume"):
            if pool != pool_of(volume) or shared != bool(volume.multiattach):
                self._volumes.move(volume.name, pool, volume.size, shared=shared)
        return True

    def update_migrated_volume(
        self, ctxt: RequestContext, volume: Volume, new_volume: Volume, original_volume_status: str
    ) -> dict[str, Any]:
        """The volume keeps the name of the one that it was copied to, which a guest may have."""
        return {"_name_id": new_volume["_name_id"] or new_volume["id"]}

    # connections

    def ensure_export(self, context: RequestContext, volume: Volume) -> None:
        """Nothing: LUNs are always there."""

    def create_export(self, context: RequestContext, volume: Volume, connector: Connector) -> None:
        """See ensure_export."""

    def remove_export(self, context: RequestContext, volume: Volume) -> None:
        """See ensure_export."""

    def validate_connector(self, connector: Connector) -> None:
        """A guest of z/VM: its system and instance. Raises InvalidConnectorException for a host with an initiator of
        its own, which cannot reach these LUNs."""
        for name in ("zvm_system", "zvm_instance"):
            if not connector.get(name):
                raise exception.InvalidConnectorException(missing=name)

    def initialize_connection(self, volume: Volume, connector: Connector) -> dict[str, Any]:
        """Where the volume is, for the Nova driver: it has the manager attach it. Raises ZVMVolumeError for a system
        that does not reach the volume's pool."""
        found = self._found(volume.name)
        system = str(connector["zvm_system"])
        with told("connect a volume"):
            reached = found_at(self._volumes.client, system, volume.name)
        if reached is None:
            raise ZVMVolumeError(reason=f"{system} does not reach pool {found['pool']} of volume {volume.name}")
        return {
            "driver_volume_type": "fibre_channel",
            "data": {
                "target_discovered": True,
                "target_wwn": found["wwpns"],
                "target_lun": found["lun"],
                "volume_id": volume.id,
                "access_mode": "rw",
                "discard": False,
                "encrypted": False,
                "zvm_volume": volume.name,
                "zvm_template": str(self.configuration.zvm_fcp_template),
            },
        }

    def _found(self, name: str) -> Mapping[str, Any]:
        with told("look for a volume"):
            found = self._volumes.find(name)
        if found is None:
            raise ZVMVolumeError(reason=f"{self._volumes.system} reaches no volume {name}")
        return found

    def terminate_connection(self, volume: Volume, connector: Connector | None, **more: Any) -> None:
        """The guest of the connector does not have the volume any more, nor does any without a connector. A guest
        that has moved to another system keeps it."""
        with told("disconnect a volume"):
            if connector is None:
                self._volumes.detach(volume.name)
            elif connector.get("zvm_instance"):
                instance, system = str(connector["zvm_instance"]), str(connector.get("zvm_system"))
                self._volumes.detach(volume.name, instance, system)


def pool_of(volume: Volume) -> str:
    """The pool that the scheduler chose for a volume."""
    return str(volume_utils.extract_host(volume.host, level="pool"))
