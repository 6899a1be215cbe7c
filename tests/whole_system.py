"""The whole simulated z/VM as texts that can be compared: is it as before, or what is left?"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from zvmcloud.simulator import luns, spool, storage
from zvmcloud.simulator.system import System
from zvmcloud.simulator.values import to_json

VOLATILE = {
    "logon_at", "forced_at", "console", "generation", "written", "time", "created", "changed", "last_change", "when",
    "file", "spoolid", "idle_since", "cpu_time", "number", "started", "since", "date", "at", "seen", "boot_at",
}  # fmt: skip
"""Members of rows that tell when something was done, or how often: not what z/VM is."""
UNTOLD = {"counters", "activities", "operations", "monitor", "thresholds", "samples"}
"""Collections that remember what was asked, and not what there is."""
_MANAGERS = VOLATILE | {"id", "last_used"}
"""Members of what the manager has recorded that are not compared."""
_MAC = re.compile(r"\b02:?00:?00:?(?:[0-9A-Fa-f]{2}:?){2}[0-9A-Fa-f]{2}\b")
_PLACE = re.compile(r'("start":|MDISK \S+ \S+) \d+')
_PLACED = ("disks NEW", "entries NEW")
_PIECE = 65536
_ZEROS = bytes(_PIECE)
FILE_NUMBER = re.compile(r"-\d{6}\.")
"""In the name of a disk's file: how many disks there have been."""


def records(systems: Iterable[str]) -> tuple[str, ...]:
    """Where a manager tells what it has recorded of these systems, which has to be what z/VM is."""
    kinds = ("fcp-devices", "volume-pools", "volumes", "volume-pools/p1")
    own = (f"/v1/systems/{system}/{kind}" for system in systems for kind in kinds)
    return ("/v1/guests?limit=500", "/guests/nics", "/v1/images", *own)


def scrubbed(value: Any, without: set[str] = VOLATILE) -> Any:
    """A row as JSON, without these members."""
    if isinstance(value, dict):
        return {key: scrubbed(item, without) for key, item in value.items() if key not in without}
    if isinstance(value, list):
        return [scrubbed(item, without) for item in value]
    return FILE_NUMBER.sub("-.", value) if isinstance(value, str) else value


def numbered(found: dict[str, str]) -> dict[str, str]:
    """MAC addresses that CP gives out by their order: CP never gives out the same one twice."""
    known: dict[str, str] = {}

    def named(mac: re.Match[str]) -> str:
        return known.setdefault(mac[0], f"MAC {len(known)}")

    return {key: _MAC.sub(named, found[key]) for key in sorted(found)}


def anywhere(found: dict[str, str]) -> dict[str, str]:
    """Without the places of new guests' minidisks: of guests that are made together one takes what the other left."""
    return {
        key: _PLACE.sub(r"\1 -", text) if key.partition(" ")[2].startswith(_PLACED) else text
        for key, text in found.items()
    }


def unordered(text: str) -> str:
    """A row without the order of what was added and removed again: devices of a machine, statements of an entry or a
    file."""
    row = json.loads(text)
    if "devices" in row:
        devices = [{**device, "subchannel": 0} for device in row["devices"]]
        row["devices"] = sorted(devices, key=lambda device: str(device["vdev"]))
    for name in ("entry", "lines"):
        if name in row:
            row[name] = sorted(row[name])
    return json.dumps(row)


def recorded(answer: Any) -> str:
    """What the manager tells of its records. Whether a reservation ends is compared, when it does is not: that counts
    from when it was made."""
    return json.dumps(_ending(scrubbed(answer, _MANAGERS)), sort_keys=True)


def _ending(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: item is not None if key == "expires" else _ending(item) for key, item in found.items()}
    return [_ending(item) for item in found] if isinstance(found, list) else found


def content(path: Path) -> str:
    """What stands for the bytes of a disk: SHA-256 of its pieces that are not zeros, each with its place. Holes of the
    file are not read; a disk that nobody has opened yet has no file, and is zeros."""
    found = hashlib.sha256()
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return found.hexdigest()
    try:
        at, end = 0, os.fstat(file).st_size
        while at < end:
            try:
                data = os.lseek(file, at, os.SEEK_DATA)
            except OSError:  # only a hole is left
                break
            at = max(at, data - data % _PIECE)
            piece = os.pread(file, _PIECE, at)
            if piece != _ZEROS[: len(piece)]:
                found.update(at.to_bytes(8) + piece)
            at += _PIECE
    finally:
        os.close(file)
    return found.hexdigest()


def snapshot(system: System, *userids: str) -> dict[str, str]:
    """Every row of the model, and what is on the disks of guests whose userids have one of these in them."""
    found: dict[str, str] = {}
    for name, collection in system.store._collections.items():
        if name in UNTOLD:
            continue
        for key, value in collection.items():
            if name != "spool":
                found[f"{name} {FILE_NUMBER.sub('-.', key)}"] = json.dumps(scrubbed(to_json(value)), sort_keys=True)
    found |= spooled(system)
    for key, disk in system.disks.items():
        if any(userid in key for userid in userids):
            found[f"content of {key}"] = content(storage.file_of(system, disk))
    for key, lun in system.luns.items():
        found[f"content of LUN {key}"] = content(system.lun_folder / luns.file_name(lun))
    return found


def spooled(system: System) -> dict[str, str]:
    """Spool files by their place in the queue: their numbers tell how many there have been."""
    found: dict[str, str] = {}
    for owner, queue in sorted({(file.owner, file.queue) for file in system.spool.values()}):
        for place, file in enumerate(spool.files(system, owner, queue)):
            row = json.dumps(scrubbed(to_json(file)), sort_keys=True)
            found[f"spool file {place} of {owner} {queue}"] = f"{row} {content(system.spool_folder / file.file)}"
    return found


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """What the two tell differently, with both texts from a little before their first difference on."""
    found = []
    for key in sorted({*one, *other}):
        mine, its = one.get(key, "(none)"), other.get(key, "(none)")
        if mine != its:
            same = next((at for at, (left, right) in enumerate(zip(mine, its, strict=False)) if left != right), 0)
            start = max(0, same - 80)
            found.append(f"{key}:\n    {mine[start : start + 500]}\n    {its[start : start + 500]}")
    return found
