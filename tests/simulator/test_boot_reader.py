"""Guests load from their reader: kernel, command line and initial file system, as installers punch them."""

from __future__ import annotations

import json

import pytest

from simulator.boot_support import console, guest, punch, run, running
from simulator.support import write_image
from zvmcloud.directory.devices import Mdisk
from zvmcloud.images import kernel
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator import guests, spool, storage
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.model import GuestSystem
from zvmcloud.simulator.system import System

RELEASE = b'NAME="Installer"\nID=rhel\nVERSION_ID="9.4"\nPRETTY_NAME="Installer 9.4"\n'
INITRD = {"etc/os-release": RELEASE, "init": b"#!/bin/sh\n"}
IP = "ip=192.0.2.30::192.0.2.1:255.255.255.0:inst01:enc1000:none:192.0.2.53"


@pytest.fixture
def vm(system: System) -> System:
    """LINUX01 with an empty disk, logged on, nothing loaded."""
    with system.transaction():
        guest(system, "SPOOL 000C 2540 READER *", "SPOOL 000D 2540 PUNCH A")
        dm.add_disk(system, "LINUX01", Mdisk("0100", "3390", "AUTOG", None, 10, "POOL1", "MR"))
        guests.log_on(system, "LINUX01")
    return system


def ipl(vm: System, clock: ManualClock) -> GuestSystem:
    assert execute(vm, "LINUX01", "IPL 00C CLEAR").rc == 0
    clock.advance(1)
    return running(vm)


def punch_all(vm: System, line: str, files: dict[str, bytes] | None = INITRD) -> None:
    punch(vm, "KERNEL", kernel.sample())
    punch(vm, "PARM", line.encode("cp037"))
    if files is not None:
        punch(vm, "INITRD", kernel.sample_initial(files))


def test_an_installer_runs_from_three_files_and_uses_its_command_line(vm: System, clock: ManualClock) -> None:
    punch_all(vm, f"ro ramdisk_size=40000 {IP} inst.repo=http://192.0.2.9/repo inst.ks=http://192.0.2.9/ks.cfg")
    found = ipl(vm, clock)
    assert (found.phase, found.kernel, found.hostname) == ("up", "6.6.0-zvmcloud.1.s390x", "inst01")
    assert [(address.vdev, address.ip, address.gateway) for address in found.addresses] == [
        ("1000", "192.0.2.30", "192.0.2.1")
    ]
    assert "Kernel command line: ro ramdisk_size=40000" in console(vm)
    assert "Welcome to Installer 9.4!" in console(vm)
    assert "packages from http://192.0.2.9/repo" in console(vm)
    assert "kickstart: configuration http://192.0.2.9/ks.cfg not fetched" in console(vm)
    # An installer has no agent of management software, and its files have been read.
    assert not found.agent
    assert not spool.files(vm, "LINUX01")


def test_files_that_are_kept_stay_in_the_reader(vm: System, clock: ManualClock) -> None:
    punch_all(vm, IP)
    assert execute(vm, "LINUX01", "CHANGE RDR ALL KEEP").rc == 0
    assert ipl(vm, clock).phase == "up"
    assert len(spool.files(vm, "LINUX01")) == 3


def test_held_files_are_not_read(vm: System, clock: ManualClock) -> None:
    punch_all(vm, IP)
    assert execute(vm, "LINUX01", "CHANGE RDR ALL HOLD").rc == 0
    assert ipl(vm, clock).phase == "halted"
    assert "HCPVMI2043E IPL was not performed; no file is ready in reader 000C" in console(vm)


def test_an_empty_reader_loads_nothing(vm: System, clock: ManualClock) -> None:
    assert ipl(vm, clock).phase == "halted"
    assert "HCPVMI2043E" in console(vm)


@pytest.mark.parametrize("data", [b"", b"\0" * 70000, b"#!/bin/sh\necho no kernel\n", kernel.sample()[:0x10000]])
def test_what_is_no_kernel_does_not_start(vm: System, clock: ManualClock, data: bytes) -> None:
    punch(vm, "KERNEL", data)
    assert ipl(vm, clock).phase == "halted"
    assert "HCPGIR45" in console(vm)
    assert "login:" not in console(vm)


def test_a_kernel_without_a_root_file_system_panics(vm: System, clock: ManualClock) -> None:
    punch_all(vm, "root=/dev/dasda1", None)
    assert ipl(vm, clock).phase == "halted"
    assert 'VFS: Cannot open root device "/dev/dasda1"' in console(vm)
    assert "HCPGIR450W CP entered; disabled wait PSW 00020001" in console(vm)


def test_a_damaged_initial_file_system_is_none(vm: System, clock: ManualClock) -> None:
    punch_all(vm, IP, None)
    punch(vm, "INITRD", b"\x1f\x8b damaged")
    assert ipl(vm, clock).phase == "halted"
    assert "Kernel panic" in console(vm)


@pytest.mark.parametrize("root", ["/dev/dasda1", "/dev/disk/by-path/ccw-0.0.0100-part1"])
def test_a_kernel_from_the_reader_mounts_the_system_on_a_disk(vm: System, clock: ManualClock, root: str) -> None:
    write_image(storage.file_of(vm, vm.disks["LINUX01.0100"]))
    punch(vm, "KERNEL", kernel.sample("6.9.0-rescue"))
    punch(vm, "PARM", f"root={root}".encode())
    found = ipl(vm, clock)
    assert (found.phase, found.kernel, found.agent) == ("up", "6.9.0-rescue", True)
    assert "zvmsample" in run(vm, "cat /etc/os-release")[1]
    assert run(vm, "cat /proc/mounts | cut -d ' ' -f 1") == (0, "/dev/dasda1\n")


def test_a_root_over_nfs_needs_an_address(vm: System, clock: ManualClock) -> None:
    punch_all(vm, "root=/dev/nfs nfsroot=192.0.2.9:/images/root", None)
    assert ipl(vm, clock).phase == "halted"
    assert "Unable to mount root fs via NFS" in console(vm)
    punch_all(vm, f"root=/dev/nfs nfsroot=192.0.2.9:/images/root {IP}", None)
    assert ipl(vm, clock).phase == "up"
    assert "VFS: Mounted root (nfs filesystem) from 192.0.2.9:/images/root." in console(vm)


def test_ignition_in_the_initial_file_system_names_the_machine(vm: System, clock: ManualClock) -> None:
    keyfile = (
        "[connection]\nid=enc1000\ninterface-name=enc1000\n[ipv4]\nmethod=manual\naddress1=192.0.2.77/24,192.0.2.1\n"
    )
    config = {
        "ignition": {"version": "3.4.0"},
        "storage": {
            "files": [
                {"path": "/etc/hostname", "contents": {"source": "data:,core01"}},
                {
                    "path": "/etc/NetworkManager/system-connections/enc1000.nmconnection",
                    "contents": {"source": "data:," + keyfile.replace("\n", "%0A").replace(" ", "%20")},
                },
            ]
        },
    }
    punch_all(
        vm, "ignition.firstboot ignition.platform.id=metal", {**INITRD, "config.ign": json.dumps(config).encode()}
    )
    found = ipl(vm, clock)
    assert found.hostname == "core01"
    assert [address.ip for address in found.addresses] == ["192.0.2.77"]
    assert "ignition[702]: config.ign of the initial file system: 2 files placed" in console(vm)


def test_a_kickstart_file_in_the_initial_file_system_is_read(vm: System, clock: ManualClock) -> None:
    text = b"network --bootproto=static --ip=192.0.2.41 --netmask=255.255.255.0 --device=enc1000 --hostname=ks01\n"
    punch_all(vm, "inst.ks=file:/ks.cfg", {**INITRD, "ks.cfg": text})
    found = ipl(vm, clock)
    assert (found.hostname, [address.ip for address in found.addresses]) == ("ks01", ["192.0.2.41"])


def test_suse_names_its_parameters_otherwise(vm: System, clock: ManualClock) -> None:
    line = "HostIP=192.0.2.50/24 Gateway=192.0.2.1 Hostname=sles01 ReadChannel=0.0.1000 install=nfs://192.0.2.9/sles"
    punch_all(vm, f"{line} autoyast=http://192.0.2.9/auto.xml")
    found = ipl(vm, clock)
    assert (found.hostname, [address.ip for address in found.addresses]) == ("sles01", ["192.0.2.50"])
    assert "autoyast: configuration http://192.0.2.9/auto.xml not fetched" in console(vm)


def test_what_an_installer_was_told_is_gone_with_the_next_load(vm: System, clock: ManualClock) -> None:
    punch_all(vm, IP)
    assert ipl(vm, clock).hostname == "inst01"
    punch_all(vm, "rescue")
    assert (running(vm).hostname, ipl(vm, clock).hostname) == ("inst01", "localhost")
    with vm.transaction():
        guests.log_off(vm, "LINUX01")
    assert not vm.memories


def test_the_command_line_is_cut_where_the_kernel_cuts_it() -> None:
    image = kernel.read(kernel.sample())
    assert image is not None
    assert len(kernel.command_line(b"x" * 5000, image.line)) == 4096
