"""FLASHCOPY: tracks of one minidisk become those of another, at once.

Judgement: extents in cylinders, END and ALL; message numbers. FBA disks are refused, as xCAT's notes say of hardware.
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

TRACKS = 15


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
    """FLASHCOPY vdev first last [TO] vdev first last [SYNCHRONOUS] [LABEL volser], or vdev ALL vdev ALL"""
    rest = [word for word in words if word != "TO"]
    source = _extent(issuer, rest)
    target = _extent(issuer, rest)
    while rest:
        option = rest.pop(0)
        if not (abbreviates(option, "SYNCHRONOUS", 3) or option in ("NOTGTCONSIST", "NOSRCCONSIST", "CHANGERECORDING")):
            raise CpRefused(messages.INVALID_OPTION, module="NFC", option=option)
    if not target.device.write:
        raise CpRefused(messages.FLASH_READ_ONLY, vdev=target.vdev)
    if source.last - source.first != target.last - target.first:
        raise CpRefused(messages.FLASH_EXTENT, extent=f"{target.vdev} {target.shown}")
    if source.disk.file == target.disk.file and source.first <= target.last and target.first <= source.last:
        raise CpRefused(messages.FLASH_OVERLAP, vdev=target.vdev)
    _copy(issuer, source, target)
    return [f"Command complete: FLASHCOPY {source.vdev} {source.shown} TO {target.vdev} {target.shown}"]


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
