"""LOADDEV parameters: from which SCSI disk a list-directed IPL loads a virtual machine, and what it is told.

They come from the entry's LOADDEV statements at logon and from SET LOADDEV after it; a value that was set counts until
the machine logs off. Sources: the statements as recorded (see smapi/scsi_characteristics), reference/connector/flows.md
1 for DEVICE and ALTERNATE, IBM's CP commands reference for SET and QUERY LOADDEV.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from zvmcloud.directory import Entry
from zvmcloud.directory.statements import vdev as device_number
from zvmcloud.simulator.model import Machine
from zvmcloud.simulator.model_cp import UserSettings
from zvmcloud.simulator.system import System

MAX_PROGRAM = 30
#: Characters of SCP data (bytes, where they are given as HEX).
MAX_SCPDATA = 4096
_KEY = "LOADDEV "


@dataclass(frozen=True, slots=True)
class Loaddev:
    """The parameters; texts are empty where nothing is set. Port name, LUN and block have 16 digits."""

    device: str = ""
    port: str = ""
    lun: str = ""
    program: int = 0
    block: str = ""
    scpdata: str = ""
    hexadecimal: bool = False
    """Whether SCP data was given as bytes; then `scpdata` is their digits."""
    alternates: tuple[tuple[str, ...], ...] = ()
    """Pairs of FCP device and port name that are tried when the first path is down."""

    @property
    def missing(self) -> str:
        """The parameter without which nothing can be loaded; empty when all are there."""
        return "" if self.port and self.lun else "LUN" if self.port else "PORTNAME"

    @property
    def text(self) -> str:
        """SCP data as the text that the loaded system gets."""
        if not self.hexadecimal:
            return self.scpdata
        return bytes.fromhex(self.scpdata).decode("cp037", "replace")

    def paths(self, device: str) -> tuple[str, ...]:
        """The paths "vdev wwpn lun" in the order in which they are tried."""
        pairs = ((device, self.port), *((pair[0], pair[1] or self.port) for pair in self.alternates))
        return tuple(f"{vdev} {port} {self.lun}" for vdev, port in pairs)


def of_entry(entry: Entry | None) -> Loaddev:
    """What the statements of an entry say."""
    found = Loaddev()
    pieces: list[str] = []
    for item in entry.every("LOADDEV") if entry is not None else ():
        words = [word for word in item.words[1:] if word != "SCSI"]
        if not words:
            continue
        key, value = words[0], words[1] if len(words) > 1 else ""
        if key.startswith("SCP"):
            found = replace(found, hexadecimal=value == "HEX")
            pieces.append(words[-1].removeprefix("'").removesuffix("'").replace("''", "'"))
        elif key.startswith("ALT"):
            number = device_number(value) or ""
            found = replace(found, alternates=(*found.alternates, (number, words[3] if len(words) > 3 else "")))
        elif key.startswith("DEV"):
            found = replace(found, device=device_number(value) or "")
        elif key.startswith("PORT"):
            found = replace(found, port=value.zfill(16))
        elif key == "LUN":
            found = replace(found, lun=value.zfill(16))
        elif key.startswith("BOOT"):
            found = replace(found, program=int(value) if value.isdecimal() else 0)
        elif key.startswith("BR"):
            found = replace(found, block=value.zfill(16))
    return replace(found, scpdata="".join(pieces))


def of(system: System, machine: Machine) -> Loaddev:
    """The parameters of a machine that is logged on."""
    row = system.settings.get(machine.userid)
    found = of_entry(system.full_entry(machine.userid))
    if row is None or row.logon_at != machine.logon_at:
        return found
    if row.get(f"{_KEY}CLEAR", ""):
        found = Loaddev()
    for name, field in _SET.items():
        value = row.get(_KEY + name, "")
        if value:
            found = field(found, value)
    return found


_SET: dict[str, Callable[[Loaddev, str], Loaddev]] = {
    "DEVICE": lambda found, value: replace(found, device=value),
    "PORTNAME": lambda found, value: replace(found, port=value),
    "LUN": lambda found, value: replace(found, lun=value),
    "BOOTPROG": lambda found, value: replace(found, program=int(value)),
    "BR_LBA": lambda found, value: replace(found, block=value),
    "ALTERNATE": lambda found, value: replace(found, alternates=(tuple(value.partition(" ")[::2]),)),
    "SCPDATA": lambda found, value: replace(found, scpdata=value, hexadecimal=False),
    "SCPHEX": lambda found, value: replace(found, scpdata=value, hexadecimal=True),
}


def put(system: System, machine: Machine, values: dict[str, str], *, clear: bool) -> None:
    """SET LOADDEV: values by name, on top of what is set, or of nothing with `clear`."""
    row = system.settings.get(machine.userid)
    if row is None or row.logon_at != machine.logon_at:
        row = UserSettings(machine.userid, machine.logon_at)
    if "SCPDATA" in values or "SCPHEX" in values:
        values = {"SCPDATA": "", "SCPHEX": "", **values}
    dropped = {_KEY + name for name in values}
    kept = tuple(pair for pair in row.values if pair[0] not in dropped and not (clear and pair[0].startswith(_KEY)))
    added = [(_KEY + name, value) for name, value in values.items() if value]
    if clear:
        added.append((f"{_KEY}CLEAR", "ON"))
    system.settings.put(machine.userid, replace(row, values=(*kept, *added)))


def lines(found: Loaddev, *, level: int) -> list[str]:
    """QUERY LOADDEV: the form of the CP commands reference; the first line since 7.3."""

    def halves(digits: str) -> str:
        digits = digits or "0" * 16
        return f"{digits[:8]} {digits[8:]}"

    shown = [f"SCSI DEVICE {found.device or 'TBD'} NOSECURE"] if level >= 730 else []
    shown.append(f"PORTNAME {halves(found.port)}    LUN  {halves(found.lun)}    BOOTPROG {found.program}")
    shown.append(f"BR_LBA   {halves(found.block)}")
    shown += [f"ALTERNATE {vdev} PORTNAME {halves(port)}" for vdev, port in found.alternates]
    if found.scpdata and found.hexadecimal:
        shown += ["SCPDATA", "      00----03 04----07 08----11 12----15 16----19"]
        for at in range(0, len(found.scpdata), 40):
            piece = found.scpdata[at : at + 40]
            shown.append(f"{at // 2:04d}  " + " ".join(piece[part : part + 8] for part in range(0, len(piece), 8)))
    elif found.scpdata:
        shown += ["SCPDATA", "      0----+----1----+----2----+----3----+----4----+----"]
        shown += [f"{at:04d}  {found.scpdata[at : at + 50]}" for at in range(0, len(found.scpdata), 50)]
    return shown
