"""Operations about FCP devices: given to a guest, kept when it moves, and taken back; and the guest's own configuration
service."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from typing import Any

from zvmcloud.zhcp import fields
from zvmcloud.zhcp.errors import FieldError
from zvmcloud.zhcp.kinds import OfGuest, Operation, kind


def _numbers(default: object = ()) -> Any:
    return fields.limits(
        default=default, pattern=fields.VDEV, upper=True, pad=4, rule="1 to 4 hexadecimal digits"
    )  # fmt: skip


def _elsewhere() -> Any:
    return fields.limits(default=(), pattern=fields.USERID, upper=True, rule="userids")


def check_reals(devices: tuple[str, ...], reals: tuple[str, ...]) -> None:
    """FieldError for numbers of real devices that are not as many as the virtual ones."""
    if reals and len(reals) != len(devices):
        raise FieldError("parameters.reals", f"{len(reals)} devices", f"none, or as many as devices: {len(devices)}")


@kind("fcp.dedicate")
@dataclass(frozen=True, slots=True)
class DedicateFcps(OfGuest):
    """Give FCP devices to a guest; at once when it is on. `devices`: the virtual device numbers; `reals`: the devices,
    in the same order, when their numbers are others. `elsewhere`: guests of other members of the SSI cluster, which has
    one directory: what their entries dedicate are devices of their members.

    Undone: the devices are taken back, from the running guest first.

    Errors: 404 `guest-unknown`, `fcp-unknown`; 409 `fcp-in-use`.
    """

    devices: tuple[str, ...] = _numbers(MISSING)
    reals: tuple[str, ...] = _numbers()
    elsewhere: tuple[str, ...] = _elsewhere()

    def check(self) -> None:
        """As many real devices as virtual ones."""
        check_reals(self.devices, self.reals)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Virtual and real device numbers."""
        return tuple(zip(self.devices, self.reals or self.devices, strict=True))


@kind("fcp.follow")
@dataclass(frozen=True, slots=True)
class FollowFcps(OfGuest):
    """Have the entry of a guest that goes to this member of the SSI cluster, or has come, dedicate FCP devices of this
    member, at the virtual device numbers that it has. Without `devices`: those that z/VM gave the running guest when it
    was relocated. With them, for a guest that is off: `reals` in their order; see `fcp.dedicate` for `elsewhere`.

    Undone: the entry dedicates the devices that it did before.

    Errors: 404 `guest-unknown`, `fcp-unknown`; 409 `guest-active`, `fcp-in-use`.
    """

    devices: tuple[str, ...] = _numbers()
    reals: tuple[str, ...] = _numbers()
    elsewhere: tuple[str, ...] = _elsewhere()

    def check(self) -> None:
        """As many real devices as virtual ones."""
        check_reals(self.devices, self.reals)
        if len(self.reals) != len(self.devices):
            raise FieldError("parameters.reals", "0 devices", f"as many as devices: {len(self.devices)}")


@kind("fcp.vary")
@dataclass(frozen=True, slots=True)
class VaryFcps(Operation):
    """Take real FCP devices that nobody has offline, so that z/VM gives none of them to a guest that is relocated here,
    or online again. One that somebody has by now stays as it is.

    Undone: those that were taken offline come online again.

    Errors: what CP says of a device.
    """

    online: bool
    devices: tuple[str, ...] = _numbers(MISSING)


@kind("fcp.undedicate")
@dataclass(frozen=True, slots=True)
class UndedicateFcps(OfGuest):
    """Take FCP devices back; those it does not have are fine.

    Undone: the devices are given again, to the running guest and in its entry.

    Errors: 404 `guest-unknown`; what CP says when the guest does not give a device back.
    """

    devices: tuple[str, ...] = _numbers(MISSING)


@kind("guest.configure")
@dataclass(frozen=True, slots=True)
class ConfigureGuest(OfGuest):
    """Have a running guest read its class X files now; one that is off or has not booted reads them at its boot.
    `scripts` says whose they are, when it fails: the exit statuses of the scripts of a volume have meanings.
    `or_at_boot`: that it is not known whether the guest runs is fine, too.

    Undone: `back` is run; without it what the scripts did in the guest stays.

    Errors: 409 `volume-script-failed`, `disks-script-failed`, `network-script-failed`, each with the service's exit
    status.
    """

    scripts: str = fields.limits(pattern=r"volume|disks|network", rule="volume, disks or network")
    script: str = fields.base64()
    """A shell script (base64) that is put into its reader first, as CONFIG SH."""
    unless: str = fields.limits(default="", pattern=r"[A-Za-z0-9@#$_.-]{0,8}", upper=True, rule="at most 8 characters")
    """The script makes up for what that SH file did: nothing is done while the guest has not read it."""
    back: str = fields.base64()
    """A shell script (base64) that takes back what the guest did, when that fails or is cancelled."""
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
    devices: tuple[str, ...] = _numbers(MISSING)
    wwpns: tuple[str, ...] = fields.limits(pattern=r"[0-9a-f]{16}", rule="16 lower-case hexadecimal digits")
    wwid: str = fields.limits(default="", pattern=r"[0-9A-Za-z]{0,64}", rule="at most 64 letters and digits")
    min_paths: int = fields.limits(default=1, low=1, high=64)
