"""Guests load from SCSI disks: the bytes of the LUN decide, LOADDEV says which, and CP says what is missing."""

from __future__ import annotations

import pytest

from simulator.boot_support import (
    NUMBER,
    OTHER_PORT,
    PORT,
    add_fcps,
    add_lun,
    console,
    guest,
    run,
    running,
    start,
    write_scsi,
)
from zvmcloud.images.diskfile import FbaDisk
from zvmcloud.simulator import fabric, guests, luns, storage
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.model_devices import Lun
from zvmcloud.simulator.system import System

LOADDEV = (f"LOADDEV PORTNAME {PORT}", f"LOADDEV LUN {NUMBER}")


@pytest.fixture
def lun(system: System) -> Lun:
    """A LUN behind two ports, and two FCP devices that reach it."""
    with system.transaction():
        add_fcps(system, "B100", "B200")
        return add_lun(system, PORT, OTHER_PORT)


def define(system: System, *statements: str) -> None:
    with system.transaction():
        guest(system, *statements)


def test_a_system_on_a_lun_boots_by_the_statements_of_the_entry(system: System, clock: ManualClock, lun: Lun) -> None:
    write_scsi(system, lun)
    define(system, "IPL B100", *LOADDEV, "DEDICATE B100 B100")
    found = start(system, clock)
    assert (found.phase, found.kernel) == ("up", "6.6.0-zvmcloud.1.s390x")
    assert 'ID="zvmsample"' in found.release
    assert "HCPLDI2817I" in console(system)
    assert "login:" in console(system)
    assert run(system, "lsblk -n")[1].split()[:3] == ["sda", "4M", "disk"]
    assert run(system, "readlink -f /dev/mapper/mpatha1") == (0, "/dev/dm-01\n")


def test_a_lun_that_was_never_written_does_not_boot(system: System, clock: ManualClock, lun: Lun) -> None:
    define(system, "IPL B100", *LOADDEV, "DEDICATE B100 B100")
    assert start(system, clock).phase == "halted"
    assert "boot record in block 0: does not begin with zIPL" in console(system)
    assert "HCPGIR450W CP entered; disabled wait PSW" in console(system)


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("LOADDEV BOOTPROG 7", "program 7 in block 1: is not in the program table"),
        ("LOADDEV BR_LBA 0000000000000009", "boot record in block 9: does not begin with zIPL"),
        ("LOADDEV BR_LBA 00000000FFFFFFFF", "boot record in block 4294967295: is outside the disk"),
    ],
)
def test_loaddev_says_which_program_and_which_boot_record(
    system: System, clock: ManualClock, lun: Lun, statement: str, why: str
) -> None:
    write_scsi(system, lun)
    define(system, "IPL B100", *LOADDEV, statement, "DEDICATE B100 B100")
    assert start(system, clock).phase == "halted"
    assert why in console(system)


def test_damaged_bytes_of_a_program_do_not_boot(system: System, clock: ManualClock, lun: Lun) -> None:
    write_scsi(system, lun)
    with FbaDisk(luns.file(system, lun), writable=True) as disk:
        disk.write(25, b"\xff" * 512)
    define(system, "IPL B100", *LOADDEV, "DEDICATE B100 B100")
    assert start(system, clock).phase == "halted"
    assert "digest" in console(system)


def test_a_lun_that_the_storage_box_hides_cannot_be_opened(system: System, clock: ManualClock) -> None:
    with system.transaction():
        add_fcps(system, "B100")
        hidden = add_lun(system, hosts=("C05076DDF700B200",))
    write_scsi(system, hidden)
    define(system, "IPL B100", *LOADDEV, "DEDICATE B100 B100")
    assert start(system, clock).phase == "halted"
    assert f"Device B100, WWPN {PORT}, LUN {NUMBER}: the logical unit cannot be opened" in console(system)


def test_an_alternate_device_is_tried_when_the_first_path_is_down(system: System, clock: ManualClock, lun: Lun) -> None:
    write_scsi(system, lun)
    with system.transaction():
        system.luns.remove(fabric.key(PORT, NUMBER))
    define(system, "IPL B100", *LOADDEV, f"LOADDEV SCSI ALTERNATE B200 PORT {OTHER_PORT}",
           "DEDICATE B100 B100", "DEDICATE B200 B200")  # fmt: skip
    assert start(system, clock).phase == "up"
    assert run(system, "lszfcp -D") == (0, f"0.0.b200/0x{OTHER_PORT.lower()}/0x{NUMBER} 0:0:0:0\n")


def test_without_loaddev_parameters_an_fcp_device_is_not_loaded(system: System, clock: ManualClock, lun: Lun) -> None:
    define(system, "IPL B100", "DEDICATE B100 B100")
    assert start(system, clock).phase == "halted"
    assert "HCPLDI2813E IPL was not performed; LOADDEV parameter PORTNAME is not set" in console(system)


def test_set_loaddev_counts_until_logoff_and_query_shows_it(system: System, clock: ManualClock, lun: Lun) -> None:
    write_scsi(system, lun)
    define(system, "DEDICATE B100 B100", "LOADDEV BOOTPROG 3")
    with system.transaction():
        guests.log_on(system, "LINUX01")
    assert execute(system, "LINUX01", "IPL LOADDEV").rc == 2813
    command = f"SET LOADDEV PORT {PORT[:8]} {PORT[8:]} LUN {NUMBER[:8]} {NUMBER[8:]} BOOT 1 SCPDATA quiet foo=Bar"
    assert execute(system, "LINUX01", command).rc == 0
    lines = execute(system, "LINUX01", "QUERY LOADDEV").lines
    assert f"PORTNAME {PORT[:8]} {PORT[8:]}    LUN  {NUMBER[:8]} {NUMBER[8:]}    BOOTPROG 1" in lines
    assert lines[-1] == "0000  quiet foo=Bar"
    assert execute(system, "LINUX01", "IPL B100").rc == 0
    clock.advance(1)
    assert running(system).phase == "up"
    # The text is appended to the kernel's command line.
    assert run(system, "cat /proc/cmdline")[1].endswith("quiet foo=Bar\n")
    assert execute(system, "LINUX01", "SET LOADDEV CLEAR").rc == 0
    assert "PORTNAME 00000000 00000000" in execute(system, "LINUX01", "QUERY LOADDEV").lines[0]
    with system.transaction():
        guests.log_off(system, "LINUX01")
        guests.log_on(system, "LINUX01")
    assert "BOOTPROG 3" in execute(system, "LINUX01", "QUERY LOADDEV").lines[0]


def test_the_entry_may_name_the_device(system: System, clock: ManualClock, lun: Lun) -> None:
    write_scsi(system, lun)
    define(system, "IPL LOADDEV", "LOADDEV DEVICE B200", *LOADDEV, "DEDICATE B200 B200")
    assert start(system, clock).phase == "up"
    assert running(system).ipl == "B200"


@pytest.mark.parametrize(
    ("command", "number"),
    [
        ("SET LOADDEV PORTNAME XYZ", 26),
        ("SET LOADDEV PORTNAME 12345678901234567", 26),
        ("SET LOADDEV LUN", 26),
        ("SET LOADDEV BOOTPROG 31", 26),
        ("SET LOADDEV DEVICE 12345", 22),
        ("SET LOADDEV SCPDATA HEX 0", 26),
        ("SET LOADDEV SCPDATA", 26),
        ("SET LOADDEV NONSENSE", 3),
    ],
)
def test_bad_operands_of_set_loaddev_change_nothing(system: System, lun: Lun, command: str, number: int) -> None:
    define(system, "DEDICATE B100 B100")
    with system.transaction():
        guests.log_on(system, "LINUX01")
    before = execute(system, "LINUX01", "QUERY LOADDEV").lines
    assert execute(system, "LINUX01", command).rc == number
    assert execute(system, "LINUX01", "QUERY LOADDEV").lines == before


def test_a_guest_remembers_its_name_with_the_lun_it_was_loaded_from(
    system: System, clock: ManualClock, lun: Lun
) -> None:
    write_scsi(system, lun)
    define(system, "IPL B100", *LOADDEV, "DEDICATE B100 B100")
    start(system, clock)
    run(system, "hostnamectl set-hostname scsi01")
    run(system, "shutdown -r now")
    clock.advance(1)
    clock.advance(1)
    assert (running(system).phase, running(system).hostname) == ("up", "scsi01")


def test_an_edevice_of_a_lun_is_an_fba_disk_with_the_bytes_of_the_lun(
    system: System, clock: ManualClock, lun: Lun
) -> None:
    from zvmcloud.images.sample import write_sample_blocks

    with system.transaction():
        fabric.define_edev(system, "EE00", (f"B100 {PORT} {NUMBER}",), persistent=False)
        fabric.vary_on(system, "EE00")
    define(system, "IPL 0100", "DEDICATE 0100 EE00")
    assert start(system, clock).phase == "halted"
    storage.open_devices(system, "LINUX01")
    name = system.device_name("LINUX01", "0100")
    with FbaDisk(name, writable=True) as disk:
        write_sample_blocks(disk)
    assert luns.file(system, lun).stat().st_blocks > 0
    assert execute(system, "LINUX01", "IPL 0100").rc == 0
    clock.advance(1)
    assert running(system).phase == "up"
    assert execute(system, "LINUX01", "DETACH 0100").rc == 0
    assert not name.is_symlink()
