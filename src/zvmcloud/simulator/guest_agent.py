"""The agent inside a guest: the commands that management software sends over IUCV, answered from the guest's state.

A command line is read by the model's shell (see `guest_shell`): pipes, loops and tests work. Only the programs of this
module, `guest_commands`, `guest_programs` and `guest_filters` exist; others end with 127, as ones that are not found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from zvmcloud.simulator import guest_commands, guest_os, guests
from zvmcloud.simulator.errors import SystemFault
from zvmcloud.simulator.guest_files import Files
from zvmcloud.simulator.guest_shell import Program, Shell
from zvmcloud.simulator.model import GuestSystem, Machine
from zvmcloud.simulator.system import System

#: Bytes of a request, as in the agent of hardware guests.
MAX_COMMAND = 1024


class Unreachable(SystemFault):
    """The guest does not answer: off, not started, shutting down or paused."""


@dataclass(frozen=True, slots=True)
class Output:
    """Exit status and what the command wrote."""

    rc: int
    text: str = ""


def reachable(system: System, userid: str) -> bool:
    """Whether the agent of a guest would answer."""
    machine = system.machines.get(userid)
    return bool(
        machine
        and not machine.paused
        and machine.system is not None
        and machine.system.phase == "up"
        and machine.system.agent
    )


def run(system: System, userid: str, command: str, caller: str) -> Output:
    """Run a command in a guest, inside a transaction. Unreachable when its agent does not answer."""
    machine = system.machines.get(userid)
    if machine is None or machine.system is None or not reachable(system, userid):
        raise Unreachable("unreachable")
    if len(command.encode()) > MAX_COMMAND:
        return Output(2, f"the command has more than {MAX_COMMAND} bytes\n")
    if machine.system.authorized and machine.system.authorized.upper() != caller:
        return Output(1, f"UNAUTHORIZED_ERROR: userid {caller} is not authorized on {userid}#0\n")
    shell = Shell(Files(system, userid), _program)
    found = shell.run(command.strip())
    return Output(found.rc, found.out + found.err)


def _program(arguments: Sequence[str]) -> Program | None:
    """The programs of a guest, with those that end or configure its system."""
    return guest_commands.find(arguments, _COMMANDS)


def _running(machine: Machine) -> GuestSystem:
    assert machine.system is not None, machine.userid  # noqa: S101 (the agent was reachable)
    return machine.system


def _uname(_system: System, machine: Machine, found: re.Match[str]) -> guest_commands.Result:
    running = _running(machine)
    values = {"s": "Linux", "n": running.hostname, "r": running.kernel, "m": "s390x"}
    letters = "snrm" if found["flags"] == "a" else (found["flags"] or "s")
    return 0, " ".join(values[letter] for letter in "snrm" if letter in letters) + "\n"


def _releases(_system: System, machine: Machine, _found: re.Match[str]) -> guest_commands.Result:
    if not _running(machine).release:
        return 2, "ls: cannot access '/etc/*-release': No such file or directory\n"
    return 0, "/etc/os-release\n"


def _shutdown(system: System, machine: Machine, found: re.Match[str]) -> guest_commands.Result:
    reboot = found[0].startswith("reboot") or (found.groupdict().get("flag") == "r")
    guests.stop(system, machine.userid, "reipl" if reboot else "halt" if found[0] == "halt" else "off")
    return 0, ""


def _service(system: System, machine: Machine, found: re.Match[str]) -> guest_commands.Result:
    """The configuration service: started, it reads the class X files; its status is that of the last script."""
    if found["verb"] == "status":
        status = _running(machine).status
        text = "SUCCESS" if not status else "FAILURE"
        return (3 if status else 0), (
            "zvmguestconfigure.service - Activation engine for configuring a z/VM guest\n"
            f" Main PID: 611 (code=exited, status={status}/{text})\n"
        )
    status = guest_os.reconfigure(system, machine.userid)
    return (1 if status else 0), (
        "Job for zvmguestconfigure.service failed because the control process exited with error code.\n"
        if status
        else ""
    )


_SERVICE = r"zvmguestconfigure(?:\.service)?"
_COMMANDS: tuple[tuple[re.Pattern[str], guest_commands.Handler], ...] = tuple(
    (re.compile(pattern), handler)
    for pattern, handler in (
        (r"uname(?:\s+-(?P<flags>[asnrm]+))?", _uname),
        (r"ls\s+/etc/\*-release", _releases),
        (r"shutdown\s+-(?P<flag>[hr])(?:\s+now|\s+0)?|poweroff|reboot|halt", _shutdown),
        (rf"systemctl\s+(?P<verb>start|restart|status)\s+{_SERVICE}", _service),
        (rf"service\s+{_SERVICE}\s+(?P<verb>start|restart|status)", _service),
        (r"zvmguestconfigure\s+(?P<verb>start)", _service),
    )
)
