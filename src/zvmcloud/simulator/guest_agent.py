"""The agent inside a guest: the commands that management software sends over IUCV, answered from the guest's state.

Only commands listed here exist in the guest; others end with 127, as in a shell that does not find them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from zvmcloud.simulator import guest_commands, guest_os, guests
from zvmcloud.simulator.errors import SystemFault
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


@dataclass(frozen=True, slots=True)
class _Context:
    system: System
    machine: Machine
    running: GuestSystem


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
    context = _Context(system, machine, machine.system)
    text = command.strip()
    for pattern, handler in _COMMANDS:
        found = pattern.fullmatch(text)
        if found:
            return handler(context, found)
    for pattern, shared in guest_commands.COMMANDS:
        found = pattern.fullmatch(text)
        if found:
            return Output(*shared(system, machine, found))
    word = text.split()[0] if text else ""
    return Output(127, f"sh: {word}: command not found\n") if word else Output(0)


def _echo(_context: _Context, found: re.Match[str]) -> Output:
    return Output(0, found["text"].strip().strip("'\"") + ("" if found["flag"] else "\n"))


def _authorize(context: _Context, found: re.Match[str]) -> Output:
    system, machine = context.system, context.machine
    changed = replace(context.running, authorized=found["userid"])
    system.machines.put(machine.userid, replace(machine, system=changed))
    return Output(0)


def _uname(context: _Context, found: re.Match[str]) -> Output:
    values = {"s": "Linux", "n": context.running.hostname, "r": context.running.kernel, "m": "s390x"}
    letters = "snrm" if found["flags"] == "a" else (found["flags"] or "s")
    return Output(0, " ".join(values[letter] for letter in "snrm" if letter in letters) + "\n")


def _release(context: _Context, found: re.Match[str]) -> Output:
    if not found["path"].endswith("os-release"):
        return Output(2, f"{found['path']}: No such file or directory\n")
    return Output(0, context.running.release)


def _releases(context: _Context, _found: re.Match[str]) -> Output:
    if not context.running.release:
        return Output(2, "ls: cannot access '/etc/*-release': No such file or directory\n")
    return Output(0, "/etc/os-release\n")


def _addresses(context: _Context, _found: re.Match[str]) -> Output:
    lines = ["1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever"]
    lines += [
        f"{number}: enc{address.vdev.lower()}    {'inet6' if ':' in address.ip else 'inet'} "
        f"{address.ip}/{address.prefix} scope global enc{address.vdev.lower()}\\       "
        "valid_lft forever preferred_lft forever"
        for number, address in enumerate(context.running.addresses, 2)
    ]
    return Output(0, "\n".join(lines) + "\n")


def _shutdown(context: _Context, found: re.Match[str]) -> Output:
    reboot = found[0].startswith("reboot") or (found.groupdict().get("flag") == "r")
    guests.stop(context.system, context.machine.userid, "reipl" if reboot else "off")
    return Output(0)


def _configure(context: _Context, _found: re.Match[str]) -> Output:
    return Output(guest_os.reconfigure(context.system, context.machine.userid))


def _root(context: _Context, found: re.Match[str]) -> Output:
    if found["readlink"]:
        return Output(0, "/dev/dasda1\n")
    return Output(0, f"/dev/disk/by-path/ccw-0.0.{context.running.ipl.lower()}-part1\n")


def _dasds(context: _Context, _found: re.Match[str]) -> Output:
    disk = next((item for item in context.machine.disks if item.vdev == context.running.ipl), None)
    row = context.system.disks.get(f"{disk.owner}.{disk.owner_vdev}") if disk else None
    if row is None:
        return Output(1)
    blocks = row.size * 180 if row.kind == "ECKD" else row.size // 8
    return Output(
        0,
        f"0.0.{context.running.ipl.lower()}({row.kind:<4}) at ( 94:     0) is dasda       : active at blocksize: 4096, "
        f"{blocks} blocks, {blocks * 4096 >> 20} MB\n",
    )


def _ok(_context: _Context, _found: re.Match[str]) -> Output:
    return Output(0)


_Handler = Callable[[_Context, "re.Match[str]"], Output]
_COMMANDS: tuple[tuple[re.Pattern[str], _Handler], ...] = tuple(
    (re.compile(pattern), handler)
    for pattern, handler in (
        (r"echo\s+-n\s+['\"]?(?P<userid>[\w@#$-]{0,8})['\"]?\s*>\s*/etc/iucv_authorized_userid", _authorize),
        (r"echo\s+(?P<flag>-n\s+)?(?P<text>[^|<>;&`$]*)", _echo),
        (r"pwd", lambda _context, _found: Output(0, "/\n")),
        (r"uname(?:\s+-(?P<flags>[asnrm]+))?", _uname),
        (r"(?:cat|grep\s+-v\s+['\"]?\^#['\"]?)\s+(?P<path>/etc/\S+-release)", _release),
        (r"ls\s+/etc/\*-release", _releases),
        (
            r"cat\s+/etc/hostname|hostname(?:\s+-[fs])?",
            lambda context, _found: Output(0, context.running.hostname + "\n"),
        ),
        (r"ip\s+-o\s+(?:addr|address|a)(?:\s+show)?", _addresses),
        (r"shutdown\s+-(?P<flag>[hr])(?:\s+now|\s+0)?|poweroff|reboot|halt", _shutdown),
        (r"systemctl\s+start\s+zvmguestconfigure\.service|service\s+zvmguestconfigure\s+start", _configure),
        (r"/usr/bin/zvmguestconfigure\s+start", _configure),
        (r"(?P<readlink>readlink\s+-f\s+\S+)|cat\s+/proc/cmdline\s*\|.*", _root),
        (r"cat\s+/proc/dasd/devices\s*\|.*", _dasds),
        (r"uptime|true|sync", _ok),
    )
)
