"""A raw image for ECKD disks that has a GUID partition table of 4096-byte sectors, and where its partitions go.

CoreOS is published so ("dasd"). An ECKD disk has no such table: each partition, in the order of the image, begins on a
track, the first one on track 2 behind the labels, and the last one has the rest of the disk. Linux and Ignition find
them by the labels of their file systems. Source: what coreos-installer and Feilong's unpackdiskimage do with the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zvmcloud.images import cdl, gpt
from zvmcloud.images.diskfile import FBA_BLOCK_BYTES
from zvmcloud.images.sparsefile import DiskFileError
from zvmcloud.images.tracks import BLOCK_BYTES, CYLINDER_DATA_BYTES, TRACK_DATA_BYTES, TRACKS_PER_CYLINDER

SECTOR = BLOCK_BYTES
HEAD_BYTES = TRACK_DATA_BYTES
"""The first bytes of an image, in which its table is."""
_UNKNOWN = 1 << 50


class EckdImageError(ValueError):
    """The partitions do not go onto an ECKD disk."""


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of the image from `start` to before `end`, and the track from which they go."""

    start: int
    end: int
    first_track: int

    @property
    def tracks(self) -> int:
        """Tracks that they fill."""
        return -(-(self.end - self.start) // TRACK_DATA_BYTES)


class _Head:
    """The first bytes of an image as a disk."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data = data
        self.blocks = (size or _UNKNOWN) // FBA_BLOCK_BYTES

    def read(self, block: int, count: int) -> bytes:
        found = self._data[block * FBA_BLOCK_BYTES : (block + count) * FBA_BLOCK_BYTES]
        if len(found) < count * FBA_BLOCK_BYTES:
            raise DiskFileError("the table is not among the first blocks")
        return found


def has_table(first: bytes) -> bool:
    """Whether an image that begins so is one of these."""
    return first[SECTOR : SECTOR + len(gpt.MAGIC)] == gpt.MAGIC


def parts(first: bytes, size: int = 0) -> tuple[Part, ...]:
    """Where its partitions go. `first`: its first HEAD_BYTES; `size` in bytes, 0: not known. EckdImageError."""
    try:
        found = sorted(gpt.partitions(_Head(first, size), SECTOR), key=lambda item: item.first_block)
    except gpt.PartitionTableError as problem:
        raise EckdImageError(str(problem)) from problem
    if not 0 < len(found) <= cdl.MOST_PARTITIONS:
        raise EckdImageError(f"it has {len(found)} partitions; an ECKD disk has 1 to {cdl.MOST_PARTITIONS}")
    placed: list[Part] = []
    track, behind = cdl.FIRST_PARTITION_TRACK, 0
    for item in found:
        start = item.first_block * FBA_BLOCK_BYTES
        if start < behind:
            raise EckdImageError(f"partition {item.number} begins inside of the one before it")
        behind = start + item.blocks * FBA_BLOCK_BYTES
        placed.append(Part(start, behind, track))
        track += placed[-1].tracks
    return tuple(placed)


def cylinders(placed: Sequence[Part], size: int) -> int:
    """What the partitions need, and not less than the bytes of the image by the cylinder, which is what clients of the
    connector are told of it (reference/connector/formats.md, section 1)."""
    tracks = placed[-1].first_track + placed[-1].tracks
    return max(-(-tracks // TRACKS_PER_CYLINDER), -(-size // CYLINDER_DATA_BYTES))
