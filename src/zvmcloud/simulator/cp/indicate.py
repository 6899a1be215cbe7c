"""INDICATE: load of the system, what one machine has consumed, who is in the queues.

LOAD and USER as a z/VM 6.3 prints them; the numbers are those of `traffic` and `space`, so they move with the guests.
"""

from __future__ import annotations

from collections.abc import Sequence

from zvmcloud.cp import messages
from zvmcloud.simulator import space, storage, traffic
from zvmcloud.simulator.cp.language import (
    EVERY_CLASS,
    Command,
    Issuer,
    abbreviates,
    columns,
    logged_on,
    no_more,
    number,
    size,
)
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import Machine
from zvmcloud.simulator.system import System

#: A machine that uses more than this share of a processor is in queue 3, an idle one is dormant.
_BUSY_PERCENT = 5.0


def indicate(issuer: Issuer, words: Sequence[str], text: str) -> list[str]:
    """INDICATE [LOAD | USER [userid] [EXP] | ACTIVE | QUEUES [EXP] | PAGING | I/O | SPACES [USER userid] | NSS]"""
    what = words[0] if words else "LOAD"
    for name, shortest, classes, handler in _OPERANDS:
        if abbreviates(what, name, shortest) and issuer.has(classes):
            return handler(issuer, words[1:], text)
    raise CpRefused(messages.INVALID_OPTION, module="IND", option=what)


def average(system: System) -> int:
    """Percent of the processors that the machines use."""
    count = max(len(_processors(system)), 1)
    return min(100, int(sum(traffic.cpu_percent(system, machine) for machine in system.machines.values()) / count))


def _processors(system: System) -> list[tuple[str, str]]:
    return [(item.address, item.kind) for item in system.facts.processors if item.status != "STANDBY"]


def _busy(system: System) -> list[Machine]:
    machines = [item for item in system.machines.values() if traffic.cpu_percent(system, item) > _BUSY_PERCENT]
    return sorted(machines, key=lambda item: item.userid)


def _load(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    no_more(words, 0)
    system = issuer.system
    processors = _processors(system)
    busy, percent = len(_busy(system)), average(system)
    cells = [f"PROC {address}-{percent:03d}% {kind:<4} HZ" for address, kind in processors]
    return [
        f"AVGPROC-{percent:03d}% {len(processors):02d}",
        "MDC READS-000000/SEC WRITES-000000/SEC HIT RATIO-000%",
        "PAGING-0/SEC",
        f"Q0-00000(00000)                           DORMANT-{len(system.machines) - busy:05d}",
        "Q1-00000(00000)           E1-00000(00000)",
        "Q2-00000(00000) EXPAN-001 E2-00000(00000)",
        f"Q3-{busy:05d}(00000) EXPAN-001 E3-00000(00000)",
        "",
        *("     ".join(cells[at : at + 2]) for at in range(0, len(cells), 2)),
        "",
        "LIMITED-00000",
    ]


def _user(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    if words and words[0] not in ("*", "EXP", issuer.userid) and not issuer.has("ABCE"):
        raise CpRefused(messages.INVALID_OPTION, module="IND", option=words[0])
    expanded = "EXP" in words[-1:]
    words = [word for word in words if word != "EXP"]
    no_more(words, 1)
    machine = logged_on(issuer, words or ["*"], 0)
    system = issuer.system
    pages = traffic.storage_kib(system, machine) // space.PAGE_KIB
    running = machine.system
    if running is None:
        loaded = "IPLSYS="
    elif machine.device(running.ipl) is not None:
        loaded = f"IPLSYS=DEV {running.ipl}"
    else:
        loaded = f"IPLSYS={running.ipl}"
    seconds = traffic.processor_microseconds(system, machine) // 1_000_000 // len(machine.cpus)
    minutes = int(system.now() - machine.logon_at) // 60
    lines = [
        f"USERID={machine.userid:<8} MACH=ESA STOR={size(machine.storage_kib)} VIRT=V XSTORE=NONE",
        f"{loaded} DEVNUM={len(machine.devices):05d}",
        f"PAGES: RES={pages}  WS={pages}  LOCKEDREAL=0  RESVD=0",
        f"       INSTAN={pages}",
        "NPREF=0  PREF=0  READS=0  WRITES=0",
    ]
    if expanded:
        lines += [
            f"SPACES: OWNED=1  SHARED=0  PRIVATE=1  PAGES={pages}",
            f"REALSTORE: <2G=0  >2G={pages}  VDISK={_vdisk_pages(machine, system)}  PGDSK=0",
        ]
    for position, address in enumerate(machine.cpus):
        operations = 0 if position else traffic.disk_operations(system, machine)
        lines += [
            (
                f"CPU {address}: CTIME={minutes // 60:02}:{minutes % 60:02} VTIME={seconds // 60:03}:{seconds % 60:02} "
                f"TTIME={seconds // 60:03}:{seconds % 60:02} IO={operations:06d}"
            ),
            "        RDR=000000 PRT=000000 PCH=000000 TYPE=CP   CPUAFFIN=ON",
        ]
    return lines


def _vdisk_pages(machine: Machine, system: System) -> int:
    """Pages of a machine's virtual disks in storage."""
    disks = [system.disks.get(storage.key(item.owner, item.owner_vdev)) for item in machine.disks]
    blocks = sum(disk.size for disk in disks if disk is not None and disk.temporary == "VDSK")
    return blocks * storage.BLOCK // 4096


def _active(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """INDICATE ACTIVE [n SEC | MIN | HRS]: who ran in that time; machines here run all the time or not at all"""
    if words:
        number(words, 0, 1, 9999, "IND")
        if len(words) > 1 and words[1] not in ("SEC", "MIN", "HRS"):
            raise CpRefused(messages.INVALID_OPTION, module="IND", option=words[1])
        no_more(words, 2)
    loaded = [item for item in issuer.system.machines.values() if item.system is not None]
    busy = len(_busy(issuer.system))
    return [f"{len(loaded):05d} USERS {busy:05d} DISP {0:05d} ELIG {len(loaded) - busy:05d} DORM"]


def _spaces(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """INDICATE SPACES [USER userid]: the base address space, which is all that a machine has"""
    rest = [word for word in words if not abbreviates(word, "USER", 4)]
    if rest and rest[0] not in ("*", issuer.userid) and not issuer.has("E"):
        raise CpRefused(messages.INVALID_OPTION, module="IND", option=rest[0])
    no_more(rest, 1)
    machine = logged_on(issuer, rest or ["*"], 0)
    pages = traffic.storage_kib(issuer.system, machine) // space.PAGE_KIB
    return [
        f"SPACEID={machine.userid}:BASE",
        f"  OWNERID={machine.userid} PRIVATE  PAGES: MAIN={pages} XSTORE=NONE DASD=0 LOCKED=0",
    ]


def _nss(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """INDICATE NSS [ALL | name]: saved segments with their pages"""
    rows = sorted(issuer.system.segments.values(), key=lambda item: item.name)
    if words and words[0] != "ALL":
        rows = [item for item in rows if item.name == words[0]]
        if not rows:
            raise CpRefused(messages.SEGMENT_MISSING, name=words[0])
    no_more(words, 1)
    lines: list[str] = []
    for item in rows:
        pages = sum(part.last - part.first + 1 for part in item.ranges)
        lines += [f"NSS={item.name:<8} TYPE={item.kind}", f"  PAGES: MAIN={pages} XSTORE=NONE DASD=0 LOCKED=0"]
    return lines or ["No saved systems or segments are in use"]


def _queues(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    if list(words) not in ([], ["EXP"]):
        raise CpRefused(messages.INVALID_OPTION, module="IND", option=words[0])
    system = issuer.system
    lines = []
    for machine in _busy(system):
        pages = traffic.storage_kib(system, machine) // space.PAGE_KIB
        lines.append(f"{machine.userid:<12} Q3 R00 {pages:08d}/{pages:08d} .....  +.000 A00")
    return lines or ["No users in the queues"]


def _paging(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """INDICATE PAGING [WAIT | ALL]: with ALL every machine and its pages in storage and on paging space"""
    if words and words[0] not in ("WAIT", "ALL"):
        raise CpRefused(messages.INVALID_OPTION, module="IND", option=words[0])
    no_more(words, 1)
    if "ALL" in words:
        system = issuer.system
        pages = {name: traffic.storage_kib(system, item) // space.PAGE_KIB for name, item in system.machines.items()}
        return columns([f"{name:<8} {count:06d}:000000" for name, count in sorted(pages.items())], 3)
    return ["No users in page wait"]


def _io(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    no_more(words, 0)
    system = issuer.system
    waiting = sorted(item.userid for item in system.machines.values() if traffic.io_rate(system, item) > 100)
    return [
        f"{name:<8} {system.machines[name].disks[0].vdev if system.machines[name].disks else '----'}"
        for name in waiting
    ] or ["No users in I/O wait"]


_OPERANDS = (
    ("LOAD", 4, EVERY_CLASS, _load),
    ("USER", 4, "ABCEG", _user),
    ("ACTIVE", 3, "E", _active),
    ("QUEUES", 1, "E", _queues),
    ("PAGING", 3, "E", _paging),
    ("I/O", 1, "E", _io),
    ("SPACES", 2, "EG", _spaces),
    ("NSS", 3, "E", _nss),
)
COMMANDS = (Command("INDICATE", 3, "ABCEG", indicate),)
