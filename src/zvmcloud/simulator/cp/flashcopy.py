"""FLASHCOPY: tracks of one minidisk become those of another, at once.

Judgement: extents in cylinders, END and ALL; message numbers; layout of QUERY FLASHCOPY. FBA disks are refused,
as xCAT's notes say of hardware.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zvmcloud.cp import messages
from zvmcloud.images.diskfile import EckdDisk
from zvmcloud.images.tracks import Track, TrackError
from zvmcloud.simulator import storage
from zvmcloud.simulator.cp.language import Command, Issuer, abbreviates, number, operand, vdev
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import Dasd, Disk
from zvmcloud.simulator.model_cp import FlashRelation

TRACKS = 15
_ACTIONS = (("ESTABLISH", 3), ("RESYNC", 3), ("WITHDRAW", 4))
#: Options that change nothing here: the copy is complete when the command ends.
_OPTIONS = ("NOTGTCONSIST", "NOSRCCONSIST", "NOTGTWRITE", "SAVELABEL", "REVERSIBLE")


@dataclass(frozen=True, slots=True)
class Extent:
    """Cylinders of a minidisk that the issuer has, first to last."""

    vdev: str
    device: Dasd
    disk: Disk
    first: int
    last: int
    shown: str


def flashcopy(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """FLASHCOPY vdev first last [TO] vdev first last [options], vdev ALL vdev ALL

    FLASHCOPY ESTABLISH SOURCE vdev first last TARGET vdev first last [options], RESYNC with the same operands, and
    WITHDRAW TARGET vdev. Options: SYNCHRONOUS, CHGRECORD, NOTGTWRITE, SAVELABEL, LABEL volser. The data are copied
    at once. A relationship lasts that is made by ESTABLISH with CHGRECORD: RESYNC copies once more, WITHDRAW ends it.
    """
    rest = [word for word in words if word not in ("TO", "SOURCE", "TARGET")]
    verb = operand(rest, 0, "NFC")
    action = next((name for name, shortest in _ACTIONS if abbreviates(verb, name, shortest)), "")
    if action:
        rest.pop(0)
    if action == "WITHDRAW":
        return _withdraw(issuer, rest)
    source = _extent(issuer, rest)
    target = _extent(issuer, rest)
    kept = _keeps(rest)
    if not target.device.write:
        raise CpRefused(messages.FLASH_READ_ONLY, vdev=target.vdev)
    if source.last - source.first != target.last - target.first:
        raise CpRefused(messages.FLASH_EXTENT, extent=f"{target.vdev} {target.shown}")
    if source.disk.file == target.disk.file and source.first <= target.last and target.first <= source.last:
        raise CpRefused(messages.FLASH_OVERLAP, vdev=target.vdev)
    row = FlashRelation(source.disk.file, source.first, target.disk.file, target.first, source.last - source.first + 1)
    if action == "RESYNC" and issuer.system.flash_relations.get(_key(row)) != row:
        raise CpRefused(messages.FLASH_MISSING, vdev=target.vdev)
    _copy(issuer, source, target)
    if action == "ESTABLISH" and kept:
        issuer.system.flash_relations.put(_key(row), row)
    name = f"FLASHCOPY {action}".rstrip()
    return [f"Command complete: {name} {source.vdev} {source.shown} TO {target.vdev} {target.shown}"]


def _keeps(rest: list[str]) -> bool:
    """Take the options off the operands; gives whether the relationship lasts."""
    kept = False
    while rest:
        option = rest.pop(0)
        if option == "LABEL":
            operand(rest, 0, "NFC")
            rest.pop(0)
        elif option in ("CHGRECORD", "CHANGERECORDING"):
            kept = True
        elif option not in _OPTIONS and not abbreviates(option, "SYNCHRONOUS", 3):
            raise CpRefused(messages.INVALID_OPTION, module="NFC", option=option)
    return kept


def _key(row: FlashRelation) -> str:
    return f"{row.target} {row.target_first}"


def _relations(issuer: Issuer, device: Dasd | None = None) -> list[FlashRelation]:
    """Relationships between disks that are still there, of one device or all."""
    files = {disk.file for disk in issuer.system.disks.values()}
    rows = [item for item in issuer.system.flash_relations.values() if {item.source, item.target} <= files]
    return [item for item in rows if device is None or device.file in (item.source, item.target)]


def _withdraw(issuer: Issuer, rest: list[str]) -> list[str]:
    address = vdev(rest, 0)
    device = issuer.machine.device(address)
    disk = device if isinstance(device, Dasd) else None
    rows = [item for item in _relations(issuer, disk) if disk is not None and item.target == disk.file]
    if not rows:
        raise CpRefused(messages.FLASH_MISSING, vdev=address)
    for row in rows:
        issuer.system.flash_relations.remove(_key(row))
    return [f"Command complete: FLASHCOPY WITHDRAW {address}"]


def query(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY FLASHCOPY [vdev]: relationships of the issuer's disks; all of them with class B and no device"""
    device = None
    if words:
        address = vdev(words, 0)
        found = issuer.machine.device(address)
        if not isinstance(found, Dasd):
            raise CpRefused(messages.DEVICE_MISSING, module="QFC", vdev=address)
        device = found
    own = {item.file for item in issuer.machine.disks}
    owners = {disk.file: f"{disk.owner} {disk.vdev}" for disk in issuer.system.disks.values()}
    rows = [item for item in _relations(issuer, device) if issuer.has("B") or {item.source, item.target} & own]
    if not rows:
        return ["No FLASHCOPY relationships exist"]
    return [
        "Source             First   Target             First   Size    Options",
        *(
            f"{owners[row.source]:<18} {row.source_first:05d}   {owners[row.target]:<18} {row.target_first:05d}   "
            f"{row.size:05d}   CHGRECORD"
            for row in sorted(rows, key=lambda item: (item.source, item.source_first))
        ),
    ]


def _extent(issuer: Issuer, rest: list[str]) -> Extent:
    """Take an extent off the operands."""
    address = vdev(rest, 0)
    device = issuer.machine.device(address)
    if not isinstance(device, Dasd):
        raise CpRefused(messages.DEVICE_MISSING, module="NFC", vdev=address)
    disk = issuer.system.disks.get(storage.key(device.owner, device.owner_vdev))
    if disk is None or disk.kind != "ECKD" or not disk.file or disk.file != device.file:
        raise CpRefused(messages.FLASH_UNSUPPORTED, vdev=address)
    if operand(rest, 1, "NFC") == "ALL":
        del rest[:2]
        return Extent(address, device, disk, 0, disk.size - 1, "0 END")
    first = number(rest, 1, 0, disk.size - 1, "NFC")
    last_word = operand(rest, 2, "NFC")
    last = disk.size - 1 if last_word == "END" else number(rest, 2, 0, 1 << 20, "NFC")
    if not first <= last < disk.size:
        raise CpRefused(messages.FLASH_EXTENT, extent=f"{address} {first} {last}")
    del rest[:3]
    return Extent(address, device, disk, first, last, f"{first} {last_word}")


def _copy(issuer: Issuer, source: Extent, target: Extent) -> None:
    system = issuer.system
    source_file, target_file = storage.file_of(system, source.disk), storage.file_of(system, target.disk)
    shift = target.first - source.first
    with EckdDisk(source_file) as original, EckdDisk(target_file, writable=True) as copy:
        try:
            # Read once before anything is written: a damaged track is found while the target is still whole.
            for _ in _tracks(original, source):
                pass
        except TrackError as error:
            raise CpRefused(messages.FLASH_EXTENT, extent=f"{source.vdev} {source.shown}") from error
        # Cleared first: what was never written in the source is a hole in the copy too.
        copy.clear(target.first * TRACKS, (target.last + 1) * TRACKS - 1)
        for cylinder, head, track in _tracks(original, source):
            copy.write_track(cylinder + shift, head, track)


def _tracks(disk: EckdDisk, extent: Extent) -> Iterator[tuple[int, int, Track]]:
    for cylinder, head, track in disk.used_tracks():
        if cylinder > extent.last:
            return
        if cylinder >= extent.first:
            yield cylinder, head, track


COMMANDS = (Command("FLASHCOPY", 6, "BG", flashcopy),)
QUERIES = (Command("FLASHCOPY", 5, "BG", query),)
