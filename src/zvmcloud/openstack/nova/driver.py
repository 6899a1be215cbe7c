"""Nova's ComputeDriver for z/VM. Its methods are the contract of nova 34; what they do is in the modules beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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

from zvmcloud.client import ClientError, ProblemError
from zvmcloud.openstack.nova import failures, maintenance
from zvmcloud.openstack.nova.migrations import Migrations
from zvmcloud.openstack.nova.passwords import set_password
from zvmcloud.openstack.nova.servers import Guest
from zvmcloud.openstack.nova.spawning import Order, interface
from zvmcloud.openstack.nova.storage import Storage
from zvmcloud.openstack.nova.volumes import BlockDevices

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

_LONGEST_SHUTDOWN = 3600


class ZVMCloudDriver(Migrations, Storage):
    """``compute_driver = zvmcloud.ZVMCloudDriver``: the z/VM system that ``[zvmcloud] system`` names."""

    capabilities = {  # noqa: RUF012  nova's own name and kind
        **driver.ComputeDriver.capabilities,
        "has_imagecache": True,
        "supports_attach_interface": True,
        "supports_evacuate": True,
        "supports_extend_volume": True,
        "supports_multiattach": True,
        "supports_image_type_raw": True,
        "supports_image_type_qcow2": True,
    }

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

    # what is there

    def process_instances_at_startup(self, context: RequestContext, instances: Any) -> Any:
        """What a nova-compute that died was building is taken away: nova sets these instances to ERROR next. What it
        was attaching is detached."""
        for instance in instances:
            try:
                if instance.vm_state == vm_states.BUILDING:
                    self._servers.drop(instance)
                else:
                    self._connected().volumes.forget_begun(context, instance)
            except (ClientError, exception.NovaException) as error:
                said = failures.text(error) if isinstance(error, ClientError) else str(error)
                LOG.warning("what was begun stays: %s", said, instance=instance)
        return instances

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
        with failures.told("look at the server"):
            guest, facts = self._servers.look(instance)
        if facts["power_state"] != "on":
            return hardware.InstanceInfo(power_state.SHUTDOWN, guest.userid)
        paused = instance.vm_state == vm_states.PAUSED
        return hardware.InstanceInfo(power_state.PAUSED if paused else power_state.RUNNING, guest.userid)

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
        """See Spawner.spawn. An instance whose host is gone, and whose guest is in the same SSI cluster, is an
        evacuation: its guest is started here, with its disks."""
        network = network_info or NetworkInfo()
        if self.instance_on_disk(instance):
            self._evacuated(instance, network, block_device_info, power_on=power_on)
            return
        image = str(image_meta.id) if image_meta.obj_attr_is_set("id") else ""  # none for who boots from a volume
        order = Order(instance, image, network, block_device_info, tuple(injected_files), admin_password, power_on)
        self._spawner.spawn(context, order)

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
            if destroy_disks:
                self._servers.drop(instance)
                self._connected().mover.settle(instance)
            elif (guest := self._servers.find(instance.uuid)) is not None:
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
            self._servers.do(guest, "stop")
            self._repaired(guest)
            self._servers.do(guest, "start")
        except ClientError as error:
            raise exception.InstanceRebootFailure(reason=failures.text(error)) from error

    def _repaired(self, guest: Guest) -> None:
        try:
            self._servers.do(guest, "repair")
        except ProblemError as error:
            if error.code != "nothing-to-repair":
                raise

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

    def set_admin_password(self, instance: Instance, new_pass: str) -> None:
        """Of the user that the image's property os_admin_user names, or root. The server must be on, with the agent of
        its system running."""
        user = instance.image_meta.properties.get("os_admin_user", "") or "root"
        patience = float(CONF.zvmcloud.reachable_timeout)
        with failures.told("set the password"):
            set_password(self._servers, instance, user, new_pass, patience=patience)

    def get_diagnostics(self, instance: Instance) -> dict[str, Any]:
        """See Facts.figures."""
        guest = self._servers.get(instance)
        with failures.told(f"diagnose {guest.userid}"):
            return self._connected().facts.figures(guest)

    def get_instance_diagnostics(self, instance: Instance) -> Any:
        """See Facts.diagnosed."""
        guest = self._servers.get(instance)
        with failures.told(f"diagnose {guest.userid}"):
            return self._connected().facts.diagnosed(guest, config_drive=True)

    # images

    def snapshot(
        self, context: RequestContext, instance: Instance, image_id: str, update_task_state: Callable[..., None]
    ) -> None:
        """See Snapshotter.snapshot."""
        with failures.told("snapshot"):
            self._connected().snapshots.snapshot(context, instance, image_id, update_task_state)

    def manage_image_cache(self, context: RequestContext, all_instances: Any) -> None:
        """Remove images of glance from the manager's repository that no server of this host and its peers was made of,
        and that none was made of anywhere for [image_cache] remove_unused_original_minimum_age_seconds."""
        if not CONF.image_cache.remove_unused_base_images:
            return
        used = {str(instance.image_ref) for instance in all_instances if instance.image_ref}
        age = float(CONF.image_cache.remove_unused_original_minimum_age_seconds)
        with failures.told("clean the image cache"):
            for image in self._connected().images.clean(used, age):
                LOG.info("image %s is removed from the manager's repository", image)

    def cache_image(self, context: RequestContext, image_id: str) -> bool:
        """Have an image there before it is asked for. Whether it had to be fetched."""
        with failures.told(f"fetch image {image_id}"):
            return self._connected().images.fetched(context, image_id)

    # rescue

    def rescue(
        self,
        context: RequestContext,
        instance: Instance,
        network_info: NetworkInfo | None,
        image_meta: ImageMeta,
        rescue_password: str | None,
        block_device_info: BlockDevices | None,
        share_info: Any = None,
    ) -> None:
        """See Rescuer.rescue."""
        with failures.told("rescue"):
            self._connected().rescuer.rescue(
                context, instance, network_info or NetworkInfo(), image_meta, rescue_password
            )

    def unrescue(self, context: RequestContext, instance: Instance) -> None:
        """Log the guest off, take the rescue disk away, and boot its own disk."""
        with failures.told("unrescue"):
            self._connected().rescuer.unrescue(instance)

    # adapters

    def attach_interface(
        self, context: RequestContext, instance: Instance, image_meta: ImageMeta, vif: Mapping[str, Any]
    ) -> None:
        """Define an adapter for the port, at once when the guest runs; neutron's agent couples it."""
        guest = self._servers.get(instance)
        try:
            self._servers.do(guest, "nics", interface(vif))
        except ClientError as error:
            raise exception.InterfaceAttachFailed(instance_uuid=instance.uuid) from failures.ZVMError(
                reason=failures.text(error)
            )

    def detach_interface(self, context: RequestContext, instance: Instance, vif: Mapping[str, Any]) -> None:
        """Take the port's adapter away; one that is gone is fine."""
        guest = self._servers.find(instance.uuid)
        if guest is None:
            return
        try:
            query = {"userid": guest.userid, "nic_id": str(vif["id"])}
            for nic in list(self._servers.client.pages(f"/systems/{guest.system}/nics", query)):
                self._servers.run("DELETE", f"{guest.path}/nics/{nic['vdev']}")
        except ClientError as error:
            raise exception.InterfaceDetachFailed(instance_uuid=instance.uuid) from failures.ZVMError(
                reason=failures.text(error)
            )

    def plug_vifs(self, instance: Instance, network_info: NetworkInfo | None) -> None:
        """Nothing on this machine; the adapters are in the guest's directory entry."""

    def unplug_vifs(self, instance: Instance, network_info: NetworkInfo | None) -> None:
        """See plug_vifs: they go with the guest, or with detach_interface."""

    # the system

    def get_available_resource(self, nodename: str) -> dict[str, Any]:
        """See Facts.resources."""
        with failures.told("resources of the system"):
            return self._connected().facts.resources()

    def update_provider_tree(self, provider_tree: Any, nodename: str, allocations: Any = None) -> None:
        """See Facts.publish."""
        ratios = self._get_allocation_ratios(provider_tree.data(nodename).inventory)
        reserved = self._get_reserved_host_disk_gb_from_config()
        with failures.told("resources of the system"):
            self._connected().facts.publish(provider_tree, nodename, ratios, reserved)

    def get_host_uptime(self) -> str:
        """When z/VM was started."""
        with failures.told("uptime of the system"):
            return self._connected().facts.uptime()

    def set_host_enabled(self, enabled: bool) -> str:
        """See maintenance.enable."""
        maintenance.enable(CONF.host, enabled)
        return "enabled" if enabled else "disabled"

    def host_maintenance_mode(self, host: str, mode: bool) -> str:
        """See maintenance.switch. The servers that are there are nova's to move (`nova host-evacuate-live`)."""
        maintenance.switch(CONF.host, mode)
        return "on_maintenance" if mode else "off_maintenance"

    def get_host_ip_addr(self) -> str:
        """The address of nova-compute."""
        return str(CONF.my_ip)

    def get_available_nodes(self, refresh: bool = False) -> list[str]:
        """One node: the z/VM system."""
        return [self._servers.system]
