"""Devices, volumes and networks as tables of a model file: one row is one value of the model, field by field.

The fields of a row are those of its class (model, model_devices, directory), so their docstrings say what they mean;
a field that has a default may be left out. What lives only while a system runs (owners) is neither read nor written.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import get_args, get_origin, get_type_hints

from zvmcloud.directory import Group, Region, Volume, statements
from zvmcloud.simulator import fabric, network
from zvmcloud.simulator.errors import ModelError
from zvmcloud.simulator.model import Fcp, Osa, Vswitch
from zvmcloud.simulator.model_devices import (
    ChannelPath,
    Edev,
    Eqid,
    GuestLan,
    Interface,
    Lun,
    RealDisk,
    Segment,
    SpaceVolume,
    TextFile,
)
from zvmcloud.simulator.system import System


@dataclass(frozen=True, slots=True)
class Section:
    """A table `[[name]]`: the collection of the system that it fills, and the fields that make a row's key."""

    name: str
    collection: str
    kind: type
    keys: tuple[str, ...]
    separator: str = " "
    adds: bool = False
    """Whether rows are added to what the preset has; otherwise they replace it."""

    def key(self, row: object) -> str:
        """The key of a row in its collection."""
        return self.separator.join(str(getattr(row, name)) for name in self.keys)


SPACE = (
    Section("volume", "volumes", Volume, ("volser",), adds=True),
    Section("region", "regions", Region, ("name",), adds=True),
    Section("group", "groups", Group, ("name",), adds=True),
)
DEVICES = (
    Section("channel_path", "channel_paths", ChannelPath, ("chpid",)),
    Section("osa_device", "osas", Osa, ("rdev",)),
    Section("fcp_device", "fcps", Fcp, ("rdev",)),
    Section("disk", "real_disks", RealDisk, ("rdev",)),
    Section("space_volume", "space_volumes", SpaceVolume, ("volser",)),
    Section("lun", "luns", Lun, ("wwpn", "lun")),
    Section("edev", "edevs", Edev, ("rdev",)),
    Section("eqid", "eqids", Eqid, ("rdev",)),
    Section("segment", "segments", Segment, ("name",)),
    Section("interface", "interfaces", Interface, ("stack", "name")),
    Section("vswitch", "vswitches", Vswitch, ("name",)),
    Section("lan", "guest_lans", GuestLan, ("owner", "name"), "."),
    Section("file", "texts", TextFile, ("place", "name", "filetype"), adds=True),
)
SECTIONS = (*SPACE, *DEVICES)
#: Fields that a file neither has nor needs: who has a device at present, and what is given anew.
_LEFT_OUT = {"owner": (Osa, Fcp, RealDisk), "mac": (Vswitch,), "changed": (TextFile,)}
_CHOICES: Mapping[tuple[type, str], tuple[str, ...]] = {
    (ChannelPath, "kind"): ("FC", "FCP", "OSD", "IQD"),
    (Osa, "kind"): ("OSA", "HIPER"),
    (RealDisk, "status"): ("FREE", "SYSTEM", "OWNED", "OFFLINE", "HIDDEN"),
    (SpaceVolume, "use"): ("PAGE", "SPOOL"),
    (SpaceVolume, "state"): ("NOTDRAINED", "DRAINING", "DRAINED"),
    (GuestLan, "kind"): ("HIPERS", "QDIO"),
    (GuestLan, "transport"): ("IP", "ETHERNET"),
    (Segment, "kind"): ("DCSS", "NSS"),
    (Vswitch, "transport"): ("IP", "ETHERNET"),
    (Vswitch, "port_type"): ("", "ACCESS", "TRUNK"),
}
_HEX: Mapping[str, tuple[int, bool]] = {
    "rdev": (4, False), "chpid": (2, False), "pchid": (4, True), "wwpn": (16, False), "lun": (16, False),
    "npiv": (16, True), "physical": (16, False),
}  # fmt: skip


def read(section: Section, value: object) -> tuple[object, ...]:
    """The rows of a section of a model file. ModelError names the row and the field that is wrong."""
    if not isinstance(value, list):
        raise ModelError(section.name, f"is not a list of tables; write [[{section.name}]]")
    rows: dict[str, object] = {}
    for number, item in enumerate(value, 1):
        place = f"{section.name}[{number}]"
        row = _row(section.kind, place, item)
        if section.key(row) in rows:
            raise ModelError(place, f"{section.key(row)} is described already")
        rows[section.key(row)] = row
    return tuple(rows.values())


def _fields(kind: type) -> dict[str, bool]:
    """Names of the fields that a file may have, and whether it must."""
    return {
        item.name: item.default is dataclasses.MISSING
        for item in dataclasses.fields(kind)
        if kind not in _LEFT_OUT.get(item.name, ())
    }


def _row(kind: type, place: str, item: object) -> object:
    if not isinstance(item, dict):
        raise ModelError(place, "is not a table")
    known, hints = _fields(kind), _hints(kind)
    for name in item:
        if name not in known:
            raise ModelError(f"{place}.{name}", "unknown key; known: " + ", ".join(sorted(known)))
    for name, needed in known.items():
        if needed and name not in item:
            raise ModelError(f"{place}.{name}", "is missing")
    values = {name: _value(kind, name, hints[name], f"{place}.{name}", given) for name, given in item.items()}
    if kind is Vswitch:
        values["mac"] = ""
    return kind(**values)


@cache
def _hints(kind: type) -> dict[str, object]:
    return get_type_hints(kind)


def _value(kind: type, name: str, hint: object, place: str, given: object) -> object:
    if get_origin(hint) is tuple:
        if not isinstance(given, list):
            raise ModelError(place, f"{given!r} is not a list")
        (inner, *_) = get_args(hint)
        return tuple(_value(kind, name, inner, f"{place}[{at}]", item) for at, item in enumerate(given, 1))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _row(hint, place, given)
    if hint is bool:
        if not isinstance(given, bool):
            raise ModelError(place, f"{given!r} is neither true nor false")
        return given
    if hint is int:
        if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given < 1 << 48:
            raise ModelError(place, f"{given!r} is not a number from 0")
        return given
    if not isinstance(given, str):
        raise ModelError(place, f"{given!r} is not a text")
    return _text(kind, name, place, given)


def _text(kind: type, name: str, place: str, given: str) -> str:
    choices = _CHOICES.get((kind, name))
    if choices is not None and given.upper() not in choices:
        raise ModelError(place, f"{given!r} is not one of {', '.join(choices)}")
    if name in _HEX or name == "rdevs":
        digits, may_be_empty = _HEX.get(name, (4, False))
        if not re.fullmatch(f"[0-9A-Fa-f]{{{digits}}}", given) and (given or not may_be_empty):
            raise ModelError(place, f"{given!r} is not {digits} hexadecimal digits")
    if name == "volser" and not statements.is_volser(given.upper()) and (given or kind is not RealDisk):
        raise ModelError(place, f"{given!r} is not a volume label of 1 to 6 characters")
    if name in ("name", "owner") and kind in (Vswitch, GuestLan) and not statements.is_userid(given.upper()):
        raise ModelError(place, f"{given!r} is not 1 to 8 characters of A-Z 0-9 @ # $ _ : + -")
    if name == "paths" and fabric.normal_path(given) is None:
        raise ModelError(place, f"{given!r} is not a path: FCP device, WWPN and LUN")
    return given if kind in (TextFile, Interface, Lun) and name not in _HEX else given.upper()


def fill(system: System, sections: Iterable[Section], rows: Mapping[str, tuple[object, ...]]) -> None:
    """Put the rows of a model into a new system, inside its transaction. ModelError: two devices have one number."""
    for section in sections:
        if section.name not in rows:
            continue
        collection = getattr(system, section.collection)
        for key in () if section.adds else tuple(collection):
            collection.remove(key)
        for row in rows[section.name]:
            made = replace(row, mac=network.new_mac(system)) if isinstance(row, Vswitch) else row
            collection.put(section.key(made), made)
    numbers: dict[str, str] = {}
    for name in ("osas", "fcps", "edevs", "volumes", "space_volumes"):
        for row in getattr(system, name).values():
            is_disk = name in ("osas", "fcps") and row.rdev in system.real_disks
            if is_disk or numbers.setdefault(row.rdev, name) != name:
                raise ModelError("rdev", f"device number {row.rdev} is used twice")


def write(system: System) -> str:
    """The sections of a running system in TOML."""
    lines: list[str] = []
    for section in SECTIONS:
        rows = sorted(getattr(system, section.collection).values(), key=section.key)
        for row in rows:
            dedicated = isinstance(row, RealDisk) and row.status == "ATTACHED"
            shown = replace(row, status="FREE") if dedicated else row
            lines += ["", f"[[{section.name}]]", *(f"{name} = {toml(value)}" for name, value in _items(shown))]
        if not rows and not section.adds:
            # An empty list says that there are none; it must come before the first table.
            lines.insert(0, f"{section.name} = []")
    return "\n".join(lines).lstrip("\n") + "\n"


def _items(row: object) -> list[tuple[str, object]]:
    """Fields of a row that have another value than their default."""
    defaults = {item.name: item.default for item in dataclasses.fields(row)}  # type: ignore[arg-type]
    found = [(name, getattr(row, name)) for name in _fields(type(row))]
    return [(name, value) for name, value in found if value != defaults[name]]


def toml(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if dataclasses.is_dataclass(value):
        return "{ " + ", ".join(f"{name} = {toml(item)}" for name, item in _items(value)) + " }"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
