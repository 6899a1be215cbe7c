"""Typed views of the device statements of an entry.

Addresses are four upper-case hexadecimal digits. Sizes are in the device's own unit: cylinders on a 3390, 512-byte
blocks on FBA (9336, FB-512). A view is a value: to change a device, replace its statement in the entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from zvmcloud.directory import statements
from zvmcloud.directory.statements import Statement


@dataclass(frozen=True, slots=True)
class Mdisk:
    """A minidisk. `start` is None for temporary and virtual disks and for whole volumes (DEVNO)."""

    vdev: str
    device_type: str
    placement: str
    """PERM, T-DISK, V-DISK, DEVNO, or AUTOG, AUTOR, AUTOV when the space is still to be chosen."""
    start: int | None
    size: int | None
    """Cylinders or blocks; None means to the end of the volume, or unknown for DEVNO."""
    volser: str
    """Volume label; for AUTOx the group, region or volume; for DEVNO the real device."""
    mode: str
    passwords: tuple[str, ...] = field(default=(), repr=False)

    def statement(self) -> Statement:
        """The MDISK statement that says this."""
        if self.placement in ("T-DISK", "V-DISK"):
            return statements.make(
                "MDISK", self.vdev, self.device_type, self.placement, self.size, self.mode, *self.passwords
            )
        if self.placement == "DEVNO":
            return statements.make("MDISK", self.vdev, self.device_type, "DEVNO", self.volser, self.mode)
        start = self.placement if self.start is None else self.start
        size = "END" if self.size is None else self.size
        return statements.make(
            "MDISK", self.vdev, self.device_type, start, size, self.volser, self.mode, *self.passwords
        )

    @classmethod
    def of(cls, statement: Statement) -> Mdisk:
        words = statement.words
        vdev = statements.vdev(words[1]) or words[1]
        device, start = words[2], words[3]
        if start in ("V-DISK", "T-DISK"):
            size = int(words[4])
            return cls(vdev, device, start, None, size, "", statement.operand(5, "MR"), words[6:])
        if start == "DEVNO":
            return cls(vdev, device, start, None, None, words[4], statement.operand(5, "MR"), words[6:])
        size_or_end = None if words[4] == "END" else int(words[4])
        mode = statement.operand(6, "MR")
        if start.isdecimal():
            return cls(vdev, device, "PERM", int(start), size_or_end, words[5], mode, words[7:])
        return cls(vdev, device, start, None, size_or_end, words[5], mode, words[7:])


@dataclass(frozen=True, slots=True)
class Link:
    """LINK: a minidisk of another entry that becomes a device at logon. `owner` may be an asterisk for oneself."""

    owner: str
    owner_vdev: str
    vdev: str
    mode: str

    @classmethod
    def of(cls, statement: Statement) -> Link:
        owner_vdev = statements.vdev(statement.operand(2)) or ""
        vdev = statements.vdev(statement.operand(3)) or owner_vdev
        return cls(statement.operand(1), owner_vdev, vdev, statement.operand(4, "RR"))


@dataclass(frozen=True, slots=True)
class Nicdef:
    """A virtual network adapter; several NICDEF statements with one address describe one adapter."""

    vdev: str
    adapter_type: str = "QDIO"
    devices: int = 3
    lan_owner: str = ""
    lan_name: str = ""
    mac_id: str = ""
    chpid: str = ""
    vlan: str = ""
    port_type: str = ""
    other: tuple[str, ...] = ()

    def statement(self) -> Statement:
        """One statement in the order in which clients look for it: TYPE, LAN, DEVICES, MACID, then the rest."""
        words: list[object] = ["NICDEF", self.vdev, "TYPE", self.adapter_type]
        if self.lan_name:
            words += ["LAN", self.lan_owner or "SYSTEM", self.lan_name]
        words += ["DEVICES", self.devices]
        for option, value in (
            ("MACID", self.mac_id),
            ("CHPID", self.chpid),
            ("VLAN", self.vlan),
            ("PORTTYPE", self.port_type),
        ):
            if value:
                words += [option, value]
        return statements.make(*words, *self.other)

    @classmethod
    def of(cls, group: Iterable[Statement]) -> Nicdef:
        """The adapter that the statements of one address describe together; a later word wins."""
        values: dict[str, str] = {}
        owner = name = vdev = ""
        other: list[str] = []
        for statement in group:
            vdev = statements.vdev(statement.operand(1)) or statement.operand(1)
            words = statement.words
            position = 2
            while position < len(words):
                option = words[position]
                if option == "LAN" and position + 2 < len(words):
                    owner, name = words[position + 1], words[position + 2]
                    position += 3
                elif option in ("TYPE", "DEVICES", "MACID", "CHPID", "VLAN", "PORTTYPE") and position + 1 < len(words):
                    values[option] = words[position + 1]
                    position += 2
                else:
                    if option not in other:
                        other.append(option)
                    position += 1
        return cls(
            vdev,
            values.get("TYPE", "QDIO"),
            int(values.get("DEVICES", "3")),
            owner,
            name,
            values.get("MACID", ""),
            values.get("CHPID", ""),
            values.get("VLAN", ""),
            values.get("PORTTYPE", ""),
            tuple(other),
        )


@dataclass(frozen=True, slots=True)
class Dedicate:
    """DEDICATE: a real device given to the machine at logon."""

    vdev: str
    rdev: str
    options: tuple[str, ...] = ()

    @classmethod
    def of(cls, statement: Statement) -> Dedicate:
        rdev = statement.operand(2)
        return cls(statements.vdev(statement.operand(1)) or "", statements.vdev(rdev) or rdev, statement.words[3:])


@dataclass(frozen=True, slots=True)
class UnitRecord:
    """SPOOL, CONSOLE or SPECIAL: console, reader, punch, printer."""

    vdev: str
    device_type: str
    spool_class: str

    @classmethod
    def of(cls, statement: Statement) -> UnitRecord:
        words = statement.words
        device = statement.operand(2, "3215")
        if device == "2540" and len(words) > 3 and words[3][:1] in ("R", "P"):
            device = "RDR" if words[3].startswith("R") else "PUN"
            return cls(statements.vdev(words[1]) or "", device, statement.operand(4, "A"))
        return cls(statements.vdev(words[1]) or "", device, statement.operand(3, "A"))
