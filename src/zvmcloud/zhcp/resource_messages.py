"""Operations about what a guest has of the machine: processors, storage, its disk as an image."""

from __future__ import annotations

from dataclasses import dataclass, field

from zvmcloud.zhcp import fields
from zvmcloud.zhcp.kinds import Operation, kind

_SHARE = r"((REL(ATIVE)?|ABS(OLUTE)?) [0-9]{1,5}(\.[0-9]{1,2})?%?)?"


@kind("guest.resize_cpus")
@dataclass(frozen=True, slots=True)
class ResizeCpus(Operation):
    """Give a guest `count` virtual processors at its next logon, and (live) in the running guest too.

    Without `share` a share that follows the number of processors (100 each) goes on following it; another one stays.
    """

    userid: str = fields.userid()
    count: int = fields.limits(low=1, high=64)
    share: str = fields.limits(default="", pattern=_SHARE, upper=True, rule="such as RELATIVE 200 or ABSOLUTE 10%")
    live: bool = False


@kind("guest.resize_memory")
@dataclass(frozen=True, slots=True)
class ResizeMemory(Operation):
    """Give a guest so much storage at its next logon, and (live) in the running guest, which can only grow."""

    userid: str = fields.userid()
    memory_mb: int = fields.limits(low=1, high=16 * 1024 * 1024)
    live: bool = False


@dataclass(frozen=True, slots=True)
class ImageTarget:
    """Where an image's bytes go: one PUT to `url` (http or https), whose answer names their SHA-256."""

    url: str = fields.limits(pattern=r"https?://[!-~]{1,2000}", rule="an http: or https: URL")
    headers: dict[str, str] = field(
        default_factory=dict, repr=False, metadata={"pattern": r"[ -~]{0,4000}", "rule": "printable characters"}
    )


@kind("disk.read_image")
@dataclass(frozen=True, slots=True)
class ReadImage(Operation):
    """Send a minidisk of a guest that is off as an image file.

    Without `vdev` the disk that the guest's IPL statement names. `compression`: the level of `codec` (gzip 1 to 9, zstd
    1 to 19), 0 for none.
    """

    target: ImageTarget
    userid: str = fields.userid()
    vdev: str = fields.limits(
        default="", pattern=f"({fields.VDEV})?", upper=True, pad=4, rule="1 to 4 hexadecimal digits"
    )
    compression: int = fields.limits(default=6, low=0, high=19)
    codec: str = fields.limits(default="gzip", choices=("gzip", "zstd"))


@kind("disk.clone")
@dataclass(frozen=True, slots=True)
class CloneDisk(Operation):
    """Make a minidisk the copy of another of the same kind, both of guests that are off. A larger one is fine."""

    userid: str = fields.userid()
    vdev: str = fields.vdev()
    source_userid: str = fields.userid()
    source_vdev: str = fields.vdev()


@kind("guest.relocate")
@dataclass(frozen=True, slots=True)
class RelocateGuest(Operation):
    """Move a running guest to another member of the SSI cluster, or (`test`) only ask whether it could go.

    Limits in seconds; 0: z/VM's own, -1: none. `authorize`: the userid whose commands the guest's agent obeys after it.
    """

    userid: str = fields.userid()
    destination: str = fields.name()
    test: bool = False
    force: tuple[str, ...] = fields.limits(default=(), choices=("ARCHITECTURE", "DOMAIN", "STORAGE"), upper=True)
    immediate: bool | None = None
    max_total: int = fields.limits(default=0, low=-1, high=99_999_999)
    max_quiesce: int = fields.limits(default=0, low=-1, high=99_999_999)
    authorize: str = fields.limits(default="", pattern=f"({fields.USERID})?", upper=True, rule="a userid")
