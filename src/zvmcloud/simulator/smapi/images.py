"""Virtual machines and their directory entries: create, query, change, lock; activate, deactivate, pause, console."""

from __future__ import annotations

import time
from typing import Any

from zvmcloud.directory import statements
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator import guests, hotplug, prototypes, spool
from zvmcloud.simulator.errors import CpRefused, Refused
from zvmcloud.simulator.model import Dasd, Machine, RealDevice, UnitRecord
from zvmcloud.simulator.smapi import targets
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.smapi import functions as f

RECORD = 72


def padded(records: tuple[str, ...]) -> tuple[str, ...]:
    """Records as the directory manager returns them: 72 columns."""
    return tuple(record.ljust(RECORD) for record in records)


@handles(f.ImageCreateDM, directory=True, authority="recorded")
def image_create_dm(call: Call, request: f.ImageCreateDM) -> Done:
    """The prototype wins over records (as the clients document)."""
    records: tuple[str, ...] = request.image_record_array
    if not statements.is_userid(request.target.upper()):
        raise Refused(24, 442)
    if request.prototype_name:
        records = prototypes.instance(
            call.system,
            request.prototype_name,
            request.target.upper(),
            request.initial_password,
            request.initial_account_number,
        )
    dm.create(call.system, request.target, records)
    return Done(f.ImageCreateDMReply(operation_id=-1))


@handles(f.ImageDeleteDM, directory=True, authority="recorded")
def image_delete_dm(call: Call, request: f.ImageDeleteDM) -> Done:
    dm.delete(call.system, request.target)
    return Done(f.ImageDeleteDMReply(operation_id=-1))


@handles(f.ImageQueryDM, authority="recorded")
def image_query_dm(call: Call, request: f.ImageQueryDM) -> Done:
    record = dm.find(call.system, request.target)
    return Done(f.ImageQueryDMReply(image_record_array=padded(dm.shown(call.system, record))))


@handles(f.ImageReplaceDM, directory=True, authority="clients")
def image_replace_dm(call: Call, request: f.ImageReplaceDM) -> Done:
    dm.replace_entry(call.system, request.target, request.image_record_array, call.userid)
    return Done()


@handles(f.ImageLockDM, authority="recorded")
def image_lock_dm(call: Call, request: f.ImageLockDM) -> Done:
    address = targets.vdev(request.device_address) if request.device_address else ""
    dm.lock(call.system, request.target, call.userid, address)
    return Done()


@handles(f.ImageUnlockDM, authority="recorded")
def image_unlock_dm(call: Call, request: f.ImageUnlockDM) -> Done:
    address = targets.vdev(request.device_address) if request.device_address else ""
    dm.unlock(call.system, request.target, address)
    return Done()


@handles(f.ImageLockQueryDM, authority="clients")
def image_lock_query_dm(call: Call, request: f.ImageLockQueryDM) -> Done:
    record = dm.find(call.system, request.target)
    if not record.locked_by and not record.device_locks:
        return Done(rs=24)
    kind = f"IMAGE {record.locked_by}" if record.locked_by else "DEVICE"
    devices = tuple(f"{address} {owner}" for address, owner in record.device_locks)
    return Done(f.ImageLockQueryDMReply(lock_info=kind, locked_dev_array=devices), rs=12)


@handles(f.ImageNameQueryDM, authority="clients")
def image_name_query_dm(call: Call, _request: f.ImageNameQueryDM) -> Done:
    names = tuple(sorted(name for name, record in call.system.entries.items() if record.entry.is_machine))
    return Done(f.ImageNameQueryDMReply(image_name_array=names), rs=0 if names else 28)


@handles(f.ImagePasswordSetDM, directory=True, authority="clients")
def image_password_set_dm(call: Call, request: f.ImagePasswordSetDM) -> Done:
    record = dm.unlocked(call.system, request.target)
    # Password phrases need an external security manager; without one the directory takes 1 to 8 plain characters.
    password = request.image_password
    if not statements.is_password(password):
        raise Refused(500, 20)
    dm.put(call.system, record, record.entry.with_operand(2, request.image_password.upper()))
    return Done()


# -- running machines -------------------------------------------------------------------------------------------------


def _activate(call: Call, userid: str) -> None:
    targets.defined(call, userid)
    machine = call.system.machines.get(userid)
    if machine is not None:
        raise Refused(*(targets.GOING_OFF if machine.forced_at else targets.ALREADY_ON))
    if call.system.where(userid) is not None:
        raise Refused(*targets.ALREADY_ON)
    guests.log_on(call.system, userid)


def _deactivate(call: Call, userid: str, seconds: float | None) -> int:
    machine = call.system.machines.get(userid)
    if machine is None:
        raise Refused(*targets.NOT_ON)
    if machine.forced_at and seconds is not None:
        raise Refused(*targets.GOING_OFF)
    return guests.deactivate(call.system, userid, seconds)


def _each(call: Call, names: tuple[str, ...], action: Any) -> tuple[int, tuple[f.FailedImage, ...]]:
    """Run the action for every member of a list; the failures are part of the answer."""
    failed = []
    for name in names:
        try:
            with call.system.store.savepoint():
                action(name)
        except Refused as refused:
            failed.append(f.FailedImage(image_name=name, return_code=refused.rc, reason_code=refused.rs))
        except CpRefused as refused:
            failed.append(f.FailedImage(image_name=name, return_code=396, reason_code=refused.number))
    return len(names) - len(failed), tuple(failed)


@handles(f.ImageActivate, authority="recorded")
def image_activate(call: Call, request: f.ImageActivate) -> Done:
    names = targets.members(call.system, request.target)
    if names is None or request.target.upper() in call.system.entries:
        _activate(call, request.target.upper())
        return Done()
    good, failed = _each(call, names, lambda name: _activate(call, name))
    reply = f.ImageActivateReply(activated=good, not_activated=len(failed), failing_array=failed)
    return Done(reply, 28, 200) if failed else Done(reply)


@handles(f.ImageDeactivate, authority="clients")
def image_deactivate(call: Call, request: f.ImageDeactivate) -> Done:
    seconds = _force_time(call, request.force_time)
    names = targets.members(call.system, request.target)
    if names is None or request.target.upper() in call.system.entries:
        return Done(rs=_deactivate(call, request.target.upper(), seconds))
    good, failed = _each(call, names, lambda name: _deactivate(call, name, seconds))
    reply = f.ImageDeactivateReply(deactivated=good, not_deactivated=len(failed), failing_array=failed)
    return Done(reply, 32, 200) if failed else Done(reply)


def _force_time(call: Call, text: str) -> float | None:
    """Seconds until the machine is forced; None for at once. Refused 24/519 or 200/36 when it is no such time."""
    words = text.upper().split()
    if not words:
        return call.system.timing.signal
    if words == ["IMMED"]:
        return None
    if len(words) == 2 and words[0] == "WITHIN":
        if not words[1].isdecimal():
            raise Refused(24, 519)
        if not 1 <= int(words[1]) <= 65535:
            raise Refused(200, 36)
        return float(words[1])
    if len(words) == 2 and words[0] == "BY":
        parts = words[1].split(":")
        if len(parts) not in (2, 3) or not all(part.isdecimal() for part in parts):
            raise Refused(24, 519)
        hours, minutes, seconds = (int(part) for part in (*parts, "0")[:3])
        if hours > 23 or minutes > 59 or seconds > 59:
            raise Refused(24, 519)
        today = int(call.system.now()) % 86400
        interval = (hours * 3600 + minutes * 60 + seconds - today) % 86400
        if interval > 65535:
            raise Refused(200, 36)
        return float(max(interval, 1))
    raise Refused(24, 519)


@handles(f.ImageRecycle, authority="recorded")
def image_recycle(call: Call, request: f.ImageRecycle) -> Done:
    names = targets.members(call.system, request.target)
    if names is None or request.target.upper() in call.system.entries:
        _recycle(call, request.target.upper())
        return Done()
    good, failed = _each(call, names, lambda name: _recycle(call, name))
    reply = f.ImageRecycleReply(recycled=good, not_recycled=len(failed), failing_array=failed)
    return Done(reply, 36, 200) if failed else Done(reply)


def _recycle(call: Call, userid: str) -> None:
    targets.defined(call, userid)
    if userid not in call.system.machines:
        raise Refused(*targets.NOT_ON)
    guests.log_off(call.system, userid)
    guests.log_on(call.system, userid)


@handles(f.ImagePause, authority="recorded")
def image_pause(call: Call, request: f.ImagePause) -> Done:
    action = request.action.upper()
    if action not in ("PAUSE", "UNPAUSE"):
        raise Refused(8, 3003)
    if request.target.upper() not in call.system.machines:
        raise Refused(8, 12)
    guests.pause(call.system, request.target.upper(), paused=action == "PAUSE")
    return Done()


@handles(f.ImageStatusQuery, authority="recorded")
def image_status_query(call: Call, request: f.ImageStatusQuery) -> Done:
    target = request.target.upper()
    machines = call.system.machines
    if target in machines:
        return Done(f.ImageStatusQueryReply(image_name_array=(target,)))
    if target in ("*", "ALL"):
        return Done(f.ImageStatusQueryReply(image_name_array=tuple(sorted(machines))))
    names = targets.members(call.system, target)
    if names is None:
        return Done(rs=12)
    return Done(f.ImageStatusQueryReply(image_name_array=tuple(name for name in names if name in machines)))


@handles(f.ImageConsoleGet, authority="recorded")
def image_console_get(call: Call, request: f.ImageConsoleGet) -> Done:
    if spool.close_console(call.system, request.target.upper(), call.userid) is None:
        raise Refused(8, 8)
    return Done()


@handles(f.ImageActiveConfigurationQuery, authority="recorded")
def image_active_configuration_query(call: Call, request: f.ImageActiveConfigurationQuery) -> Done:
    machine = targets.running(call, request.target)
    kinds = {"CONS": 1, "RDR": 2, "PUN": 3, "PRT": 4}
    devices = []
    for device in machine.devices:
        # A whole real disk (ATTACH, DEDICATE) is a DASD of the machine too; the reply has no types for other devices.
        is_disk = isinstance(device, Dasd) or (isinstance(device, RealDevice) and device.kind == "DASD")
        kind = 5 if is_disk else kinds.get(device.kind, 0) if isinstance(device, UnitRecord) else 0
        if kind:
            devices.append(f.ActiveDevice(device_type=kind, device_address=device.vdev))
    unit, factor = (3, 1 << 20) if machine.storage_kib % (1 << 20) == 0 else (2, 1 << 10)
    return Done(
        f.ImageActiveConfigurationQueryReply(
            memory_size=machine.storage_kib // factor,
            memory_unit=unit,
            share_type=1 if machine.share[0] == "RELATIVE" else 2,
            share_value=machine.share[1].rstrip("%"),
            number_CPUs=len(machine.cpus),
            CPU_info_array=tuple(
                f.ActiveCPU(CPU_number=int(cpu, 16), CPU_id=cpu_id(call), CPU_status=4 if number else 1)
                for number, cpu in enumerate(machine.cpus)
            ),
            device_info_array=tuple(devices),
        )
    )


def cpu_id(call: Call) -> str:
    """The CPU identification of virtual machines: FF, serial and model, version."""
    return f"FF{call.system.facts.cpu_id}0000"


@handles(f.ImageCPUQuery, authority="recorded")
def image_cpu_query(call: Call, request: f.ImageCPUQuery) -> Done:
    machine = call.system.machines.get(request.target.upper())
    if machine is None:
        raise Refused(216, 12)
    online = hotplug.hardware(call.system, machine).online
    cpus = tuple(
        f.ImageCPU(
            CPU_number=int(cpu, 16),
            CPU_id=cpu_id(call),
            CPU_base=int(not n),
            # Recorded: 3 for the CPU that runs, 1 for the one that the guest has not started.
            CPU_status=3 if cpu in online and (not n or _runs(machine)) else 1,
            CPU_type=2,
        )
        for n, cpu in enumerate(machine.cpus)
    )
    return Done(f.ImageCPUQueryReply(number_CPUs=len(cpus), CPU_info_array=cpus))


def _runs(machine: Machine) -> bool:
    return machine.system is not None and machine.system.phase in ("up", "stopping") and machine.system.signals


@handles(f.ImageCPUDefine, authority="document")
def image_cpu_define(call: Call, request: f.ImageCPUDefine) -> Done:
    machine = call.system.machines.get(request.target.upper())
    if machine is None:
        raise Refused(216, 12)
    address = _cpu_address(request.cpu_address)
    entry = call.system.full_entry(machine.userid)
    if address in machine.cpus:
        raise Refused(216, 24)
    if entry is not None and len(machine.cpus) >= entry.machine[1]:
        raise Refused(216, 28)
    hotplug.define_cpu(call.system, machine.userid, address)
    return Done()


@handles(f.ImageCPUDelete, authority="document")
def image_cpu_delete(call: Call, request: f.ImageCPUDelete) -> Done:
    machine = call.system.machines.get(request.target.upper())
    if machine is None:
        raise Refused(216, 12)
    address = _cpu_address(request.cpu_address)
    if address not in machine.cpus or address == machine.cpus[0]:
        raise Refused(216, 4)
    hotplug.detach_cpu(call.system, machine.userid, address)
    return Done()


def _cpu_address(text: str) -> str:
    found = statements.vdev(text.upper())
    if found is None or int(found, 16) > 63:
        raise Refused(216, 2)
    return found[-2:]


@handles(f.ImageQueryActivateTime, authority="recorded")
def image_query_activate_time(call: Call, request: f.ImageQueryActivateTime) -> Done:
    machine: Machine = targets.running(call, request.target)
    formats = {1: "%m/%d/%y", 2: "%m/%d/%Y", 3: "%y-%m-%d", 4: "%Y-%m-%d", 5: "%d/%m/%y", 6: "%d/%m/%Y"}
    if request.date_format_indicator not in formats:
        raise Refused(24, 519)
    when = time.gmtime(machine.logon_at)
    return Done(
        f.ImageQueryActivateTimeReply(
            image_name=machine.userid,
            activation_date=time.strftime(formats[request.date_format_indicator], when),
            activation_time=time.strftime("%H:%M:%S", when),
        )
    )
