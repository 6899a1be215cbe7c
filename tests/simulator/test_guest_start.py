"""Around a guest's start: COMMAND statements, FBA disks, LUNs that a cluster shares, numbers that repeat."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.boot_support import NUMBER, PORT, add_fcps, add_lun, console, guest, run, running, start
from simulator.support import write_image
from zvmcloud.directory.devices import Mdisk
from zvmcloud.images.diskfile import FbaDisk
from zvmcloud.images.sample import write_sample_blocks
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator import guests, luns, saving, space, spool, storage, traffic
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.filling import open_system
from zvmcloud.simulator.model import Vswitch
from zvmcloud.simulator.presets import PRESETS
from zvmcloud.simulator.system import System


def test_command_statements_run_at_logon_with_cps_privilege(system: System) -> None:
    with system.transaction():
        system.vswitches.put("VSW9", Vswitch("VSW9", "020000ABCDEF"))
        guest(
            system,
            "COMMAND SET VCONFIG MODE LINUX",
            "COMMAND SET VSWITCH VSW9 GRANT LINUX01",
            "COMMAND DEFINE NIC 2000 TYPE QDIO",
            "COMMAND COUPLE 2000 TO SYSTEM VSW9",
            "COMMAND DEFINE CPU 01 TYPE IFL",
            "COMMAND NONSENSE",
        )
        guests.log_on(system, "LINUX01")
    machine = system.machines["LINUX01"]
    assert [(nic.vdev, nic.lan_name) for nic in machine.nics] == [("1000", "VSW1"), ("2000", "VSW9")]
    assert machine.cpus == ("01",) or "01" in machine.cpus
    said = console(system)
    assert "Configuration mode LINUX is set" in said
    assert "NIC 2000 is connected to VSWITCH SYSTEM VSW9" in said
    # A command that CP refuses costs a message, not the logon; the user itself has class G only.
    assert "HCPCMD001E Unknown CP command: NONSENSE" in said
    assert execute(system, "LINUX01", "SET VSWITCH VSW9 GRANT LINUX01").rc


def test_commands_may_end_the_logon(system: System) -> None:
    with system.transaction():
        guest(system, "COMMAND LOGOFF", "IPL CMS")
        guests.log_on(system, "LINUX01")
    assert "LINUX01" not in system.machines


def test_an_fba_minidisk_boots_from_its_blocks(system: System, clock: ManualClock) -> None:
    with system.transaction():
        guest(system, "IPL 0100", "MDISK 0100 FB-512 V-DISK 20000 MR")
        guests.log_on(system, "LINUX01")
    clock.advance(1)
    assert running(system).phase == "halted"
    with FbaDisk(storage.file_of(system, system.disks["LINUX01.0100"]), writable=True) as disk:
        write_sample_blocks(disk)
    assert execute(system, "LINUX01", "IPL 0100").rc == 0
    clock.advance(1)
    assert (running(system).phase, running(system).kernel) == ("up", "6.6.0-zvmcloud.1.s390x")


def test_a_linux_that_shares_its_disk_forgets_at_the_next_load(system: System, clock: ManualClock) -> None:
    with system.transaction():
        guest(system, name="OWNER", mac="000001")
        dm.add_disk(system, "OWNER", Mdisk("0100", "3390", "AUTOG", None, 10, "POOL1", "MR"))
        guest(system, "IPL 0100", "LINK OWNER 0100 0100 RR")
    write_image(storage.file_of(system, system.disks["OWNER.0100"]))
    start(system, clock)
    run(system, "hostnamectl set-hostname mine")
    assert running(system).hostname == "mine"
    run(system, "shutdown -r now")
    clock.advance(1)
    clock.advance(1)
    assert running(system).hostname == "localhost"
    assert not system.memories.get(system.disks["OWNER.0100"].file)


def test_members_of_a_cluster_reach_the_same_bytes(tmp_path: Path, clock: ManualClock) -> None:
    from zvmcloud.simulator.installation import open_installation

    installation = open_installation(tmp_path / "state", PRESETS["ssi4"], clock=clock)
    try:
        files = []
        for member in installation.systems[:2]:
            with member.transaction():
                files.append(luns.file(member, add_lun(member)))
        assert files[0] == files[1]
    finally:
        installation.close()


def test_luns_are_saved_with_the_system(system: System, tmp_path: Path) -> None:
    with system.transaction():
        lun = add_lun(system)
    with FbaDisk(luns.file(system, lun), writable=True) as disk:
        disk.write(100, b"kept".ljust(512))
    saving.save(system.state, tmp_path / "saved.tar")
    saving.load(tmp_path / "saved.tar", tmp_path / "again")
    with FbaDisk(tmp_path / "again" / "luns" / luns.file_name(lun)) as disk:
        assert disk.read(100, 1).startswith(b"kept")
        assert disk.blocks == lun.blocks
    assert (tmp_path / "saved.tar").stat().st_size < 2 << 20


def test_what_a_guest_keeps_on_its_disk_is_saved_with_the_system(system: System, tmp_path: Path) -> None:
    clock = system.clock
    assert isinstance(clock, ManualClock)
    with system.transaction():
        guest(system, "IPL 0100")
        dm.add_disk(system, "LINUX01", Mdisk("0100", "3390", "AUTOG", None, 10, "POOL1", "MR"))
    write_image(storage.file_of(system, system.disks["LINUX01.0100"]))
    start(system, clock)
    run(system, "hostnamectl set-hostname kept")
    saving.save(system.state, tmp_path / "saved.tar")
    saving.load(tmp_path / "saved.tar", tmp_path / "again")
    later = ManualClock()
    again = open_system(tmp_path / "again", PRESETS["small"], clock=later)
    try:
        with again.transaction():
            guests.log_off(again, "LINUX01")
        assert start(again, later).hostname == "kept"
    finally:
        again.close()


def history(state: Path) -> list[object]:
    """What counters say while a guest idles, works and pauses."""
    clock = ManualClock()
    system = open_system(state, PRESETS["small"], clock=clock)
    try:
        with system.transaction():
            guest(system, "IPL 0100")
            dm.add_disk(system, "LINUX01", Mdisk("0100", "3390", "AUTOG", None, 10, "POOL1", "MR"))
        write_image(storage.file_of(system, system.disks["LINUX01.0100"]))
        start(system, clock)
        seen: list[object] = []
        for command, seconds in (
            ("true", 60),
            ("stress-ng --cpu 1 --timeout 60", 60),
            ("true", 60),
            ("dd if=/dev/zero of=/x bs=4k count=5000", 5),
        ):
            run(system, command)
            clock.advance(seconds)
            machine = system.machines["LINUX01"]
            seen.append((
                traffic.processor_microseconds(system, machine), traffic.disk_operations(system, machine),
                traffic.storage_kib(system, machine), round(traffic.cpu_percent(system, machine), 3),
            ))  # fmt: skip
        return seen
    finally:
        system.close()


def test_counters_move_with_load_and_time_and_repeat_exactly(tmp_path: Path) -> None:
    first = history(tmp_path / "one")
    assert first == history(tmp_path / "two")
    cpu = [row[0] for row in first if isinstance(row, tuple)]
    operations = [row[1] for row in first if isinstance(row, tuple)]
    assert cpu[1] - cpu[0] > 50 * (cpu[2] - cpu[1]), "a minute of load costs far more than a minute of idling"
    assert operations[3] - operations[2] >= 5000


def test_spool_space_fills_and_is_free_again(system: System) -> None:
    before = space.spool_pages(system)
    with system.transaction():
        file = spool.create(system, "ZHCP", "MAINT", b"x" * 40960)
    assert space.spool_pages(system) == before + 11
    with system.transaction():
        spool.purge(system, file)
    assert space.spool_pages(system) == before


def test_paging_space_is_used_beyond_real_storage_and_freed_at_logoff(system: System, clock: ManualClock) -> None:
    from dataclasses import replace

    with system.transaction():
        system.facts_rows.put("system", replace(system.facts, storage_kib=space.CP_KIB + 64 * 1024))
        guest(system, "IPL 0100")
        dm.add_disk(system, "LINUX01", Mdisk("0100", "3390", "AUTOG", None, 10, "POOL1", "MR"))
    write_image(storage.file_of(system, system.disks["LINUX01.0100"]))
    idle = space.pages_needed(system)
    start(system, clock)
    assert space.pages_needed(system) > idle
    with system.transaction():
        guests.log_off(system, "LINUX01")
    assert space.pages_needed(system) == idle


def test_the_boot_disk_may_be_taken_from_a_running_guest(system: System, clock: ManualClock) -> None:
    with system.transaction():
        add_fcps(system, "B100")
        add_lun(system)
        guest(system, "IPL 0100", "DEDICATE B100 B100")
        dm.add_disk(system, "LINUX01", Mdisk("0100", "3390", "AUTOG", None, 10, "POOL1", "MR"))
    write_image(storage.file_of(system, system.disks["LINUX01.0100"]))
    start(system, clock)
    run(system, f"chzdev -e zfcp-lun 0.0.b100:0x{PORT.lower()}:0x{NUMBER}")
    assert execute(system, "LINUX01", "DETACH 0100 B100").rc == 0
    assert run(system, "lsblk -n") == (0, "")
    assert run(system, "cat /proc/mounts")[1].startswith("rootfs")
    assert execute(system, "LINUX01", "IPL 0100").rc == 2042
    assert running(system).phase == "up"


@pytest.mark.parametrize("action", ["SYSTEM CLEAR", "LOGOFF"])
def test_scsi_disks_go_with_the_system(system: System, clock: ManualClock, action: str) -> None:
    with system.transaction():
        add_fcps(system, "B100")
        add_lun(system)
        guest(system, "IPL 0100", "DEDICATE B100 B100")
        dm.add_disk(system, "LINUX01", Mdisk("0100", "3390", "AUTOG", None, 10, "POOL1", "MR"))
    write_image(storage.file_of(system, system.disks["LINUX01.0100"]))
    start(system, clock)
    folder = storage.open_devices(system, "LINUX01")
    run(system, f"chzdev -e zfcp-lun 0.0.b100:0x{PORT.lower()}:0x{NUMBER}")
    assert [path.name for path in folder.iterdir() if "zfcp" in path.name]
    assert execute(system, "LINUX01", action).rc == 0
    assert not folder.exists() or not [path.name for path in folder.iterdir() if "zfcp" in path.name]
