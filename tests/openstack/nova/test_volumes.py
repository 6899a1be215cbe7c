"""Volumes of servers: attached while they run and while they are off, booted from, kept when servers move."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from nova import exception, objects
from nova.compute import vm_states
from nova.volume import cinder

from nova_world import IMAGE, LUNS, POOL, Compute, flavor, migrating, moved
from zvmcloud.client import ConnectionFailed, change
from zvmcloud.images.diskfile import FbaDisk
from zvmcloud.images.sample import write_sample_blocks
from zvmcloud.openstack.nova import volumes

pytestmark = pytest.mark.usefixtures("clean")
PATH = "/systems/VM1/volumes"


@pytest.fixture
def clean(compute: Compute, nothing_left: None) -> Iterator[None]:
    yield
    for guest in list(compute.client.pages("/guests", {})):
        change(compute.client, "DELETE", f"/guests/{guest['system']}/{guest['userid']}")
    for item in list(compute.client.pages(PATH, {})):
        change(compute.client, "DELETE", f"{PATH}/{item['name']}")


def connection(compute: Compute, name: str = "") -> dict[str, Any]:
    """A volume that is there, as cinder's driver connects it."""
    name = name or f"volume-{uuid.uuid4()}"
    change(compute.client, "POST", PATH, {"name": name, "pool": POOL, "size_gb": 1})
    data = {"zvm_volume": name, "zvm_template": "", "target_lun": "", "target_wwn": []}
    return {"driver_volume_type": "fibre_channel", "data": data, "serial": name.removeprefix("volume-")}


def mapped(found: dict[str, Any], device: str = "/dev/vdb", boot_index: int | None = None) -> dict[str, Any]:
    """What nova tells the driver of a server's volumes."""
    item = {"connection_info": found, "mount_device": device, "boot_index": boot_index}
    return {"block_device_mapping": [item], "root_device_name": "/dev/dasda"}


def having(compute: Compute, found: dict[str, Any]) -> list[tuple[str, str]]:
    facts = compute.client.ask("GET", f"{PATH}/{found['data']['zvm_volume']}")
    return sorted((item["system"], item["guest"]) for item in facts["attachments"])


def lun_file(compute: Compute, found: dict[str, Any]) -> Path:
    """The bytes of a volume's LUN. The file is made by whoever needs it first."""
    number = compute.client.ask("GET", f"{PATH}/{found['data']['zvm_volume']}")["lun"]
    assert number.upper() in LUNS
    folder = next(iter(sorted(path for path in compute.stack.state.rglob("luns") if path.is_dir())))
    path = folder / f"6005076307ffc5e3{number}.scsi"
    if not path.exists():
        with path.open("wb") as file:
            file.truncate(2**30)
    return path


def inside(compute: Compute, userid: str, command: str) -> str:
    with compute.stack.machine() as zhcp:
        return zhcp.guest(userid, command)


def write(compute: Compute, userid: str, text: str) -> None:
    """What the server's Linux writes to the one volume that it has."""
    inside(compute, userid, f"echo {text} | dd of=/dev/mapper/mpatha")


def read(compute: Compute, userid: str) -> str:
    return inside(compute, userid, "dd if=/dev/mapper/mpatha bs=512 count=1").partition("\n")[0]


def test_a_running_server_sees_a_volume_through_two_paths_and_then_no_more(compute: Compute) -> None:
    server = compute.spawn(compute.instance())
    userid = compute.userid(server)
    compute.up(userid)
    found = connection(compute)
    compute.driver.attach_volume(compute.context, found, server, "/dev/vdb")
    assert having(compute, found) == [("VM1", userid)]
    assert len(found["data"]["zvm_devices"]) == 2, "of distinct channel paths"
    assert "mpatha" in inside(compute, userid, "multipath -ll")
    assert len(inside(compute, userid, "lsscsi").splitlines()) == 4, "two devices, two ports"
    compute.driver.attach_volume(compute.context, found, server, "/dev/vdb")  # a retry
    compute.driver.detach_volume(compute.context, found, server, "/dev/vdb")
    assert having(compute, found) == []
    assert "mpath" not in inside(compute, userid, "multipath -ll")
    assert not [line for line in compute.stack.entry(userid) if line.startswith("DEDICATE")]
    with pytest.raises(exception.DiskNotFound):
        compute.driver.detach_volume(compute.context, found, server, "/dev/vdb")


def test_a_server_that_is_off_gets_the_volume_at_its_next_start(compute: Compute) -> None:
    server = compute.spawn(compute.instance(), power_on=False)
    userid, found = compute.userid(server), connection(compute)
    compute.driver.attach_volume(compute.context, found, server, "/dev/vdb")
    compute.driver.power_on(compute.context, server, None)
    compute.up(userid)
    assert "mpatha" in inside(compute, userid, "multipath -ll")


def test_what_cannot_be_attached_or_detached_is_told(compute: Compute) -> None:
    server, found = compute.spawn(compute.instance(), power_on=False), connection(compute)
    missing = {**found, "data": {**found["data"], "zvm_volume": "volume-none"}}
    with pytest.raises(exception.VolumeAttachFailed, match="volume-none"):
        compute.driver.attach_volume(compute.context, missing, server, "/dev/vdb")
    foreign = {"driver_volume_type": "iscsi", "data": {"target_iqn": "iqn"}}
    with pytest.raises(exception.InvalidVolume):
        compute.driver.attach_volume(compute.context, foreign, server, "/dev/vdb")
    other = compute.spawn(compute.instance(), power_on=False)
    compute.driver.attach_volume(compute.context, found, other, "/dev/vdb")
    with pytest.raises(exception.VolumeAttachFailed):
        compute.driver.attach_volume(compute.context, found, server, "/dev/vdb")
    with pytest.raises(exception.DiskNotFound):
        compute.driver.detach_volume(compute.context, {}, server, "/dev/vdb")
    gone = compute.instance()
    with pytest.raises(exception.DiskNotFound):
        compute.driver.detach_volume(compute.context, found, gone, "/dev/vdb")
    with pytest.raises(exception.InstanceNotFound):
        compute.driver.attach_volume(compute.context, found, gone, "/dev/vdb")


def test_a_server_boots_from_a_volume_and_is_gone_without_it(compute: Compute) -> None:
    found = connection(compute)
    with FbaDisk(lun_file(compute, found), writable=True) as disk:
        write_sample_blocks(disk, scsi=True)
    server = compute.instance(image_ref="", hostname="bfv")
    compute.spawn(server, image="", block_device_info=mapped(found, "/dev/sda", 0))
    userid = compute.userid(server)
    entry = compute.stack.entry(userid)
    assert not [line for line in entry if line.startswith("MDISK")]
    assert [line for line in entry if line.startswith("LOADDEV")]
    assert compute.up(userid) == "bfv"
    compute.driver.destroy(compute.context, server, None, mapped(found, "/dev/sda", 0))
    assert having(compute, found) == []


def test_a_spawn_with_a_volume_that_fails_leaves_nothing(compute: Compute) -> None:
    found = connection(compute)
    missing = {**found, "data": {**found["data"], "zvm_volume": "volume-none"}}
    with pytest.raises(exception.NovaException):
        compute.spawn(compute.instance(), block_device_info=mapped(missing))
    assert compute.driver.list_instance_uuids() == []


def test_a_cold_migration_takes_the_volumes_along(
    compute: Compute, compute_of: Callable[[str], Compute], configured: Callable[[str], None]
) -> None:
    target = compute_of("VM2")
    configured("VM1")
    found = connection(compute)
    devices = mapped(found)
    server = compute.spawn(compute.instance(hostname="moves"), block_device_info=devices)
    userid = compute.userid(server)
    migration = migrating(compute.context, server, "VM2")
    driver, context = compute.driver, compute.context
    told = driver.migrate_disk_and_power_off(context, server, "192.0.2.2", server.flavor, None, devices, 60, 10)
    assert having(compute, found) == []
    image = objects.ImageMeta.from_dict({"id": IMAGE, "properties": {}})
    target.driver.finish_migration(context, migration, server, told, None, image, False, {}, devices)
    assert having(compute, found) == [("VM2", userid)]
    target.up(userid)
    assert "mpatha" in inside(target, userid, "multipath -ll")
    target.driver.destroy(context, server, None, devices)


def dedicated(compute: Compute, userid: str) -> list[str]:
    return sorted(line for line in compute.stack.entry(userid) if line.startswith("DEDICATE"))


def test_a_live_migration_takes_the_volumes_along_and_back(
    compute: Compute, compute_of: Callable[[str], Compute], configured: Callable[[str], None]
) -> None:
    target = compute_of("VM2")
    configured("VM1")
    found, other = connection(compute), connection(compute)
    devices = mapped(found)
    server = compute.spawn(compute.instance(hostname="alive"), block_device_info=devices)
    there = target.spawn(target.instance(), block_device_info=mapped(other))  # has devices of these numbers at VM2
    userid = compute.userid(server)
    compute.up(userid)
    before = dedicated(compute, userid)
    write(compute, userid, "before it went")
    data = target.driver.check_can_live_migrate_destination(compute.context, server, {}, {}, False, False)
    data = compute.driver.check_can_live_migrate_source(compute.context, server, data, devices)
    data = target.driver.pre_live_migration(compute.context, server, devices, None, None, data)
    planned = compute.client.ask(
        "POST", f"/guests/VM1/{userid}/relocate", body={"destination": "VM2"}, query={"dry_run": "true"}
    )
    assert [step["kind"] for step in planned["steps"]][2:4] == ["guest.relocate", "fcp.follow"]
    assert moved(compute, server, data) == ["done"]
    compute.driver.post_live_migration(compute.context, server, devices, data)
    target.driver.post_live_migration_at_destination(target.context, server, None, False, devices)
    assert having(compute, found) == [("VM2", userid)]
    assert "mpatha" in inside(target, userid, "multipath -ll")
    assert read(target, userid) == "before it went"
    write(target, userid, "after it came")
    after = dedicated(target, userid)
    assert [line.split()[1] for line in after] == [line.split()[1] for line in before]
    assert not {line.split()[2] for line in after} & {
        line.split()[2] for line in dedicated(target, target.userid(there))
    }
    target.driver.attach_volume(target.context, found, server, "/dev/vdb")  # a retry of nova's
    target.driver.reboot(target.context, server, None, "HARD", devices)
    target.up(userid)
    assert read(target, userid) == "after it came", "it has the volume after a logon too"
    target.driver.detach_volume(target.context, found, server, "/dev/vdb")
    assert dedicated(target, userid) == []


def test_a_live_migration_that_fails_leaves_the_volumes_where_they_were(
    compute: Compute, compute_of: Callable[[str], Compute], configured: Callable[[str], None]
) -> None:
    target = compute_of("VM2")
    configured("VM1")
    found = connection(compute)
    devices = mapped(found)
    server = compute.spawn(compute.instance(), block_device_info=devices)
    userid = compute.userid(server)
    compute.up(userid)
    before = dedicated(compute, userid)
    data = target.driver.check_can_live_migrate_destination(compute.context, server, {}, {}, False, False)
    compute.driver.power_off(server)
    assert moved(compute, server, data) == ["recover"]
    target.driver.rollback_live_migration_at_destination(target.context, server, None, devices)
    assert having(compute, found) == [("VM1", userid)]
    assert dedicated(compute, userid) == before


def test_an_evacuated_server_takes_its_volumes_along(
    compute: Compute, compute_of: Callable[[str], Compute], configured: Callable[[str], None]
) -> None:
    target = compute_of("VM2")
    configured("VM1")
    found, other = connection(compute), connection(compute)
    devices = mapped(found)
    target.spawn(target.instance(), block_device_info=mapped(other), power_on=False)
    server = compute.spawn(compute.instance(hostname="evac"), block_device_info=devices)
    userid = compute.userid(server)
    compute.driver.power_off(server)  # as when its member is down
    target.spawn(server, block_device_info=devices)
    assert having(compute, found) == [("VM2", userid)]
    assert target.up(userid) == "evac"
    assert "mpatha" in inside(target, userid, "multipath -ll")


def test_a_pool_of_one_system_stands_against_a_live_migration(
    compute: Compute, compute_of: Callable[[str], Compute], configured: Callable[[str], None]
) -> None:
    target = compute_of("VM2")
    configured("VM1")
    pool = f"/systems/VM1/volume-pools/{POOL}"
    devices = mapped(connection(compute))
    compute.client.call("PATCH", pool, body={"shared": False})
    try:
        server = compute.spawn(compute.instance(), block_device_info=devices)
        compute.up(compute.userid(server))
        data = target.driver.check_can_live_migrate_destination(compute.context, server, {}, {}, False, False)
        with pytest.raises(exception.MigrationPreCheckError, match="does not reach"):
            compute.driver.check_can_live_migrate_source(compute.context, server, data, devices)
    finally:
        compute.client.call("PATCH", pool, body={"shared": True})


def test_a_swapped_volume_has_the_bytes_of_the_old_one_or_the_old_one_stays(
    compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = compute.spawn(compute.instance(), power_on=False)
    userid, old, new = compute.userid(server), connection(compute), connection(compute)
    compute.driver.attach_volume(compute.context, old, server, "/dev/vdb")
    missing = {**new, "data": {**new["data"], "zvm_volume": "volume-none"}}
    with pytest.raises(exception.VolumeRebaseFailed):
        compute.driver.swap_volume(compute.context, old, missing, server, "/dev/vdb", 0)
    assert having(compute, old) == [("VM1", userid)]
    copies: list[object] = []
    run = compute.driver._servers.run

    def noted(method: str, path: str, body: Any = None) -> Any:
        if not path.endswith("/copy"):
            return run(method, path, body)
        assert (having(compute, old), having(compute, new)) == ([], []), "nobody writes meanwhile"
        return copies.append((method, path, body))  # the agent of this z/VM has no FCP devices of its own

    monkeypatch.setattr(compute.driver._servers, "run", noted)
    compute.driver.swap_volume(compute.context, old, new, server, "/dev/vdb", 0)
    before, after = old["data"]["zvm_volume"], new["data"]["zvm_volume"]
    assert copies == [("POST", f"{PATH}/{after}/copy", {"source": before})]
    assert (having(compute, old), having(compute, new)) == ([], [("VM1", userid)])


def test_a_cold_migration_that_fails_gives_the_volumes_back(compute: Compute, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_args: object, **_more: object) -> str:
        raise ConnectionFailed("nobody answers")

    devices = mapped(found := connection(compute))
    server = compute.spawn(compute.instance(), block_device_info=devices)
    migrating(compute.context, server, "VM2")
    monkeypatch.setattr(compute.driver._connected().mover, "leave", refused)
    with pytest.raises(exception.InstanceFaultRollback, match="nobody answers"):
        compute.driver.migrate_disk_and_power_off(compute.context, server, "", server.flavor, None, devices)
    assert having(compute, found) == [("VM1", compute.userid(server))]
    assert compute.stack.is_on(compute.userid(server))


def test_a_resize_on_the_same_system_and_its_revert_keep_the_volumes(compute: Compute) -> None:
    found = connection(compute)
    devices = mapped(found)
    server = compute.spawn(compute.instance(memory_mb=512), block_device_info=devices)
    userid = compute.userid(server)
    compute.up(userid)
    write(compute, userid, "kept")
    migration, wanted = migrating(compute.context, server, "VM1"), flavor(memory_mb=1024)
    driver, context = compute.driver, compute.context
    told = driver.migrate_disk_and_power_off(context, server, "192.0.2.2", wanted, None, devices, 60, 10)
    server.old_flavor, server.flavor = server.flavor, wanted
    image = objects.ImageMeta.from_dict({"id": IMAGE, "properties": {}})
    driver.finish_migration(context, migration, server, told, None, image, True, {}, devices)
    compute.up(userid)
    assert (having(compute, found), read(compute, userid)) == ([("VM1", userid)], "kept")
    server.flavor = server.old_flavor
    driver.finish_revert_migration(context, server, None, migration, devices)
    compute.up(userid)
    assert (having(compute, found), read(compute, userid)) == ([("VM1", userid)], "kept")


def test_a_rebuilt_server_has_its_volumes_as_they_were(compute: Compute) -> None:
    found = connection(compute)
    devices = mapped(found)
    server = compute.spawn(compute.instance(), block_device_info=devices)
    compute.up(compute.userid(server))
    write(compute, compute.userid(server), "not in the image")
    compute.driver.detach_volume(compute.context, found, server, "/dev/vdb")  # as nova rebuilds
    compute.driver.destroy(compute.context, server, None, mapped(found), destroy_disks=True)
    compute.spawn(server, block_device_info=devices)
    compute.up(compute.userid(server))
    assert read(compute, compute.userid(server)) == "not in the image"


def test_an_extended_volume_needs_room_on_its_lun(compute: Compute) -> None:
    server, found = compute.spawn(compute.instance(), power_on=False), connection(compute)
    compute.driver.extend_volume(compute.context, found, server, 2**30)
    with pytest.raises(exception.ExtendVolumeNotSupported):
        compute.driver.extend_volume(compute.context, found, server, 2**31)


def test_what_a_dead_nova_compute_was_attaching_is_available_again(
    compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, found = compute.spawn(compute.instance(), power_on=False), connection(compute)
    server.vm_state = vm_states.ACTIVE
    compute.driver.attach_volume(compute.context, found, server, "/dev/vdb")
    item = objects.BlockDeviceMapping(
        compute.context, instance_uuid=server.uuid, volume_id=found["serial"], source_type="volume",
        destination_type="volume", device_name="/dev/vdb", attachment_id="attachment", connection_info=None,
    )  # fmt: skip
    item.create()
    ended: list[str] = []
    monkeypatch.setattr(cinder.API, "attachment_delete", lambda _self, _context, name: ended.append(name))
    compute.driver.process_instances_at_startup(compute.context, objects.InstanceList(objects=[server]))
    assert having(compute, found) == []
    assert ended == ["attachment"]
    assert not objects.BlockDeviceMappingList.get_by_instance_uuid(compute.context, server.uuid)


def test_the_connector_names_the_guest_and_is_always_the_same(compute: Compute) -> None:
    server = compute.instance()
    found = compute.driver.get_volume_connector(server)
    assert (found["zvm_system"], found["zvm_instance"], found["multipath"]) == ("VM1", server.uuid, True)
    assert found["host"] == f"VM1-{server.uuid}"
    assert "wwpns" not in found, "drivers that map LUNs to those of a host refuse it"
    assert compute.driver.get_volume_connector(server) == found


def test_names_of_disks() -> None:
    assert volumes.next_name({"/dev/dasda", "/dev/vdb"}) == "/dev/vdc"
    assert volumes.next_name({"/dev/dasda"}, "/dev/vdx") == "/dev/vdx"
    assert volumes.next_name({"/dev/dasda"}, "/dev/sdq") == "/dev/vdb"
    every = {f"/dev/vd{chr(97 + number)}" for number in range(26)}
    assert volumes.next_name(every) == "/dev/vdaa"
