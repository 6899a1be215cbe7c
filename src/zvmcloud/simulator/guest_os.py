"""The operating system model of a guest: what happens between IPL and the login prompt.

It loads what is really on the disk: a disk that was never written, or holds no boot record, ends in a disabled wait and
the virtual machine stays logged on with nothing running. A system that starts reads the class X files of its reader
(config drive, doscript, shell scripts), sets its name and addresses, and writes what it does to the console. What it
was told once it remembers with the disk, until something else writes to that disk.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

from zvmcloud.cp import messages
from zvmcloud.cp.messages import Message
from zvmcloud.images import configdrive, doscript
from zvmcloud.images.configdrive import ConfigDriveError, Network
from zvmcloud.images.diskfile import EckdDisk, FbaDisk
from zvmcloud.images.ipl import read_ipl_record
from zvmcloud.images.sample import InstalledSystem, read_system
from zvmcloud.simulator import releases, spool, storage
from zvmcloud.simulator.model import Address, Dasd, Disk, GuestSystem, Machine, Nic, Remembered, SpoolFile
from zvmcloud.simulator.system import System

PROGRAM_LOOP = Message(453, "GIR", "W", "CP entered; program interrupt loop")
_HOSTNAME = re.compile(r"(?:hostnamectl\s+set-hostname|hostname|echo\s+-n|echo)\s+['\"]?([A-Za-z0-9.-]{1,253})")
_AUTHORIZED = re.compile(r"echo\s+-n\s+['\"]?(\S+?)['\"]?\s*>\s*/etc/iucv_authorized_userid")
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
    device = machine.device(running.ipl)
    installed = _installed(system, device) if isinstance(device, Dasd) else None
    if not isinstance(device, Dasd) or installed is None:
        spool.write_console(system, userid, _why_not(system, device))
        stopped = system.machines[userid]
        system.machines.put(userid, replace(stopped, system=replace(running, phase="halted", agent=False)))
        return
    _start(system, machine, running, device, installed)


def _start_saved(system: System, machine: Machine, running: GuestSystem) -> None:
    banner = releases.of_level(system.facts.level).banner(running.ipl)
    spool.write_console(system, machine.userid, banner, "Ready;")
    started = system.machines[machine.userid]
    up = replace(running, phase="up", kernel=running.ipl, agent=False, signals=False, since=system.now())
    system.machines.put(machine.userid, replace(started, system=up))


def open_disk(system: System, disk: Disk) -> EckdDisk | FbaDisk:
    """The file of a disk, for reading. OSError when it cannot be read."""
    path = storage.file_of(system, disk)
    return FbaDisk(path) if disk.kind == "FBA" else EckdDisk(path)


def _installed(system: System, device: Dasd) -> InstalledSystem | None:
    disk = system.disks.get(storage.key(device.owner, device.owner_vdev))
    if disk is None or not disk.file:
        return None
    try:
        with open_disk(system, disk) as file:
            return read_system(file)
    except (OSError, ValueError):
        return None


def _why_not(system: System, device: object) -> str:
    """CP's message when the IPL record starts nothing."""
    disk = system.disks.get(storage.key(device.owner, device.owner_vdev)) if isinstance(device, Dasd) else None
    record = None
    if disk is not None and disk.file:
        try:
            with open_disk(system, disk) as file:
                record = read_ipl_record(file)
        except (OSError, ValueError):
            record = None
    if record is None or not record.psw:
        return PROGRAM_LOOP.render()
    psw = f"{record.psw:016X}"
    return messages.DISABLED_WAIT.render(psw=f"{psw[:8]} {psw[8:]}")


def _start(system: System, machine: Machine, running: GuestSystem, device: Dasd, installed: InstalledSystem) -> None:
    userid = machine.userid
    remembered, told = _configure(system, machine, device)
    hostname = remembered.hostname or installed.hostname or "localhost"
    addresses = tuple(address for network in remembered.networks if (address := _address(machine, network)) is not None)
    release = "".join(f'{name}="{value}"\n' for name, value in installed.os_release.items())
    kernel = installed.kernel or "unknown"
    spool.write_console(system, userid, *_boot_lines(system, machine, device, installed, hostname, addresses, told))
    up = GuestSystem(
        "up",
        running.ipl,
        kernel,
        release,
        hostname,
        addresses,
        system.now(),
        authorized=remembered.authorized,
    )
    system.machines.put(userid, replace(system.machines[userid], system=up))


def _configure(system: System, machine: Machine, device: Dasd) -> tuple[Remembered, list[str]]:
    """Read the class X files of the reader on top of what the disk remembers; gives lines for the console."""
    disk = system.disks[storage.key(device.owner, device.owner_vdev)]
    written = _written(storage.file_of(system, disk))
    memory = system.memories.get(disk.file)
    remembered = memory if memory is not None and memory.written == written else Remembered(written)
    lines: list[str] = []
    for file in spool.files(system, machine.userid):
        if file.spool_class != "X" or file.kind == "CON":
            continue
        remembered, line = _apply(remembered, file, spool.read(system, file))
        lines.append(line)
        spool.purge(system, file)
    if device.write:
        system.memories.put(disk.file, remembered)
    return remembered, lines


def reconfigure(system: System, userid: str) -> int:
    """Run the guest's configuration service again; gives its exit status."""
    machine = system.machines[userid]
    running = machine.system
    device = machine.device(running.ipl) if running else None
    if running is None or not isinstance(device, Dasd):
        return 1
    remembered, lines = _configure(system, machine, device)
    addresses = tuple(address for network in remembered.networks if (address := _address(machine, network)) is not None)
    changed = replace(
        running,
        hostname=remembered.hostname or running.hostname,
        addresses=addresses or running.addresses,
        authorized=remembered.authorized,
    )
    system.machines.put(userid, replace(machine, system=changed))
    if lines:
        spool.write_console(system, userid, *lines)
    return 0


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _apply(remembered: Remembered, file: SpoolFile, data: bytes) -> tuple[Remembered, str]:
    label = ".".join(part for part in (file.name, file.filetype) if part).lower()
    head = f"zvmguestconfigure[611]: spool file {file.spoolid} {label}"
    kind = file.filetype.upper() or file.name.rpartition(".")[2].upper()
    try:
        if kind == "SH" or data.startswith(b"#!"):
            return _apply_script(remembered, data.decode("utf-8", "replace")), f"{head}: script run"
        if kind.startswith("DOSCRIP"):
            files = doscript.read(data)
            found = doscript.networks(files)
            networks = _merge(remembered.networks, found)
            return replace(remembered, networks=networks), f"{head}: {len(files)} files placed"
        drive = configdrive.read(data)
    except ConfigDriveError as error:
        return remembered, f"{head}: ignored ({error})"
    changed = replace(
        remembered,
        hostname=drive.hostname or remembered.hostname,
        networks=_merge(remembered.networks, (*drive.networks, *doscript.networks(drive.injected))),
    )
    return changed, f"cloud-init[702]: config drive read, hostname {drive.hostname or '(none)'}"


def _apply_script(remembered: Remembered, text: str) -> Remembered:
    authorized = _AUTHORIZED.search(text)
    if authorized:
        return replace(remembered, authorized=authorized[1])
    for line in text.splitlines():
        if "hostname" in line and not line.startswith("#"):
            found = _HOSTNAME.search(line)
            if found:
                return replace(remembered, hostname=found[1])
    return remembered


def _merge(known: tuple[Network, ...], new: tuple[Network, ...]) -> tuple[Network, ...]:
    if not new:
        return known
    replaced = {(network.mac, network.name, network.address.split("/")[0]) for network in new}
    macs = {network.mac for network in new if network.mac}
    kept = tuple(
        network
        for network in known
        if (network.mac, network.name, network.address.split("/")[0]) not in replaced and network.mac not in macs
    )
    return (*kept, *new)


def _address(machine: Machine, network: Network) -> Address | None:
    """The address on the adapter that the network is meant for: by MAC, by the device number in its name, or the
    only adapter there is."""
    if not network.address:
        return None
    ip, _, prefix = network.address.partition("/")
    mac = network.mac.replace(":", "").replace("-", "").upper()
    nics = machine.nics
    chosen = next((nic for nic in nics if mac and nic.mac == mac), None)
    if chosen is None and not mac:
        chosen = next((nic for nic in nics if network.name.upper().endswith(nic.vdev)), None)
        if chosen is None and len(nics) == 1:
            chosen = nics[0]
    if chosen is None:
        return None
    return Address(chosen.vdev, chosen.mac, ip, int(prefix or "24"))


def mac_colons(mac: str) -> str:
    return ":".join(mac[at : at + 2] for at in range(0, 12, 2)).lower()


def _boot_lines(
    system: System,
    machine: Machine,
    device: Dasd,
    installed: InstalledSystem,
    hostname: str,
    addresses: tuple[Address, ...],
    told: list[str],
) -> list[str]:
    pretty = installed.pretty_name
    kernel = installed.kernel or "unknown"
    disk = system.disks[storage.key(device.owner, device.owner_vdev)]
    at = iter(f"[{0.05 + 0.13 * number:12.6f}] " for number in range(60))
    lines = [
        f"{next(at)}Linux version {kernel} (zvmcloud) #1 SMP",
        f"{next(at)}setup: Linux is running as a z/VM guest operating system in 64-bit mode",
        f"{next(at)}setup: The maximum memory size is {machine.storage_kib // 1024}MB",
        f"{next(at)}Kernel command line: {installed.cmdline}",
        f"{next(at)}cpu: {len(machine.cpus)} configured CPUs, 0 standby CPUs",
    ]
    if disk.kind == "ECKD":
        size = disk.size * 15 * 48
        lines.append(
            f"{next(at)}dasd-eckd.90fb0d: 0.0.{device.vdev.lower()}: DASD with 4 KB/block, {size} KB total size, "
            "48 KB/track, compatible disk layout"
        )
        lines.append(f"{next(at)} dasda:VOL1/  {installed.volser or '0X' + device.vdev}: dasda1")
    else:
        lines.append(f"{next(at)}dasd-fba: 0.0.{device.vdev.lower()}: {disk.size} blocks of 512 bytes")
    lines.extend(
        f"{next(at)}qeth 0.0.{nic.vdev.lower()}: Device is a Virtual NIC QDIO card, "
        f"MAC address {mac_colons(nic.mac)}, {'coupled to ' + nic.lan_name if nic.lan_name else 'no link'}"
        for nic in machine.nics
    )
    lines += ["", f"Welcome to {pretty}!", "", *told]
    lines.extend(
        f"enc{address.vdev.lower()}: {address.ip}/{address.prefix}"
        + ("" if _coupled(machine, address) else " (no carrier)")
        for address in addresses
    )
    lines += [
        "[  OK  ] Reached target Network is Online.",
        "[  OK  ] Started OpenSSH server daemon.",
        "[  OK  ] Reached target Multi-User System.",
        "",
        pretty,
        f"Kernel {kernel} on an s390x",
        "",
        f"{hostname} login:",
    ]
    return lines


def _coupled(machine: Machine, address: Address) -> bool:
    device = machine.device(address.vdev)
    return isinstance(device, Nic) and bool(device.lan_name)


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
