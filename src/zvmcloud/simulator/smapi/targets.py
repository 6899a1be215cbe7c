"""Parameters that many functions share: the target, device numbers, machines that must be on."""

from __future__ import annotations

from zvmcloud.directory import statements
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.model import Machine, Nic
from zvmcloud.simulator.smapi.registry import Call
from zvmcloud.simulator.system import System

NOT_DEFINED = (200, 4)
ALREADY_ON = (200, 8)
NOT_ON = (200, 12)
GOING_OFF = (200, 16)
NO_LIST = (200, 24)
NO_DEVICE = (204, 8)
DEVICE_EXISTS = (204, 4)
WRONG_DEVICE = (204, 28)


def vdev(text: str | None, number: int = 5) -> str:
    """A device number as four digits. Refused 24/pp16 when it is none."""
    found = statements.vdev((text or "").upper())
    if found is None:
        raise Refused(24, number * 100 + 16)
    return found


def defined(call: Call, userid: str) -> str:
    """A userid that the directory defines as a virtual machine. Refused 200/4."""
    userid = userid.upper()
    entry = call.system.entry(userid)
    if entry is None or not entry.is_machine:
        raise Refused(*NOT_DEFINED)
    return userid


def running(call: Call, userid: str) -> Machine:
    """The virtual machine, logged on. Refused 200/12."""
    machine = call.system.machines.get(userid.upper())
    if machine is None:
        raise Refused(*NOT_ON)
    return machine


def adapter(machine: Machine, address: str) -> Nic:
    """An adapter of a machine. Refused 204/8 without a device there, 204/28 when it is something else."""
    device = machine.device(address)
    if device is None:
        raise Refused(*NO_DEVICE)
    if not isinstance(device, Nic):
        raise Refused(*WRONG_DEVICE)
    return device


def members(system: System, target: str) -> tuple[str, ...] | None:
    """The members of a name list; None when the target is no list."""
    found = system.name_lists.get(target.upper())
    return tuple(member.upper() for member in found.members) if found is not None else None


def system_name(text: str | None) -> str:
    """A switch or list name, upper case."""
    return (text or "").strip().upper()
