"""What an image holds, laid onto a disk: the CKD stream, raw bytes on ECKD, raw bytes on 512-byte blocks.

What makes the disk bootable (track 0 of an ECKD disk, the first blocks of another) is erased first and written last,
after the digest was right: a disk that failed half-way never boots. What lies beyond the image becomes empty.

Raw bytes on an ECKD disk are what Linux's DASD driver makes of them when they are written to the block device of a
disk with the compatible layout and 4096-byte blocks: twelve blocks a track, except that blocks 0 to 2 are the IPL1,
IPL2 and VOL1 records (4-byte keys; 28, 148 and 84 bytes in all) and blocks 12 to 23 the VTOC (44-byte keys, 140 bytes
in all). The driver reads these short records with X'E5' behind them and drops that on writing. Bytes that would be
lost there are an error: such an image was made of another kind of disk (Linux: drivers/s390/block/dasd_eckd.c,
dasd_eckd_cdl_special). But an image with a GUID partition table of 4096-byte sectors was made to have its partitions
copied (`images.eckd_image`).
"""

from __future__ import annotations

from typing import Protocol

from zvmcloud.images import cdl, ckd, eckd_image
from zvmcloud.images.diskfile import FBA_BLOCK_BYTES, EckdDisk, FbaDisk
from zvmcloud.images.header import FBA_PARTITION_START, ImageHeader
from zvmcloud.images.tracks import (
    BLOCK_BYTES,
    BLOCKS_PER_TRACK,
    DEFAULT_TRACK,
    TRACK_DATA_BYTES,
    TRACKS_PER_CYLINDER,
    Record,
    Track,
)
from zvmcloud.zhcp.formatting import partition_table
from zvmcloud.zhcp.image_errors import ImageError, too_large

_FIRST_BLOCKS = 64
_ZEROS = bytes(1024 * 1024)
_VOLSER = "COREOS"
"""The volume serial of a disk whose partitions were copied."""


class Body(Protocol):
    """Takes the content of an image in any pieces: `feed` and `skip`, then `finish`, or `erase`."""

    @property
    def units(self) -> int:
        """Cylinders or blocks of the image that are on the disk."""

    @property
    def used(self) -> int:
        """Tracks that are not as CP formats them (0 for disks of blocks)."""

    def feed(self, piece: bytes) -> None:
        """The next bytes. ImageError when they do not belong on the disk."""

    def skip(self, length: int) -> None:
        """So many bytes of zeros."""

    def finish(self) -> int:
        """All bytes were given and are right: make the disk bootable and durable. The units of the image."""

    def erase(self) -> None:
        """Leave nothing of the image, nor of what was there before."""


def skip_as_zeros(body: Body, length: int) -> None:
    """Feed zeros in pieces."""
    while length:
        step = min(length, len(_ZEROS))
        body.feed(_ZEROS[:step])
        length -= step


class _Tracks:
    """An ECKD disk written track after track; track 0 waits until the end."""

    def __init__(self, disk: EckdDisk, limit: int) -> None:
        """`limit` in tracks."""
        self.disk = disk
        self.limit = limit
        self.next = 0
        self.used = 0
        self._boot: Track | None = None
        disk.write_track(0, 0, DEFAULT_TRACK)
        disk.flush()

    @property
    def units(self) -> int:
        return self.next // TRACKS_PER_CYLINDER

    def put(self, track: Track) -> None:
        if track != DEFAULT_TRACK:
            self.used += 1
        if self.next == 0:
            self._boot = track
        else:
            self.disk.write_track(*divmod(self.next, TRACKS_PER_CYLINDER), track)
        self.next += 1

    def finish(self) -> int:
        if self._boot is None:
            raise ImageError("the image holds no track")
        if self.next < self.disk.tracks:
            self.disk.clear(self.next, self.disk.tracks - 1)
        self.disk.flush()
        self.disk.write_track(0, 0, self._boot)
        self.disk.flush()
        return -(-self.next // TRACKS_PER_CYLINDER)

    def erase(self) -> None:
        self.disk.clear(0, self.disk.tracks - 1)
        self.disk.flush()


class CkdBody(_Tracks):
    """The CKD stream of a connector's ECKD image."""

    def __init__(self, disk: EckdDisk, head: ImageHeader) -> None:
        super().__init__(disk, head.size * TRACKS_PER_CYLINDER)
        self._units = head.size
        self._decoder = ckd.CkdDecoder()

    def feed(self, piece: bytes) -> None:
        for track in self._decoder.feed(piece):
            if self.next >= self.limit:
                raise ImageError(f"the image holds more tracks than the {self._units} cylinders of its header")
            self.put(track)

    def skip(self, length: int) -> None:
        skip_as_zeros(self, length)

    def finish(self) -> int:
        self._decoder.close()
        super().finish()
        return self._units


class CdlBody(_Tracks):
    """Raw bytes, as the DASD driver would write them. A last block that is not full is filled with zeros."""

    def __init__(self, disk: EckdDisk) -> None:
        super().__init__(disk, disk.tracks)
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        at = 0
        if self._rest:
            at = min(TRACK_DATA_BYTES - len(self._rest), len(piece))
            self._rest += piece[:at]
            if len(self._rest) < TRACK_DATA_BYTES:
                return
            self._put_tracks(self._rest, 0, TRACK_DATA_BYTES)
        end = len(piece) - (len(piece) - at) % TRACK_DATA_BYTES
        self._put_tracks(piece, at, end)
        self._rest = piece[end:]

    def _put_tracks(self, data: bytes, at: int, end: int) -> None:
        """Bytes that fill whole tracks. They are not copied: most of an image comes here."""
        while self.next < 2 and at < end:
            self._label_track(data[at : at + TRACK_DATA_BYTES])
            at += TRACK_DATA_BYTES
        tracks = (end - at) // TRACK_DATA_BYTES
        if tracks:
            self._room(tracks)
            self.used += self.disk.write_blocks(self.next, data, at, end)
            self.next += tracks

    def skip(self, length: int) -> None:
        head = min(length, -len(self._rest) % TRACK_DATA_BYTES)
        skip_as_zeros(self, head)
        tracks, tail = divmod(length - head, TRACK_DATA_BYTES)
        while tracks and self.next < 2:
            self._label_track(_ZEROS[:TRACK_DATA_BYTES])
            tracks -= 1
        if tracks:
            self._room(tracks)
            self.disk.clear(self.next, self.next + tracks - 1)
            self.next += tracks
        skip_as_zeros(self, tail)

    def _room(self, tracks: int) -> None:
        if self.next + tracks > self.limit:
            cylinders = self.limit // TRACKS_PER_CYLINDER
            raise too_large(f"more than {cylinders} CYL", cylinders, "CYL", cylinders + 1)

    def _label_track(self, data: bytes) -> None:
        self._room(1)
        blocks = [data[at : at + BLOCK_BYTES] for at in range(0, TRACK_DATA_BYTES, BLOCK_BYTES)]
        self.put(Track(tuple(_record(self.next, number, block) for number, block in enumerate(blocks))))

    def finish(self) -> int:
        if self._rest:
            self.feed(bytes(TRACK_DATA_BYTES - len(self._rest)))
        return super().finish()


def _record(track: int, number: int, block: bytes) -> Record:
    """A block of the first two tracks, as the record that the DASD driver keeps of it."""
    position = track * BLOCKS_PER_TRACK + number
    short = cdl.short_record(position)
    if short is None:
        return Record(number + 1, b"", block)
    key, length = short
    if not cdl.keeps(position, block):
        raise ImageError(
            f"the raw image has data in block {position} where an ECKD disk keeps only the "
            f"first {length} bytes: it was made of a disk with another layout (such as MBR or GPT)",
            "image-layout",
            "write it to an FBA disk or a SCSI volume, use an image made of an ECKD disk, or install by guest.netboot",
        )
    return Record(number + 1, block[:key], block[key:length])


class PartitionBody(_Tracks):
    """The partitions of an image for ECKD disks, each on tracks of its own. Nothing starts the disk yet."""

    def __init__(self, disk: EckdDisk, first: bytes) -> None:
        """`first`: the first bytes, as many as `eckd_image.parts` wants; they are not taken yet."""
        super().__init__(disk, disk.tracks)
        try:
            self._parts = list(eckd_image.parts(first))
        except eckd_image.EckdImageError as problem:
            raise ImageError(str(problem), "image-layout") from problem
        self._starts = tuple(part.first_track for part in self._parts)
        needed = eckd_image.cylinders(self._parts, 0)
        if needed > disk.cylinders:
            raise too_large(f"{needed} CYL", disk.cylinders, "CYL", needed)
        self._at = 0
        self._rest = b""
        self.next = cdl.FIRST_PARTITION_TRACK

    def feed(self, piece: bytes) -> None:
        at = 0
        while self._parts and at < len(piece):
            part = self._parts[0]
            inside = self._at >= part.start
            step = min((part.end if inside else part.start) - self._at, len(piece) - at)
            if inside:
                self._take(piece[at : at + step])
            at += step
            self._at += step
            if self._at == part.end:
                self._take(bytes(-len(self._rest) % TRACK_DATA_BYTES))
                del self._parts[0]

    def _take(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        tracks = len(data) // TRACK_DATA_BYTES
        if tracks:
            self.used += self.disk.write_blocks(self.next, data, 0, tracks * TRACK_DATA_BYTES)
            self.next += tracks
        self._rest = data[tracks * TRACK_DATA_BYTES :]

    def skip(self, length: int) -> None:
        skip_as_zeros(self, length)

    def finish(self) -> int:
        if self._parts:
            raise ImageError(f"the image ends at byte {self._at}, inside of a partition", "image-truncated")
        if self.next < self.disk.tracks:
            self.disk.clear(self.next, self.disk.tracks - 1)
        self.disk.flush()
        cdl.write_labels(self.disk, _VOLSER, starts=self._starts)
        self.disk.flush()
        return -(-self.next // TRACKS_PER_CYLINDER)


class RawEckdBody:
    """Raw bytes onto an ECKD disk: its first track tells whether they are partitions to be copied, or all of a disk."""

    def __init__(self, disk: EckdDisk) -> None:
        self._disk = disk
        self._first = b""
        self._body: CdlBody | PartitionBody | None = None

    @property
    def units(self) -> int:
        return self._body.units if self._body is not None else 0

    @property
    def used(self) -> int:
        return self._body.used if self._body is not None else 0

    def feed(self, piece: bytes) -> None:
        if self._body is None:
            self._first += piece
            if len(self._first) >= eckd_image.HEAD_BYTES:
                self._choose()
        else:
            self._body.feed(piece)

    def skip(self, length: int) -> None:
        if self._body is None:
            head = min(length, eckd_image.HEAD_BYTES - len(self._first))
            self.feed(bytes(head))
            length -= head
        if self._body is not None:
            self._body.skip(length)

    def finish(self) -> int:
        return self._choose().finish()

    def erase(self) -> None:
        self._choose().erase()

    def _choose(self) -> CdlBody | PartitionBody:
        if self._body is None:
            first, self._first = self._first, b""
            table = eckd_image.has_table(first)
            self._body = PartitionBody(self._disk, first) if table else CdlBody(self._disk)
            self._body.feed(first)
        return self._body


class BlockBody:
    """Bytes onto 512-byte blocks (FBA, SCSI); the first blocks wait. A partition image gets a partition around it."""

    def __init__(self, disk: FbaDisk, head: ImageHeader | None = None, *, partition: bool = False) -> None:
        self._disk = disk
        self._partition = partition
        self._base = FBA_PARTITION_START if partition else 0
        self._head = head
        self._next = 0
        self._rest = b""
        self._boot = b""
        self.used = 0
        disk.clear(0, min(_FIRST_BLOCKS, disk.blocks))
        disk.flush()

    @property
    def units(self) -> int:
        return self._next

    def feed(self, piece: bytes) -> None:
        data = self._rest + piece if self._rest else piece
        over = len(data) % FBA_BLOCK_BYTES
        self._rest = data[len(data) - over :]
        self._put(data[: len(data) - over])

    def _room(self, blocks: int) -> None:
        if self._head is not None and self._next + blocks > self._head.size:
            raise ImageError(f"the image holds more than the {self._head.size} blocks of its header")
        room = self._disk.blocks - self._base
        if self._next + blocks > room:
            raise too_large(f"more than {room} BLK", room, "BLK", room + 1)

    def _put(self, data: bytes) -> None:
        self._room(len(data) // FBA_BLOCK_BYTES)
        if not self._partition and self._next < _FIRST_BLOCKS:
            head = min(len(data), (_FIRST_BLOCKS - self._next) * FBA_BLOCK_BYTES)
            self._boot += data[:head]
            self._next += head // FBA_BLOCK_BYTES
            data = data[head:]
        if data:
            self._disk.write_sparse(self._base + self._next, data)
            self._next += len(data) // FBA_BLOCK_BYTES

    def skip(self, length: int) -> None:
        if self._rest or self._next < _FIRST_BLOCKS:
            head = min(length, _FIRST_BLOCKS * FBA_BLOCK_BYTES + -len(self._rest) % FBA_BLOCK_BYTES)
            skip_as_zeros(self, head)
            length -= head
        blocks, tail = divmod(length, FBA_BLOCK_BYTES)
        self._room(blocks)
        self._disk.clear(self._base + self._next, blocks)
        self._next += blocks
        skip_as_zeros(self, tail)

    def finish(self) -> int:
        if self._rest:
            self._put(self._rest.ljust(FBA_BLOCK_BYTES, b"\0"))
        if not self._next:
            raise ImageError("the image holds no block")
        end = self._base + self._next
        if end < self._disk.blocks:
            self._disk.clear(end, self._disk.blocks - end)
        self._disk.flush()
        self._disk.write_sparse(0, partition_table(self._disk.blocks) if self._partition else self._boot)
        self._disk.flush()
        return self._head.size if self._head is not None else self._next

    def erase(self) -> None:
        self._disk.clear(0, self._disk.blocks)
        self._disk.flush()
