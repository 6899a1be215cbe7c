"""A CoreOS on a SCSI disk starts from its bytes: boot record, command line, boot partition, Ignition file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import coreos_image
from coreos_image import tool
from simulator.boot_support import NUMBER, PORT, add_fcps, console, guest, start
from zvmcloud.images.diskfile import FbaDisk
from zvmcloud.simulator import guests, luns
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.model_devices import Lun
from zvmcloud.simulator.system import System

ZFCP = f"rd.zfcp=0.0.b100,0x{PORT.lower()},0x{NUMBER}"
NETWORK = "rd.znet=qeth,0.0.1000,0.0.1001,0.0.1002,layer2=1 ip=192.0.2.5::192.0.2.1:24:w1:enc1000:none:192.0.2.2"
CONFIG = {
    "ignition": {"version": "3.2.0"},
    "passwd": {"users": [{"name": "core", "sshAuthorizedKeys": ["ssh-ed25519 AAAA me"]}]},
    "storage": {"files": [{"path": "/etc/motd", "contents": {"source": "data:,hello"}}]},
}


@pytest.fixture
def lun(system: System) -> Lun:
    with system.transaction():
        add_fcps(system, "B100")
        made = Lun(PORT, NUMBER, "6005076307FFC5E30000000000000010", coreos_image.BLOCKS)
        system.luns.put(f"{PORT} {NUMBER}", made)
        guest(system, "IPL B100", f"LOADDEV PORTNAME {PORT}", f"LOADDEV LUN {NUMBER}", "DEDICATE B100 B100")
    return made


def write(system: System, lun: Lun, folder: Path, options: str, config: bytes | None) -> None:
    """An image whose boot record was made for these options, the Ignition file placed by debugfs."""
    image = coreos_image.build(folder / "image", options=f"{coreos_image.OPTIONS} {options}".strip()).read_bytes()
    first, last = coreos_image.FIRST * 512, (coreos_image.FIRST + coreos_image.PARTITION) * 512
    boot, source = folder / "boot", folder / "config.ign"
    boot.write_bytes(image[first:last])
    if config is not None:
        source.write_bytes(config)
        tool("debugfs", "-w", "-R", "mkdir /ignition", boot)
        tool("debugfs", "-w", "-R", f"write {source} /ignition/config.ign", boot)
    with FbaDisk(luns.file(system, lun), writable=True) as disk:
        disk.write(0, image[:first] + boot.read_bytes() + image[last:])


def test_the_first_start_reads_the_ignition_file_and_the_next_one_does_not(
    system: System, clock: ManualClock, lun: Lun, tmp_path: Path
) -> None:
    write(system, lun, tmp_path, f"{ZFCP} {NETWORK}", json.dumps(CONFIG).encode())
    found = start(system, clock)
    assert (found.phase, found.kernel, found.agent) == ("up", "5.14.0-427.el9.s390x", False)
    assert (found.hostname, [item.ip for item in found.addresses]) == ("w1", ["192.0.2.5"])
    told = console(system)
    assert "Red Hat Enterprise Linux CoreOS 416" in told
    assert "ignition[702]: config of the boot partition: 1 files placed" in told
    memory = {item[0]: item[1] for item in system.memories[found.root].files}
    assert (memory["/etc/motd"], memory["/home/core/.ssh/authorized_keys.d/ignition"]) == (
        "hello", "ssh-ed25519 AAAA me\n",
    )  # fmt: skip
    with system.transaction():
        guests.log_off(system, "LINUX01")
    again = start(system, clock)
    assert (again.phase, again.hostname) == ("up", "w1")
    assert "ignition.firstboot" not in again.cmdline
    assert "ignition[702]" not in console(system)


@pytest.mark.parametrize(
    ("options", "config", "why"),
    [
        ("", None, "Timed out waiting for device"),
        (ZFCP.replace("b100", "b101"), None, "Timed out waiting for device"),
        (ZFCP, b"variant: fcos", "config is not valid"),
        (ZFCP, b'{"ignition": {"version": "2.2.0"}}', "unsupported config version"),
    ],
)
def test_what_is_missing_ends_in_emergency_mode(
    system: System, clock: ManualClock, lun: Lun, tmp_path: Path, options: str, config: bytes | None, why: str
) -> None:
    write(system, lun, tmp_path, options, config)
    assert start(system, clock).phase == "halted"
    assert why in console(system)
    assert "You are in emergency mode." in console(system)


def test_without_an_ignition_file_it_starts_and_says_so(
    system: System, clock: ManualClock, lun: Lun, tmp_path: Path
) -> None:
    write(system, lun, tmp_path, ZFCP, None)
    assert start(system, clock).phase == "up"
    assert "ignition[702]: no config provided by user" in console(system)


def test_a_damaged_kernel_is_not_loaded(system: System, clock: ManualClock, lun: Lun, tmp_path: Path) -> None:
    write(system, lun, tmp_path, ZFCP, None)
    data = luns.file(system, lun).read_bytes()
    at = data.index(b"S390EP")
    with FbaDisk(luns.file(system, lun), writable=True) as disk:
        disk.write(at // 512, data[at - at % 512 : at] + b"X" + data[at + 1 : at - at % 512 + 512])
    assert start(system, clock).phase == "halted"
    assert "is no kernel image" in console(system)
