"""The operating system model of a guest: what happens between IPL and the login prompt.

It loads what is really there (see `guest_loader`): a disk that was never written, or holds no boot record, ends in a
disabled wait and the virtual machine stays logged on with nothing running. A system that starts brings the SCSI disks
of its configuration online, mounts what /etc/fstab says, reads the class X files of its reader (config drive, doscript,
shell scripts), sets its name and addresses, and writes what it does to the console. What it was told once it remembers
with its root file system (see `guest_memory`).
"""

from __future__ import annotations

import time
from dataclasses import replace

from zvmcloud.simulator import (
    guest_addresses,
    guest_configuration,
    guest_loader,
    guest_memory,
    guest_mounts,
    guest_network,
    luns,
    releases,
    spool,
    traffic,
)
from zvmcloud.simulator.guest_files import Files
from zvmcloud.simulator.guest_loader import Loaded, NotLoaded
from zvmcloud.simulator.model import Address, GuestSystem, Machine, Nic
from zvmcloud.simulator.system import System

#: What can be loaded by name; see releases for the first line it writes.
SAVED_SYSTEMS = frozenset({"CMS", "ZCMS", "GCS"})


def clock_text(now: float) -> str:
    """A time as CP prints it."""
    return time.strftime("%H:%M:%S UTC %A %Y-%m-%d", time.gmtime(now)).upper()


def begin(system: System, userid: str) -> None:
    """The first lines of an IPL."""
    machine = system.machines[userid]
    source = machine.system.ipl if machine.system else ""
    if source not in SAVED_SYSTEMS:
        spool.write_console(system, userid, f"00: IPL {source} CLEAR AT {clock_text(system.now())}")


def finish(system: System, userid: str) -> None:
    """The end of an IPL: the system is up, or there was none."""
    machine = system.machines[userid]
    running = machine.system
    if running is None or running.phase != "booting":
        return
    if running.ipl in SAVED_SYSTEMS:
        _start_saved(system, machine, running)
        return
    try:
        loaded = guest_loader.from_device(system, machine, machine.device(running.ipl))
    except NotLoaded as stopped:
        spool.write_console(system, userid, *stopped.lines)
        halt(system, userid)
        return
    _start(system, userid, running, loaded)


def _start_saved(system: System, machine: Machine, running: GuestSystem) -> None:
    banner = releases.of_level(system.facts.level).banner(running.ipl)
    spool.write_console(system, machine.userid, banner, "Ready;")
    started = system.machines[machine.userid]
    up = replace(running, phase="up", kernel=running.ipl, agent=False, signals=False, since=system.now())
    system.machines.put(machine.userid, replace(started, system=up))


def _start(system: System, userid: str, running: GuestSystem, loaded: Loaded) -> None:
    installed, parms = loaded.system, loaded.parms
    root = guest_memory.mount(system, userid, loaded.root, writable=loaded.writable)
    release = "".join(f'{name}="{value}"\n' for name, value in installed.os_release.items())
    starting = GuestSystem(
        "booting",
        running.ipl,
        installed.kernel or "unknown",
        release,
        installed.hostname,
        since=system.now(),
        agent=loaded.agent,
        root=root,
        cmdline=loaded.cmdline,
        qeths=tuple(nic.vdev for nic in system.machines[userid].nics),
    )
    system.machines.put(userid, replace(system.machines[userid], system=starting))
    told = guest_configuration.scsi_disks(system, userid, loaded.paths)
    told += guest_mounts.at_boot(Files(system, userid))
    told += guest_configuration.installer(system, userid, loaded)
    if parms.networks or parms.hostname:
        memory = guest_memory.get(system, root)
        memory = replace(memory, hostname=memory.hostname or parms.hostname)
        memory = replace(memory, networks=guest_memory.merged(parms.networks, memory.networks))
        guest_memory.put(system, root, memory)
    if loaded.agent:
        told += guest_configuration.read_files(system, userid)
    machine = system.machines[userid]
    up = _named(system, replace(machine.system or starting, phase="up"))
    up = replace(up, addresses=tuple(guest_addresses.configured(system, machine, root)))
    told += [
        f"{guest_addresses.interface(address)}: {address.ip}/{address.prefix}{_carrier(system, machine, address)}"
        for address in up.addresses
    ]
    spool.write_console(system, userid, *_boot_lines(machine, loaded, up, told))
    system.machines.put(userid, replace(system.machines[userid], system=up))


def _named(system: System, running: GuestSystem) -> GuestSystem:
    """The running system with the name that its root file system says, and whom its agent obeys."""
    memory = guest_memory.get(system, running.root)
    hostname = memory.hostname or running.hostname or "localhost"
    return replace(running, hostname=hostname, authorized=memory.authorized)


def reconfigure(system: System, userid: str) -> int:
    """Run the guest's configuration service again; gives its exit status. Network files that it places change nothing
    until an interface is brought up."""
    if system.machines[userid].system is None:
        return 1
    lines = guest_configuration.read_files(system, userid)
    machine = system.machines[userid]
    running = machine.system
    assert running is not None, userid  # noqa: S101 (reading files ends no system)
    system.machines.put(userid, replace(machine, system=_named(system, running)))
    if lines:
        spool.write_console(system, userid, *lines)
    return running.status


def mac_colons(mac: str) -> str:
    return ":".join(mac[at : at + 2] for at in range(0, 12, 2)).lower()


def _boot_lines(machine: Machine, loaded: Loaded, up: GuestSystem, told: list[str]) -> list[str]:
    installed = loaded.system
    pretty = installed.pretty_name
    kernel = installed.kernel or "unknown"
    at = iter(f"[{0.05 + 0.13 * number:12.6f}] " for number in range(200))
    lines = [
        *loaded.before,
        f"{next(at)}Linux version {kernel} (zvmcloud) #1 SMP",
        f"{next(at)}setup: Linux is running as a z/VM guest operating system in 64-bit mode",
        f"{next(at)}setup: The maximum memory size is {machine.storage_kib // 1024}MB",
        f"{next(at)}Kernel command line: {loaded.cmdline}",
        f"{next(at)}cpu: {len(machine.cpus)} configured CPUs, 0 standby CPUs",
    ]
    lines.extend(f"{next(at)}{line}" for line in loaded.disk)
    lines.extend(
        f"{next(at)}qeth 0.0.{nic.vdev.lower()}: Device is a Virtual NIC QDIO card, "
        f"MAC address {mac_colons(nic.mac)}, {'coupled to ' + nic.lan_name if nic.lan_name else 'no link'}"
        for nic in machine.nics[:100]
    )
    lines += ["", f"Welcome to {pretty}!", "", *told]
    lines += [
        "[  OK  ] Reached target Network is Online.",
        "[  OK  ] Started OpenSSH server daemon.",
        "[  OK  ] Reached target Multi-User System.",
        "",
        pretty,
        f"Kernel {kernel} on an s390x",
        "",
        f"{up.hostname} login:",
    ]
    return lines


def _carrier(system: System, machine: Machine, address: Address) -> str:
    """Why an address is of no use; empty when it is."""
    device = machine.device(address.vdev)
    if not isinstance(device, Nic) or not device.lan_name:
        return " (no carrier)"
    if not guest_network.layer_fits(system, device, address):
        return f" (no carrier: {device.lan_name} is not of layer {address.layer})"
    return ""


def unload(system: System, userid: str) -> None:
    """What ran in the machine is gone: its SCSI disks are offline, what it had in memory only is lost."""
    traffic.keep(system, userid)
    luns.forget(system, userid)
    guest_memory.forget(system, userid)


def halt(system: System, userid: str) -> None:
    """The system has stopped; the machine stays logged on with nothing running."""
    traffic.keep(system, userid)
    machine = system.machines[userid]
    if machine.system is not None:
        halted = replace(machine.system, phase="halted", agent=False)
        system.machines.put(userid, replace(machine, system=halted))


def say_stopping(system: System, userid: str) -> None:
    """What a system writes when it begins to shut down."""
    spool.write_console(
        system,
        userid,
        "systemd[1]: Stopping Session...",
        "[  OK  ] Stopped target Multi-User System.",
        "[  OK  ] Reached target System Power Off.",
        "reboot: Power down",
    )
