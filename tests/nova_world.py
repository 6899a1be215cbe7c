"""Nova's real objects, and what the tests of its driver see of nova and of z/VM.

This is no package below tests/openstack: the SDK of OpenStack is a package of that name.
"""

from __future__ import annotations

import hashlib
import io
import os
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from e2e.stack import Stack

os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "1"

from nova import objects
from nova.compute import vm_states
from nova.network import model
from nova.objects.instance import Instance
from nova.virt import driver as virt

from zvmcloud.client import Client
from zvmcloud.openstack.nova.driver import ZVMCloudDriver
from zvmcloud.smapi import functions as f

IMAGE = "0b0e6a3c-4b46-4d53-9f4c-4b2f1f7a1a01"


@dataclass
class Glance:
    """The image service as the driver uses it: images by id, and what was uploaded."""

    images: dict[str, bytes] = field(default_factory=dict)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    downloads: list[str] = field(default_factory=list)

    def add(self, image: str, data: bytes, **more: Any) -> str:
        self.images[image] = data
        checksum, sha512 = hashlib.md5(data, usedforsecurity=False).hexdigest(), hashlib.sha512(data).hexdigest()
        self.facts[image] = {
            "id": image, "name": "sample", "size": len(data), "checksum": checksum, "os_hash_algo": "sha512",
            "os_hash_value": sha512, "properties": {}, **more,
        }  # fmt: skip
        return image

    def show(self, _context: object, image: str, **_more: object) -> dict[str, Any]:
        return self.facts[image]

    def download(self, _context: object, image: str, data: Any = None, **_more: object) -> None:
        self.downloads.append(image)
        whole = io.BytesIO(self.images[image])
        while piece := whole.read(65536):
            data.write(piece)

    def update(self, _context: object, image: str, facts: dict[str, Any], data: Any = None, **_more: object) -> None:
        found = getattr(data, "buffer", data).read()  # nova's own zvm driver opens the file as text
        self.add(image, found, **facts)

    def delete(self, _context: object, image: str) -> None:
        self.images.pop(image, None)
        self.facts.pop(image, None)


class VirtApi:
    """Nova's door for events: notes which were waited for; ``during`` runs when they are."""

    def __init__(self) -> None:
        self.waited: list[tuple[str, str]] = []
        self.during: Callable[[], None] = lambda: None

    def wait_for_instance_event(
        self, _instance: object, events: list[tuple[str, str]], **_more: object
    ) -> AbstractContextManager[None]:
        self.waited += events
        api = self

        class Waiting(nullcontext[None]):
            def __exit__(self, *error: object) -> None:
                if error[0] is None and events:
                    api.during()

        return Waiting()


@dataclass
class Compute:
    """A nova-compute's view: the driver, the z/VM behind it, and what nova's other services would say."""

    driver: ZVMCloudDriver
    stack: Stack
    glance: Glance
    api: VirtApi
    client: Client
    context: Any

    def instance(self, **more: Any) -> Instance:
        return instance(self.context, **more)

    def spawn(self, server: Instance, network: Any = (), **more: Any) -> Instance:
        name = more.pop("image", IMAGE)
        image = objects.ImageMeta.from_dict({"properties": {}, **({"id": name} if name else {})})
        files, password = more.pop("files", []), more.pop("password", None)
        self.driver.spawn(self.context, server, image, files, password, {}, model.NetworkInfo(network), **more)
        return server

    def userid(self, server: Instance) -> str:
        """The userid of an instance, as the manager's tags say."""
        (found,) = self.client.pages("/guests", {"tag": [f"openstack_instance={server.uuid}"]})
        return str(found["userid"])

    def answers(self, userid: str) -> bool:
        """Whether the agent in the guest does."""
        with self.stack.machine() as zhcp:
            return zhcp.try_guest(userid, "echo ping")

    def up(self, userid: str) -> str:
        """Wait until the agent in the guest answers; its host name."""
        deadline = time.monotonic() + 120
        with self.stack.machine() as zhcp:
            while not zhcp.try_guest(userid, "echo ping"):
                assert time.monotonic() < deadline, f"{userid} did not come up"
                time.sleep(0.2)
            return zhcp.guest(userid, "cat /etc/hostname").partition(".")[0].strip()

    def asked(self, call: Callable[[], object]) -> list[str]:
        """What the driver asks the manager in a call."""
        asked: list[str] = []
        hooks = self.driver._servers.client._http.event_hooks
        self.driver._servers.client._http.event_hooks = {
            **hooks, "request": [lambda request: asked.append(f"{request.method} {request.url.path}")],
        }  # fmt: skip
        try:
            call()
        finally:
            self.driver._servers.client._http.event_hooks = hooks
        return asked

    def userids(self) -> set[str]:
        """All userids of the system's directory, asked of z/VM."""
        answer = self.stack.smapi(f.ImageNameQueryDM(target="MAINT"))
        return set(answer.reply.image_name_array)


def until(true: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.05)


_numbers = iter(range(1, 1000))


def flavor(
    *, vcpus: int = 1, memory_mb: int = 512, root_gb: int = 0, ephemeral_gb: int = 0, swap: int = 0,
    extra_specs: dict[str, str] | None = None,
) -> objects.Flavor:  # fmt: skip
    return objects.Flavor(
        id=1, name="small", flavorid="1", vcpus=vcpus, memory_mb=memory_mb, root_gb=root_gb, swap=swap,
        ephemeral_gb=ephemeral_gb, extra_specs=extra_specs or {}, is_public=True, disabled=False, vcpu_weight=0,
        rxtx_factor=1.0, description=None, projects=[],
    )  # fmt: skip


def local_disks(
    context: Any, server: Instance, ephemerals: Sequence[tuple[int, str | None]] = (), swap: int = 0
) -> Any:
    """What nova hands to ``spawn`` of a server's local disks, made by nova of its records: ephemeral disks of so many
    GiB with a format (None: the default one), and a swap disk of so many MiB."""
    disks = [*ephemerals, *([(swap, "swap")] if swap else [])]
    records = [
        objects.BlockDeviceMapping(
            context, id=number, uuid=str(uuid.uuid4()), instance_uuid=server.uuid, source_type="blank",
            destination_type="local", device_type="disk", disk_bus=None, boot_index=-1, guest_format=form,
            volume_size=size, device_name=f"/dev/dasd{'bcdefg'[number]}", delete_on_termination=True, image_id=None,
            snapshot_id=None, volume_id=None, no_device=False, tag=None, volume_type=None, encrypted=False,
            encryption_secret_uuid=None, encryption_format=None, encryption_options=None, attachment_id=None,
            connection_info=None, deleted=False,
        )
        for number, (size, form) in enumerate(disks)
    ]  # fmt: skip
    return virt.get_block_device_info(server, objects.BlockDeviceMappingList(objects=records))


class NoNotifications:
    """Nova's notifier when nobody listens."""

    def is_enabled(self) -> bool:
        return False


def migrating(context: Any, server: Instance, node: str) -> objects.Migration:
    """A migration of the server to a node, as nova's resource tracker writes it down."""
    found = objects.Migration(
        context, instance_uuid=server.uuid, source_node="VM1", dest_node=node, source_compute="compute1",
        dest_compute="compute2", dest_compute_id=1, source_compute_id=1, status="pre-migrating",
        migration_type="resize", dest_host="192.0.2.2",
    )  # fmt: skip
    found.create()
    server.migration_context = objects.MigrationContext(instance_uuid=server.uuid, migration_id=found.id)
    return found


def moved(source: Compute, server: Instance, data: Any) -> list[str]:
    """What became of a live migration's move: done, or recover."""
    calls: list[str] = []
    source.driver.live_migration(
        source.context, server, "compute2", lambda *_args, **_more: calls.append("done"),
        lambda *_args, **_more: calls.append("recover"), False, data,
    )  # fmt: skip
    return calls


def instance(context: Any, **more: Any) -> Instance:
    """A server as nova's database would give it, with all that is loaded lazily otherwise."""
    number = next(_numbers)
    names = ("vcpus", "memory_mb", "root_gb", "ephemeral_gb", "swap", "extra_specs")
    size = flavor(**{name: more.pop(name) for name in names if name in more})
    made = Instance(
        context, id=number, uuid=str(uuid.uuid4()), host="compute1", node="VM1", project_id="p", user_id="u",
        image_ref=IMAGE, hostname=more.pop("hostname", f"web{number:02d}"), display_name="web", key_name=None,
        key_data=None, user_data=None, metadata={}, system_metadata={}, launch_index=0, reservation_id="r-1",
        availability_zone="nova", root_device_name="/dev/dasda", default_ephemeral_device=None,
        default_swap_device=None, vm_state=vm_states.BUILDING, task_state=None, power_state=0, config_drive="",
        memory_mb=size.memory_mb, vcpus=size.vcpus, root_gb=size.root_gb, ephemeral_gb=size.ephemeral_gb,
        flavor=size, old_flavor=None, new_flavor=None, device_metadata=None, numa_topology=None,
        keypairs=objects.KeyPairList(objects=[]), tags=objects.TagList(objects=[]), created_at=None, os_type=None,
        security_groups=objects.SecurityGroupList(objects=[]), access_ip_v4=None, access_ip_v6=None, deleted=False,
        ec2_ids=objects.EC2Ids(instance_id="i-1", ami_id="ami-1", kernel_id=None, ramdisk_id=None),
        info_cache=objects.InstanceInfoCache(network_info=model.NetworkInfo([])), architecture=None, launched_at=None,
    )  # fmt: skip
    for name, value in more.items():
        setattr(made, name, value)
    made.obj_reset_changes(recursive=True)
    return made


def vif(number: int = 1, *, address: str = "", ipv6: str = "", active: bool = False, **details: Any) -> Any:
    """A port as nova hands it to the driver, with one fixed address of IPv4 and, if given, one of IPv6 (of a /64)."""
    subnets = [_subnet(4, "192.0.2.0/24", "192.0.2.1", address or f"192.0.2.{10 + number}")]
    if ipv6:
        subnets.append(_subnet(6, "2001:db8::/64", "2001:db8::1", ipv6))
    network = model.Network(id=str(uuid.uuid4()), bridge=None, label="net", subnets=subnets)
    return model.VIF(
        id=str(uuid.uuid4()), address=f"02:00:00:00:10:{number:02x}", network=network, type="other",
        details={"vswitch": "NOVASW", "vlan": 0, "port_filter": False, **details}, active=active,
    )  # fmt: skip


def _subnet(version: int, cidr: str, gateway: str, address: str) -> Any:
    return model.Subnet(
        cidr=cidr, gateway=model.IP(address=gateway), dns=[], ips=[model.FixedIP(address=address)], version=version
    )


PORTS = ("500507630708D3B3", "50050763071BC5E3")
POOL = "cluster"
LUNS = ("4010400000000000", "4010400100000000", "4010400200000000")


def lun_tables() -> str:
    """Three LUNs of 1 GiB behind two ports each, as a model file has them."""
    return "".join(
        f'[[lun]]\nwwpn = "{port}"\nlun = "{lun}"\nuuid = "6005076307FFC5E3{lun}"\nblocks = {2**21}\n'
        for lun in LUNS
        for port in PORTS
    )


def give_pool(client: Client) -> None:
    """A pool of these LUNs that both members reach, and a template of FCP devices at each."""
    rows = "".join(f"free,{';'.join(PORTS)},{lun},1G,,,,\n".lower().replace("1g,", "1G,") for lun in LUNS)
    pool = f"/systems/VM1/volume-pools/{POOL}"
    client.call("PUT", f"{pool}/file", content=rows.encode(), media="text/plain")
    client.call("PATCH", pool, body={"wipe": "none", "shared": True})
    for system in ("VM1", "VM2"):
        template = {"name": "guests", "devices": "1a00-1a03;1b00-1b03", "host_default": True}
        client.call("POST", f"/systems/{system}/fcp-templates", body=template)
