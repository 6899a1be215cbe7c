"""Real disks that a guest has as a whole: their bytes, how Linux names them, who has them next."""

from __future__ import annotations

from pathlib import Path

from simulator.boot_support import console, guest, run, running, start
from simulator.support import write_image
from zvmcloud.simulator import dedicated_disks, guests, saving, storage
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.filling import open_system
from zvmcloud.simulator.presets import PRESETS
from zvmcloud.simulator.system import System


def test_a_guest_boots_from_a_real_disk_that_was_written_and_it_keeps_its_bytes(
    system: System, clock: ManualClock
) -> None:
    with system.transaction():
        guest(system, "IPL 0100", "DEDICATE 0100 7000")
        guest(system, "IPL 0200", "DEDICATE 0200 7000", name="LINUX02", mac="123457")
    assert start(system, clock).phase == "halted"
    device = storage.open_devices(system, "LINUX01") / "0.0.0100"
    write_image(device)
    assert execute(system, "LINUX01", "IPL 0100").rc == 0
    clock.advance(1)
    assert running(system).phase == "up"
    assert "dasd-eckd.90fb0d: 0.0.0100" in console(system)
    assert run(system, "lsblk -n -b")[1].split()[:3] == ["dasda", str(60102 * 180 * 4096), "disk"]
    assert "(ECKD) at ( 94:     0) is dasda" in run(system, "cat /proc/dasd/devices")[1]
    assert run(system, "cat /proc/mounts")[1].startswith("/dev/dasda1 ")
    run(system, "hostnamectl set-hostname whole")
    with system.transaction():
        guests.log_off(system, "LINUX01")
    assert not device.is_symlink()
    # The next holder has the same bytes, and the name that the system remembers with its root file system.
    found = start(system, clock, "LINUX02")
    assert (found.phase, found.hostname) == ("up", "whole")


def test_the_bytes_of_a_real_disk_are_saved_with_the_system(system: System, clock: ManualClock, tmp_path: Path) -> None:
    with system.transaction():
        guest(system, "IPL 0100", "DEDICATE 0100 7000")
    start(system, clock)
    path = dedicated_disks.file(system, "7000")
    assert path is not None
    write_image(path)
    saving.save(system.state, tmp_path / "saved.tar")
    saving.load(tmp_path / "saved.tar", tmp_path / "again")
    again = open_system(tmp_path / "again", PRESETS["small"], clock=clock)
    try:
        assert again.machines["LINUX01"].device("0100") is not None
        assert execute(again, "LINUX01", "IPL 0100").rc == 0
        clock.advance(1)
        assert running(again).phase == "up"
    finally:
        again.close()


def test_a_real_disk_that_cp_does_not_know_has_no_bytes(system: System) -> None:
    assert dedicated_disks.find(system, "7FFF") is None
    assert dedicated_disks.file(system, "7FFF") is None
