"""Nova's own driver nova.virt.zvm.driver.ZVMDriver, unmodified, with zVMCloudConnector, at the connector door.

Nova 34 does not start it as a service on a new host, because it has no list_instance_uuids. So it is driven here as
nova-compute would drive it, with nova's objects.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nova.conf
import pytest
from nova import exception, objects
from nova.compute import power_state, provider_tree
from nova.network import model
from nova.virt import images
from nova.virt.zvm.driver import ZVMDriver

from nova_world import IMAGE, Compute, VirtApi, vif

CONF = nova.conf.CONF


@pytest.fixture
def zvm(compute: Compute, nothing_left: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ZVMDriver]:
    def download(_context: object, image: str, dest_path: str, **_more: object) -> None:
        Path(dest_path).write_bytes(compute.glance.images[image])

    monkeypatch.setattr(images, "IMAGE_API", SimpleNamespace(download=download))
    exported = compute.stack.state / "manager" / "files"  # where the manager may write files to
    exported.mkdir(parents=True, exist_ok=True)
    own = {
        "instance_name_template": "NOVA%04x", "instances_path": str(tmp_path / "instances"), "force_config_drive": True,
        "mkisofs_cmd": str(Path(sys.executable).with_name("pycdlib-genisoimage")), "my_ip": "127.0.0.1",
    }  # fmt: skip
    theirs = {"cloud_connector_url": compute.stack.facts["connector"], "image_tmp_path": str(exported)}
    for name, value in own.items():
        CONF.set_override(name, value)
    for name, value in theirs.items():
        CONF.set_override(name, value, group="zvm")
    yield ZVMDriver(VirtApi())
    for name in own:
        CONF.clear_override(name)
    for name in theirs:
        CONF.clear_override(name, group="zvm")
    for image in list(compute.client.images()):
        if image["name"] == IMAGE:
            compute.client.call("DELETE", f"/images/{IMAGE}")


def spawned(zvm: ZVMDriver, compute: Compute, **more: Any) -> objects.Instance:
    server = compute.instance(**more)
    image = objects.ImageMeta.from_dict({"id": IMAGE, "properties": {"os_distro": "rhel8.6"}})
    network = model.NetworkInfo([vif(1)])
    zvm.spawn(compute.context, server, image, [("/etc/motd.d/n", b"hello\n")], "s3cret", {}, network)
    return server


def test_a_server_of_its_whole_life(zvm: ZVMDriver, compute: Compute) -> None:
    server = spawned(zvm, compute, hostname="theirs")
    userid = server.name.upper()
    assert zvm.instance_exists(server)
    assert userid in zvm.list_instances()
    assert compute.stack.is_on(userid)
    assert any(line.startswith("NICDEF 1000") for line in compute.stack.entry(userid))
    assert compute.up(userid) == "theirs", "its config drive was read"
    with compute.stack.machine() as zhcp:
        assert zhcp.guest(userid, "cat /etc/motd.d/n") == "hello\n"
    assert zvm.get_info(server).state == power_state.RUNNING
    assert "theirs" in zvm.get_console_output(compute.context, server)
    zvm.pause(server)
    assert not compute.answers(userid), "its processors are stopped"
    zvm.unpause(server)
    compute.up(userid)
    zvm.reboot(compute.context, server, None, "SOFT")
    compute.up(userid)
    zvm.reboot(compute.context, server, None, "HARD")
    compute.up(userid)
    zvm.power_off(server, timeout=60, retry_interval=2)
    assert zvm.get_info(server).state == power_state.SHUTDOWN
    zvm.power_on(compute.context, server, None)
    compute.up(userid)
    zvm.destroy(compute.context, server)
    assert not compute.stack.exists(userid)
    with pytest.raises(exception.InstanceNotFound):
        zvm.get_info(server)


def test_its_snapshot(zvm: ZVMDriver, compute: Compute) -> None:
    server, image, states = spawned(zvm, compute), str(uuid.uuid4()), []
    compute.up(server.name.upper())
    zvm.snapshot(compute.context, server, image, lambda **state: states.append(state["task_state"]))
    assert states == ["image_pending_upload", "image_uploading"]
    assert compute.glance.facts[image]["properties"]["os_distro"].startswith("rhel")
    assert image not in {item["name"] for item in compute.client.images()}


def test_what_it_reports_of_the_system(zvm: ZVMDriver, compute: Compute) -> None:
    found = zvm.get_available_resource()
    assert found["hypervisor_hostname"] == "VM1"
    assert found["vcpus"] > 0
    assert found["memory_mb"] > 0
    assert zvm.get_available_nodes() == ["VM1"]
    assert zvm.get_host_uptime()
    tree = provider_tree.ProviderTree()
    tree.new_root("VM1", str(uuid.uuid4()))
    zvm.update_provider_tree(tree, "VM1")
    assert set(tree.data("VM1").inventory) == {"VCPU", "MEMORY_MB", "DISK_GB"}


def test_a_spawn_of_it_that_fails_leaves_nothing(zvm: ZVMDriver, compute: Compute) -> None:
    before = compute.userids()
    with pytest.raises(exception.ZVMConnectorError):
        spawned(zvm, compute, root_gb=30)
    assert compute.userids() == before
