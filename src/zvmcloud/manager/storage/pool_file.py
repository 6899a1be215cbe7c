"""The pool file of zHCP: the LUNs of a pool, one on a line.

    #status,wwpn,lun,size,range,owner,channel,tag
    free,5005076306138411;5005076306138412,4010400400000000,10G,1f00-1f0f,,,
    used,5005076306138411,4010400500000000,10G,1f00-1f0f,lnx1,1f01,replace_root

Several target ports, devices and ranges are divided by ";". A size ends in G or M, may have a fraction, and may be
empty. A `used` LUN has an owner, a `free` one has neither owner nor channel, a `reserved` one belongs to somebody and
is not attached. Source: reference/xcat/tables.md section 3. What is read is written back the same, but for the spelling
of sizes (1.5G is 1536M) and of hexadecimal digits (lower case).

A table is taken as well: its first line names the columns that it has, in any order, wwpn and lun among them. A LUN of
a table without status is free.

    lun,wwpn,size
    4010400400000000,5005076306138411;5005076306138412,10G
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

NAMES = ("status", "wwpn", "lun", "size", "range", "owner", "channel", "tag")
HEADER = f"#{','.join(NAMES)}"
STATES = ("free", "reserved", "used")
_WWPN = re.compile(r"[0-9a-f]{16}")
_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)([GM])", re.IGNORECASE)
_RANGE = re.compile(r"([0-9a-f]{4})(?:-([0-9a-f]{4}))?")
_CHANNEL = re.compile(r"[0-9a-f]{4}")
_OWNER = re.compile(r"[A-Za-z0-9@#$_+:.-]{0,64}")
_TAG = re.compile(r"[!-+\--~]{0,64}")
_SHOWN = 20
"""Faults that an error's text names; there may be more."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A line that cannot be used."""

    line: int
    field: str
    value: str
    limit: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.field}: {self.value[:60]!r} given, {self.limit}"


class PoolFileError(ValueError):
    """The file cannot be used; `faults` are all that is wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        super().__init__("; ".join(map(str, faults[:_SHOWN])) + more)
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Lun:
    """A LUN: hexadecimal digits in lower case. ``size_mb`` 0 is unknown; ``devices`` are the FCP devices allowed, as in
    the file; ``channels`` those in use."""

    state: str
    wwpns: tuple[str, ...]
    lun: str
    size_mb: int = 0
    devices: str = ""
    owner: str = ""
    channels: tuple[str, ...] = ()
    tag: str = ""

    @property
    def name(self) -> str:
        """LUN and first target port: what no other LUN of a system has."""
        return f"{self.lun}-{self.wwpns[0]}"

    def same(self, other: Lun) -> bool:
        """Whether both are the same LUN: one number behind one port."""
        return self.lun == other.lun and bool(set(self.wwpns) & set(other.wwpns))

    def allows(self, fcp: str) -> bool:
        """Whether it may be reached through an FCP device."""
        return not self.devices or any(low <= fcp.lower() <= high for low, high in ranges(self.devices))


def ranges(text: str) -> tuple[tuple[str, str], ...]:
    """First and last device of each range. ValueError for what is none."""
    found = []
    for item in text.lower().split(";"):
        parts = _RANGE.fullmatch(item)
        if parts is None or (parts[2] or parts[1]) < parts[1]:
            raise ValueError(item)
        found.append((parts[1], parts[2] or parts[1]))
    return tuple(found)


def parse(text: str) -> tuple[Lun, ...]:
    """The LUNs of a file or a table. PoolFileError with every line that is wrong."""
    found: list[tuple[int, Lun]] = []
    faults: list[Fault] = []
    order: tuple[str, ...] = NAMES
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        columns = [item.strip() for item in line.split(",")]
        if order is NAMES and not found and not faults and {"wwpn", "lun"} <= {item.lower() for item in columns}:
            order = tuple(item.lower() for item in columns)
            unknown = [item for item in order if item not in NAMES]
            if unknown or len(set(order)) != len(order):
                limit = f"each of {', '.join(NAMES)} once at most"
                raise PoolFileError([Fault(number, "columns", ", ".join(unknown) or line, limit)])
            continue
        if len(columns) != len(order):
            faults.append(Fault(number, "columns", line, f"{len(order)} columns are needed, there are {len(columns)}"))
            continue
        given = {"status": "free", **dict(zip(order, columns, strict=True))}
        columns = [given.get(name, "") for name in NAMES]
        wrong = tuple(_faults(number, columns))
        faults += wrong
        if wrong:
            continue
        found_lun = _lun(columns)
        twin = next((line for line, other in found if found_lun.same(other)), None)
        if twin is not None:
            faults.append(Fault(number, "lun", found_lun.lun, f"line {twin} has this LUN behind the same port"))
        found.append((number, found_lun))
    if faults:
        raise PoolFileError(faults)
    return tuple(lun for _, lun in found)


def _faults(number: int, columns: Sequence[str]) -> Iterable[Fault]:
    state, wwpns, lun, size, devices, owner, channels, tag = columns
    if state not in STATES:
        yield Fault(number, "status", state, f"one of {', '.join(STATES)} is needed")
    ports = wwpns.lower().split(";")
    if not all(map(_WWPN.fullmatch, ports)) or len(set(ports)) != len(ports):
        yield Fault(number, "wwpn", wwpns, "different target ports of 16 hexadecimal digits, divided by ;, are needed")
    if not _WWPN.fullmatch(lun.lower()):
        yield Fault(number, "lun", lun, "16 hexadecimal digits are needed")
    if size and (not _SIZE.fullmatch(size) or not _megabytes(size)):
        yield Fault(number, "size", size, "such as 10G, 512M or 1.5G, of at least a megabyte, or nothing")
    try:
        ranges(devices) if devices else ()
    except ValueError:
        yield Fault(number, "range", devices, "such as 1a80-1a8f;2a80, or nothing")
    if not _OWNER.fullmatch(owner) or (state == "used") > bool(owner) or (state == "free" and owner):
        yield Fault(number, "owner", owner, "the guest of a used LUN, nothing for a free one; at most 64 characters")
    if channels and (state == "free" or not all(map(_CHANNEL.fullmatch, channels.lower().split(";")))):
        yield Fault(number, "channel", channels, "FCP devices such as 1a80;2a80, and nothing for a free LUN")
    if not _TAG.fullmatch(tag):
        yield Fault(number, "tag", tag, "at most 64 printable characters without blanks")


def _megabytes(size: str) -> int:
    """Whole megabytes; what is over is not counted."""
    parts = _SIZE.fullmatch(size)
    return int(Decimal(parts[1]) * (1024 if parts[2].upper() == "G" else 1)) if parts else 0


def _lun(columns: Sequence[str]) -> Lun:
    state, wwpns, lun, size, devices, owner, channels, tag = columns
    return Lun(
        state,
        tuple(wwpns.lower().split(";")),
        lun.lower(),
        _megabytes(size),
        devices.lower(),
        owner,
        tuple(channels.lower().split(";")) if channels else (),
        tag,
    )


def render(luns: Iterable[Lun]) -> str:
    """The file of these LUNs."""
    lines = [HEADER]
    for item in luns:
        gigabytes, rest = divmod(item.size_mb, 1024)
        size = "" if not item.size_mb else f"{item.size_mb}M" if rest else f"{gigabytes}G"
        ports, channels = ";".join(item.wwpns), ";".join(item.channels)
        columns = (item.state, ports, item.lun, size, item.devices, item.owner, channels, item.tag)
        lines.append(",".join(columns))
    return "\n".join([*lines, ""])
