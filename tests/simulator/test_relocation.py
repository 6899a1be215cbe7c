"""Guests that move between members: what stands against it, what moves along, how a move ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from simulator.boot_support import NUMBER, PORT, add_lun
from simulator.cluster_support import add_guest, add_switch, on_exactly
from zvmcloud.simulator import (
    channels,
    directory_manager,
    eligibility,
    guests,
    luns,
    network,
    relocation,
    spool,
    storage,
    traffic,
)
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.cluster import Cluster
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.eligibility import Reason
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.events import Subscriber
from zvmcloud.simulator.installation import open_cluster
from zvmcloud.simulator.model import Grant, RealDevice
from zvmcloud.simulator.model_cluster import LocalVolume, Relocation, RelocationDomain
from zvmcloud.simulator.model_devices import Eqid, GuestLan
from zvmcloud.simulator.presets import PRESETS
from zvmcloud.simulator.system import System
from zvmcloud.smapi.events import VmEvent, decode_vmevents

GUEST = "LINUX01"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def cluster(tmp_path: Path, clock: ManualClock) -> Iterator[Cluster]:
    opened = open_cluster(tmp_path / "state", PRESETS["ssi4"], clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def source(cluster: Cluster) -> System:
    return add_guest(cluster)


@pytest.fixture
def there(cluster: Cluster) -> System:
    return cluster.systems["VM2"]


def move(source: System, **options: object) -> Relocation:
    with source.transaction():
        return relocation.begin(source, GUEST, "VM2", "OPERATOR", **options)  # type: ignore[arg-type]


def blockers(source: System, *force: str) -> tuple[int, ...]:
    """The numbers of the reasons against a move to VM2."""
    numbers: tuple[int, ...] = (1940,)
    try:
        relocation.check(source, GUEST, "VM2", force)
    except relocation.NotRelocatable as refused:
        numbers = refused.numbers if len(refused.lines) == len(refused.numbers) else ()
    assert numbers[:1] == (1940,)
    return numbers[1:]


def test_a_guest_with_shared_disks_and_a_switch_on_both_sides_may_move(source: System) -> None:
    assert blockers(source) == ()


def change_machine(source: System, **values: object) -> None:
    machine = source.machines[GUEST]
    source.machines.put(GUEST, replace(machine, **values))  # type: ignore[arg-type]


def dedicate(source: System, kind: str, rdev: str) -> None:
    machine = source.machines[GUEST]
    source.machines.put(GUEST, replace(machine, devices=(*machine.devices, RealDevice("3000", rdev, kind))))


def local_volume(source: System, _there: System) -> None:
    assert source.cluster is not None
    source.cluster.local_volumes.put("LX0001", LocalVolume("LX0001", "VM1"))


def link_to_identity(source: System, _there: System) -> None:
    storage.attach(source, GUEST, "MAINT", "0190", "0190", "RR")


def temporary_disk(source: System, _there: System) -> None:
    assert execute(source, GUEST, "DEFINE T3390 AS 0300 5").rc in (0, 3, 26)
    if "LINUX01.0300" not in source.disks:
        entry = source.entry("MAINT")
        assert entry is not None
        disk = entry.mdisks[0]
        storage.create_disk(source, GUEST, replace(disk, vdev="0300", placement="T-DISK", start=None, volser=""))
        storage.attach(source, GUEST, GUEST, "0300", "0300", "MR")


def virtual_disk_of_two(source: System, _there: System) -> None:
    assert execute(source, GUEST, "DEFINE VFB-512 AS 0300 BLK 1000").rc == 0
    guests.log_on(source, "ZHCP")
    storage.attach(source, "ZHCP", GUEST, "0300", "F300", "RR")


def linked_twice(_source: System, there: System) -> None:
    guests.log_on(there, "ZHCP")
    storage.attach(there, "ZHCP", GUEST, "0100", "F100", "MW")


def switch_missing(_source: System, there: System) -> None:
    network.delete(there, there.vswitches["VSW1"])


def grant_missing(_source: System, there: System) -> None:
    network.revoke(there, there.vswitches["VSW1"], GUEST)


def switch_differs(_source: System, there: System) -> None:
    there.vswitches.remove("VSW1")
    add_switch(there, GUEST, transport="IP")


def uplink_differs(source: System, there: System) -> None:
    for system, rdev in ((source, "1000"), (there, "1F00")):
        system.vswitches.put("VSW1", replace(system.vswitches["VSW1"], rdevs=(rdev,)))


def guest_lan(source: System, _there: System) -> None:
    source.guest_lans.put(f"{GUEST}.LAN1", GuestLan(GUEST, "LAN1", grants=(Grant(GUEST),)))
    nic = network.nic(source, GUEST, "1000")
    network.replace_nic(source, GUEST, replace(nic, lan_owner=GUEST, lan_name="LAN1"))


def coupled_ctca(source: System, _there: System) -> None:
    guests.log_on(source, "ZHCP")
    for name in (GUEST, "ZHCP"):
        channels.define(source, name, "0700")
    channels.couple(source, GUEST, "0700", "ZHCP", "0700")


def switched_off(source: System, _there: System) -> None:
    relocation.set_attributes(source, GUEST, allowed=False)


def no_domain(source: System, _there: System) -> None:
    assert source.cluster is not None
    source.cluster.domains.put("ALONE", RelocationDomain("ALONE", ("VM1", "VM3")))
    relocation.set_attributes(source, GUEST, domain="ALONE")


def too_many_processors(source: System, _there: System) -> None:
    change_machine(source, cpus=tuple(f"{number:02X}" for number in range(7)))


def too_much_storage(source: System, there: System) -> None:
    there.facts_rows.put("system", replace(there.facts, storage_kib=1 << 20))


def no_paging_space(source: System, there: System) -> None:
    change_machine(source, max_storage_kib=1 << 31)


def older_machine(_source: System, there: System) -> None:
    there.facts_rows.put("system", replace(there.facts, machine_type="2964"))


def ending(source: System, _there: System) -> None:
    change_machine(source, forced_at=source.now() + 60)


def session(source: System, _there: System) -> None:
    source.sessions[GUEST] = 1


def volume_missing(_source: System, there: System) -> None:
    from zvmcloud.simulator.model_devices import RealDisk

    volume = there.volumes["LX0001"]
    there.real_disks.put(volume.rdev, RealDisk(volume.rdev, status="OFFLINE", volser="LX0001"))


def fcp_without_eqid(source: System, _there: System) -> None:
    source.eqids.remove("1A00")
    dedicate(source, "FCP", "1A00")


def fcp_without_equivalent(source: System, there: System) -> None:
    dedicate(source, "FCP", "1A00")
    for rdev in ("1A00", "1A01", "1A02", "1A03"):
        there.fcps.put(rdev, replace(there.fcps[rdev], owner="OTHER"))


def dedicated_disk(source: System, _there: System) -> None:
    dedicate(source, "DASD", "7000")


@pytest.mark.parametrize(
    ("make", "number", "force"),
    [
        (local_volume, 1996, ""),
        (link_to_identity, 1996, ""),
        (temporary_disk, 1948, ""),
        (virtual_disk_of_two, 1949, ""),
        (linked_twice, 1950, ""),
        (volume_missing, 1951, ""),
        (switch_missing, 1952, ""),
        (grant_missing, 1982, ""),
        (switch_differs, 1983, ""),
        (uplink_differs, 1984, ""),
        (guest_lan, 1955, ""),
        (coupled_ctca, 1985, ""),
        (switched_off, 1941, ""),
        (no_domain, 1942, "DOMAIN"),
        (older_machine, 1944, "ARCHITECTURE"),
        (no_paging_space, 1813, "STORAGE"),
        (too_many_processors, 1946, ""),
        (too_much_storage, 1947, ""),
        (ending, 1945, ""),
        (session, 1932, ""),
        (fcp_without_eqid, 1953, ""),
        (fcp_without_equivalent, 1954, ""),
        (dedicated_disk, 1981, ""),
    ],
)
def test_each_blocker_stands_against_a_move_and_nothing_else_does(
    source: System, there: System, make: Callable[[System, System], None], number: int, force: str
) -> None:
    with source.transaction():
        make(source, there)
    assert blockers(source) == (number,)
    with pytest.raises(relocation.NotRelocatable), source.transaction():
        relocation.begin(source, GUEST, "VM2", "OPERATOR")
    assert not source.cluster or len(source.cluster.relocations) == 0
    for word in eligibility.FORCES:
        assert blockers(source, word) == (() if word == force else (number,))


def test_every_blocker_is_in_the_reference(cluster: Cluster) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "relocation.md").read_text()
    listed = {
        line.split("|")[1].strip(): line.split("|")[3].strip() for line in page.splitlines() if line.startswith("| 1")
    }
    for item in eligibility.BLOCKERS:
        assert listed[str(item.message.number)] == (item.force or "-"), item.message.template


def test_the_directory_can_forbid_moves(cluster: Cluster) -> None:
    source = add_guest(cluster, GUEST, "VMRELOCATE OFF")
    assert blockers(source) == (1941,)
    with source.transaction():
        relocation.set_attributes(source, GUEST, allowed=True)
    assert blockers(source) == ()


def test_what_was_set_ends_with_the_logon(cluster: Cluster, source: System) -> None:
    with source.transaction():
        relocation.set_attributes(source, GUEST, allowed=False)
    with source.transaction():
        guests.log_off(source, GUEST)
        guests.log_on(source, GUEST)
    assert blockers(source) == ()


def test_an_identity_does_not_move(cluster: Cluster) -> None:
    source = cluster.systems["VM1"]
    with pytest.raises(relocation.NotRelocatable) as caught:
        relocation.check(source, "DIRMAINT", "VM2")
    assert 1823 in caught.value.numbers


@pytest.mark.parametrize(
    ("userid", "member", "number"), [("NOBODY", "VM2", 45), (GUEST, "VM9", 1922), (GUEST, "VM1", 1923)]
)
def test_a_move_needs_a_guest_and_another_member(source: System, userid: str, member: str, number: int) -> None:
    with pytest.raises(CpRefused) as caught:
        relocation.check(source, userid, member)
    assert caught.value.number == number


def test_a_member_that_is_down_is_no_destination(cluster: Cluster, source: System) -> None:
    cluster.take_down("VM2")
    with pytest.raises(CpRefused) as caught:
        relocation.check(source, GUEST, "VM2")
    assert caught.value.number == 1922


def test_a_cluster_that_is_not_stable_moves_nothing(cluster: Cluster, source: System) -> None:
    cluster.take_down("VM4", abend=True)
    with pytest.raises(CpRefused) as caught:
        relocation.check(source, GUEST, "VM2")
    assert caught.value.number == 1925


def test_load_counters_hot_plugged_parts_and_settings_move_along(
    cluster: Cluster, source: System, there: System, clock: ManualClock
) -> None:
    with source.transaction():
        for command in ("DEFINE CPU 01 02", "DEFINE STORAGE STANDBY 1G", "SET MSG OFF", "SET RUN ON", "TRACE DIAG RUN"):
            assert execute(source, GUEST, command).rc == 0, command
        traffic.set_load(source, source.machines[GUEST], cpu=80, io_rate=50)
    clock.advance(100)
    before = {command: execute(source, GUEST, command).lines for command in ("Q STORAGE", "Q SET", "Q TRACE")}
    used = traffic.processor_microseconds(source, source.machines[GUEST])
    assert used > 80_000_000
    with cluster.transaction():
        guests.log_on(source, "MAINT")
    assert execute(source, "MAINT", "SET SHARE LINUX01 REL 300").rc == 0
    move(source)
    clock.advance(10)
    assert on_exactly(cluster, GUEST) == "VM2"
    for rows in (source.activities, source.hardware, source.settings):
        assert GUEST not in rows
    assert {command: execute(there, GUEST, command).lines for command in before} == before
    assert there.machines[GUEST].cpus == ("00", "01", "02")
    assert execute(there, GUEST, "Q SHARE").lines[0].endswith("RELATIVE SHARE = 300")
    after = traffic.processor_microseconds(there, there.machines[GUEST])
    assert used < after < used + 15_000_000
    clock.advance(100)
    assert traffic.processor_microseconds(there, there.machines[GUEST]) > after + 70_000_000


def test_a_move_takes_its_time_and_all_of_the_guest(
    cluster: Cluster, source: System, there: System, clock: ManualClock
) -> None:
    clock.advance(1)
    before = source.machines[GUEST]
    storage.open_devices(source, GUEST)
    with source.transaction():
        spool.create(source, GUEST, "ZHCP", b"data", name="CFGDRIVE")
        spool.write_console(source, GUEST, "hello from VM1")
        assert execute(source, GUEST, "DEFINE VFB-512 AS 0300 BLK 1000").rc == 0
    move(source)
    clock.advance(0.1)
    assert on_exactly(cluster, GUEST) == "VM1"
    clock.advance(0.06)
    assert source.machines[GUEST].paused
    clock.advance(0.1)
    assert on_exactly(cluster, GUEST) == "VM2"
    after = there.machines[GUEST]
    assert not after.paused
    assert after.system == before.system
    assert after.logon_at == before.logon_at
    assert after.nics == before.nics
    assert {disk.file for disk in after.disks} >= {disk.file for disk in before.disks}
    assert "hello from VM1" in after.console
    assert [file.name for file in spool.files(there, GUEST)] == ["CFGDRIVE"]
    assert spool.files(source, GUEST) == []
    assert not source.device_folder.joinpath(GUEST).exists()
    assert (storage.open_devices(there, GUEST) / "0.0.0100").resolve().exists()
    assert there.coupled["VSW1"] == {(GUEST, "1000")}
    assert source.coupled["VSW1"] == set()
    assert len(cluster.relocations) == 0


def test_a_guest_that_has_moved_can_move_back_and_log_off(cluster: Cluster, source: System, there: System) -> None:
    clock = cluster.clock
    assert isinstance(clock, ManualClock)
    move(source)
    clock.advance(1)
    with there.transaction():
        relocation.begin(there, GUEST, "VM1", "OPERATOR")
    clock.advance(1)
    assert on_exactly(cluster, GUEST) == "VM1"
    with source.transaction():
        guests.log_off(source, GUEST)
        directory_manager.delete(there, GUEST)
    assert "LINUX01.0100" not in there.disks


def test_fcp_devices_become_those_of_equal_eqid(source: System, there: System, clock: ManualClock) -> None:
    with source.transaction():
        guests.give_device(source, GUEST, "3000", "1A02")
        there.fcps.put("1A00", replace(there.fcps["1A00"], owner="OTHER"))
        there.eqids.put("1A01", Eqid("1A01", "ELSE"))
    move(source)
    clock.advance(1)
    assert there.machines[GUEST].device("3000") == RealDevice("3000", "1A02", "FCP")
    assert there.fcps["1A02"].owner == GUEST
    assert source.fcps["1A02"].owner == ""


def test_scsi_disks_that_are_online_stay_online_where_the_guest_arrives(
    source: System, there: System, clock: ManualClock
) -> None:
    path = f"3000 {PORT} {NUMBER}"
    with source.transaction():
        for member in (source, there):
            lun = add_lun(member)
        guests.give_device(source, GUEST, "3000", "1A02")
        luns.set_online(source, GUEST, "3000", online=True)
        luns.add(source, GUEST, path)
    here = storage.open_devices(source, GUEST) / luns.device_name(path)
    new = storage.open_devices(there, GUEST) / luns.device_name(path)
    here.write_bytes(b"moved" + here.read_bytes()[5:])
    assert not new.exists()
    move(source)
    clock.advance(1)
    moved = there.machines[GUEST]
    assert (moved.fcps, moved.units) == (("3000",), (path,))
    assert luns.unit(there, moved, path) == lun
    assert (new.read_bytes()[:5], here.is_symlink()) == (b"moved", False)
    with there.transaction():
        assert luns.remove(there, GUEST, path)
    assert not new.is_symlink()


def test_a_larger_guest_takes_longer(source: System) -> None:
    small = move(source)
    with source.transaction():
        relocation.cancel(source, GUEST)
        change_machine(source, storage_kib=8 << 20)
    large = move(source)
    assert large.arrives - large.started == pytest.approx(2 * (small.arrives - small.started))


def test_immediate_moves_in_less_time_and_stands_still_longer(source: System) -> None:
    usual = move(source)
    with source.transaction():
        relocation.cancel(source, GUEST)
    immediate = move(source, immediate=True, max_quiesce=None)
    assert immediate.arrives < usual.arrives
    assert immediate.quiesce > usual.quiesce


def outcome(source: System, clock: ManualClock, **options: object) -> CpRefused | None:
    ended: list[tuple[CpRefused | None, Relocation]] = []
    move(source, watcher=ended.append, **options)
    clock.advance(5)
    ((refusal, _),) = ended
    return refusal


def test_whoever_waits_hears_of_the_end(source: System, clock: ManualClock) -> None:
    assert outcome(source, clock) is None


@pytest.mark.parametrize(("options", "number"), [({"max_total": 0.1}, 1927), ({"max_quiesce": 0.001}, 1928)])
def test_a_limit_that_is_passed_ends_the_move(
    cluster: Cluster, source: System, clock: ManualClock, options: dict[str, object], number: int
) -> None:
    refusal = outcome(source, clock, **options)
    assert refusal is not None
    assert refusal.number == number
    assert on_exactly(cluster, GUEST) == "VM1"
    assert not source.machines[GUEST].paused


def test_a_limit_can_be_changed_while_the_guest_moves(cluster: Cluster, source: System, clock: ManualClock) -> None:
    move(source, max_total=0.1)
    with source.transaction():
        relocation.modify(source, GUEST, max_total=None)
    clock.advance(1)
    assert on_exactly(cluster, GUEST) == "VM2"


@pytest.mark.parametrize("after", [0.05, 0.16])
def test_a_move_can_be_cancelled_while_memory_moves_and_while_the_guest_stands_still(
    cluster: Cluster, source: System, clock: ManualClock, after: float
) -> None:
    ended: list[tuple[CpRefused | None, Relocation]] = []
    move(source, watcher=ended.append)
    clock.advance(after)
    with source.transaction():
        relocation.cancel(source, GUEST)
    clock.advance(1)
    assert on_exactly(cluster, GUEST) == "VM1"
    assert not source.machines[GUEST].paused
    assert [refusal.number for refusal, _ in ended if refusal is not None] == [1929]
    with pytest.raises(CpRefused) as caught, source.transaction():
        relocation.cancel(source, GUEST)
    assert caught.value.number == 1926


def test_what_stands_against_it_at_the_end_ends_the_move(
    cluster: Cluster, source: System, there: System, clock: ManualClock
) -> None:
    ended: list[tuple[CpRefused | None, Relocation]] = []
    move(source, watcher=ended.append)
    clock.advance(0.1)
    with there.transaction():
        grant_missing(source, there)
    clock.advance(1)
    ((refusal, _),) = ended
    assert isinstance(refusal, relocation.NotRelocatable)
    assert refusal.reasons == (Reason(1982, refusal.lines[1]),)
    assert on_exactly(cluster, GUEST) == "VM1"


@pytest.mark.parametrize("lost", ["VM1", "VM2"])
def test_a_member_that_goes_down_ends_the_move(cluster: Cluster, source: System, clock: ManualClock, lost: str) -> None:
    ended: list[tuple[CpRefused | None, Relocation]] = []
    move(source, watcher=ended.append)
    cluster.take_down(lost)
    clock.advance(1)
    assert [refusal.number for refusal, _ in ended if refusal is not None] == [1930]
    found = [name for name, system in cluster.systems.items() if GUEST in system.machines]
    assert found == ([] if lost == "VM1" else ["VM1"])


def test_a_guest_that_logs_off_ends_its_move(cluster: Cluster, source: System, clock: ManualClock) -> None:
    ended: list[tuple[CpRefused | None, Relocation]] = []
    move(source, watcher=ended.append)
    with source.transaction():
        guests.log_off(source, GUEST)
    with source.transaction():
        guests.log_on(cluster.systems["VM3"], GUEST)
    clock.advance(1)
    assert [refusal.number for refusal, _ in ended if refusal is not None] == [1931]
    assert on_exactly(cluster, GUEST) == "VM3"


def test_a_guest_that_boots_while_it_moves_comes_up_where_it_arrives(
    source: System, there: System, clock: ManualClock
) -> None:
    with source.transaction():
        guests.load(source, GUEST, "CMS")
    move(source, immediate=True, max_quiesce=None)
    clock.advance(2)
    running = there.machines[GUEST].system
    assert running is not None
    assert running.phase == "up"


def test_events_tell_both_members(source: System, there: System, clock: ManualClock) -> None:
    seen: dict[str, list[VmEvent]] = {"VM1": [], "VM2": []}

    def listen(system: System) -> None:
        def sink(_kind: int, data: bytes) -> None:
            seen[system.name] += [event for event in decode_vmevents(data) if isinstance(event, VmEvent)]

        system.events.subscribe(Subscriber("MAINT", sink, lambda: None))

    listen(source)
    listen(there)
    move(source)
    clock.advance(1)
    assert seen["VM1"] == [VmEvent(0, 9, (GUEST, "VM2")), VmEvent(0, 11, (GUEST, "VM2"))]
    assert seen["VM2"] == [VmEvent(0, 10, (GUEST, "VM1")), VmEvent(0, 12, (GUEST, "VM1"))]
    seen["VM1"].clear()
    seen["VM2"].clear()
    with there.transaction():
        relocation.begin(there, GUEST, "VM1", "OPERATOR")
    with there.transaction():
        relocation.cancel(there, GUEST)
    assert seen["VM2"][-1] == VmEvent(0, 13, (GUEST, 1))
    assert seen["VM1"][-1] == VmEvent(0, 14, (GUEST, 1))


def test_cp_commands(cluster: Cluster, source: System, there: System, clock: ManualClock) -> None:
    with source.transaction():
        guests.log_on(source, "MAINT")
        guests.log_on(there, "MAINT")

    def cp(command: str, system: System = source) -> tuple[int, tuple[str, ...]]:
        result = execute(system, "MAINT", command)
        return result.rc, result.lines

    assert cp("VMRELOCATE STATUS") == (0, ("No active relocations found",))
    assert cp("VMRELOCATE TEST LINUX01 VM2")[0] == 0
    assert cp("VMRELOCATE CANCEL LINUX01")[0] == 1926
    assert cp("SET VMRELOCATE LINUX01 OFF")[0] == 0
    rc, lines = cp("VMRELOCATE MOVE LINUX01 TO VM2")
    assert rc == 1940
    assert [line[:10] for line in lines] == ["HCPRLH1940", "HCPRLI1941"]
    assert cp("SET VMRELOCATE LINUX01 ON")[0] == 0
    assert cp("VMRELOCATE MOVE USER LINUX01 TO VM2 MAXQUIESCE 5 MAXTOTAL NOLIMIT")[0] == 0
    assert cp("VMRELOCATE STATUS")[1][1].split()[:4] == ["LINUX01", "VM1", "VM2", "MAINT"]
    assert cp("VMRELOCATE STATUS", there) == cp("VMRELOCATE STATUS")
    assert cp("VMRELOCATE MODIFY LINUX01 MAXTOTAL 60")[0] == 0
    assert cp("VMRELOCATE MOVE LINUX01 VM3")[0] == 1924
    clock.advance(1)
    assert cp("QUERY USER LINUX01") == (0, ("LINUX01  - SSI",))
    assert cp("QUERY USER LINUX01", there) == (0, ("LINUX01  - DSC",))
    assert source.machines["MAINT"].console[-1] == "Relocation of LINUX01 from VM1 to VM2 complete"
    assert cp("VMRELOCATE MOVE LINUX01 VM3 SOON")[0] == 3
    ssi = cp("QUERY SSI")[1]
    assert ssi[0] == "SSI Name: SSI"
    assert [line.split()[1:3] for line in ssi[5:]] == [[f"VM{number}", "Joined"] for number in range(1, 5)]
    assert cp("QUERY RELODOMAIN") == (0, ("DOMAIN SSI      MEMBERS: VM1 VM2 VM3 VM4",))


def test_a_move_goes_on_after_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    cluster = open_cluster(tmp_path / "other", PRESETS["ssi4"], clock=clock)
    source = add_guest(cluster)
    move(source)
    cluster.close()
    again = open_cluster(tmp_path / "other", clock=clock)
    relocation.resume(again)
    assert on_exactly(again, GUEST) == "VM1"
    clock.advance(1)
    assert on_exactly(again, GUEST) == "VM2"
    again.close()
