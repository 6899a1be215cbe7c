"""disk.add and disk.remove on the wire, and the disk that an operation asks for.

Sizes: `size_units` counts cylinders (ECKD) or 512-byte blocks (FBA).
"""

from __future__ import annotations

from dataclasses import dataclass

from zvmcloud.images.tracks import MAX_CYLINDERS
from zvmcloud.zhcp import fields
from zvmcloud.zhcp.errors import FieldError
from zvmcloud.zhcp.kinds import OfGuest, kind

FORMATS = ("none", "ext2", "ext3", "ext4", "xfs", "swap")
MAX_BLOCKS = 2_147_483_640
MAX_VDISK_BLOCKS = 4_194_296


@dataclass(frozen=True, slots=True)
class NewDisk:
    """A disk to add: a minidisk from a pool, or a V-DISK with `vdisk_blocks`.

    With `pools` in the place of `pool`, `placement` chooses one of them: most-free, spread (over them), or fill (in
    their order). With `volume` the disk lies on that volume of its pool.
    """

    vdev: str = fields.vdev()
    size_units: int = fields.limits(default=0, low=0, high=MAX_BLOCKS)
    type: str = fields.limits(default="ECKD", choices=("ECKD", "FBA"), upper=True)
    pool: str = fields.limits(
        default="", pattern=r"([A-Z0-9@#$_-]{1,8})?", upper=True, rule="1 to 8 characters A-Z, 0-9, @, #, $, _ or -"
    )
    pools: tuple[str, ...] = fields.limits(default=(), pattern=fields.NAME8, upper=True, rule="1 to 8 characters")
    placement: str = fields.limits(default="most-free", choices=("most-free", "spread", "fill"))
    volume: str = fields.limits(default="", pattern=r"[A-Z0-9@#$]{0,6}", upper=True, rule="a volume's label")
    format: str = fields.limits(default="none", choices=FORMATS)
    boot: bool = False
    vdisk_blocks: int = fields.limits(default=0, low=0, high=MAX_VDISK_BLOCKS)

    def check(self, path: str) -> None:
        """Limits that depend on the kind of disk."""
        if self.vdisk_blocks:
            if self.format not in ("none", "swap"):
                raise FieldError(f"{path}.format", self.format, "a V-DISK is not formatted when it is defined")
            return
        if bool(self.pool) == bool(self.pools):
            limit = "either pool or pools, for a minidisk" if self.pool else "it is required for a minidisk"
            raise FieldError(f"{path}.pool", self.pool, limit)
        if self.volume and not self.pool:
            raise FieldError(f"{path}.volume", self.volume, "a volume belongs to one pool")
        high, unit = (MAX_CYLINDERS, "cylinders") if self.type == "ECKD" else (MAX_BLOCKS, "blocks")
        if not 1 <= self.size_units <= high:
            raise FieldError(f"{path}.size_units", self.size_units, f"the range is 1 to {high} {unit}")


def check_disks(disks: tuple[NewDisk, ...]) -> None:
    """Limits of a list of disks: each in itself, and no vdev twice."""
    seen: set[str] = set()
    for index, disk in enumerate(disks):
        disk.check(f"disks[{index}]")
        if disk.vdev in seen:
            raise FieldError(f"disks[{index}].vdev", disk.vdev, "each virtual device number can be given once")
        seen.add(disk.vdev)


@kind("disk.add")
@dataclass(frozen=True, slots=True)
class AddDisks(OfGuest):
    """Add disks to a directory entry and format them; a guest that is on gets them at once.

    Undone: the disks are taken from the running guest and deleted; one that the guest does not give back stays, and is
    named.

    Errors: 404 `guest-unknown`, `pool-unknown`; 409 `disk-exists`, `pool-full`; 422 `format-failed`; 501
    `tool-missing`.
    """

    disks: tuple[NewDisk, ...] = fields.limits(high=64)

    def check(self) -> None:
        """Each disk in itself, and no vdev twice."""
        check_disks(self.disks)


@kind("disk.remove")
@dataclass(frozen=True, slots=True)
class RemoveDisks(OfGuest):
    """Remove disks of a guest that is off; numbers it does not have are fine.

    Undone: nothing: a disk that was deleted is gone. Sent again, it goes on with those that are left.

    Errors: 404 `guest-unknown`; 409 `guest-active`.
    """

    vdevs: tuple[str, ...] = fields.limits(pattern=fields.VDEV, upper=True, pad=4, rule="1 to 4 hexadecimal digits")
