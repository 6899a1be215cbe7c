"""disk.erase: make a minidisk or a SCSI volume as empty as a new one; the undo of an image that was written."""

from __future__ import annotations

import ctypes
import os
import time
from functools import partial
from pathlib import Path

from zvmcloud.images.diskfile import EckdDisk, FbaDisk
from zvmcloud.images.tracks import TRACKS_PER_CYLINDER
from zvmcloud.zhcp.errors import Json
from zvmcloud.zhcp.image_messages import EraseDisk
from zvmcloud.zhcp.joining import in_thread
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.operations.places import opened

_PUNCH_HOLE = 0x03
"""FALLOC_FL_PUNCH_HOLE and FALLOC_FL_KEEP_SIZE (linux/falloc.h)."""
_LIBC = ctypes.CDLL(None, use_errno=True)


async def erase(context: Context, request: EraseDisk) -> dict[str, Json]:
    """Nothing of what was on the disk can be read or IPLed afterwards."""
    why = "the disk of a guest that is off is erased"
    async with opened(context, request.place, why, write=True) as disk:
        started = time.monotonic()
        if not context.rehearsing:
            await in_thread(partial(erase_disk, disk.path, disk.kind, request.method))
        took = (time.monotonic() - started) * 1000
        context.did("disk", "erase", took, **disk.named)
    context.report(1.0, f"erased {disk.name}")
    return {**disk.facts, "kind": disk.kind}


def erase_disk(path: Path, kind: str, method: str = "zero") -> None:
    """Empty a linked disk; in a thread. `method`: discard is for SCSI volumes alone."""
    if kind == "ECKD":
        with EckdDisk(path, writable=True) as disk:
            disk.clear(0, disk.cylinders * TRACKS_PER_CYLINDER - 1)
            disk.flush()
    else:
        with FbaDisk(path, writable=True) as blocks:
            if not (kind == "SCSI" and method == "discard" and discard(path, blocks.size)):
                blocks.clear(0, blocks.blocks)
            blocks.flush()


def discard(path: Path, size: int) -> bool:
    """Have the device forget all its bytes, so that they read as zeros; False, and nothing done, where it cannot.

    fallocate(2) punches a hole into a file; of a block device it unmaps what then certainly reads as zeros, or refuses
    (Linux: block/fops.c, blkdev_fallocate).
    """
    descriptor = os.open(path, os.O_RDWR)
    try:
        length = ctypes.c_int64(size)
        return bool(_LIBC.fallocate(descriptor, _PUNCH_HOLE, ctypes.c_int64(0), length) == 0)
    finally:
        os.close(descriptor)
