"""The system configuration file on a parm disk: finding it, checking its statements, changing it.

Only what CP's own syntax needs is checked: a statement begins with a known word, a continuation has a next record, and
slots and labels have their form. The file is a value of the model (`system.texts`), so that what a function adds is
what the next check reads.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Protocol

from zvmcloud.directory import statements
from zvmcloud.directory.devices import Link
from zvmcloud.simulator import storage
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.model_devices import TextFile
from zvmcloud.simulator.system import System

#: Statements of a system configuration file, in upper case; words may be cut down to what is unique in CP. These are
#: the ones that occur in the configurations of the installation and in what SMAPI adds.
STATEMENTS = (
    "ACTIVATE", "ALTERNATE_OPERATORS", "BEGIN", "CHARACTER_DEFAULTS", "CP_ACCESS", "CP_ADDON_INITIALIZE_ROUTINES",
    "CP_OWNED", "CPXLOAD", "CRYPTO", "CU", "DEFINE", "DEVICES", "DISABLE", "DISTRIBUTE", "DRAIN", "EDEVICE",
    "EMERGENCY_MESSAGE_CONSOLES", "ENABLE", "ENCRYPT", "END", "ENFORCE_BY_VOLID", "EQUATE", "EXTERNAL_SYNTAX",
    "FEATURES", "FORM_DEFAULT", "HOT_IO_RATE", "IMBED", "INIT_MITIME", "IODF", "JOURNALING", "LOGO_CONFIG",
    "MODIFY", "MULTITHREADING", "OPERATOR_CONSOLES", "PAGING", "PRINTER_TITLE", "PRIV_CLASSES", "PRODUCT",
    "RDEVICE", "RELOCATION_DOMAIN", "SAY", "SET", "SRM", "SSI", "STORAGE", "SYSTEM_3270_LINE", "SYSTEM_DATEFORMAT",
    "SYSTEM_IDENTIFIER", "SYSTEM_IDENTIFIER_DEFAULT", "SYSTEM_RESIDENCE", "SYSTEM_USERIDS", "THROTTLE",
    "TIMEZONE_BOUNDARY", "TIMEZONE_DEFINITION", "TOLERATE_CONFIG_ERRORS", "TRANSLATE_TABLE", "USER_DEFAULTS",
    "USER_VOLUME_EXCLUDE", "USER_VOLUME_INCLUDE", "USER_VOLUME_LIST", "USER_VOLUME_RDEV", "VMLAN",
    "XLINK_DEVICE_DEFAULTS", "XLINK_MODULE", "XLINK_SYSTEM_EXCLUDE", "XLINK_SYSTEM_INCLUDE", "XLINK_VOLUME_EXCLUDE",
    "XLINK_VOLUME_INCLUDE",
)  # fmt: skip
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)

DEFAULT_OWNER, DEFAULT_VDEV = "PMAINT", "0CF0"
DEFAULT_NAME, DEFAULT_TYPE = "SYSTEM", "CONFIG"
NO_MEMBER_LINK, NOT_LINKED, NOT_WRITABLE = 48, 24, 28
PASSWORD_MISSING, PASSWORD_WRONG = 44, 46
NO_FILE, FAULTY = 32, 34
SAME_FILE = 22


def key(place: str, name: str, filetype: str) -> str:
    return f"{place} {name} {filetype}"


def locate(
    system: System,
    rc: int,
    name: str | None,
    filetype: str | None,
    owner: str | None,
    vdev: str | None,
    password: str | None,
    *,
    must_exist: bool = True,
    write: bool = True,
) -> TextFile:
    """The configuration file that a call names, over the link that the server needs for it.

    Refused rc with 24 no such disk, 44 and 46 password missing and wrong, 48 a disk that is not public and no password
    although a comma says so, 28 somebody else writes to it, 32 no such file. Empty names stand for PMAINT's CF0 and
    SYSTEM CONFIG.
    """
    owner = (owner or DEFAULT_OWNER).upper()
    number = statements.vdev((vdev or DEFAULT_VDEV).upper())
    entry = system.entry(owner)
    disk = entry.mdisk(number) if entry is not None and number is not None else None
    if disk is None or number is None:
        raise Refused(rc, NOT_LINKED)
    public = len(disk.passwords) > 2 and disk.passwords[2] == "ALL"
    linked = any(link.owner == owner and link.owner_vdev == number for link in _server_links(system))
    given = (password or "").upper()
    if not public:
        if given == "":
            raise Refused(rc, PASSWORD_MISSING)
        if given == ",":
            if not linked:
                raise Refused(rc, NO_MEMBER_LINK)
        elif len(disk.passwords) < 3 or disk.passwords[2] != given:
            raise Refused(rc, PASSWORD_WRONG)
    if write and any(
        device.write and machine.userid not in (owner, "VSMWORK1")
        for machine, device in storage.users(system, owner, number)
    ):
        raise Refused(rc, NOT_WRITABLE)
    place, name, filetype = f"{owner}.{number}", (name or DEFAULT_NAME).upper(), (filetype or DEFAULT_TYPE).upper()
    found = system.texts.get(key(place, name, filetype))
    if found is None:
        if must_exist:
            raise Refused(rc, NO_FILE)
        return TextFile(place, name, filetype)
    return found


def default(system: System) -> TextFile | None:
    """SYSTEM CONFIG on PMAINT's CF0, as CP finds it at an IPL; None when a model brought none."""
    return system.texts.get(key(f"{DEFAULT_OWNER}.{DEFAULT_VDEV}", DEFAULT_NAME, DEFAULT_TYPE))


def default_file(system: System, rc: int) -> TextFile:
    """SYSTEM CONFIG on PMAINT's CF0, which the servers link without a password (judgement: OPTION LNKNOPAS).

    Refused rc/24 when the system has no such disk, rc/28 while somebody else writes to it, rc/32 without the file.
    """
    entry = system.entry(DEFAULT_OWNER)
    disk = entry.mdisk(DEFAULT_VDEV) if entry is not None else None
    password = disk.passwords[2] if disk is not None and len(disk.passwords) > 2 else ""
    return locate(system, rc, None, None, None, None, password)


class TwoFiles(Protocol):
    """A call that names a configuration file and, perhaps, its second copy."""

    @property
    def system_config_name(self) -> str: ...
    @property
    def system_config_type(self) -> str: ...
    @property
    def parm_disk_owner(self) -> str: ...
    @property
    def parm_disk_number(self) -> str: ...
    @property
    def parm_disk_password(self) -> str: ...
    @property
    def alt_system_config_name(self) -> str: ...
    @property
    def alt_system_config_type(self) -> str: ...
    @property
    def alt_parm_disk_owner(self) -> str: ...
    @property
    def alt_parm_disk_number(self) -> str: ...
    @property
    def alt_parm_disk_password(self) -> str: ...


def both(system: System, rc: int, call: TwoFiles) -> list[TextFile]:
    """The configuration and, when the call names one, its second copy. Refused rc/22 when they are the same file."""
    main = locate(
        system,
        rc,
        call.system_config_name,
        call.system_config_type,
        call.parm_disk_owner,
        call.parm_disk_number,
        call.parm_disk_password,
    )
    if not (call.alt_system_config_name or call.alt_parm_disk_owner):
        return [main]
    other = locate(
        system,
        rc,
        call.alt_system_config_name,
        call.alt_system_config_type,
        call.alt_parm_disk_owner,
        call.alt_parm_disk_number,
        call.alt_parm_disk_password,
        must_exist=False,
    )
    if (other.place, other.name, other.filetype) == (main.place, main.name, main.filetype):
        raise Refused(rc, SAME_FILE)
    return [main, other if other.lines else replace(other, lines=main.lines)]


def _server_links(system: System) -> tuple[Link, ...]:
    entry = system.full_entry("VSMWORK1")
    return entry.links if entry is not None else ()


def logical_records(lines: tuple[str, ...]) -> list[str]:
    """Statements with comments taken out and continued records put together."""
    text = _COMMENT.sub(" ", "\n".join(lines))
    records: list[str] = []
    pending = ""
    for line in (raw.rstrip() for raw in text.splitlines()):
        if line.endswith(","):
            pending += line[:-1] + " "
            continue
        if (pending + line).strip():
            records.append(" ".join((pending + line).split()))
        pending = ""
    if pending.strip():
        records.append(pending.strip() + " ,")
    return records


def problems(file: TextFile) -> list[str]:
    """What is wrong with a configuration; empty when CP would accept it."""
    text = "\n".join(file.lines)
    if text.count("/*") != text.count("*/"):
        return ["HCPZSC6701E A comment is not closed"]
    found = []
    for record in logical_records(file.lines):
        word, _, rest = record.partition(" ")
        word = word.upper().rstrip(":")
        if not any(name == word or (len(word) >= 5 and name.startswith(word)) for name in STATEMENTS):
            # A member name before a colon qualifies a statement for one system of a cluster.
            if record.split()[0].endswith(":"):
                continue
            found.append(f"HCPZSC6702E {word} is not a statement of the system configuration")
        elif rest.endswith(","):
            found.append(f"HCPZSC6703E The {word} statement is continued, and nothing follows")
        elif word == "CP_OWNED":
            words = rest.upper().split()
            if len(words) < 3 or words[0] != "SLOT" or not words[1].isdecimal() or not 1 <= int(words[1]) <= 255:
                found.append("HCPZSC6704E CP_OWNED needs SLOT, a number from 1 to 255, and a volume label")
    return found


def labels(file: TextFile) -> set[str]:
    """The volume labels that the configuration names: CP-owned ones and those for users."""
    found: set[str] = set()
    for record in logical_records(file.lines):
        words = record.upper().split()
        if words[0] == "CP_OWNED" and len(words) > 3:
            found.add(words[3])
        if words[0] in ("USER_VOLUME_LIST", "USER_VOLUME_INCLUDE"):
            found |= set(words[1:])
        if words[0] == "USER_VOLUME_RDEV" and len(words) > 1:
            found.add(words[1])
    return found


def owned_labels(file: TextFile) -> set[str]:
    """The labels of the CP-owned list."""
    records = (record.upper().split() for record in logical_records(file.lines))
    return {words[3] for words in records if words[0] == "CP_OWNED" and len(words) > 3}


def owned_slots(file: TextFile) -> set[int]:
    """The slots of the CP-owned list that are taken."""
    records = (record.upper().split() for record in logical_records(file.lines))
    return {int(words[2]) for words in records if words[0] == "CP_OWNED" and len(words) > 3 and words[2].isdecimal()}


def append(system: System, file: TextFile, line: str) -> TextFile:
    """Write the file with one more record."""
    return _put(system, replace(file, lines=(*file.lines, line)))


def without_label(system: System, file: TextFile, volser: str) -> TextFile:
    """Write the file without a user volume; a record that named other volumes too keeps them."""
    kept = []
    for line in file.lines:
        words = line.split()
        if len(words) > 1 and words[0].upper() in ("USER_VOLUME_LIST", "USER_VOLUME_INCLUDE"):
            rest = [word for word in words[1:] if word.upper() != volser]
            if len(rest) < len(words) - 1:
                if rest:
                    kept.append(" ".join([words[0], *rest]))
                continue
        if len(words) > 1 and words[0].upper() == "USER_VOLUME_RDEV" and words[1].upper() == volser:
            continue
        kept.append(line)
    return _put(system, replace(file, lines=tuple(kept)))


def written(system: System, file: TextFile, lines: tuple[str, ...]) -> TextFile:
    """Write the file with other records."""
    return _put(system, replace(file, lines=lines))


def _put(system: System, file: TextFile) -> TextFile:
    changed = replace(file, changed=system.now())
    system.texts.put(key(file.place, file.name, file.filetype), changed)
    return changed
