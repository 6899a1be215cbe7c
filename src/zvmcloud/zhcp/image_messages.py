"""Operations that copy what is on a disk: images onto disks, disks into images, disks onto disks.

The disk is a minidisk (`userid` and `vdev`) of a guest that is off, or a SCSI volume (`volume`), which the agent
reaches through FCP devices of its own virtual machine. Nothing on z/VM knows who else uses a LUN: whoever asks sees to
that. With a volume, `userid` may name the guest that has it, which must be off then.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from zvmcloud.zhcp import fields
from zvmcloud.zhcp.errors import FieldError
from zvmcloud.zhcp.kinds import Operation, kind

_DIGITS = "16 lower-case hexadecimal digits"


@dataclass(frozen=True, slots=True)
class Volume:
    """A LUN behind target ports. `devices`: FCP devices of the agent (none: those of the settings, storage.fcps)."""

    lun: str = fields.limits(pattern=r"[0-9a-f]{16}", rule=_DIGITS)
    wwpns: tuple[str, ...] = fields.limits(pattern=r"[0-9a-f]{16}", rule=_DIGITS)
    devices: tuple[str, ...] = fields.limits(
        default=(), pattern=fields.VDEV, upper=True, pad=4, rule="1 to 4 hexadecimal digits"
    )

    def check(self, path: str) -> None:
        """FieldError."""
        for name, given, low, high in (("wwpns", self.wwpns, 1, 64), ("devices", self.devices, 0, 16)):
            if not low <= len(given) <= high:
                raise FieldError(f"{path}.{name}", f"{len(given)} items", f"{low} to {high}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a disk is: a minidisk (userid, vdev), or a volume (and perhaps the userid that has it)."""

    userid: str
    vdev: str
    volume: Volume | None = None

    def check(self, prefix: str = "", *, guess: bool = False) -> None:
        """One of the two, and all of it; with `guess` vdev may be missing. FieldError."""
        if self.volume is not None:
            self.volume.check(f"{prefix}volume")
            if self.vdev:
                raise FieldError(f"{prefix}vdev", self.vdev, "either vdev or volume, not both")
            return
        if not self.userid:
            raise FieldError(f"{prefix}userid", "", "userid and vdev are required, or volume")
        if not self.vdev and not guess:
            raise FieldError(f"{prefix}vdev", "", "it is required, or volume")

    def __str__(self) -> str:
        return f"LUN 0x{self.volume.lun}" if self.volume is not None else f"disk {self.vdev} of {self.userid}"


@dataclass(frozen=True, slots=True)
class ImageSource:
    """Where an image file is. `url`: http, https, or file below a folder the agent allows. `bytes` 0: not known.

    One digest is required; of several the strongest is compared. `format` "": what its bytes tell.
    """

    url: str = fields.text(default=dataclasses.MISSING, high=2000, secret=True)
    sha256: str = fields.limits(default="", pattern=r"([0-9a-fA-F]{64})?", rule="64 hexadecimal digits")
    bytes: int = fields.limits(default=0, low=0, high=2**50)
    headers: dict[str, str] = field(default_factory=dict, repr=False, metadata=fields.HEADERS)
    sha512: str = fields.limits(default="", pattern=r"([0-9a-fA-F]{128})?", rule="128 hexadecimal digits")
    md5: str = fields.limits(default="", pattern=r"([0-9a-fA-F]{32})?", rule="32 hexadecimal digits")
    format: str = fields.limits(default="", choices=("", "raw", "qcow2"))


@dataclass(frozen=True, slots=True)
class ImageTarget:
    """Where an image's bytes go: one PUT to `url` (http or https), whose answer names their SHA-256 (not of `raw`)."""

    url: str = fields.limits(pattern=r"https?://[!-~]{1,2000}", rule="an http: or https: URL", secret=True)
    headers: dict[str, str] = field(default_factory=dict, repr=False, metadata=fields.HEADERS)


class _OfDisk(Operation):
    """An operation whose disk is a minidisk or a volume."""

    userid: str
    vdev: str
    volume: Volume | None

    @property
    def place(self) -> Place:
        """The disk."""
        return Place(self.userid, self.vdev, self.volume)

    def check(self) -> None:
        """A minidisk or a volume."""
        self.place.check("parameters.")


@kind("disk.write_image")
@dataclass(frozen=True, slots=True)
class WriteImage(_OfDisk):
    """Write an image onto a minidisk of a guest that is off, or onto a SCSI volume.

    Undone: the disk is erased, once anything was written to it; it never boots half an image.

    Errors: 404 `guest-unknown`, `disk-unknown`, `image-missing`; 409 `guest-active`, `disk-in-use`, `image-too-large`,
    `image-kind-mismatch`, `lun-unreachable`; 422 `digest-mismatch`, `image-damaged`, `image-truncated`, `image-format`,
    `image-header`, `image-layout`, `image-empty`; 502 `source-lost`, `source-changed`, `source-refused`; 507
    `disk-write-failed`, `cache-full`.
    """

    source: ImageSource
    userid: str = fields.userid(default="")
    vdev: str = fields.vdev(default="")
    volume: Volume | None = None


@kind("disk.read_image")
@dataclass(frozen=True, slots=True)
class ReadImage(Operation):
    """Send a minidisk of a guest that is off, or a SCSI volume, as an image file.

    Without `vdev` the disk that the guest's IPL statement names. `compression`: the level of `codec` (gzip 1 to 9, zstd
    1 to 19), 0 for none. `raw`: the blocks alone, without header and compression, at least `least_bytes` of them, and
    what is behind those up to the last that is not zeros; the result has their SHA-256 and SHA-512.

    Undone: nothing on z/VM was changed; the receiver keeps nothing of a part.

    Errors: 404 `guest-unknown`, `disk-unknown`; 409 `guest-active`, `boot-disk-unknown`, `boot-disk-linked`,
    `boot-disk-scsi`, `disk-kind-mismatch` (`raw` of an ECKD disk); 502 `target-lost`, `target-full`, `target-answer`,
    `digest-mismatch`.
    """

    target: ImageTarget
    userid: str = fields.userid(default="")
    vdev: str = fields.vdev(default="")
    compression: int = fields.limits(default=6, low=0, high=19)
    codec: str = fields.limits(default="gzip", choices=("gzip", "zstd"))
    volume: Volume | None = None
    raw: bool = False
    least_bytes: int = fields.limits(default=0, low=0, high=2**50)

    @property
    def place(self) -> Place:
        """The disk; its vdev may be missing."""
        return Place(self.userid, self.vdev, self.volume)

    def check(self) -> None:
        """A guest, a minidisk of it, or a volume."""
        self.place.check("parameters.", guess=True)


@kind("disk.erase")
@dataclass(frozen=True, slots=True)
class EraseDisk(_OfDisk):
    """Make a minidisk of a guest that is off, or a SCSI volume, as empty as a new one.

    `method` discard has a SCSI volume's storage box forget the blocks, which then read as zeros; where it does not,
    and with zero, zeros are written.

    Undone: nothing: what was erased is gone.

    Errors: 404 `guest-unknown`, `disk-unknown`; 409 `guest-active`, `disk-in-use`, `lun-unreachable`.
    """

    userid: str = fields.userid(default="")
    vdev: str = fields.vdev(default="")
    volume: Volume | None = None
    method: str = fields.limits(default="zero", choices=("zero", "discard"))


@kind("disk.clone")
@dataclass(frozen=True, slots=True)
class CloneDisk(Operation):
    """Make a minidisk or a SCSI volume the copy of another of the same kind, with no guest on that has one of them.

    A larger one is fine; a smaller volume is, when what does not fit is zeros.

    Undone: the disk that was to be the copy is erased.

    Errors: 404 `guest-unknown`, `disk-unknown`; 409 `guest-active`, `disk-in-use`, `disk-kind-mismatch`,
    `image-too-large`, `lun-unreachable`; 502 `copy-differs`, `disk-unreadable`; 507 `disk-write-failed`.
    """

    userid: str = fields.userid(default="")
    vdev: str = fields.vdev(default="")
    source_userid: str = fields.userid(default="")
    source_vdev: str = fields.vdev(default="")
    volume: Volume | None = None
    source_volume: Volume | None = None

    @property
    def place(self) -> Place:
        """The disk that becomes the copy."""
        return Place(self.userid, self.vdev, self.volume)

    @property
    def source(self) -> Place:
        """The disk that is copied."""
        return Place(self.source_userid, self.source_vdev, self.source_volume)

    def check(self) -> None:
        """Two disks, each a minidisk or a volume."""
        self.place.check("parameters.")
        self.source.check("parameters.source_")
