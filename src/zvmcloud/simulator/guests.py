"""Virtual machines: logging on, loading an operating system, pausing, ending.

    off --logon--> on (nothing loaded) --IPL--> booting --> up --shutdown or signal--> stopping --> off
                     ^                             |                                       |
                     `--- disabled wait <----------'                                       `--> booting (re-IPL)

All functions run inside a transaction. Timers carry the machine's generation: a timer set for an earlier IPL or logon
finds another generation and does nothing.
"""

from __future__ import annotations

from dataclasses import replace

from zvmcloud.cp import messages
from zvmcloud.directory import Entry, statements
from zvmcloud.directory.devices import Dedicate, Mdisk, Nicdef
from zvmcloud.simulator import (
    channels,
    dasd,
    dedicated_disks,
    events,
    guest_lans,
    guest_os,
    loaddev,
    luns,
    network,
    spool,
    storage,
)
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import Ctca, GuestSystem, Machine, Nic, RealDevice, UnitRecord
from zvmcloud.simulator.system import System

_KINDS = {"3215": "CONS", "3270": "CONS", "RDR": "RDR", "PUN": "PUN", "2540": "RDR", "1403": "PRT", "3203": "PRT"}


def log_on(system: System, userid: str, *, ipl: bool = True) -> Machine:
    """Create the virtual machine from its directory entry, and IPL as the entry says.

    CpRefused: not in the directory (53; also NOLOG), already logged on (54).
    """
    entry = system.full_entry(userid)
    if entry is None or not entry.can_log_on:
        raise CpRefused(messages.NOT_IN_DIRECTORY, module="LGA", userid=userid)
    if system.where(userid) is not None:
        # Also when it is another member of the cluster that has the guest.
        raise CpRefused(messages.ALREADY_LOGGED_ON, userid=userid)
    spool.follow_home(system, userid)
    machine = Machine(
        userid,
        system.now(),
        entry.storage_kib,
        entry.max_storage_kib,
        entry.cpus,
        tuple(
            UnitRecord(unit.vdev, _KINDS.get(unit.device_type, "CONS"), unit.spool_class)
            for unit in entry.unit_records
            if unit.device_type != "CTCA"
        ),
        share=entry.share,
        generation=system.next_number("generation"),
        console=(f"LOGON AT {_clock(system)}",),
    )
    system.machines.put(userid, machine)
    system.events.about(events.LOGON, userid)
    system.events.about(events.RUNNABLE, userid)
    _add_devices(system, userid, entry)
    _run_commands(system, userid, entry)
    if userid not in system.machines:
        return machine
    if ipl and entry.ipl is not None:
        load(system, userid, entry.ipl.vdev or entry.ipl.source)
    return system.machines[userid]


def _clock(system: System) -> str:
    return guest_os.clock_text(system.now())


def _add_devices(system: System, userid: str, entry: Entry) -> None:
    for disk in entry.mdisks:
        _own_disk(system, userid, disk)
    for link in entry.links:
        owner = userid if link.owner == "*" else link.owner
        _try(system, userid, lambda o=owner, w=link: storage.attach(system, userid, o, w.owner_vdev, w.vdev, w.mode))
    for nicdef in entry.nicdefs:
        _try(system, userid, lambda n=nicdef: _own_nic(system, userid, n))
    for special in entry.every("SPECIAL"):
        if special.operand(2) == "CTCA":
            channels.define(system, userid, statements.vdev(special.operand(1)) or "")
    for dedicated in entry.dedicates:
        _try(system, userid, lambda d=dedicated: _own_device(system, userid, d))


def _run_commands(system: System, userid: str, entry: Entry) -> None:
    """The COMMAND statements, in their order and with CP's own privilege; what CP answers goes to the console.

    DEFINE CPU and DEFINE STORAGE have had their effect: they say with what the machine begins (see `hotplug`).
    """
    from zvmcloud.simulator.cp import execute  # noqa: PLC0415 (CP knows guests, guests know CP)

    for statement in entry.every("COMMAND"):
        words = statement.words[1:]
        if not words or (words[0][:3] == "DEF" and (words[1:2] == ("CPU",) or (words[1:2] and words[1][:4] == "STOR"))):
            continue
        result = execute(system, userid, " ".join(words), privileged=True)
        spool.write_console(system, userid, *result.lines)
        if userid not in system.machines:
            return


def _try(system: System, userid: str, action: object) -> None:
    """A device that cannot be had at logon costs a console message, not the logon."""
    try:
        action()  # type: ignore[operator]
    except CpRefused as refused:
        spool.write_console(system, userid, refused.line)


def _own_disk(system: System, userid: str, disk: Mdisk) -> None:
    if disk.placement in ("V-DISK", "T-DISK"):
        storage.create_disk(system, userid, disk)
    if storage.key(userid, disk.vdev) in system.disks:
        _try(system, userid, lambda: storage.attach(system, userid, userid, disk.vdev, disk.vdev, disk.mode))


def _own_nic(system: System, userid: str, nicdef: Nicdef) -> None:
    mac = network.new_mac(system, nicdef.mac_id)
    vlans = tuple(nicdef.vlan.replace(",", " ").split()) if network.vlan_ok(nicdef.vlan) else ()
    nic = Nic(
        nicdef.vdev, mac, nicdef.adapter_type, nicdef.devices, nicdef.chpid, vlans=vlans, port_type=nicdef.port_type
    )
    network.define_nic(system, userid, nic)
    if nicdef.lan_name:
        lan_owner = userid if nicdef.lan_owner == "*" else nicdef.lan_owner
        guest_lans.connect(system, userid, nicdef.vdev, lan_owner, nicdef.lan_name)


def _own_device(system: System, userid: str, dedicated: Dedicate) -> None:
    readonly = any(option in ("READONLY", "R/O") for option in dedicated.options)
    give_device(system, userid, dedicated.vdev, dedicated.rdev, readonly=readonly)


def give_device(system: System, userid: str, vdev: str, rdev: str, *, readonly: bool = False) -> RealDevice:
    """Dedicate a real device to a machine that is logged on; `readonly` means disks alone.

    CpRefused: address in use (92), no such device (40), attached to another machine (92 with that name).
    """
    machine = system.machines.get(userid)
    if machine is None:
        raise CpRefused(messages.NOT_LOGGED_ON, userid=userid)
    if vdev in network.addresses_in_use(machine):
        raise CpRefused(messages.VDEV_IN_USE, kind="DEV", vdev=vdev)
    osa, fcp = system.osas.get(rdev), system.fcps.get(rdev)
    if osa is not None:
        if osa.owner:
            raise CpRefused(messages.VDEV_IN_USE, kind="OSA", vdev=rdev)
        system.osas.put(rdev, replace(osa, owner=userid))
        kind = "OSA"
    elif fcp is not None:
        if fcp.owner:
            raise CpRefused(messages.VDEV_IN_USE, kind="FCP", vdev=rdev)
        system.fcps.put(rdev, replace(fcp, owner=userid))
        kind = "FCP"
    else:
        dasd.dedicate(system, rdev, userid)
        kind = "DASD"
    device = RealDevice(vdev, rdev, kind, readonly and kind == "DASD")
    changed = replace(machine, devices=(*machine.devices, device))
    system.machines.put(userid, changed)
    name = system.device_name(userid, vdev).name
    if kind == "DASD" and (path := dedicated_disks.file(system, rdev)) is not None:
        storage.show_device(system, userid, name, lambda: path)
    return device


def take_device(system: System, userid: str, vdev: str) -> RealDevice:
    """Take a dedicated device back. CpRefused when the machine has none with that address."""
    machine = system.machines.get(userid)
    if machine is None:
        raise CpRefused(messages.NOT_LOGGED_ON, userid=userid)
    device = machine.device(vdev)
    if not isinstance(device, RealDevice):
        raise CpRefused(messages.DEVICE_MISSING, module="DTV", vdev=vdev)
    luns.forget(system, userid, vdev)
    if device.kind == "DASD":
        storage.hide_device(system, userid, system.device_name(userid, vdev).name)
    _free_real(system, device)
    machine = system.machines[userid]
    system.machines.put(userid, replace(machine, devices=tuple(item for item in machine.devices if item != device)))
    return device


def _free_real(system: System, device: RealDevice) -> None:
    osa, fcp = system.osas.get(device.rdev), system.fcps.get(device.rdev)
    if osa is not None:
        system.osas.put(device.rdev, replace(osa, owner=""))
    if fcp is not None:
        system.fcps.put(device.rdev, replace(fcp, owner=""))
    if device.kind == "DASD":
        dasd.release(system, device.rdev)


def release_real(system: System, device: RealDevice) -> None:
    """A dedicated device is free again, because its guest has moved away."""
    _free_real(system, device)


def claim_real(system: System, userid: str, device: RealDevice) -> None:
    """A free OSA or FCP device becomes that of a guest that has moved here with it."""
    osa, fcp = system.osas.get(device.rdev), system.fcps.get(device.rdev)
    if osa is not None:
        system.osas.put(device.rdev, replace(osa, owner=userid))
    if fcp is not None:
        system.fcps.put(device.rdev, replace(fcp, owner=userid))


def load(system: System, userid: str, source: str) -> None:
    """IPL: forget the running system and start the one on the device, or the named saved system.

    A machine that was to be forced off at a certain time still is: an IPL does not end FORCE ... WITHIN (judgement).
    LOADDEV stands for the FCP device that the LOADDEV parameters name.
    """
    machine = system.machines[userid]
    if source == "LOADDEV":
        source = loaddev.of(system, machine).device or source
    if source not in guest_os.SAVED_SYSTEMS and machine.device(source) is None:
        spool.write_console(system, userid, messages.IPL_DEVICE_MISSING.render(vdev=source))
        return
    guest_os.unload(system, userid)
    machine = system.machines[userid]
    generation = system.next_number("generation")
    system.machines.put(
        userid,
        replace(
            machine,
            generation=generation,
            paused=False,
            system=GuestSystem("booting", source, since=system.now()),
        ),
    )
    guest_os.begin(system, userid)
    wait_for_boot(system, userid)


def wait_for_boot(system: System, userid: str) -> None:
    """Set the timer that ends the boot of a machine."""
    generation = system.machines[userid].generation

    def finish() -> None:
        machine = system.machines.get(userid)
        if machine is not None and machine.generation == generation:
            guest_os.finish(system, userid)

    system.later(system.timing.boot, finish)


def log_off(system: System, userid: str) -> None:
    """End a virtual machine at once: devices go, temporary disks vanish, real devices are free again."""
    machine = system.machines.get(userid)
    if machine is None:
        raise CpRefused(messages.NOT_LOGGED_ON, userid=userid)
    guest_os.unload(system, userid)
    for disk in machine.disks:
        storage.detach(system, userid, disk.vdev)
    for device in machine.devices:
        if isinstance(device, RealDevice):
            if device.kind == "DASD":
                storage.hide_device(system, userid, system.device_name(userid, device.vdev).name)
            _free_real(system, device)
        if isinstance(device, Ctca):
            channels.uncouple(system, userid, device.vdev)
    for disk in machine.disks:
        own = system.disks.get(storage.key(userid, disk.owner_vdev)) if disk.owner == userid else None
        if own is not None and own.temporary:
            storage.delete_disk(system, userid, own.vdev)
    system.machines.remove(userid)
    if userid in system.settings:
        system.settings.remove(userid)
    system.events.about(events.LOGOFF, userid)
    if system.cluster is not None:
        system.cluster.logged_off(system, userid)


def stop(system: System, userid: str, then: str) -> None:
    """The operating system begins to shut down; `then` is off, reipl or halt."""
    machine = system.machines[userid]
    running = machine.system
    if running is None or running.phase == "stopping":
        return
    system.machines.put(userid, replace(machine, paused=False, system=replace(running, phase="stopping", then=then)))
    guest_os.say_stopping(system, userid)
    wait_for_stop(system, userid)


def wait_for_stop(system: System, userid: str) -> None:
    """Set the timer that ends the shutdown of a machine's system."""
    generation = system.machines[userid].generation

    def finish() -> None:
        machine = system.machines.get(userid)
        if machine is None or machine.generation != generation or machine.system is None:
            return
        if machine.system.then == "reipl":
            load(system, userid, machine.system.ipl)
        elif machine.system.then == "halt":
            guest_os.halt(system, userid)
        else:
            log_off(system, userid)

    system.later(system.timing.shutdown, finish)


def deactivate(system: System, userid: str, seconds: float | None) -> int:
    """End a machine: at once (None), or by a shutdown signal with so many seconds until it is forced.

    Gives the seconds that remain: 0 when the machine is gone already. A machine whose system does not take the signal
    is forced at once.
    """
    machine = system.machines[userid]
    running = machine.system
    if seconds is None or running is None or running.phase not in ("up", "stopping") or not running.signals:
        log_off(system, userid)
        return 0
    system.machines.put(userid, replace(machine, forced_at=system.now() + seconds))
    stop(system, userid, "off")
    wait_for_force(system, userid)
    return int(seconds)


def wait_for_force(system: System, userid: str) -> None:
    """Set the timer that forces a machine whose time has come."""
    machine = system.machines[userid]

    def force() -> None:
        current = system.machines.get(userid)
        # Not the generation: a machine that restarts its system is forced all the same.
        if current is not None and (current.logon_at, current.forced_at) == (machine.logon_at, machine.forced_at):
            log_off(system, userid)

    system.later(machine.forced_at - system.now(), force)


def pause(system: System, userid: str, *, paused: bool) -> None:
    """Stop all virtual CPUs, or let them run again."""
    machine = system.machines.get(userid)
    if machine is None:
        raise CpRefused(messages.NOT_LOGGED_ON, userid=userid)
    system.machines.put(userid, replace(machine, paused=paused))


def resume(system: System) -> None:
    """After a restart: set the timers again that were pending."""
    for userid in system.machines:
        rearm(system, userid)


def rearm(system: System, userid: str) -> None:
    """Set the timers again that a machine waits for, after a restart or a move to another member."""
    machine = system.machines[userid]
    running = machine.system
    if running is not None and running.phase == "booting":
        wait_for_boot(system, userid)
    if running is not None and running.phase == "stopping":
        wait_for_stop(system, userid)
    if machine.forced_at:
        wait_for_force(system, userid)
