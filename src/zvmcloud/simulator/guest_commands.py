"""Commands inside a guest about its CPUs, its storage and its load, and vmcp: what hot plug and monitoring need.

Each handler gets the system, the machine and the match, and gives exit status and output.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from zvmcloud.simulator import hotplug, traffic
from zvmcloud.simulator.model import Machine
from zvmcloud.simulator.system import System

_HEAD = "# The following is the parsable format, which can be fed to other\n# programs.\n# Address\n"
_SIZES = {"": 1 << 10, "K": 1, "M": 1 << 10, "G": 1 << 20}
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
Result = tuple[int, str]


def _lscpu(system: System, machine: Machine, found: re.Match[str]) -> Result:
    row = hotplug.hardware(system, machine)
    shown = [cpu for cpu in row.known if (cpu not in row.online) == bool(found["offline"])]
    return 0, _HEAD + "".join(f"{int(address, 16)}\n" for address in shown)


def _rescan(system: System, machine: Machine, _found: re.Match[str]) -> Result:
    hotplug.rescan(system, machine)
    return 0, "Triggered rescan of CPUs\n"


def _chcpu(system: System, machine: Machine, found: re.Match[str]) -> Result:
    # chcpu takes decimal numbers; addresses with a leading zero (as management software sends them) mean the same.
    numbers = [int(word) for word in found["list"].split(",")]
    problem = hotplug.set_cpus(system, machine, numbers, online=found["flag"] == "e")
    if problem:
        return 1, problem
    verb = "enabled" if found["flag"] == "e" else "disabled"
    return 0, "".join(f"CPU {number} {verb}\n" for number in numbers)


def _lsmem(system: System, machine: Machine, _found: re.Match[str]) -> Result:
    row = hotplug.hardware(system, machine)
    return 0, (
        f"Memory block size:           {hotplug.BLOCK_KIB * 1024}\nTotal online memory:  {row.online_kib * 1024:>18}\n"
        f"Total offline memory: {row.standby_kib * 1024:>18}\n"
    )


def _chmem(system: System, machine: Machine, found: re.Match[str]) -> Result:
    kib = int(found["number"]) * _SIZES[(found["unit"] or "").upper()]
    problem = hotplug.set_storage(system, machine, kib, online=found["flag"] == "e")
    return (1, problem) if problem else (0, "")


def _stress(system: System, machine: Machine, found: re.Match[str]) -> Result:
    """stress-ng --cpu N --timeout S[s|m|h]: the numbers of the guest move while it runs."""
    seconds = float(int(found["number"] or 0) * _UNITS[found["unit"] or ""])
    online = len(hotplug.hardware(system, machine).online)
    workers = int(found["workers"]) or online
    traffic.set_load(system, machine, cpu=100 * min(workers, online), io_rate=10, seconds=seconds)
    return 0, ""


def _iperf(system: System, machine: Machine, found: re.Match[str]) -> Result:
    """iperf3 -c address -t S: frames over the first adapter."""
    if not any(nic.lan_name for nic in machine.nics):
        return 1, "iperf3: error - unable to connect to server: Network is unreachable\n"
    seconds = float(found["seconds"] or 10)
    traffic.set_load(system, machine, cpu=20, frame_rate=80_000, seconds=seconds)
    return 0, ""


def _dd(system: System, machine: Machine, found: re.Match[str]) -> Result:
    """dd if=... of=... bs=... count=...: disk operations, one for each block."""
    count = int(found["count"])
    traffic.set_load(system, machine, cpu=30, io_rate=1000, seconds=max(count / 1000, 0.001))
    return 0, f"{count}+0 records in\n{count}+0 records out\n"


def _vmcp(system: System, machine: Machine, found: re.Match[str]) -> Result:
    from zvmcloud.simulator.cp import execute  # noqa: PLC0415 (CP knows guests, guests know CP)

    command = found["command"].strip().strip("'\"")
    result = execute(system, machine.userid, command)
    text = "".join(f"{line}\n" for line in result.lines)
    if result.rc:
        return 1, f"{text}Error: non-zero CP response for command '{command.upper()}': #{result.rc}\n"
    return 0, text


Handler = Callable[[System, Machine, "re.Match[str]"], Result]
COMMANDS: tuple[tuple[re.Pattern[str], Handler], ...] = tuple(
    (re.compile(pattern), handler)
    for pattern, handler in (
        (r"lscpu\s+--parse=ADDRESS(?P<offline>\s+--offline)?", _lscpu),
        (r"chcpu\s+-r", _rescan),
        (r"chcpu\s+-(?P<flag>[ed])\s+(?P<list>\d+(?:,\d+)*)", _chcpu),
        (r"lsmem\s+-b", _lsmem),
        (r"chmem\s+-(?P<flag>[ed])\s+(?P<number>\d+)(?P<unit>[KMGkmg]?)", _chmem),
        (
            (
                r"(?:nohup\s+)?stress(?:-ng)?\s+(?:--cpu|-c)\s+(?P<workers>\d+)"
                r"(?:\s+(?:--timeout|-t)\s+(?P<number>\d+)(?P<unit>[smh]?))?(?:\s+&)?"
            ),
            _stress,
        ),
        (r"iperf3?\s+-c\s+\S+(?:\s+-t\s+(?P<seconds>\d+))?(?:\s+&)?", _iperf),
        (r"dd\s+if=\S+\s+of=\S+(?:\s+bs=\S+)?\s+count=(?P<count>\d+)(?:\s+oflag=direct)?", _dd),
        (r"(?:sudo\s+)?(?:/usr/sbin/|/sbin/)?vmcp\s+(?P<command>.+)", _vmcp),
    )
)
