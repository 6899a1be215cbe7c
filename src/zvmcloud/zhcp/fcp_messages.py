"""Operations about FCP devices: given to a guest and taken back, and the guest's own configuration service."""

from __future__ import annotations

from dataclasses import dataclass, field

from zvmcloud.zhcp import fields
from zvmcloud.zhcp.kinds import OfGuest, Operation, kind


@kind("fcp.dedicate")
@dataclass(frozen=True, slots=True)
class DedicateFcps(OfGuest):
    """Give FCP devices to a guest, at the same virtual device numbers; at once when it is on.

    Undone: the devices are taken back, from the running guest first.

    Errors: 404 `guest-unknown`, `fcp-unknown`; 409 `fcp-in-use`.
    """

    devices: tuple[str, ...] = fields.limits(pattern=fields.VDEV, upper=True, pad=4, rule="1 to 4 hexadecimal digits")


@kind("fcp.undedicate")
@dataclass(frozen=True, slots=True)
class UndedicateFcps(OfGuest):
    """Take FCP devices back; those it does not have are fine.

    Undone: the devices are given again, to the running guest and in its entry.

    Errors: 404 `guest-unknown`; what CP says when the guest does not give a device back.
    """

    devices: tuple[str, ...] = fields.limits(pattern=fields.VDEV, upper=True, pad=4, rule="1 to 4 hexadecimal digits")


@kind("guest.configure")
@dataclass(frozen=True, slots=True)
class ConfigureGuest(OfGuest):
    """Have a running guest read its class X files now; one that is off or has not booted reads them at its boot.
    `scripts` says whose they are, when it fails: the exit statuses of the scripts of a volume have meanings.
    `or_at_boot`: that it is not known whether the guest runs is fine, too.

    Undone: nothing: what the scripts did in the guest stays.

    Errors: 409 `volume-script-failed`, `disks-script-failed`, `network-script-failed`, each with the service's exit
    status.
    """

    scripts: str = fields.limits(pattern=r"volume|disks|network", rule="volume, disks or network")
    script: str = field(default="", repr=False, metadata={"pattern": r"[A-Za-z0-9+/=\s]*", "rule": "base64"})
    """A shell script (base64) that is put into its reader first, as CONFIG SH."""
    or_at_boot: bool = False


@kind("volume.refresh_bootmap")
@dataclass(frozen=True, slots=True)
class RefreshBootmap(Operation):
    """Make a SCSI volume bootable through these devices: find its paths, and have the program of the settings write
    the boot map. `lun` and the WWPNs are 16 digits.

    Undone: nothing: on z/VM nothing was changed, and the program of the settings cleans up after itself.

    Errors: 409 `bootmap-failed`; 502 `bootmap-failed`; 504 `bootmap-timeout`.
    """

    lun: str = fields.limits(pattern=r"[0-9a-f]{16}", rule="16 lower-case hexadecimal digits")
    devices: tuple[str, ...] = fields.limits(pattern=fields.VDEV, upper=True, pad=4, rule="1 to 4 hexadecimal digits")
    wwpns: tuple[str, ...] = fields.limits(pattern=r"[0-9a-f]{16}", rule="16 lower-case hexadecimal digits")
    wwid: str = fields.limits(default="", pattern=r"[0-9A-Za-z]{0,64}", rule="at most 64 letters and digits")
    min_paths: int = fields.limits(default=1, low=1, high=64)
