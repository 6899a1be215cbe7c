"""CPUs and storage that come and go while a guest runs, and load that the guest makes itself."""

from __future__ import annotations

import pytest

from simulator.support import linux, write_image
from zvmcloud.directory.devices import Mdisk
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator import dumps, guest_agent, guests, hotplug, storage, traffic
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.system import System

GIB = 1 << 30


@pytest.fixture
def vm(system: System, clock: ManualClock) -> System:
    """LINUX01 up, with 2 GiB of at most 4 GiB that may be taken online, and one CPU of at most eight."""
    entry = [*linux("LINUX01"), "COMMAND DEFINE STORAGE INITIAL STANDBY REMAINDER"]
    with system.transaction():
        dm.create(system, "LINUX01", entry)
        disk = dm.add_disk(system, "LINUX01", Mdisk("0100", "3390", "AUTOG", None, 10, "POOL1", "MR"))
        assert disk.size == 10
        guests.log_on(system, "ZHCP")
    write_image(storage.file_of(system, system.disks["LINUX01.0100"]))
    with system.transaction():
        guests.log_on(system, "LINUX01")
    clock.advance(1)
    return system


def run(vm: System, command: str) -> tuple[int, str]:
    with vm.transaction():
        output = guest_agent.run(vm, "LINUX01", command, "ZHCP")
    return output.rc, output.text


def addresses(vm: System, *, offline: bool = False) -> list[int]:
    text = run(vm, "lscpu --parse=ADDRESS" + (" --offline" if offline else ""))[1]
    return [int(line) for line in text.splitlines() if not line.startswith("#")]


def online(vm: System) -> int:
    lines = run(vm, "lsmem -b")[1].splitlines()
    return int(next(line for line in lines if "Total online" in line).split()[-1])


def test_a_new_cpu_is_seen_after_a_rescan_and_used_once_it_is_online(vm: System) -> None:
    assert addresses(vm) == [0]
    assert run(vm, "vmcp def cpu 01 02")[0] == 0
    assert addresses(vm) == [0]
    assert addresses(vm, offline=True) == []
    assert run(vm, "chcpu -e 1")[0] == 1
    assert run(vm, "chcpu -r")[0] == 0
    assert addresses(vm, offline=True) == [1, 2]
    assert run(vm, "chcpu -e 1,2")[0] == 0
    assert addresses(vm) == [0, 1, 2]
    assert run(vm, "chcpu -d 2")[0] == 0
    assert (addresses(vm), addresses(vm, offline=True)) == ([0, 1], [2])
    assert run(vm, "chcpu -d 0")[0] == 1


def test_a_cpu_that_cp_takes_away_is_gone_in_the_guest(vm: System, clock: ManualClock) -> None:
    run(vm, "vmcp define cpu 01")
    run(vm, "chcpu -r")
    run(vm, "chcpu -e 1")
    with vm.transaction():
        hotplug.detach_cpu(vm, "LINUX01", "01")
    assert addresses(vm) == [0]
    with vm.transaction():
        hotplug.define_cpu(vm, "LINUX01", "01")
        guests.load(vm, "LINUX01", "0100")
    clock.advance(1)
    assert addresses(vm) == [0, 1]


def test_standby_storage_goes_online_and_back(vm: System) -> None:
    assert online(vm) == 2 * GIB
    assert run(vm, "chmem -e 1024M") == (0, "")
    assert online(vm) == 3 * GIB
    assert "STANDBY = 1G" in run(vm, "vmcp q storage")[1]
    assert run(vm, "chmem -e 2g")[0] == 1
    assert run(vm, "chmem -e 100M")[0] == 1
    assert run(vm, "chmem -d 1G") == (0, "")
    assert run(vm, "chmem -d 1G")[0] == 1
    assert online(vm) == 2 * GIB


def test_reserved_storage_becomes_standby_by_a_cp_command(vm: System) -> None:
    assert run(vm, "vmcp def storage standby 0M")[0] == 0
    assert run(vm, "chmem -e 128M")[0] == 1
    assert run(vm, "vmcp def storage standby 1G")[0] == 0
    assert run(vm, "chmem -e 1G") == (0, "")
    assert run(vm, "vmcp def storage standby 3G")[0] == 1
    assert online(vm) == 3 * GIB


def test_a_load_moves_the_counters_while_it_lasts(vm: System, clock: ManualClock) -> None:
    machine = vm.machines["LINUX01"]
    idle = traffic.processor_microseconds(vm, machine)
    clock.advance(10)
    quiet = traffic.processor_microseconds(vm, machine) - idle
    assert run(vm, "stress-ng --cpu 4 --timeout 5s")[0] == 0
    start = traffic.processor_microseconds(vm, machine)
    assert traffic.cpu_percent(vm, machine) == 100.0
    clock.advance(10)
    assert traffic.processor_microseconds(vm, machine) - start == quiet + 5_000_000
    assert traffic.cpu_percent(vm, machine) < 1
    assert run(vm, "dd if=/dev/zero of=/tmp/x bs=4k count=5000")[0] == 0
    before = traffic.disk_operations(vm, machine)
    clock.advance(10)
    assert traffic.disk_operations(vm, machine) - before == 5000 + 2


def test_counters_never_fall(vm: System, clock: ManualClock) -> None:
    machine = vm.machines["LINUX01"]
    seen = [0, 0]
    for command in ("stress-ng --cpu 1 --timeout 3", "dd if=/dev/zero of=/x count=10", "stress --cpu 1 -t 1s", "true"):
        run(vm, command)
        for seconds in (0, 1, 2, 7):
            clock.advance(seconds)
            now = [traffic.processor_microseconds(vm, machine), traffic.disk_operations(vm, machine)]
            assert now[0] >= seen[0]
            assert now[1] >= seen[1]
            seen = now


def test_a_snap_dump_goes_to_the_dump_server(vm: System) -> None:
    with vm.transaction():
        guests.log_on(vm, "MAINT")
    assert execute(vm, "MAINT", "SNAPDUMP").rc == 0
    (file,) = dumps.waiting(vm)
    assert (file.owner, file.kind, file.distribution) == ("OPERATNS", "DMP", "SNP001")
    assert execute(vm, "LINUX01", "SNAPDUMP").rc != 0
