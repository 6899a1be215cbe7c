"""Virtual machines: they load what is on their disk, read their config drive, and stop when they are told to."""

from __future__ import annotations

import pytest

from simulator.checks import consistent
from simulator.support import config_drive, linux, write_image
from zvmcloud.directory.devices import Mdisk
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator import guest_agent, guests, network, spool, storage, traffic
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import GuestSystem, Vswitch
from zvmcloud.simulator.system import System

SCRIPT = b"#!/bin/bash\necho -n ZHCP > /etc/iucv_authorized_userid\n"


@pytest.fixture
def vm(system: System) -> System:
    """LINUX01 with an empty disk of 10 cylinders, an adapter on VSW1 but no grant yet."""
    with system.transaction():
        dm.create(system, "LINUX01", [*linux("LINUX01"), "NICDEF 1000 LAN SYSTEM VSW1"])
        dm.add_disk(system, "LINUX01", Mdisk("0100", "3390", "AUTOG", None, 10, "POOL1", "MR"))
        system.vswitches.put("VSW1", Vswitch("VSW1", network.new_mac(system)))
        guests.log_on(system, "ZHCP")
    return system


def deploy(vm: System) -> None:
    write_image(storage.file_of(vm, vm.disks["LINUX01.0100"]))


def start(vm: System, clock: ManualClock) -> GuestSystem:
    with vm.transaction():
        guests.log_on(vm, "LINUX01")
    clock.advance(1)
    running = vm.machines["LINUX01"].system
    assert running is not None
    return running


def console(vm: System) -> str:
    return "\n".join(vm.machines["LINUX01"].console)


def run(vm: System, command: str, caller: str = "ZHCP") -> tuple[int, str]:
    with vm.transaction():
        output = guest_agent.run(vm, "LINUX01", command, caller)
    return output.rc, output.text


def test_a_disk_that_was_never_written_does_not_boot(vm: System, clock: ManualClock) -> None:
    assert start(vm, clock).phase == "halted"
    assert "HCPGIR45" in console(vm)
    assert "login:" not in console(vm)
    assert not guest_agent.reachable(vm, "LINUX01")
    assert execute(vm, "ZHCP", "QUERY USER LINUX01").rc == 0


def test_a_deployed_disk_boots_to_its_login_prompt(vm: System, clock: ManualClock) -> None:
    deploy(vm)
    with vm.transaction():
        guests.log_on(vm, "LINUX01")
    assert not guest_agent.reachable(vm, "LINUX01")
    clock.advance(1)
    assert guest_agent.reachable(vm, "LINUX01")
    assert console(vm).endswith("localhost login:")
    assert run(vm, "uname -srm") == (0, "Linux 6.6.0-zvmcloud.1.s390x s390x\n")
    assert 'ID="zvmsample"' in run(vm, "grep -v ^# /etc/os-release")[1]
    assert run(vm, "no-such-command")[0] == 127


def test_name_and_address_come_from_the_config_drive(vm: System, clock: ManualClock) -> None:
    deploy(vm)
    with vm.transaction():
        spool.create(vm, "LINUX01", "ZHCP", config_drive(), name="cfgdrive", filetype="iso", spool_class="X")
        spool.create(vm, "LINUX01", "ZHCP", b"a letter", name="note", filetype="txt", spool_class="A")
    running = start(vm, clock)
    assert running.hostname == "web01.example.com"
    assert [(address.vdev, address.ip, address.prefix) for address in running.addresses] == [("1000", "192.0.2.10", 24)]
    assert console(vm).endswith("web01.example.com login:")
    assert "(no carrier)" in console(vm)
    assert [file.name for file in spool.files(vm, "LINUX01")] == ["note"]


def test_what_the_config_drive_said_is_remembered_until_the_disk_is_written_again(
    vm: System, clock: ManualClock
) -> None:
    deploy(vm)
    with vm.transaction():
        spool.create(vm, "LINUX01", "ZHCP", config_drive("web01"), name="cfgdrive", filetype="iso", spool_class="X")
    assert start(vm, clock).hostname == "web01"
    with vm.transaction():
        guests.log_off(vm, "LINUX01")
    assert start(vm, clock).hostname == "web01"
    with vm.transaction():
        guests.log_off(vm, "LINUX01")
    deploy(vm)
    assert start(vm, clock).hostname == "localhost"


def test_an_adapter_has_a_link_only_with_a_grant(vm: System, clock: ManualClock) -> None:
    deploy(vm)
    with vm.transaction():
        guests.log_on(vm, "LINUX01")
    assert "HCPNDC6011E" in console(vm)
    assert vm.machines["LINUX01"].nics[0].lan_name == ""
    with vm.transaction():
        guests.log_off(vm, "LINUX01")
    execute(vm, "ZHCP", "SET VSWITCH VSW1 GRANT LINUX01")
    start(vm, clock)
    assert vm.machines["LINUX01"].nics[0].lan_name == "VSW1"
    assert vm.machines["LINUX01"].nics[0].mac == "020000123456"


def test_only_the_authorized_userid_may_use_the_agent_in_the_guest(vm: System, clock: ManualClock) -> None:
    deploy(vm)
    with vm.transaction():
        spool.create(vm, "LINUX01", "ZHCP", SCRIPT, name="iucvauth", filetype="sh", spool_class="X")
    start(vm, clock)
    assert run(vm, "echo 'ping'") == (0, "ping\n")
    assert run(vm, "echo 'ping'", "MAINT")[0] == 1


def test_a_shutdown_signal_takes_its_time_and_ends_the_machine(vm: System, clock: ManualClock) -> None:
    deploy(vm)
    start(vm, clock)
    with vm.transaction():
        assert guests.deactivate(vm, "LINUX01", 300) == 300
    assert "LINUX01" in vm.machines
    assert not guest_agent.reachable(vm, "LINUX01")
    clock.advance(1)
    assert "LINUX01" not in vm.machines
    clock.advance(400)
    consistent(vm)


def test_a_machine_with_nothing_loaded_is_forced_at_once(vm: System, clock: ManualClock) -> None:
    start(vm, clock)
    with vm.transaction():
        assert guests.deactivate(vm, "LINUX01", 300) == 0
    assert "LINUX01" not in vm.machines


def test_a_reboot_loads_the_same_disk_again(vm: System, clock: ManualClock) -> None:
    deploy(vm)
    start(vm, clock)
    assert run(vm, "shutdown -r now")[0] == 0
    assert not guest_agent.reachable(vm, "LINUX01")
    clock.advance(1)
    assert guest_agent.reachable(vm, "LINUX01")
    assert console(vm).count("login:") == 2


def test_a_machine_that_restarts_itself_is_forced_when_its_time_is_over(vm: System, clock: ManualClock) -> None:
    deploy(vm)
    start(vm, clock)
    run(vm, "shutdown -r now")
    with vm.transaction():
        # Its system has begun to restart and does not hear the signal.
        assert guests.deactivate(vm, "LINUX01", 300) == 300
    clock.advance(299)
    assert guest_agent.reachable(vm, "LINUX01")
    clock.advance(2)
    assert "LINUX01" not in vm.machines


def test_a_limit_of_an_earlier_session_does_not_end_the_next(vm: System, clock: ManualClock) -> None:
    deploy(vm)
    start(vm, clock)
    with vm.transaction():
        guests.deactivate(vm, "LINUX01", 300)
    clock.advance(1)
    start(vm, clock)
    clock.advance(400)
    assert guest_agent.reachable(vm, "LINUX01")


def test_what_a_machine_consumed_stays_consumed_when_its_system_ends(vm: System, clock: ManualClock) -> None:
    def consumed() -> tuple[int, int]:
        machine = vm.machines["LINUX01"]
        return traffic.processor_microseconds(vm, machine), traffic.disk_operations(vm, machine)

    with vm.transaction():
        guests.log_on(vm, "LINUX01")
    booting = consumed()
    clock.advance(1)
    # Nothing is on its disk: the boot ended in a wait.
    assert consumed() == booting > (1_000_000, 0)
    deploy(vm)
    execute(vm, "LINUX01", "IPL 0100")
    clock.advance(100)
    run(vm, "stress-ng --cpu 1 --timeout 600")
    clock.advance(100)
    for command, phase in (("shutdown -r now", "up"), ("halt", "halted")):
        before = consumed()
        run(vm, command)
        clock.advance(1)
        running = vm.machines["LINUX01"].system
        assert running is not None
        assert running.phase == phase
        assert all(now >= then for now, then in zip(consumed(), before, strict=True)), command
    stopped = consumed()
    clock.advance(60)
    assert consumed() == stopped


def test_a_paused_machine_does_not_answer(vm: System, clock: ManualClock) -> None:
    deploy(vm)
    start(vm, clock)
    with vm.transaction():
        guests.pause(vm, "LINUX01", paused=True)
    with pytest.raises(guest_agent.Unreachable):
        run(vm, "pwd")
    with vm.transaction():
        guests.pause(vm, "LINUX01", paused=False)
    assert run(vm, "pwd") == (0, "/\n")


def test_a_machine_logs_on_once_and_needs_an_entry(vm: System) -> None:
    with pytest.raises(CpRefused) as caught, vm.transaction():
        guests.log_on(vm, "ZHCP")
    assert caught.value.number == 54
    with pytest.raises(CpRefused) as caught, vm.transaction():
        guests.log_on(vm, "NOBODY")
    assert caught.value.number == 53


@pytest.mark.parametrize("source", ["NOSYS", "LOADDEV", "0999"])
def test_an_ipl_of_what_is_not_there_is_not_performed(vm: System, source: str) -> None:
    with vm.transaction():
        dm.create(vm, "TRY", ["USER TRY PW 1G 1G G", f"IPL {source}"])
        guests.log_on(vm, "TRY")
    assert vm.machines["TRY"].system is None
    assert f"HCPVMI2042E IPL was not performed; device {source}" in "\n".join(vm.machines["TRY"].console)


def test_a_deleted_disk_stays_with_whoever_has_it_linked(vm: System) -> None:
    storage.open_devices(vm, "ZHCP")
    assert execute(vm, "ZHCP", "LINK LINUX01 0100 F000 MW").rc == 0
    held = vm.device_name("ZHCP", "F000").resolve()
    with vm.transaction():
        dm.remove_disk(vm, "LINUX01", "0100")
        dm.add_disk(vm, "LINUX01", Mdisk("0100", "3390", "AUTOG", None, 3, "POOL1", "MR"))
    consistent(vm)
    assert held.is_file()
    assert execute(vm, "ZHCP", "LINK LINUX01 0100 F001 W").lines == ("DASD F001 LINKED R/W",)
    assert vm.device_name("ZHCP", "F001").resolve() != held
    assert execute(vm, "ZHCP", "DETACH F000").rc == 0
    assert not held.exists()
    consistent(vm)


def test_a_virtual_disk_lives_as_long_as_the_logon(vm: System) -> None:
    with vm.transaction():
        dm.create(vm, "SWAP", ["USER SWAP NOPASS 1G 1G G", "MDISK 0200 FB-512 V-DISK 2048 MWV"])
        guests.log_on(vm, "SWAP")
    disk = vm.disks["SWAP.0200"]
    assert (disk.temporary, disk.size, storage.file_of(vm, disk).stat().st_size) == ("VDSK", 2048, 2048 * 512)
    with vm.transaction():
        guests.log_off(vm, "SWAP")
    assert "SWAP.0200" not in vm.disks
    consistent(vm)
