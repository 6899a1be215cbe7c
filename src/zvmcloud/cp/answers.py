"""Parsers of CP's answers: lines of text in, frozen dataclasses out.

The forms are those of reference/connector/cp_corpus.md. Runs of blanks separate words, letters may be in either case,
and lines that are not understood raise `AnswerError` with the line: an answer is never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from zvmcloud.cp import messages


class AnswerError(ValueError):
    """CP answered in a form this room does not know."""

    def __init__(self, command: str, lines: Sequence[str]) -> None:
        self.command = command
        self.lines = tuple(lines)
        shown = " / ".join(line[:80] for line in self.lines[:3]) or "(nothing)"
        super().__init__(f"answer to {command} not understood: {shown}")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the caller is: `ZHCP AT ZVM1`."""

    userid: str
    system: str


def query_userid(lines: Sequence[str]) -> Identity:
    """Read `ZHCP AT ZVM1`."""
    words = lines[0].split() if lines else []
    if len(words) < 3 or words[1].upper() != "AT":
        raise AnswerError("QUERY USERID", lines)
    return Identity(words[0].upper(), words[2].upper())


class PowerState(StrEnum):
    """What CP knows of a virtual machine."""

    ON = "on"
    OFF = "off"
    GOING_OFF = "going off"
    ELSEWHERE = "on another SSI member"
    UNKNOWN_USER = "not in the directory"


_USER = re.compile(r"^(\S+)\s+-\s*(\w+)")


def query_user(userid: str, rc: int, lines: Sequence[str]) -> PowerState:
    """State of `userid` from the answer to QUERY USER. AnswerError for a refusal that says nothing about it."""
    if rc == 0:
        for line in lines:
            found = _USER.match(line.strip())
            if found and found[1].upper() == userid.upper():
                return PowerState.ELSEWHERE if found[2].upper() == "SSI" else PowerState.ON
        raise AnswerError("QUERY USER", lines)
    error = messages.first_error(list(lines))
    number = error.number if error else rc
    states = {45: PowerState.OFF, 361: PowerState.GOING_OFF, 3: PowerState.UNKNOWN_USER, 53: PowerState.UNKNOWN_USER}
    if number not in states:
        raise AnswerError("QUERY USER", lines)
    return states[number]


@dataclass(frozen=True, slots=True)
class Dasd:
    """A disk as QUERY VIRTUAL shows it. `units` is CYL or BLK."""

    vdev: str
    device_type: str
    volser: str
    read_write: bool
    size: int
    units: str
    on: str


_DASD = re.compile(
    r"^DASD\s+(?P<vdev>[0-9A-F]{4})\s+(?P<type>\S+)\s+(?P<volser>\S+)\s+(?P<mode>R/[OW])\s+(?P<size>\d+)\s+"
    r"(?P<units>CYL|BLK)(?:\s+ON\s+DASD\s+(?P<on>\S+))?",
    re.IGNORECASE,
)


def query_virtual_dasd(lines: Sequence[str]) -> tuple[Dasd, ...]:
    """All DASD lines of QUERY VIRTUAL or QUERY VIRTUAL DASD; other device lines are skipped."""
    found = (_DASD.match(line.strip()) for line in lines)
    return tuple(
        Dasd(
            hit["vdev"].upper(),
            hit["type"].upper(),
            hit["volser"].upper(),
            hit["mode"].upper() == "R/W",
            int(hit["size"]),
            hit["units"].upper(),
            (hit["on"] or "").upper(),
        )
        for hit in found
        if hit
    )


def query_virtual(lines: Sequence[str]) -> Dasd | None:
    """The disk QUERY VIRTUAL vdev shows, or None when the device is no disk."""
    disks = query_virtual_dasd(lines)
    return disks[0] if disks else None


@dataclass(frozen=True, slots=True)
class HeldFcp:
    """An FCP device that a virtual machine has, and the number at which it has it."""

    rdev: str
    userid: str
    vdev: str


_FCP = re.compile(
    r"^FCP\s+(?P<rdev>[0-9A-F]{4})\s+ATTACHED\s+TO\s+(?P<userid>\S+)\s+(?P<vdev>[0-9A-F]{4})\b", re.IGNORECASE
)


def query_fcp(lines: Sequence[str]) -> tuple[HeldFcp, ...]:
    """The devices of QUERY FCP that virtual machines have; free and offline ones, and WWPNs, are skipped (judgement:
    the lines are as those of QUERY OSA)."""
    found = (_FCP.match(line.strip()) for line in lines)
    return tuple(HeldFcp(hit["rdev"].upper(), hit["userid"].upper(), hit["vdev"].upper()) for hit in found if hit)


_LINKED = re.compile(r"^DASD\s+(?P<vdev>[0-9A-F]{4})\s+LINKED\s+(?P<mode>R/[OW])", re.IGNORECASE)


def link(as_vdev: str, lines: Sequence[str]) -> bool:
    """Whether a LINK that CP accepted is read-write. A quiet answer is: CP says nothing when all is as asked."""
    for line in lines:
        found = _LINKED.match(line.strip())
        if found and found["vdev"].upper() == as_vdev.upper():
            return found["mode"].upper() == "R/W"
    return True


_SPOOLID = re.compile(r"\b(\d{4})\b")


def punched_spoolid(lines: Sequence[str]) -> str:
    """The spool number in `Reader file with spoolid 0101 created.` or `RDR FILE 0101 SENT FROM ...`."""
    for line in lines:
        found = _SPOOLID.search(line)
        if found:
            return found[1]
    raise AnswerError("PUNCH", lines)


_NIC = re.compile(
    r"^(?P<kind>\S+)\s+(?P<vdev>[0-9A-F]{4})\s+ON\s+(?P<on>NIC|OSA)\s+(?P<base>[0-9A-F]{4})", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class NicDevice:
    """A device of a virtual or real network adapter: `OSA 1000 ON NIC 1000 UNIT 000 SUBCHANNEL = 0002`."""

    vdev: str
    on: str
    base: str


def query_virtual_nic(lines: Sequence[str]) -> NicDevice | None:
    """The adapter device QUERY VIRTUAL vdev shows, or None when it is another kind of device."""
    for line in lines:
        found = _NIC.match(line.strip())
        if found:
            return NicDevice(found["vdev"].upper(), found["on"].upper(), found["base"].upper())
    return None


def query_vswitch_names(lines: Sequence[str]) -> tuple[str, ...]:
    """The names in `VSWITCH SYSTEM VSW1     Type: QDIO ...`, the first line of each switch (xCAT reads its three first
    words); empty when CP names none."""
    words = (line.upper().split()[:3] for line in lines)
    return tuple(found[2] for found in words if len(found) == 3 and found[:2] == ["VSWITCH", "SYSTEM"])


def query_lan_transport(lines: Sequence[str]) -> str:
    """IP or ETHERNET, of one guest LAN: a word of the line behind `LAN SYSTEM LAN1 Type: QDIO ...`, as in `PERSISTENT
    UNRESTRICTED  IP   Accounting: OFF` (CP Commands and Utilities Reference, QUERY LAN; the columns are judgement)."""
    return "ETHERNET" if any("ETHERNET" in line.upper().split() for line in lines) else "IP"


_CPLEVEL = re.compile(r"z/VM\s+Version\s+(\d+)\s+Release\s+(\d+)(?:\.(\d+))?", re.IGNORECASE)
_IPL_AT = re.compile(r"IPL at (.+)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CpLevel:
    """Version of z/VM (`7.3.0`) and the text of its IPL time."""

    version: str
    ipl_time: str


def query_cplevel(lines: Sequence[str]) -> CpLevel:
    """Read QUERY CPLEVEL: `z/VM Version 7 Release 3.0, ...` and `IPL at 07/12/17 22:37:47 EDT`."""
    version, ipl_time = "", ""
    for line in lines:
        found = _CPLEVEL.search(line)
        if found:
            version = f"{found[1]}.{found[2]}.{found[3] or '0'}"
        when = _IPL_AT.search(line.strip())
        if when:
            ipl_time = when[1].strip()
    if not version:
        raise AnswerError("QUERY CPLEVEL", lines)
    return CpLevel(version, ipl_time)
