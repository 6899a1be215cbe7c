"""The operation that prepares a CoreOS on a disk for its first start."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from zvmcloud.images import coreos
from zvmcloud.images.coreos import CoreosError
from zvmcloud.zhcp import fields
from zvmcloud.zhcp.errors import FieldError
from zvmcloud.zhcp.image_messages import Place, Volume
from zvmcloud.zhcp.kinds import Operation, kind

_WORD, _RULE = r"[!-~]{1,400}", "1 to 400 characters without blanks"


@kind("volume.ignition")
@dataclass(frozen=True, slots=True)
class PrepareCoreos(Operation):
    """Give a CoreOS that was never started what its first start reads: the Ignition file, and words of the kernel's
    command line. `each_start`: words of every start (rd.zfcp=..., rd.dasd=...), in the loader entry too; `first_start`:
    words of the first one alone (rd.znet=..., ip=...). A word takes the place of those of the same name.

    A volume holds a CoreOS image for SCSI disks (blocks of 512 bytes), an ECKD minidisk (`userid` and `vdev`) one for
    ECKD disks, which gets IPL records and a loader. debugfs and e2fsck of e2fsprogs work on a copy of its boot
    partition; what differs is written at the end. The guest that has the disk must be off.

    Undone: every byte that was changed is as it was, also after a crash.

    Errors: 404 `guest-unknown`, `disk-unknown`; 409 `guest-active`, `disk-in-use`, `lun-unreachable`, `coreos-started`,
    `volume-changed`, `disk-type`; 422 `not-coreos`, `coreos-unprepared`; 501 `tool-missing`; 502 `disk-unreadable`; 507
    `disk-write-failed`.
    """

    ignition: str = fields.base64(default=MISSING, empty=False)
    volume: Volume | None = None
    userid: str = fields.userid(default="")
    vdev: str = fields.vdev(default="")
    each_start: tuple[str, ...] = fields.limits(default=(), pattern=_WORD, rule=_RULE)
    first_start: tuple[str, ...] = fields.limits(default=(), pattern=_WORD, rule=_RULE)

    @property
    def place(self) -> Place:
        """The disk."""
        return Place(self.userid, self.vdev, self.volume)

    def check(self) -> None:
        """A disk, and words that a command line can hold."""
        self.place.check("parameters.")
        for name, words in (("each_start", self.each_start), ("first_start", self.first_start)):
            try:
                coreos.check_words(name, words)
            except CoreosError as problem:
                raise FieldError(f"parameters.{name}", " ".join(words)[:80], str(problem)) from problem
