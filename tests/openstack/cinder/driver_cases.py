"""Volumes as cinder asks for them, and what z/VM has then: every method of the driver, and what each refuses."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cinder import context as cinder_context
from cinder import exception, interface, objects
from cinder.interface import volume_driver, volume_snapshot_revert
from cinder.volume import driver as base
from oslo_config import generator

from cinder_world import BACKEND, CONNECT, FOREIGN, OTHER, POOL, TOKEN, Storage, driver_of, storage
from zvmcloud.client import ProblemError
from zvmcloud.openstack import connection
from zvmcloud.openstack.cinder import options
from zvmcloud.openstack.cinder.driver import ZVMVolumeDriver

ROOT = Path(__file__).parents[3]
objects.register_all()


@pytest.fixture(scope="module")
def module_storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    with pytest.MonkeyPatch.context() as patch, storage(tmp_path_factory.mktemp("cinder"), patch) as found:
        found.driver.do_setup(found.context)
        found.driver.check_for_setup_error()
        yield found


@pytest.fixture
def zvm(module_storage: Storage) -> Iterator[Storage]:
    """After each test the pools are as they were."""
    before = module_storage.driver._volumes.pools()
    yield module_storage
    for guest in list(module_storage.zvm.client.pages("/guests", {})):
        module_storage.zvm.do("DELETE", f"/guests/ZVM1/{guest['userid']}")
    for name in module_storage.names():
        module_storage.zvm.do("DELETE", f"/systems/ZVM1/volumes/{name}")
    for pool in (POOL, OTHER, FOREIGN):
        for lun in module_storage.driver._volumes.luns(pool):
            if lun["state"] == "reserved":
                path = f"/systems/ZVM1/volume-pools/{pool}/luns/{lun['name']}/free"
                module_storage.zvm.client.call("POST", path)
    assert module_storage.driver._volumes.pools() == before


# the contract


def test_cinder_takes_the_driver_for_one() -> None:
    assert issubclass(ZVMVolumeDriver, volume_driver.VolumeDriverCore)
    assert ZVMVolumeDriver in interface._volume_register


def test_every_method_takes_what_cinder_gives_it() -> None:
    """Cinder's own check of interfaces compares nothing on Python 3."""
    seen = 0
    for name, own in inspect.getmembers(ZVMVolumeDriver, inspect.isfunction):
        theirs = getattr(base.VolumeDriver, name, None)
        if name.startswith("_") or theirs is None or own is theirs:
            continue
        seen += 1
        wanted, given = inspect.signature(theirs).parameters, inspect.signature(own).parameters
        assert list(given)[: len(wanted)] == list(wanted) or "kwargs" in wanted, name
        for parameter in list(given.values())[len(wanted) :]:
            assert parameter.default is not parameter.empty or parameter.kind is parameter.VAR_KEYWORD, name
    assert seen > 25


def test_no_method_that_cinder_needs_is_left_to_the_base_class() -> None:
    for needed in (volume_driver.VolumeDriverCore, volume_snapshot_revert.VolumeSnapshotRevertDriver):
        for name, _ in inspect.getmembers(needed, inspect.isfunction):
            theirs = getattr(base.VolumeDriver, name, None)
            if not inspect.isfunction(theirs) or "NotImplementedError" not in inspect.getsource(theirs):
                continue
            assert getattr(ZVMVolumeDriver, name) is not theirs, name


# start and statistics


def test_wrong_settings_are_told_at_start(zvm: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    nameless = driver_of(zvm.zvm, monkeypatch, zvm.glance, zvm_system="")
    with pytest.raises(exception.InvalidConfigurationValue, match="zvm_system"):
        nameless.do_setup(zvm.context)
    with pytest.raises(exception.DriverNotInitialized):
        nameless.create_volume(zvm.volume())
    wrong = driver_of(zvm.zvm, monkeypatch, zvm.glance, zvm_volume_pools=["none"])
    wrong.do_setup(zvm.context)
    with pytest.raises(exception.InvalidConfigurationValue, match="zvm_volume_pools"):
        wrong.check_for_setup_error()
    elsewhere = driver_of(zvm.zvm, monkeypatch, zvm.glance, zvm_system="ZVM9")
    with pytest.raises(exception.VolumeDriverException, match="ZVM9"):
        elsewhere.do_setup(zvm.context)
    monkeypatch.setattr(connection, "connect", CONNECT)
    with pytest.raises(exception.VolumeDriverException, match="url is not set"):
        driver_of(zvm.zvm, monkeypatch, zvm.glance).do_setup(zvm.context)


def test_each_pool_has_its_capacity(zvm: Storage) -> None:
    found = zvm.driver.get_volume_stats(refresh=True)
    assert (found["storage_protocol"], found["vendor_name"]) == ("FC", "zvmcloud")
    pools = {pool["pool_name"]: pool for pool in found["pools"]}
    assert set(pools) == {POOL, OTHER}, "those of the option"
    first = pools[POOL]
    assert (first["total_capacity_gb"], first["free_capacity_gb"], first["zvm_largest_gb"]) == (5, 5, 2)
    assert first["multiattach"]
    assert not first["QoS_support"]
    assert first["filter_function"] == "volume.size <= capabilities.zvm_largest_gb"
    zvm.made(size=2)
    (first,) = (pool for pool in zvm.driver.get_volume_stats(refresh=True)["pools"] if pool["pool_name"] == POOL)
    assert (first["free_capacity_gb"], first["allocated_capacity_gb"], first["total_volumes"]) == (3, 2, 1)


# volumes and snapshots


def test_a_volume_is_the_smallest_lun_that_is_large_enough(zvm: Storage) -> None:
    volume = zvm.made()
    facts = zvm.facts(volume.name)
    assert facts is not None
    assert (facts["pool"], facts["size_gb"], facts["lun_size_gb"], facts["shared"]) == (POOL, 1, 1, False)
    shared = zvm.made(multiattach=True)
    assert zvm.facts(shared.name)["shared"] is True  # type: ignore[index]
    zvm.driver.delete_volume(volume)
    zvm.driver.delete_volume(volume)
    assert zvm.names() == [shared.name]


def test_a_volume_that_no_lun_is_large_enough_for_is_refused(zvm: Storage) -> None:
    with pytest.raises(exception.VolumeDriverException, match="create a volume"):
        zvm.made(size=3)
    assert zvm.names() == []


def test_the_next_owner_of_a_lun_finds_nothing(zvm: Storage) -> None:
    volume = zvm.made(b"secret")
    zvm.driver.delete_volume(volume)
    assert zvm.read(zvm.made().name, 6) == bytes(6)


def test_a_volume_is_extended_as_far_as_its_lun_goes(zvm: Storage) -> None:
    zvm.made()
    volume = zvm.made(b"kept")
    zvm.driver.extend_volume(volume, 2)
    assert zvm.facts(volume.name)["size_gb"] == 2  # type: ignore[index]
    assert zvm.read(volume.name, 4) == b"kept"
    with pytest.raises(exception.VolumeDriverException, match="LUN of 2 GB"):
        zvm.driver.extend_volume(volume, 3)


def test_clones_and_snapshots_have_the_bytes_and_a_size_of_their_own(zvm: Storage) -> None:
    volume = zvm.made(b"original")
    snapshot = zvm.snapshot(volume)
    zvm.driver.create_snapshot(snapshot)
    zvm.write(volume.name, b"changed!")
    clone, again = zvm.volume(pool=OTHER, size=2), zvm.volume(size=2)
    zvm.driver.create_cloned_volume(clone, volume)
    zvm.driver.create_volume_from_snapshot(again, snapshot)
    assert zvm.read(clone.name, 8) == b"changed!"
    assert zvm.read(again.name, 8) == b"original"
    assert zvm.facts(clone.name)["size_gb"] == 2  # type: ignore[index]
    zvm.driver.revert_to_snapshot(zvm.context, volume, snapshot)
    assert zvm.read(volume.name, 8) == b"original"
    zvm.driver.delete_volume(volume)
    assert zvm.read(snapshot.name, 8) == b"original", "a snapshot is whole without its volume"
    zvm.driver.delete_snapshot(snapshot)
    zvm.driver.delete_snapshot(snapshot)
    with pytest.raises(exception.VolumeDriverException, match="revert"):
        zvm.driver.revert_to_snapshot(zvm.context, again, snapshot)
    with pytest.raises(exception.VolumeDriverException, match="copy"):
        zvm.driver.create_cloned_volume(zvm.volume(), volume)
    assert zvm.names() == sorted([clone.name, again.name])


def test_what_a_running_guest_writes_to_is_not_copied(zvm: Storage) -> None:
    volume = zvm.made()
    zvm.guest("WEB01", start=True)
    zvm.attach("WEB01", volume)
    with pytest.raises(exception.VolumeDriverException, match=r"which is on.*To do: stop the guest"):
        zvm.driver.create_snapshot(zvm.snapshot(volume))
    with pytest.raises(exception.VolumeDriverException, match="delete a volume"):
        zvm.driver.delete_volume(volume)
    assert zvm.names() == [volume.name]


# images


def test_an_image_goes_from_glance_to_the_lun_and_not_through_the_cinder_host(zvm: Storage) -> None:
    image = zvm.glance.add(b"image" * 1000)
    volume = zvm.volume()
    zvm.glance.asked.clear()
    assert zvm.driver.clone_image(zvm.context, volume, None, image, zvm.glance) == ({}, True)
    assert set(zvm.glance.asked) == {f"GET {TOKEN}"}
    assert zvm.read(volume.name, 5000) == b"image" * 1000
    other = zvm.glance.add(b"other" * 1000)
    zvm.driver.copy_image_to_volume(zvm.context, volume, zvm.glance, other["id"])
    assert zvm.read(volume.name, 5000) == b"other" * 1000
    jobs = str([zvm.zvm.client.job(item["id"]) for item in zvm.zvm.client.jobs(limit=5)])
    assert TOKEN not in jobs, "it is secret"


def test_an_image_with_other_bytes_than_its_digest_makes_no_volume(zvm: Storage) -> None:
    for image, error in (
        (zvm.glance.add(b"image", os_hash_value="0" * 128), exception.VolumeDriverException),
        (zvm.glance.add(b"image", disk_format="vmdk"), exception.ImageUnacceptable),
        (zvm.glance.add(b"image", os_hash_algo="", os_hash_value=""), exception.ImageUnacceptable),
    ):
        with pytest.raises(error):
            zvm.driver.clone_image(zvm.context, zvm.volume(), None, image, zvm.glance)
    nobody = cinder_context.get_admin_context()
    with pytest.raises(exception.NotAuthorized):
        zvm.driver.clone_image(nobody, zvm.volume(), None, zvm.glance.add(b"image"), zvm.glance)
    assert zvm.names() == []


def test_the_agent_sends_a_volume_to_glance(zvm: Storage) -> None:
    volume = zvm.made(b"bytes of a volume")
    image = zvm.glance.add(b"")
    zvm.driver.copy_volume_to_image(zvm.context, volume, zvm.glance, image)
    found = zvm.glance.images[image["id"]]
    assert len(found) == 2**30
    assert found.startswith(b"bytes of a volume\0")
    assert hashlib.sha512(found).hexdigest() == zvm.glance.show(None, image["id"])["os_hash_value"]
    zvm.glance.spoiled = True
    try:
        with pytest.raises((exception.ImageUnacceptable, exception.VolumeDriverException)):
            zvm.driver.copy_volume_to_image(zvm.context, volume, zvm.glance, zvm.glance.add(b""))
    finally:
        zvm.glance.spoiled = False
    with pytest.raises(exception.ImageUnacceptable, match="raw"):
        zvm.driver.copy_volume_to_image(zvm.context, volume, zvm.glance, {**image, "disk_format": "qcow2"})


# moves


def host(zvm: Storage, pool: str, **more: Any) -> dict[str, Any]:
    capabilities: dict[str, Any] = next(
        (item for item in zvm.driver.get_volume_stats(refresh=True)["pools"] if item["pool_name"] == pool), {}
    )
    return {"host": f"{BACKEND}#{pool}", "capabilities": {**capabilities, **more}}


def test_a_volume_moves_to_another_pool_with_its_bytes(zvm: Storage) -> None:
    volume = zvm.made(b"moves")
    assert zvm.driver.migrate_volume(zvm.context, volume, host(zvm, OTHER)) == (True, {})
    assert zvm.facts(volume.name)["pool"] == OTHER  # type: ignore[index]
    assert zvm.read(volume.name, 5) == b"moves"
    assert zvm.names() == [volume.name]
    far = host(zvm, OTHER, location_info="http://another-manager ZVM1")
    assert zvm.driver.migrate_volume(zvm.context, volume, far) == (False, None)
    assert zvm.driver.update_migrated_volume(zvm.context, volume, {"_name_id": None, "id": "x"}, "in-use") == {
        "_name_id": "x"
    }


def test_retype_changes_the_pool_and_the_sharing(zvm: Storage) -> None:
    volume, kind = zvm.made(b"typed"), objects.VolumeType()
    same = {"extra_specs": {"anything": ("a", "b")}}
    assert zvm.driver.retype(zvm.context, volume, kind, same, host(zvm, POOL)) is True
    assert zvm.driver.retype(zvm.context, volume, kind, same, host(zvm, OTHER)) is True
    volume.host = f"{BACKEND}#{OTHER}"
    shared = {"extra_specs": {"multiattach": (None, "<is> True")}}
    assert zvm.driver.retype(zvm.context, volume, kind, shared, host(zvm, OTHER)) is True
    facts = zvm.facts(volume.name)
    assert facts is not None
    assert (facts["pool"], facts["shared"]) == (OTHER, True)
    assert zvm.read(volume.name, 5) == b"typed"
    for diff in ({"encryption": {"cipher": ("a", "b")}}, {"qos_specs": {"total_iops_sec": (None, "1")}}):
        assert zvm.driver.retype(zvm.context, volume, kind, diff, host(zvm, POOL)) is False


@pytest.mark.parametrize("done", [0, 1, 2])
def test_a_move_that_was_cut_off_is_settled_at_the_next_start(
    zvm: Storage, done: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``done``: how many of its first steps the move came to: copied; renamed."""
    volume = zvm.made(b"moves")
    path = "/systems/ZVM1/volumes"
    moved = f"{volume.name}-moved"
    zvm.zvm.do("POST", path, name=moved, pool=OTHER, size_gb=1, source=volume.name)
    if done:
        zvm.zvm.do("POST", f"{path}/{volume.name}/rename", name=f"{volume.name}-old")
    if done > 1:
        zvm.zvm.do("POST", f"{path}/{moved}/rename", name=volume.name)
    driver_of(zvm.zvm, monkeypatch, zvm.glance).do_setup(zvm.context)
    assert zvm.names() == [volume.name]
    assert zvm.facts(volume.name)["pool"] == (OTHER if done else POOL)  # type: ignore[index]
    assert zvm.read(volume.name, 5) == b"moves"


# manage


def test_a_lun_that_holds_data_becomes_a_volume_and_is_let_go_again(zvm: Storage) -> None:
    volume = zvm.made(b"data")
    zvm.driver.unmanage(volume)
    assert zvm.names() == []
    listed = zvm.driver.get_manageable_volumes([], None, 100, 0, ["size"], ["asc"])
    (entry,) = (item for item in listed if item["safe_to_manage"])
    taken = zvm.volume()
    assert zvm.driver.manage_existing_get_size(taken, entry["reference"]) == 1
    zvm.driver.manage_existing(taken, entry["reference"])
    assert zvm.read(taken.name, 4) == b"data"
    with pytest.raises(exception.ManageExistingInvalidReference):
        zvm.driver.manage_existing(zvm.volume(), entry["reference"])


def test_a_volume_of_the_manager_becomes_cinders(zvm: Storage) -> None:
    zvm.zvm.do("POST", "/systems/ZVM1/volumes", name="golden", pool=POOL, size_gb=1)
    zvm.write("golden", b"gold")
    zvm.zvm.do("POST", "/systems/ZVM1/volumes", name="copy", pool=POOL, size_gb=1, source="golden")
    mine = zvm.made()
    listed = zvm.driver.get_manageable_volumes([mine], None, 100, 0, ["size"], ["asc"])
    known = {item["reference"]["source-name"]: item for item in listed}
    assert known[mine.name]["cinder_id"] == mine.id
    assert (known[mine.name]["safe_to_manage"], known["golden"]["safe_to_manage"]) == (False, True)
    volume = zvm.volume()
    assert zvm.driver.manage_existing_get_size(volume, {"source-name": "golden"}) == 1
    zvm.driver.manage_existing(volume, {"source-name": "golden"})
    snapshot = zvm.snapshot(volume)
    (entry,) = zvm.driver.get_manageable_snapshots([], None, 100, 0, ["size"], ["asc"])
    assert entry["source_reference"] == {"source-name": "golden"}
    assert zvm.driver.manage_existing_snapshot_get_size(snapshot, entry["reference"]) == 1
    zvm.driver.manage_existing_snapshot(snapshot, entry["reference"])
    assert zvm.read(snapshot.name, 4) == b"gold"
    zvm.driver.unmanage_snapshot(snapshot)
    assert snapshot.name not in zvm.names()
    with pytest.raises(exception.VolumeBackendAPIException):
        zvm.driver.unmanage(zvm.volume())


@pytest.mark.parametrize("reference", [{}, {"source-id": "x"}, {"source-name": "nothing"}])
def test_a_wrong_reference_is_refused(zvm: Storage, reference: dict[str, str]) -> None:
    volume = zvm.volume()
    for call in (
        lambda: zvm.driver.manage_existing_get_size(volume, reference),
        lambda: zvm.driver.manage_existing(volume, reference),
        lambda: zvm.driver.manage_existing_snapshot(zvm.snapshot(volume), reference),
        lambda: zvm.driver.manage_existing_snapshot_get_size(zvm.snapshot(volume), reference),
    ):
        with pytest.raises(exception.ManageExistingInvalidReference):
            call()


# connections


def test_a_connection_tells_where_the_volume_is(zvm: Storage) -> None:
    volume = zvm.made()
    connector = zvm.guest("WEB01")
    zvm.driver.validate_connector(connector)
    zvm.driver.ensure_export(zvm.context, volume)
    zvm.driver.create_export(zvm.context, volume, connector)
    found = zvm.driver.initialize_connection(volume, connector)
    facts = zvm.facts(volume.name)
    assert facts is not None
    assert found["driver_volume_type"] == "fibre_channel"
    data = found["data"]
    assert (data["target_wwn"], data["target_lun"]) == (facts["wwpns"], facts["lun"])
    assert (data["zvm_volume"], data["volume_id"], data["encrypted"]) == (volume.name, volume.id, False)
    zvm.driver.terminate_connection(volume, connector)
    zvm.driver.remove_export(zvm.context, volume)
    with pytest.raises(exception.InvalidConnectorException, match="zvm_system"):
        zvm.driver.validate_connector({"host": "kvm1", "wwpns": ["c05076e0f3001234"], "wwnns": ["c05076e0f3001234"]})
    with pytest.raises(exception.VolumeDriverException, match="ZVM9"):
        zvm.driver.initialize_connection(volume, {**connector, "zvm_system": "ZVM9"})
    with pytest.raises(exception.VolumeDriverException, match="no volume"):
        zvm.driver.initialize_connection(zvm.volume(), connector)


def test_the_end_of_a_connection_takes_the_volume_from_its_guest_only(zvm: Storage) -> None:
    volume = zvm.made(multiattach=True)
    one, other = zvm.guest("WEB01", start=True), zvm.guest("WEB02", start=True)
    for userid in ("WEB01", "WEB02"):
        zvm.attach(userid, volume)
    zvm.driver.terminate_connection(volume, {**one, "zvm_system": "ZVM2"})
    assert having(zvm, volume) == ["WEB01", "WEB02"], "a guest that has moved keeps it"
    zvm.driver.terminate_connection(volume, one)
    assert having(zvm, volume) == ["WEB02"]
    zvm.driver.terminate_connection(volume, None)
    assert having(zvm, volume) == []
    zvm.driver.terminate_connection(volume, other)
    zvm.driver.terminate_connection(zvm.volume(), None)


def test_a_guest_whose_system_is_down_keeps_its_volume_when_the_connection_ends(
    zvm: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = zvm.made()
    one = zvm.guest("WEB01")
    zvm.attach("WEB01", volume)
    problem = {"code": "agent-unreachable", "detail": "the agent of ZVM1 does not answer"}

    def refused(*_words: object) -> None:
        raise ProblemError(problem, 503)

    with monkeypatch.context() as patch:
        patch.setattr(zvm.driver._volumes._changes, "run", refused)
        zvm.driver.terminate_connection(volume, one)
        problem["code"] = "smapi-refused"
        with pytest.raises(exception.VolumeDriverException, match="does not answer"):
            zvm.driver.terminate_connection(volume, one)
    assert having(zvm, volume) == ["WEB01"]


def having(zvm: Storage, volume: objects.Volume) -> list[str]:
    facts = zvm.facts(volume.name)
    assert facts is not None
    return sorted(item["guest"] for item in facts["attachments"])


def test_a_manager_that_is_gone_is_told(zvm: Storage) -> None:
    zvm.zvm.bridge.down = True
    try:
        for call in (
            lambda: zvm.driver.create_volume(zvm.volume()),
            lambda: zvm.driver.delete_volume(zvm.volume()),
            lambda: zvm.driver.get_volume_stats(refresh=True),
            lambda: zvm.driver.initialize_connection(zvm.volume(), {"zvm_system": "ZVM1", "zvm_instance": "x"}),
        ):
            with pytest.raises(exception.VolumeDriverException, match="not to be reached"):
                call()
    finally:
        zvm.zvm.bridge.down = False


# options


def test_the_generator_of_samples_finds_the_options(tmp_path: Path) -> None:
    sample = tmp_path / "sample.conf"
    generator.main(["--namespace", "zvmcloud.cinder", "--output-file", str(sample)])
    text = sample.read_text()
    for option in (*connection.MANAGER_OPTIONS, *options.OPTIONS):
        assert f"\n#{option.name} =" in text
    assert ZVMVolumeDriver.get_driver_options() == options.OPTIONS


def test_every_option_is_in_the_guide() -> None:
    guide = (ROOT / "docs" / "openstack.md").read_text()
    assert [option.name for option in options.OPTIONS if f"`{option.name}`" not in guide] == []
