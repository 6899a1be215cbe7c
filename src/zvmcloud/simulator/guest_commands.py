"""Commands inside a guest about its CPUs, its storage, its network and its load, and vmcp.

Each handler gets the system, the machine and the match, and gives exit status and output.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from zvmcloud.simulator import guest_network, guest_programs, hotplug, traffic
from zvmcloud.simulator.guest_addresses import interface
from zvmcloud.simulator.guest_shell import Program, Shell
from zvmcloud.simulator.guest_shell import Result as Answer
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
    """iperf3 -c address -t S: frames between the first adapters of both guests."""
    other = guest_network.reach(system, machine, found["target"])
    if other is False:
        return 1, "iperf3: error - unable to connect to server: No route to host\n"
    seconds = float(found["seconds"] or 10)
    inside = 80_000 if guest_network.stays_inside(system, machine, other) else 0
    traffic.set_load(system, machine, cpu=20, frame_rate=80_000, inside_rate=inside, seconds=seconds)
    if isinstance(other, guest_network.End) and other.machine.userid != machine.userid:
        traffic.set_load(other.system, other.machine, cpu=20, frame_rate=80_000, inside_rate=inside, seconds=seconds)
    return 0, ""


def _ping(system: System, machine: Machine, found: re.Match[str]) -> Result:
    """ping [-c n] address: answered by a guest in the same VLAN, or by a router behind the uplink."""
    target = found["target"]
    count = min(int(found["count"] or 1), 1000)
    other = guest_network.reach(system, machine, target)
    head = f"PING {target} ({target}) 56(84) bytes of data.\n"
    if other is False:
        if guest_network.dropped(system, machine, target):
            traffic.add_dropped(system, machine, count)
        text = f"{count} packets transmitted, 0 received, 100% packet loss"
        return 1, f"{head}\n--- {target} ping statistics ---\n{text}\n"
    inside = guest_network.stays_inside(system, machine, other)
    traffic.add_frames(system, machine, count, inside=inside)
    if isinstance(other, guest_network.End):
        traffic.add_frames(other.system, other.machine, count, inside=inside)
    replies = "".join(
        f"64 bytes from {target}: icmp_seq={number} ttl=64 time=0.3 ms\n" for number in range(1, count + 1)
    )
    text = f"{count} packets transmitted, {count} received, 0% packet loss"
    return 0, f"{head}{replies}\n--- {target} ping statistics ---\n{text}\n"


def _addresses(_system: System, machine: Machine, _found: re.Match[str]) -> Result:
    lines = ["1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever"]
    addresses = machine.system.addresses if machine.system else ()
    lines += [
        f"{number}: {interface(address)}    {'inet6' if ':' in address.ip else 'inet'} "
        f"{address.ip}/{address.prefix} scope global {interface(address)}\\       "
        "valid_lft forever preferred_lft forever"
        for number, address in enumerate(addresses, 2)
    ]
    return 0, "\n".join(lines) + "\n"


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
        (r"ip\s+-o\s+(?:addr|address|a)(?:\s+show)?", _addresses),
        (r"ping6?(?:\s+-c\s*(?P<count>\d{1,4}))?(?:\s+-[WiI]\s*\S+)*\s+(?P<target>[0-9a-fA-F.:]+)", _ping),
        (r"lscpu\s+--parse=ADDRESS(?P<offline>\s+--offline)?", _lscpu),
        (r"chcpu\s+-r", _rescan),
        (r"chcpu\s+-(?P<flag>[ed])\s+(?P<list>\d+(?:,\d+)*)", _chcpu),
        (r"lsmem\s+-b", _lsmem),
        (r"chmem\s+-(?P<flag>[ed])\s+(?P<number>\d+)(?P<unit>[KMGkmg]?)", _chmem),
        (
            (
                r"stress(?:-ng)?\s+(?:--cpu|-c)\s+(?P<workers>\d+)"
                r"(?:\s+(?:--timeout|-t)\s+(?P<number>\d+)(?P<unit>[smh]?))?"
            ),
            _stress,
        ),
        (r"iperf3?\s+-c\s+(?P<target>\S+)(?:\s+-t\s+(?P<seconds>\d+))?", _iperf),
        (r"dd\s+if=\S+\s+of=\S+(?:\s+bs=\S+)?\s+count=(?P<count>\d+)(?:\s+oflag=direct)?", _dd),
        (r"vmcp\s+(?P<command>.+)", _vmcp),
    )
)


def find(arguments: Sequence[str], more: Sequence[tuple[re.Pattern[str], Handler]] = ()) -> Program | None:
    """The program that a command line in a guest runs: of `more`, of this module, of `guest_programs`."""
    name = arguments[0].rpartition("/")[2]
    if name in ("sudo", "nohup") and len(arguments) > 1:
        inner = find(arguments[1:], more)
        return None if inner is None else lambda shell, words, stdin: inner(shell, words[1:], stdin)
    text = " ".join([name, *arguments[1:]])
    for pattern, handler in (*more, *COMMANDS):
        found = pattern.fullmatch(text)
        if found:
            return _answering(handler, found)
    return guest_programs.PROGRAMS.get(name)


def _answering(handler: Handler, found: re.Match[str]) -> Program:
    def answer(shell: Shell, _arguments: Sequence[str], _stdin: str) -> Answer:
        rc, text = handler(shell.files.system, shell.files.machine, found)
        return Answer(rc, text) if not rc else Answer(rc, "", text)

    return answer
