"""Nova's ComputeDriver for z/VM. Its methods are the contract of nova 34; what they do is in the modules beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import nova.conf
from nova import exception
from nova.compute import power_state, vm_states
from nova.context import RequestContext
from nova.network.model import NetworkInfo
from nova.objects.image_meta import ImageMeta
from nova.objects.instance import Instance
from nova.virt import driver, hardware
from oslo_log import log as logging

from zvmcloud.client import Client, ClientError, ProblemError
from zvmcloud.openstack import connection
from zvmcloud.openstack.nova import failures, options
from zvmcloud.openstack.nova.imagecache import ImageCache
from zvmcloud.openstack.nova.servers import Guest, Servers
from zvmcloud.openstack.nova.spawning import BlockDevices, Spawner

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)
options.register(CONF)

_LONGEST_SHUTDOWN = 3600


class ZVMCloudDriver(driver.ComputeDriver):
    """``compute_driver = zvmcloud.ZVMCloudDriver``: the z/VM system that ``[zvmcloud] system`` names."""

    capabilities = {  # noqa: RUF012  nova's own name and kind
        **driver.ComputeDriver.capabilities,
        "has_imagecache": True,
        "supports_image_type_raw": True,
        "supports_image_type_qcow2": True,
    }

    def __init__(self, virtapi: Any) -> None:
        """Connects to nothing; a wrong option is told by ``init_host``."""
        super().__init__(virtapi)
        self._parts: _Parts | None = None

    # start and end

    def init_host(self, host: str) -> None:
        """Read the options and ask the manager for the system. Raises what makes nova-compute say why it cannot
        start: HypervisorUnavailable, ConfigurationError."""
        parts = self._connected()
        try:
            parts.client.ask("GET", f"/systems/{parts.servers.system}")
        except ClientError as error:
            raise exception.HypervisorUnavailable() from failures.ZVMError(reason=failures.text(error))
        LOG.info("z/VM system %s through %s", parts.servers.system, parts.client.url)

    def cleanup_host(self, host: str) -> None:
        """Close the connections."""
        if self._parts is not None:
            self._parts.client.close()
            self._parts = None

    def _connected(self) -> _Parts:
        if self._parts is None:
            self._parts = _Parts(connection.connect(CONF), connection.system(CONF), self.virtapi)
        return self._parts

    @property
    def _servers(self) -> Servers:
        return self._connected().servers

    # what is there

    def list_instances(self) -> list[str]:
        """Nova's names of the instances on this system; other guests of the system are not nova's."""
        with failures.told("list the servers"):
            return [guest.name for guest in self._servers.all()]

    def list_instance_uuids(self) -> list[str]:
        """Their UUIDs."""
        with failures.told("list the servers"):
            return [guest.uuid for guest in self._servers.all()]

    def get_num_instances(self) -> int:
        """How many there are."""
        return len(self.list_instance_uuids())

    def instance_exists(self, instance: Instance) -> bool:
        """Whether there is a guest of the instance on this system."""
        with failures.told("look for the server"):
            return self._servers.find(instance.uuid) is not None

    def get_info(self, instance: Instance, use_cache: bool = True) -> hardware.InstanceInfo:
        """Running, shut down, or as nova left it: paused, which CP does not tell from running. Raises
        InstanceNotFound."""
        guest = self._servers.get(instance)
        try:
            on = self._servers.is_on(guest)
        except ProblemError as error:
            if error.status == 404:
                raise exception.InstanceNotFound(instance_id=instance.uuid) from error
            raise failures.ZVMError(reason=failures.text(error)) from error
        except ClientError as error:
            raise failures.ZVMError(reason=failures.text(error)) from error
        if on and instance.vm_state == vm_states.PAUSED:
            return hardware.InstanceInfo(power_state.PAUSED, guest.userid)
        return hardware.InstanceInfo(power_state.RUNNING if on else power_state.SHUTDOWN, guest.userid)

    # new and gone

    def spawn(
        self,
        context: RequestContext,
        instance: Instance,
        image_meta: ImageMeta,
        injected_files: Sequence[tuple[str, bytes | str]],
        admin_password: str | None,
        allocations: Mapping[str, Any] | None,
        network_info: NetworkInfo | None = None,
        block_device_info: BlockDevices | None = None,
        power_on: bool = True,
        accel_info: Any = None,
    ) -> None:
        """See Spawner.spawn."""
        self._connected().spawner.spawn(
            context,
            instance,
            image_meta,
            injected_files,
            admin_password,
            network_info,
            block_device_info,
            power_on=power_on,
        )

    def destroy(
        self,
        context: RequestContext,
        instance: Instance,
        network_info: NetworkInfo | None,
        block_device_info: BlockDevices | None = None,
        destroy_disks: bool = True,
        destroy_secrets: bool = True,
    ) -> None:
        """Log the guest off and delete it, with its disks; without ``destroy_disks`` only log it off. One that is gone
        is fine. What was under way for it is cancelled first."""
        with failures.told("delete the server"):
            guest = self._servers.find(instance.uuid)
            if guest is None:
                LOG.info("there is no guest of it any more", instance=instance)
            elif destroy_disks:
                self._servers.delete(guest)
            else:
                self._servers.do(guest, "stop")

    def cleanup(
        self,
        context: RequestContext,
        instance: Instance,
        network_info: NetworkInfo | None,
        block_device_info: BlockDevices | None = None,
        destroy_disks: bool = True,
        migrate_data: Any = None,
        destroy_vifs: bool = True,
        destroy_secrets: bool = True,
    ) -> None:
        """What ``destroy`` left: nothing, unless its disks are to go now."""
        if destroy_disks:
            self.destroy(context, instance, network_info, block_device_info)

    # power

    def power_on(
        self,
        context: RequestContext,
        instance: Instance,
        network_info: NetworkInfo | None,
        block_device_info: BlockDevices | None = None,
        accel_info: Any = None,
        share_info: Any = None,
    ) -> None:
        """Log the guest on; it boots. One that is on is fine."""
        self._power(instance, "start")

    def power_off(self, instance: Instance, timeout: int = 0, retry_interval: int = 0) -> None:
        """Let the system shut down for ``timeout`` seconds, then log the guest off; at once with 0. CP signals once:
        there is nothing to repeat. Raises InstancePowerOffFailure."""
        guest = self._servers.get(instance)
        try:
            if timeout > 0:
                self._servers.do(guest, "shutdown", {"timeout": min(timeout, _LONGEST_SHUTDOWN)})
            else:
                self._servers.do(guest, "stop")
        except ClientError as error:
            raise exception.InstancePowerOffFailure(reason=failures.text(error)) from error

    def reboot(
        self,
        context: RequestContext,
        instance: Instance,
        network_info: NetworkInfo | None,
        reboot_type: str,
        block_device_info: BlockDevices | None = None,
        bad_volumes_callback: Any = None,
        accel_info: Any = None,
        share_info: Any = None,
    ) -> None:
        """SOFT: restart the system from inside; when it does not answer, or with HARD: log off, make adapters and
        their rights as they were recorded, log on. Raises InstanceRebootFailure."""
        guest = self._servers.get(instance)
        try:
            if reboot_type == "SOFT" and self._restarted(guest, instance):
                return
            for verb in ("stop", "repair", "start"):
                self._servers.do(guest, verb)
        except ClientError as error:
            raise exception.InstanceRebootFailure(reason=failures.text(error)) from error

    def _restarted(self, guest: Guest, instance: Instance) -> bool:
        try:
            self._servers.do(guest, "reboot")
        except ProblemError as error:
            LOG.warning("no restart from inside, it is logged off and on: %s", error.detail, instance=instance)
            return False
        return True

    def pause(self, instance: Instance) -> None:
        """Stop the processors; storage stays."""
        self._power(instance, "pause")

    def unpause(self, instance: Instance) -> None:
        """Let the processors go on."""
        self._power(instance, "unpause")

    def _power(self, instance: Instance, verb: str) -> None:
        guest = self._servers.get(instance)
        with failures.told(f"{verb} {guest.userid}"):
            self._servers.do(guest, verb)

    def get_console_output(self, context: RequestContext, instance: Instance) -> bytes:
        """The end of what the guest and CP wrote to its console."""
        guest = self._servers.get(instance)
        with failures.told(f"console of {guest.userid}"):
            query = {"kb": CONF.zvmcloud.console_kilobytes}
            found = self._servers.client.ask("GET", f"{guest.path}/console", query=query)
        return str(found["text"]).encode("ascii", "replace")

    def get_host_ip_addr(self) -> str:
        """The address of nova-compute."""
        return str(CONF.my_ip)

    def get_available_nodes(self, refresh: bool = False) -> list[str]:
        """One node: the z/VM system."""
        return [self._servers.system]


class _Parts:
    """What needs a connection."""

    def __init__(self, client: Client, system: str, virtapi: Any) -> None:
        self.client = client
        self.servers = Servers(
            client, system, prefix=CONF.zvmcloud.userid_prefix, patience=float(CONF.zvmcloud.busy_timeout)
        )
        self.images = ImageCache(client)
        self.spawner = Spawner(self.servers, self.images, virtapi)
