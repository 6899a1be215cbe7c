"""QUERY of the system: TIME, CPLEVEL, CPUID, PROCESSORS, FRAMES, ALLOC, MONITOR, NSS, COMMANDS, SHUTDOWN.

ALLOC as z/VM 6.3 printed it; FRAMES and MONITOR in the form that the cloud connector's newest parser reads (its words
are known, the layout around them is judgement); CPLEVEL likewise.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from zvmcloud.cp import messages
from zvmcloud.simulator import dasd, releases, space
from zvmcloud.simulator.cp.language import EVERY_CLASS, Command, Issuer, abbreviates, connect_line, no_more, vdev
from zvmcloud.simulator.cp.vary import PROCESSOR_MISSING
from zvmcloud.simulator.dasd import PAGES_PER_CYLINDER
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model_devices import Monitor
from zvmcloud.simulator.system import System

#: Frames of 4 KiB below 2 GiB.
_BELOW_2G = (2 << 30) // 4096
_DOMAINS = (
    "MONITOR", "PROCESSOR", "STORAGE", "SCHEDULER", "SEEKS", "USER", "I/O", "NETWORK", "ISFC", "APPLDATA", "SSI",
    "COMMAND",
)  # fmt: skip
#: Domains that are sampled; I/O when the monitor says so.
_SAMPLED = ("MONITOR", "PROCESSOR", "STORAGE", "USER")


def _time(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    now = time.gmtime(issuer.system.now())
    stamp = time.strftime("%H:%M:%S UTC %A %m/%d/%y", now).upper()
    return [f"TIME IS {stamp}", connect_line(issuer.system, issuer.machine)]


def _timezones(_issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    return [
        "Zone  Direction   Offset     Status",
        "UTC   ----        00.00.00   ACTIVE",
        "GMT   ----        00.00.00   INACTIVE",
    ]


def _cplevel(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    ipl_at = time.strftime("%m/%d/%y %H:%M:%S UTC", time.gmtime(issuer.system.facts.ipl_at))
    built = time.strptime(releases.of_level(issuer.system.facts.level).generated, "%Y-%m-%d %H:%M:%S")
    generated = time.strftime("%m/%d/%y %H:%M:%S UTC", built)
    return [issuer.system.facts.version, f"Generated at {generated}", f"IPL at {ipl_at}"]


def _cpuid(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    return [f"CPUID = FF{issuer.system.facts.cpu_id}8000"]


def _processors(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY PROCESSORS [ALL | nn]: the connector counts lines that begin with PROCESSOR; ALL adds those in standby"""
    processors = issuer.system.facts.processors
    what = words[0] if words else ""
    if not what:
        chosen = [item for item in processors if item.status != "STANDBY"]
    elif what == "ALL":
        chosen = list(processors)
    else:
        address = vdev(words, 0)
        chosen = [item for item in processors if item.address == address]
        if not chosen:
            raise CpRefused(PROCESSOR_MISSING, module="CPQ", address=address)
    no_more(words, 1)
    shown = {"MASTER-PROCESSOR": "MASTER"}
    return [f"PROCESSOR {item.address[-2:]} {shown.get(item.status, item.status)} {item.kind}" for item in chosen]


def _frames(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    used, total = space.real_pages(issuer.system)
    free = total - used
    # The connector adds the first of each kind and every GlobalUnclearedAvail: together they are what is free.
    low = min(free // 4, _BELOW_2G)
    cleared = min(free - low, 256)
    high = free - low - cleared
    pageable = total - space.CP_KIB // space.PAGE_KIB
    return [
        "All Frames:",
        f"  Configured={total}  Real={total}  Usable={total}  Offline=0",
        f"  Pageable={max(pageable, 0)}  NotInit=0  GlobalClearedAvail={cleared}",
        "  LocalClearedAvail=0  LocalUnclearedAvail=0",
        "Frames < 2G:",
        f"  GlobalClearedAvail=0  GlobalUnclearedAvail={low}",
        "  LocalClearedAvail=0  LocalUnclearedAvail=0",
        "Frames > 2G:",
        f"  GlobalClearedAvail={cleared}  GlobalUnclearedAvail={high}",
        "  LocalClearedAvail=0  LocalUnclearedAvail=0",
    ]


def _alloc(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY ALLOC [PAGE | SPOOL | MAP | TDISK | DRCT]"""
    system = issuer.system
    if not words or words[0] == "ALL":
        return _alloc_all(system)
    what = words[0]
    if abbreviates(what, "MAP", 3):
        return [
            *_TABLE_HEAD,
            *(line for use in ("PAGE", "SPOOL") for line in _table(system, use, label=True)),
        ]
    if what in ("PAGE", "SPOOL"):
        lines = [*_TABLE_HEAD, *_table(system, what, label=False)]
        usages = space.usage(system, what)
        total, used = sum(item.total for item in usages), sum(item.used for item in usages)
        percent = f"{space.percent(used, total):>3}%"
        return [
            *lines,
            "                                  ------ ------        ----",
            f"SUMMARY                           {space.shown(total):>6} {space.shown(used):>6}        {percent}",
            f"USABLE                            {space.shown(total):>6} {space.shown(used):>6}        {percent}",
        ]
    if what in ("TDISK", "DRCT"):
        return [line for line in _alloc_all(system) if line.startswith("DASD") or what in line]
    raise CpRefused(messages.INVALID_OPTION, module="QAL", option=what)


_TABLE_HEAD = (
    "                EXTENT     EXTENT  TOTAL  PAGES   HIGH    %",
    "VOLID  RDEV      START        END  PAGES IN USE   PAGE USED",
    "------ ---- ---------- ---------- ------ ------ ------ ----",
)


def _table(system: System, use: str, *, label: bool) -> list[str]:
    return [
        f"{item.volume.volser:<6} {item.volume.rdev} {1:>10} {item.total // PAGES_PER_CYLINDER:>10} "
        f"{space.shown(item.total):>6} {space.shown(item.used):>6} {space.shown(item.used):>6} "
        f"{space.percent(item.used, item.total):>3}%" + (f"  {use}" if label else "")
        for item in space.usage(system, use)
    ]


def _alloc_all(system: System) -> list[str]:
    """Every CP-owned volume with its cylinders by use."""
    lines: list[str] = []
    usages = {item.volume.volser: item for use in ("PAGE", "SPOOL") for item in space.usage(system, use)}
    residence = dasd.system_residence(system)
    owned = [disk for disk in dasd.every(system) if disk.status == "OWNED" or disk.volser in usages]
    for disk in owned:
        lines.append(f"DASD {disk.rdev} {disk.volser} {disk.device_type} CKD-ECKD (UNITS IN CYLINDERS)")
        for use in ("TDISK", "PAGE", "SPOOL", "DRCT"):
            total = used = 0
            item = usages.get(disk.volser)
            if item is not None and item.volume.use == use:
                total, used = item.total // PAGES_PER_CYLINDER, -(-item.used // PAGES_PER_CYLINDER)
            elif use == "DRCT" and disk.volser == residence:
                total, used = 20, 1
            active = ", ACTIVE" if use == "DRCT" and used else ""
            lines.append(f"     {use:<5} TOTAL={total:011d} INUSE={used:011d} AVAIL={total - used:011d}{active}")
    return [*lines, f"IPL NUCLEUS ACTIVE ON VOLUME {residence}"] if residence else lines


def _monitor(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    row = issuer.system.monitors.get("monitor") or Monitor()
    off = [f"{name:<9} DOMAIN {'ENABLED' if name == 'MONITOR' else 'DISABLED'}" for name in _DOMAINS]
    return [
        "MONITOR EVENT ACTIVE    BLOCK    4        PARTITION    16384",
        "MONITOR DCSS NAME - MONDCSS",
        "CONFIGURATION SIZE       68  LIMIT         1 MINUTES",
        "CONFIGURATION AREA IS FREE",
        "USERS CONNECTED TO *MONITOR - NO USERS CONNECTED",
        *off,
        "MONITOR SAMPLE ACTIVE",
        f"         INTERVAL    {row.interval} MINUTES",
        f"         RATE      {row.rate:.2f} SECONDS",
        "MONITOR DCSS NAME - MONDCSS",
        "CONFIGURATION SIZE     4096  LIMIT         1 MINUTES",
        "CONFIGURATION AREA IS FREE",
        "USERS CONNECTED TO *MONITOR - NO USERS CONNECTED",
        *(
            f"{name:<9} DOMAIN {'ENABLED' if name in _SAMPLED or (name == 'I/O' and row.io) else 'DISABLED'}"
            for name in _DOMAINS
        ),
    ]


def _saved(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY NSS [ALL | NAME name | name] [MAP]: saved systems and segments"""
    rest = [word for word in words if word not in ("MAP", "NAME", "ALL", "USERS")]
    no_more(rest, 1)
    rows = sorted(issuer.system.segments.values(), key=lambda item: item.name)
    if rest:
        rows = [item for item in rows if item.name == rest[0]]
        if not rows:
            raise CpRefused(messages.SEGMENT_MISSING, name=rest[0])
    states = {1: "S", 2: "A", 3: "R", 4: "P"}
    modes = {1: "SW", 2: "EW", 3: "SR", 4: "ER", 5: "SN", 6: "EN", 7: "SC"}
    if not rows:
        return ["NO NSS FILES"]
    return [
        "FILE FILENAME FILETYPE MINSIZE  BEGPAG ENDPAG TYPE CL #USERS PARMREGS VMGROUP",
        *(
            f"{number:04d} {item.name:<8} {item.kind:<8} {'N/A':<8} {part.first:05X}  {part.last:05X}   "
            f"{modes.get(part.access, 'SR')}  {states.get(item.status, 'A')}  {0:05d}  N/A      N/A"
            for number, item in enumerate(rows, 1)
            for part in item.ranges
        ),
    ]


def _commands(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    """QUERY COMMANDS: the commands that the issuer's classes allow"""
    from zvmcloud.simulator.cp.interpreter import COMMANDS  # noqa: PLC0415 (which has this among its operands)

    names = sorted({item.name for item in COMMANDS if issuer.has(item.classes)})
    return [f"{''.join(f'{name:<12} ' for name in names[at : at + 5])}".rstrip() for at in range(0, len(names), 5)]


def _shutdown(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    pending = [item for item in issuer.system.shutdowns.values() if not item.down]
    if not pending:
        return ["No system shutdown is pending"]
    seconds = max(int(pending[0].at - issuer.system.now()), 0)
    return [f"System shutdown {'with re-IPL ' if pending[0].reipl else ''}is due in {seconds} seconds"]


OPERANDS: tuple[Command, ...] = (
    Command("TIMEZONES", 5, EVERY_CLASS, _timezones),
    Command("TIME", 1, EVERY_CLASS, _time),
    Command("CPLEVEL", 3, EVERY_CLASS, _cplevel),
    Command("CPUID", 5, "G", _cpuid),
    Command("PROCESSORS", 4, "ABCE", _processors),
    Command("FRAMES", 2, "ABE", _frames),
    Command("ALLOC", 3, "BD", _alloc),
    Command("MONITOR", 3, "AE", _monitor),
    Command("NSS", 3, "E", _saved),
    Command("COMMANDS", 4, EVERY_CLASS, _commands),
    Command("SHUTDOWN", 8, "ABC", _shutdown),
)
