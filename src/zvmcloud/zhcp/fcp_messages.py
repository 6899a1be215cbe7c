"""Operations about FCP devices: given to a guest and taken back, and the guest's own configuration service."""

from __future__ import annotations

from dataclasses import dataclass

from zvmcloud.zhcp import fields
from zvmcloud.zhcp.kinds import Operation, kind


@kind("fcp.dedicate")
@dataclass(frozen=True, slots=True)
class DedicateFcps(Operation):
    """Give FCP devices to a guest, at the same virtual device numbers; at once when it is on."""

    userid: str = fields.userid()
    devices: tuple[str, ...] = fields.limits(pattern=fields.VDEV, upper=True, pad=4, rule="1 to 4 hexadecimal digits")


@kind("fcp.undedicate")
@dataclass(frozen=True, slots=True)
class UndedicateFcps(Operation):
    """Take FCP devices back; those it does not have are fine."""

    userid: str = fields.userid()
    devices: tuple[str, ...] = fields.limits(pattern=fields.VDEV, upper=True, pad=4, rule="1 to 4 hexadecimal digits")


@kind("guest.configure")
@dataclass(frozen=True, slots=True)
class ConfigureGuest(Operation):
    """Have a running guest read its class X files now; one that is off or has not booted reads them at its boot."""

    userid: str = fields.userid()
