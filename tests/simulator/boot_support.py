"""What tests of booting share: a guest with FCP devices, SCSI disks with a system on them, files in a reader."""

from __future__ import annotations

from zvmcloud.images.diskfile import FbaDisk
from zvmcloud.images.sample import write_sample_blocks
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator import guest_agent, guests, luns, network, spool
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.model import Fcp, Grant, GuestSystem, Vswitch
from zvmcloud.simulator.model_devices import Lun
from zvmcloud.simulator.system import System

PORT, OTHER_PORT = "500507630708D3B3", "50050763071BC5E3"
NUMBER = "4010400000000000"
UUID = "6005076307FFC5E30000000000000010"


def add_lun(system: System, *ports: str, number: str = NUMBER, uuid: str = UUID, hosts: tuple[str, ...] = ()) -> Lun:
    """A SCSI disk of 4 MiB behind the ports."""
    for port in ports or (PORT,):
        lun = Lun(port, number, uuid, 8192, hosts=hosts)
        system.luns.put(f"{port} {number}", lun)
    return lun


def add_fcps(system: System, *rdevs: str) -> None:
    for rdev in rdevs:
        system.fcps.put(rdev, Fcp(rdev, rdev[:2], f"C05076DDF700{rdev}", f"C05076DDF780{rdev}"))


def write_scsi(system: System, lun: Lun) -> None:
    """A deployment onto a SCSI disk."""
    with FbaDisk(luns.file(system, lun), writable=True) as disk:
        write_sample_blocks(disk, scsi=True)


def guest(system: System, *statements: str, name: str = "LINUX01", mac: str = "123456") -> None:
    """A directory entry with an adapter on VSW1, which is made when it is missing."""
    if "VSW1" not in system.vswitches:
        system.vswitches.put("VSW1", Vswitch("VSW1", network.new_mac(system)))
    network.grant(system, system.vswitches["VSW1"], Grant(name))
    entry = [f"USER {name} LBYONLY 2G 4G G", "INCLUDE LNXDFLT", "MACHINE ESA 8", *statements]
    dm.create(system, name, [*entry, f"NICDEF 1000 TYPE QDIO LAN SYSTEM VSW1 DEVICES 3 MACID {mac}"])


def start(system: System, clock: ManualClock, name: str = "LINUX01") -> GuestSystem:
    with system.transaction():
        guests.log_on(system, name)
    clock.advance(1)
    return running(system, name)


def running(system: System, name: str = "LINUX01") -> GuestSystem:
    found = system.machines[name].system
    assert found is not None
    return found


def console(system: System, name: str = "LINUX01") -> str:
    return "\n".join(system.machines[name].console)


def run(system: System, command: str, name: str = "LINUX01", caller: str = "ZHCP") -> tuple[int, str]:
    with system.transaction():
        output = guest_agent.run(system, name, command, caller)
    return output.rc, output.text


def punch(
    system: System, name: str, data: bytes, *, kind: str = "", spool_class: str = "A", to: str = "LINUX01"
) -> None:
    with system.transaction():
        spool.create(system, to, "ZHCP", data, name=name, filetype=kind, spool_class=spool_class)
