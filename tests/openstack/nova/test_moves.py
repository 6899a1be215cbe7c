"""Servers that change their size or their system: resize, cold and live migration, evacuation; back again; refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from nova import exception, objects
from nova.objects.migrate_data import VMwareLiveMigrateData

from nova_world import IMAGE, Compute, flavor, migrating, moved, vif
from zvmcloud.client import ImageUpload, change

Make = Callable[[str], Compute]


@pytest.fixture
def source(compute: Compute, nothing_left: None) -> Compute:
    return compute


@pytest.fixture
def target(compute_of: Make, source: Compute, configured: Callable[[str], None]) -> Iterator[Compute]:
    """The compute of the other member. Both were connected when their own system was configured."""
    yield compute_of("VM2")
    configured("VM1")


def granted(compute: Compute, userid: str) -> bool:
    """Whether the guest may couple to NOVASW on the compute's system."""
    system = compute.driver.get_available_nodes()[0]
    found = compute.client.ask("GET", f"/systems/{system}/vswitches/NOVASW")
    return any(right["userid"] == userid for right in found["rights"])


def coupled(compute: Compute, server: objects.Instance) -> None:
    """What neutron's agent does."""
    userid = compute.userid(server)
    change(compute.client, "POST", "/systems/VM1/vswitches/NOVASW/grant", {"userid": userid})
    change(compute.client, "POST", f"/guests/VM1/{userid}/nics/1000/couple", {"vswitch": "NOVASW"})


def resized(source: Compute, target: Compute, server: objects.Instance, wanted: objects.Flavor) -> Any:
    """Nova's road of a resize up to the end of finish_migration; the migration."""
    node = target.driver.get_available_nodes()[0]
    migration = migrating(source.context, server, node)
    told = source.driver.migrate_disk_and_power_off(source.context, server, "192.0.2.2", wanted, None, None, 60, 10)
    server.old_flavor, server.flavor = server.flavor, wanted
    image = objects.ImageMeta.from_dict({"id": IMAGE, "properties": {}})
    target.driver.finish_migration(target.context, migration, server, told, None, image, True, {})
    return migration


def test_a_resize_on_the_same_system_is_confirmed(source: Compute) -> None:
    server = source.spawn(source.instance(memory_mb=512))
    userid = source.userid(server)
    migration = resized(source, source, server, flavor(vcpus=2, memory_mb=1024))
    facts = source.client.ask("GET", f"/guests/VM1/{userid}")
    assert (facts["vcpus"], facts["memory_mb"], facts["power_state"]) == (2, 1024, "on")
    source.driver.confirm_migration(source.context, migration, server, None)
    assert source.stack.is_on(userid)


def test_a_larger_root_disk_has_what_the_old_one_had_and_goes_back(source: Compute) -> None:
    server = source.spawn(source.instance(hostname="grows"))
    userid = source.userid(server)
    source.driver.power_off(server)
    before = source.client.ask("GET", f"/guests/VM1/{userid}")["disks"][0]["size"]
    content = source.stack.disk_digest(userid, "0100", 3)
    migration = resized(source, source, server, flavor(root_gb=1))
    assert source.client.ask("GET", f"/guests/VM1/{userid}")["disks"][0]["size"] > before
    source.up(userid)
    assert [item for item in source.client.images() if "resize" in item["name"]], "kept until it is confirmed"
    server.flavor = server.old_flavor
    assert source.driver.check_instance_shared_storage_remote(
        source.context, source.driver.check_instance_shared_storage_local(source.context, server)
    )
    source.driver.destroy(source.context, server, None, destroy_disks=False)
    source.driver.finish_revert_migration(source.context, server, None, migration)
    assert source.client.ask("GET", f"/guests/VM1/{userid}")["disks"][0]["size"] == before
    source.up(userid)
    source.driver.power_off(server)
    assert source.stack.disk_digest(userid, "0100", 3) == content
    assert not [item for item in source.client.images() if "resize" in item["name"]]


def test_a_server_that_is_deleted_before_its_resize_is_confirmed_leaves_nothing(source: Compute) -> None:
    server = source.spawn(source.instance())
    resized(source, source, server, flavor(root_gb=1))
    source.driver.destroy(source.context, server, None)
    assert not [item for item in source.client.images() if "resize" in item["name"]]


def test_a_resize_that_fails_when_the_server_is_off_starts_it_again(source: Compute, sample: bytes) -> None:
    server = source.spawn(source.instance())
    migrating(source.context, server, "VM1")
    name = f"openstack-resize-{server.uuid}"
    digest = hashlib.sha256(sample).hexdigest()
    upload = ImageUpload(source.client, {"name": name, "bytes": len(sample), "os_version": "linux", "sha256": digest})
    upload.write(sample)
    upload.finish()  # somebody else has an image of the name that the old root disk is kept under
    with pytest.raises(exception.InstanceFaultRollback, match=name):
        source.driver.migrate_disk_and_power_off(source.context, server, "192.0.2.2", flavor(root_gb=1), None)
    source.client.call("DELETE", f"/images/{name}")
    assert source.stack.is_on(source.userid(server))


def test_a_cold_migration_moves_the_record_and_is_reverted(source: Compute, target: Compute) -> None:
    server = source.spawn(source.instance(hostname="cold"), [vif(1)])
    userid = source.userid(server)
    migration = resized(source, target, server, server.flavor)
    assert source.driver.list_instance_uuids() == []
    assert target.driver.list_instance_uuids() == [server.uuid]
    assert target.stack.is_on(userid)
    assert target.up(userid) == "cold"
    target.driver.destroy(target.context, server, None, destroy_disks=False)
    source.driver.finish_revert_migration(source.context, server, None, migration, power_on=False)
    assert source.driver.list_instance_uuids() == [server.uuid]
    assert not source.stack.is_on(userid), "it was off before"
    source.driver.power_on(source.context, server, None)
    assert source.up(userid) == "cold"
    resized(source, target, server, server.flavor)
    source.driver.confirm_migration(source.context, migration, server, None)
    assert target.up(userid) == "cold"
    target.driver.destroy(target.context, server, None)
    assert not target.stack.exists(userid)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"root_gb": 1}, "not made smaller"),
        ({"root_gb": 2, "swap": 64}, "ephemeral and swap"),
        ({"root_gb": 2, "ephemeral_gb": 1}, "ephemeral and swap"),
    ],
)
def test_what_cannot_be_resized_is_refused_before_anything_is_done(
    source: Compute, wanted: dict[str, Any], said: str
) -> None:
    server = source.spawn(source.instance(root_gb=2))
    migrating(source.context, server, "VM1")
    with pytest.raises(exception.InstanceFaultRollback, match=said):
        source.driver.migrate_disk_and_power_off(source.context, server, "192.0.2.2", flavor(**wanted), None)
    assert source.stack.is_on(source.userid(server))


def test_a_system_outside_the_cluster_is_refused(source: Compute) -> None:
    server = source.spawn(source.instance())
    migrating(source.context, server, "ZVM9")
    with pytest.raises(exception.InstanceFaultRollback, match="not in one SSI cluster"):
        source.driver.migrate_disk_and_power_off(source.context, server, "192.0.2.2", server.flavor, None)
    assert source.stack.is_on(source.userid(server))


def checked(source: Compute, target: Compute, server: objects.Instance) -> VMwareLiveMigrateData:
    """Nova's road up to the move."""
    here, there = ({"hypervisor_hostname": name} for name in ("VM1", "VM2"))
    data = target.driver.check_can_live_migrate_destination(target.context, server, here, there, False, False)
    try:
        data = source.driver.check_can_live_migrate_source(source.context, server, data)
    finally:
        target.driver.cleanup_live_migration_destination_check(target.context, data)
        assert not granted(target, source.userid(server)), "the check leaves nothing"
    return target.driver.pre_live_migration(target.context, server, None, None, None, data)


def test_a_live_migration_there_and_back(source: Compute, target: Compute) -> None:
    server = source.spawn(source.instance(hostname="alive"), [vif(1)])
    userid = source.userid(server)
    source.up(userid)
    coupled(source, server)
    data = checked(source, target, server)
    assert granted(target, userid)
    assert moved(source, server, data) == ["done"]
    source.driver.post_live_migration_at_source(source.context, server, None)
    target.driver.post_live_migration_at_destination(target.context, server, None)
    assert not granted(source, userid)
    assert target.driver.list_instance_uuids() == [server.uuid]
    assert target.up(userid) == "alive", "it ran on"
    back = checked(target, source, server)
    assert moved(target, server, back) == ["done"]
    source.driver.post_live_migration_at_destination(source.context, server, None)
    assert source.driver.list_instance_uuids() == [server.uuid]


def test_what_stands_against_a_live_migration_is_explained(source: Compute, target: Compute) -> None:
    server = source.spawn(source.instance(), power_on=False)
    userid = source.userid(server)
    with pytest.raises(exception.MigrationPreCheckError, match=r"it is off \(start the guest\)"):
        checked(source, target, server)
    assert not granted(target, userid)
    with pytest.raises(exception.MigrationPreCheckError, match="no blocks"):
        target.driver.check_can_live_migrate_destination(target.context, server, {}, {}, True, False)
    with pytest.raises(exception.MigrationPreCheckError, match="not in one SSI cluster"):
        target.driver.check_can_live_migrate_destination(target.context, target.instance(), {}, {}, False, False)


def test_a_live_migration_that_fails_is_rolled_back(source: Compute, target: Compute) -> None:
    server = source.spawn(source.instance(), [vif(1)])
    userid = source.userid(server)
    source.up(userid)
    coupled(source, server)
    data = checked(source, target, server)
    source.driver.power_off(server)  # it goes off between the check and the move
    assert moved(source, server, data) == ["recover"]
    target.driver.rollback_live_migration_at_destination(target.context, server, None, None)
    assert not granted(target, userid)
    assert source.driver.list_instance_uuids() == [server.uuid]


def test_an_evacuated_server_keeps_its_disks(source: Compute, target: Compute) -> None:
    server = source.spawn(source.instance(hostname="evac"))
    userid = source.userid(server)
    assert target.driver.instance_on_disk(server)
    with pytest.raises(exception.NovaException, match=r"guest \w+ is on"):
        target.spawn(server)
    source.driver.power_off(server)  # as when its member is down
    port = vif(1)
    target.spawn(server, [port], power_on=False)
    assert target.api.waited == [("network-vif-plugged", port["id"])]
    assert not target.stack.is_on(userid), "evacuated servers are off (API 2.95)"
    target.driver.power_on(target.context, server, None)
    assert target.up(userid) == "evac"
    assert source.driver.list_instance_uuids() == []
    assert not target.driver.instance_on_disk(server)
