"""An SSI cluster: what its members share, what is each one's own, and members that come and go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from simulator.cluster_support import add_guest, on_exactly
from zvmcloud.directory import Entry
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator import guests, shutdown, spool, storage
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.cluster import Cluster
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.errors import CpRefused, ModelError
from zvmcloud.simulator.events import Subscriber
from zvmcloud.simulator.installation import open_cluster, open_installation
from zvmcloud.simulator.model import DirectoryEntry
from zvmcloud.simulator.model_file import load_model
from zvmcloud.simulator.presets import PRESETS, find_preset
from zvmcloud.smapi.events import VmEvent, decode_vmevents


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    opened = open_cluster(tmp_path / "state", PRESETS["ssi4"], clock=ManualClock())
    yield opened
    opened.close()


def clock_of(cluster: Cluster) -> ManualClock:
    assert isinstance(cluster.clock, ManualClock)
    return cluster.clock


def test_four_members_have_joined_and_each_has_its_servers(cluster: Cluster) -> None:
    assert [system.name for system in cluster.up()] == ["VM1", "VM2", "VM3", "VM4"]
    assert cluster.mode == "Stable"
    for system in cluster.up():
        assert "DIRMAINT" in system.machines
        assert system.facts.mac_prefix not in {peer.facts.mac_prefix for peer in system.peers}
        assert system.facts.cpu_id not in {peer.facts.cpu_id for peer in system.peers}


def test_the_directory_is_one_for_all_members(cluster: Cluster) -> None:
    add_guest(cluster)
    assert all(system.entry("LINUX01") is not None for system in cluster.systems.values())
    assert all("LINUX01.0100" in system.disks for system in cluster.systems.values())


def test_an_identity_has_the_disks_of_the_member_it_is_on(cluster: Cluster) -> None:
    one, two = cluster.systems["VM1"], cluster.systems["VM2"]
    volumes = []
    for system in (one, two):
        entry = system.entry("MAINT")
        assert entry is not None
        disk = entry.mdisk("0190")
        assert disk is not None
        volumes.append(disk.volser)
        with cluster.transaction():
            guests.log_on(system, "MAINT")
    assert volumes == ["M01RES", "M02RES"]
    files = [system.machines["MAINT"].disks[0].file for system in (one, two)]
    assert files[0] != files[1]


def test_an_identity_does_not_exist_where_it_is_not_built(cluster: Cluster) -> None:
    identity = Entry.parse(["IDENTITY ONLY2 PASS 64M 64M G", "BUILD ON VM2 USING SUBCONFIG ONLY2-2"])
    with cluster.transaction():
        cluster.systems["VM1"].entries.put("ONLY2", DirectoryEntry(identity))
        cluster.systems["VM1"].entries.put("ONLY2-2", DirectoryEntry(Entry.parse(["SUBCONFIG ONLY2-2"])))
        guests.log_on(cluster.systems["VM2"], "ONLY2")
    with pytest.raises(CpRefused, match="not in CP directory"), cluster.transaction():
        guests.log_on(cluster.systems["VM1"], "ONLY2")


def test_a_user_is_logged_on_to_one_member_only(cluster: Cluster) -> None:
    add_guest(cluster)
    with pytest.raises(CpRefused, match="Already logged on"), cluster.transaction():
        guests.log_on(cluster.systems["VM3"], "LINUX01")
    assert on_exactly(cluster, "LINUX01") == "VM1"


def test_query_user_tells_that_a_guest_is_on_another_member(cluster: Cluster) -> None:
    add_guest(cluster)
    for name, shown in (("VM1", "LINUX01  - DSC"), ("VM2", "LINUX01  - SSI")):
        with cluster.transaction():
            if "MAINT" not in cluster.systems[name].machines:
                guests.log_on(cluster.systems[name], "MAINT")
        assert execute(cluster.systems[name], "MAINT", "QUERY USER LINUX01").lines == (shown,)
        assert execute(cluster.systems[name], "MAINT", "QUERY LINUX01").lines == (shown,)


def test_vswitches_are_each_members_own(cluster: Cluster) -> None:
    add_guest(cluster)
    with cluster.transaction():
        cluster.systems["VM2"].vswitches.remove("VSW1")
    assert "VSW1" in cluster.systems["VM1"].vswitches


def test_a_transaction_over_two_members_is_all_or_nothing(cluster: Cluster) -> None:
    one, two = cluster.systems["VM1"], cluster.systems["VM2"]

    def both_and_fail() -> None:
        with cluster.transaction():
            guests.log_on(one, "MAINT")
            guests.log_on(two, "MAINT")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        both_and_fail()
    assert "MAINT" not in one.machines
    assert "MAINT" not in two.machines
    assert ("MAINT", "0190") not in one.links


def test_a_write_link_on_one_member_counts_on_the_others(cluster: Cluster) -> None:
    add_guest(cluster)
    two = cluster.systems["VM2"]
    with cluster.transaction():
        guests.log_on(two, "ZHCP")
        device, remark = storage.attach(two, "ZHCP", "LINUX01", "0100", "F000", "MR")
    assert (device.write, remark) == (False, "R/W BY LINUX01")


def test_a_disk_that_another_member_uses_keeps_its_file_until_it_is_detached(cluster: Cluster) -> None:
    add_guest(cluster)
    one, two = cluster.systems["VM1"], cluster.systems["VM2"]
    with cluster.transaction():
        guests.log_on(two, "ZHCP")
        device, _ = storage.attach(two, "ZHCP", "LINUX01", "0100", "F000", "RR")
        guests.log_off(one, "LINUX01")
    with cluster.transaction():
        dm.delete(one, "LINUX01")
    assert (one.disk_folder / device.file).exists()
    with cluster.transaction():
        storage.detach(two, "ZHCP", "F000")
    assert not (one.disk_folder / device.file).exists()


def test_spool_files_find_a_floating_guest(cluster: Cluster) -> None:
    add_guest(cluster)
    one, two = cluster.systems["VM1"], cluster.systems["VM2"]
    with cluster.transaction():
        spool.create(two, "LINUX01", "ZHCP", b"data", name="CFGDRIVE")
    assert [file.name for file in spool.files(one, "LINUX01")] == ["CFGDRIVE"]
    with cluster.transaction():
        guests.log_off(one, "LINUX01")
        guests.log_on(two, "LINUX01")
    (file,) = spool.files(two, "LINUX01")
    assert spool.read(two, file) == b"data"
    assert spool.files(one, "LINUX01") == []


def test_a_member_that_goes_down_ends_its_guests_and_comes_back_with_its_servers(cluster: Cluster) -> None:
    add_guest(cluster, on="VM2")
    seen: list[tuple[str, bool]] = []
    cluster.listeners.append(lambda name, up: seen.append((name, up)))
    cluster.take_down("VM2")
    two = cluster.systems["VM2"]
    assert len(two.machines) == 0
    assert cluster.member_states["VM2"].state == "Down"
    assert cluster.mode == "Stable"
    with pytest.raises(ModelError, match="down already"):
        cluster.take_down("VM2")
    with cluster.transaction():
        guests.log_on(cluster.systems["VM1"], "LINUX01")
    cluster.bring_up("VM2")
    assert "DIRMAINT" in two.machines
    assert "VSW1" in two.vswitches
    assert on_exactly(cluster, "LINUX01") == "VM1"
    assert seen == [("VM2", False), ("VM2", True)]
    with pytest.raises(ModelError, match="is up"):
        cluster.bring_up("VM2")


def test_directory_changes_go_on_while_a_member_is_down(cluster: Cluster) -> None:
    cluster.take_down("VM3")
    add_guest(cluster)
    cluster.bring_up("VM3")
    assert cluster.systems["VM3"].entry("LINUX01") is not None


def test_a_member_that_stops_without_leaving_makes_the_cluster_safe(cluster: Cluster) -> None:
    cluster.take_down("VM4", abend=True)
    assert (cluster.member_states["VM4"].state, cluster.mode) == ("Unknown", "Safe")
    cluster.bury("VM4")
    assert (cluster.member_states["VM4"].state, cluster.mode) == ("Down", "Stable")


def test_members_hear_of_states_and_modes(cluster: Cluster) -> None:
    records: list[bytes] = []
    one = cluster.systems["VM1"]
    one.events.subscribe(Subscriber("MAINT", lambda _kind, data: records.append(data), lambda: None))
    cluster.take_down("VM2")
    events = [event for data in records for event in decode_vmevents(data)]
    assert VmEvent(2, 8, ("SSI", "VM2", 3, 4)) in events
    assert VmEvent(2, 7, ("SSI", 1, 2)) in events
    assert VmEvent(2, 8, ("SSI", "VM2", 4, 1)) in events
    assert VmEvent(2, 7, ("SSI", 2, 1)) in events


def test_a_heartbeat_stands_still_while_a_member_is_down(cluster: Cluster) -> None:
    cluster.take_down("VM2")
    before = {name: cluster.heartbeat(name) for name in ("VM1", "VM2")}
    clock_of(cluster).advance(60)
    assert cluster.heartbeat("VM2") == before["VM2"]
    assert cluster.heartbeat("VM1") == before["VM1"] + 60


def test_a_cluster_is_found_as_it_was_left(tmp_path: Path) -> None:
    clock = ManualClock()
    cluster = open_cluster(tmp_path, PRESETS["ssi4"], clock=clock)
    add_guest(cluster, on="VM2")
    cluster.take_down("VM3")
    cluster.close()
    again = open_installation(tmp_path, PRESETS["lpar"], clock=clock)
    assert again.cluster is not None
    assert on_exactly(again.cluster, "LINUX01") == "VM2"
    assert [system.name for system in again.cluster.up()] == ["VM1", "VM2", "VM4"]
    used = [[use.owner for use in system.space.used("LX0001")] for system in again.systems]
    assert used == [["LINUX01"]] * 4
    again.close()


def test_a_model_file_describes_a_cluster(tmp_path: Path) -> None:
    path = tmp_path / "model.toml"
    path.write_text('ssi = "PLEX"\nmembers = ["east", "west"]\n')
    opened = open_installation(tmp_path / "state", load_model(path, PRESETS["lpar"]), clock=ManualClock())
    assert opened.cluster is not None
    assert (opened.cluster.name, [system.name for system in opened.systems]) == ("PLEX", ["EAST", "WEST"])
    opened.close()


@pytest.mark.parametrize("members", ["[]", '["VM1", "VM1"]', '["NOT A NAME"]', '["TOOLONGNAME"]'])
def test_members_that_cannot_be_are_named(tmp_path: Path, members: str) -> None:
    path = tmp_path / "model.toml"
    path.write_text(f'ssi = "PLEX"\nmembers = {members}\n')
    with pytest.raises(ModelError, match="members"):
        open_installation(tmp_path / "state", load_model(path, PRESETS["lpar"]), clock=ManualClock())
    assert not list((tmp_path / "state").glob("*"))


def test_a_cluster_that_cannot_be_filled_leaves_no_half_of_it(tmp_path: Path) -> None:
    wrong = replace(PRESETS["ssi4"], osa={"10": "NONE"})
    with pytest.raises(ModelError, match="osa"):
        open_cluster(tmp_path, wrong, clock=ManualClock())
    opened = open_installation(tmp_path, PRESETS["ssi4"], clock=ManualClock())
    assert len(opened.systems) == 4
    opened.close()


def test_a_member_that_is_shut_down_leaves_and_joins_again_when_it_is_loaded(cluster: Cluster) -> None:
    two = cluster.systems["VM2"]
    with two.transaction():
        shutdown.plan(two, 0, reipl=True, immediate=True)
    clock_of(cluster).advance(0.25)
    assert cluster.member_states["VM2"].state == "Down"
    clock_of(cluster).advance(5)
    assert cluster.member_states["VM2"].state == "Joined"
    assert "DIRMAINT" in two.machines


def test_a_fleet_has_systems_that_know_nothing_of_each_other(tmp_path: Path) -> None:
    fleet = open_installation(tmp_path, find_preset("fleet:2\u00d73"), clock=ManualClock())
    assert [system.name for system in fleet.systems] == ["ZVM1", "ZVM2"]
    for system in fleet.systems:
        assert {"L00001", "L00002", "L00003"} <= set(system.machines)
        assert system.machines["L00001"].nics[0].lan_name == "FLEET"
        assert system.peers == ()
    assert fleet.systems[0].machines["L00001"].nics[0].mac != fleet.systems[1].machines["L00001"].nics[0].mac
    fleet.close()
    again = open_installation(tmp_path, clock=ManualClock())
    assert [system.name for system in again.systems] == ["ZVM1", "ZVM2"]
    again.close()


@pytest.mark.parametrize("name", ["nothing", "fleet:0x5", "fleet:3", "fleet:x"])
def test_a_preset_that_there_is_not_is_named(name: str) -> None:
    with pytest.raises(ModelError, match="preset"):
        find_preset(name)
