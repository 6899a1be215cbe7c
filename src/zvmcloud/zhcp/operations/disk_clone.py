"""disk.clone: a minidisk or a SCSI volume becomes the copy of another; guests that have one of them are off.

Both are opened. Of ECKD disks CP is asked to FLASHCOPY; when it refuses, for whatever reason (no such feature, volumes
of different storage servers, no privilege), what the disk holds is copied track by track, and the report shows CP's
refusal. SMAPI's Image_Disk_Copy_DM is not used: it defines a disk of its own and leaves the copying to DATAMOVE
machines. Of a copy every track is read back and compared; of a FLASHCOPY the first one, which is what is IPLed.
"""

from __future__ import annotations

import hashlib
import time
from functools import partial
from pathlib import Path

from zvmcloud.cp import commands
from zvmcloud.images.diskfile import EckdDisk, FbaDisk
from zvmcloud.images.tracks import DEFAULT_TRACK, TRACKS_PER_CYLINDER, TrackError, encode_explicit
from zvmcloud.zhcp.errors import AgentError, FieldError, Json
from zvmcloud.zhcp.image_errors import too_large
from zvmcloud.zhcp.image_messages import CloneDisk
from zvmcloud.zhcp.joining import in_thread
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.operations.disk_erase import erase_disk
from zvmcloud.zhcp.operations.places import opened
from zvmcloud.zhcp.operations.states import must_be_off

_WHY = "a disk is cloned when its guest is off"
_BOOT_BLOCKS = 64


async def clone(context: Context, request: CloneDisk) -> dict[str, Json]:
    """The size, `method` (flashcopy or copy), and the kind. A failure erases the disk that was to be the copy."""
    place, source = request.place, request.source
    if str(place) == str(source):
        raise FieldError("source_vdev", str(source), "another disk than the one that becomes the copy")
    for owner in dict.fromkeys((place.userid, source.userid)):
        if owner:
            await must_be_off(context, owner, _WHY)
    async with (
        opened(context, source, _WHY, write=False) as original,
        opened(context, place, _WHY, write=True) as copy,
    ):
        if original.kind != copy.kind:
            raise AgentError(
                409, "disk-kind-mismatch", f"the source is an {original.kind} disk, {copy.name} is {copy.kind}",
                remedy="clone it to a disk of its kind",
            )  # fmt: skip
        units = original.size
        if units > copy.size:
            if copy.kind != "SCSI" or not await in_thread(partial(_ends_at, original.path, copy.size)):
                raise too_large(f"{original.size} {original.unit}", copy.size, copy.unit, original.size)
            units = copy.size
        if context.rehearsing:
            flashed = copy.kind == "ECKD" and await _flashcopy(context, original.alias, copy.alias, original.size)
            context.did("disk", f"clone by {'flashcopy' if flashed else 'copy'}", 0.0, **copy.named)
            return {**copy.facts, "units": original.size}
        worker = _Copy(original.path, copy.path, copy.kind, units, context)
        started = time.monotonic()
        try:
            flashed = copy.kind == "ECKD" and await _flashcopy(context, original.alias, copy.alias, original.size)
            work = worker.after_flashcopy if flashed else worker.copy
            await in_thread(work, stop=worker.stop)
        except TrackError as problem:
            await in_thread(partial(erase_disk, copy.path, copy.kind))
            raise AgentError(502, "disk-unreadable", f"{original.name}: {problem}") from problem
        except BaseException:
            await in_thread(partial(erase_disk, copy.path, copy.kind))
            raise
        method = "flashcopy" if flashed else "copy"
        context.did("disk", f"clone by {method}", (time.monotonic() - started) * 1000, **copy.named)
    context.report(1.0, f"cloned {units} {original.unit} to {copy.name}")
    return {**copy.facts, "kind": copy.kind, "units": units, "disk_units": copy.size, "method": method}


async def _flashcopy(context: Context, source: str, target: str, cylinders: int) -> bool:
    """Whether CP has done it."""
    context.report(0.1, "asking CP to FLASHCOPY")
    try:
        await context.cp(commands.flashcopy(source, target, cylinders - 1))
    except AgentError as refusal:
        if refusal.problem.cp is None:
            raise
        return False
    return True


class _Copy:
    """The copying, in a thread. The first track, or the first blocks, are erased first and written last."""

    def __init__(self, source: Path, target: Path, kind: str, units: int, context: Context) -> None:
        self._source, self._target, self._kind, self._units = source, target, kind, units
        self._context = context
        self._stopped = False

    def stop(self) -> None:
        """Copy nothing more: the operation was cancelled, and the disk will be erased."""
        self._stopped = True

    def _tell(self, done: int) -> None:
        unit = "cylinders" if self._kind == "ECKD" else "blocks"
        self._context.report(0.1 + 0.8 * done / self._units, f"copied {done} of {self._units} {unit}")

    def copy(self) -> None:
        """Copy what the source holds; holes stay holes."""
        (self._tracks if self._kind == "ECKD" else self._blocks)()

    def after_flashcopy(self) -> None:
        """Empty what lies beyond the copy, and see that the first track arrived."""
        with EckdDisk(self._source) as source, EckdDisk(self._target, writable=True) as target:
            target.clear(self._units * TRACKS_PER_CYLINDER, target.tracks - 1)
            target.flush()
            _same(source.read_track(0, 0) == target.read_track(0, 0))

    def _tracks(self) -> None:
        with EckdDisk(self._source) as source, EckdDisk(self._target, writable=True) as target:
            target.clear(0, target.tracks - 1)
            target.flush()
            wanted, found = hashlib.sha256(), hashlib.sha256()
            for cylinder, head, track in source.used_tracks():
                if self._stopped:
                    return
                wanted.update(encode_explicit(track, cylinder, head))
                if cylinder or head:
                    target.write_track(cylinder, head, track)
                if not head:
                    self._tell(cylinder)
            target.flush()
            target.write_track(0, 0, source.read_track(0, 0))
            target.flush()
            for cylinder, head, track in target.used_tracks():
                if self._stopped:
                    return
                if track != DEFAULT_TRACK:
                    found.update(encode_explicit(track, cylinder, head))
            _same(wanted.digest() == found.digest())

    def _blocks(self) -> None:
        with FbaDisk(self._source) as source, FbaDisk(self._target, writable=True) as target:
            target.clear(0, target.blocks)
            target.flush()
            first = min(_BOOT_BLOCKS, self._units)
            wanted, found = hashlib.sha256(), hashlib.sha256()
            for at, data in source.stretches(0, self._units):
                if self._stopped:
                    return
                wanted.update(at.to_bytes(8) + data)
                skip = 0 if at else first
                target.write_sparse(at + skip, data[skip * 512 :])
                self._tell(at)
            target.flush()
            target.write_sparse(0, source.read(0, first))
            target.flush()
            for at, data in target.stretches(0, self._units):
                if self._stopped:
                    return
                found.update(at.to_bytes(8) + data)
            _same(wanted.digest() == found.digest())


def _ends_at(path: Path, units: int) -> bool:
    """Whether all blocks from there on are zeros; in a thread."""
    with FbaDisk(path) as disk:
        return next(disk.stretches(units, disk.blocks), None) is None


def _same(same: bool) -> None:
    if not same:
        raise AgentError(502, "copy-differs", "what was copied is not what the source holds", retryable=True)
