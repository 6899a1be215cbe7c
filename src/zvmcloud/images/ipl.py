"""Does a disk hold something to IPL? The question CP's IPL asks of the first record.

ECKD: record 1 of cylinder 0 track 0 must have at least 24 bytes of data: an initial PSW (8 bytes) and two channel
command words. FBA: the first 24 bytes of block 0. All zeros is nothing to load. A PSW with the wait bit on (bit 14),
as formatting tools write into the first record, loads a disabled wait: there is a program, and all it does is stop.
"""

from __future__ import annotations

from dataclasses import dataclass

from zvmcloud.images import zipl
from zvmcloud.images.diskfile import EckdDisk, FbaDisk

IPL_BYTES = 24
_WAIT_BIT = 1 << (63 - 14)


@dataclass(frozen=True, slots=True)
class IplRecord:
    """The 24 bytes an IPL loads: PSW and two channel command words."""

    data: bytes

    @property
    def psw(self) -> int:
        """The initial PSW as a number of 64 bits."""
        return int.from_bytes(self.data[:8], "big")

    @property
    def bootable(self) -> bool:
        """Whether the PSW starts something: not zero and not a wait."""
        return self.psw != 0 and not self.psw & _WAIT_BIT


def read_ipl_record(disk: EckdDisk | FbaDisk) -> IplRecord | None:
    """The IPL record, or None when the disk has none (record too short, or zeros)."""
    if isinstance(disk, FbaDisk):
        data = disk.read(0, 1)[:IPL_BYTES]
    else:
        first = [record for record in disk.read_track(0, 0).records if record.number == 1]
        if not first or len(first[0].data) < IPL_BYTES:
            return None
        data = first[0].data[:IPL_BYTES]
    return IplRecord(data) if any(data) else None


def is_bootable(disk: EckdDisk | FbaDisk, *, scsi: bool = False) -> bool:
    """Whether an IPL of this disk starts a program: with `scsi` the program 0 of its boot record (see `zipl`)."""
    if scsi and isinstance(disk, FbaDisk):
        try:
            return bool(zipl.components(disk))
        except zipl.BootRecordError:
            return False
    record = read_ipl_record(disk)
    return record is not None and record.bootable
