"""Operations about networks: an adapter with everything that belongs to it in one call, guest LANs, VSWITCH changes."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

from zvmcloud.zhcp import fields
from zvmcloud.zhcp.errors import FieldError
from zvmcloud.zhcp.kinds import OfDevice, Operation, kind

MAC = r"([0-9A-F]{2}[:-]?){5}[0-9A-F]{2}|[0-9A-F]{6}|"
MAX_VLAN = 4094
_ON_OFF = ("", "ON", "OFF")


def _lan_owner() -> Any:
    return fields.limits(default="SYSTEM", pattern=fields.USERID, upper=True, rule="a userid")


@dataclass(frozen=True, slots=True)
class _UserOfVswitch(Operation):
    """An operation on what one userid may do with a VSWITCH."""

    name: str = fields.name()
    userid: str = fields.userid()


@dataclass(frozen=True, slots=True)
class Right:
    """Who may couple to a VSWITCH, and into which VLANs."""

    userid: str = fields.userid()
    vlans: tuple[str, ...] = fields.limits(default=(), pattern=r"[0-9]{1,4}(-[0-9]{1,4})?", rule="VLANs, such as 10")
    promiscuous: bool = False
    osd_sim: bool = False


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter of a guest."""

    userid: str = fields.userid()
    vdev: str = fields.vdev()


@kind("nic.attach")
@dataclass(frozen=True, slots=True)
class AttachNic(OfDevice):
    """Define an adapter, couple it to a VSWITCH (or a guest LAN with `lan_owner`), grant the access: in one operation.

    `vlans`: one number for an ACCESS port; numbers and ranges (`10`, `20-29`) for a TRUNK port. Without them the
    VSWITCH's own rule counts. The directory gets one statement; a running guest gets the adapter with `active`. When a
    part fails, all of it is undone.

    Undone: the adapter of the running guest, then the right (back to the one of before), then the statement.

    Errors: 404 `guest-unknown`, `vswitch-unknown`; 409 `device-exists`, `vlan-unaware`, `guest-inactive`,
    `vswitch-conflict`.
    """

    network: str = fields.name()
    lan_owner: str = _lan_owner()
    port_type: str = fields.limits(default="ACCESS", choices=("ACCESS", "TRUNK"), upper=True)
    vlans: tuple[str, ...] = fields.limits(default=(), pattern=r"[0-9]{1,4}(-[0-9]{1,4})?", rule="VLANs, such as 10")
    mac: str = fields.limits(
        default="", pattern=MAC, upper=True, rule="a MAC address or its last six hexadecimal digits"
    )
    adapter_type: str = fields.limits(default="QDIO", choices=("QDIO", "HIPERSOCKETS"), upper=True)
    active: bool = False
    persist: bool = True

    def check(self) -> None:
        """VLANs of 1 to 4094, one for an access port; nothing that only a VSWITCH has for a guest LAN."""
        for index, item in enumerate(self.vlans):
            low, _, high = item.partition("-")
            if not 1 <= int(low) <= int(high or low) <= MAX_VLAN:
                raise FieldError(f"parameters.vlans[{index}]", item, f"VLANs go from 1 to {MAX_VLAN}")
        if self.port_type == "ACCESS" and (len(self.vlans) > 1 or any("-" in item for item in self.vlans)):
            raise FieldError("parameters.vlans", " ".join(self.vlans), "an ACCESS port has one VLAN")
        if len(" ".join(self.vlans)) > 19:
            raise FieldError("parameters.vlans", " ".join(self.vlans), "19 characters in all, blanks between them")
        if self.lan_owner != "SYSTEM" and (self.vlans or self.port_type == "TRUNK"):
            raise FieldError("parameters.lan_owner", self.lan_owner, "VLANs and port types are those of a VSWITCH")

    @property
    def mac_id(self) -> str:
        """The last six digits of the MAC."""
        return re.sub("[^0-9A-F]", "", self.mac)[-6:]


@kind("lan.create")
@dataclass(frozen=True, slots=True)
class CreateLan(Operation):
    """Define a guest LAN. One that exists with these attributes is left alone. `users` are let into a restricted one.

    An owner other than SYSTEM must be logged on; the LAN goes when nobody is coupled and its owner logs off.

    Undone: the LAN is deleted, if this operation made it.

    Errors: 409 `lan-differs`.
    """

    name: str = fields.name()
    owner: str = _lan_owner()
    adapter_type: str = fields.limits(default="QDIO", choices=("QDIO", "HIPERSOCKETS"), upper=True)
    transport: str = fields.limits(default="IP", choices=("IP", "ETHERNET"), upper=True)
    restricted: bool = False
    users: tuple[str, ...] = fields.limits(default=(), pattern=fields.USERID, upper=True, rule="userids")
    adapters: tuple[Adapter, ...] = ()

    def check(self) -> None:
        """HiperSockets carry IP; only a restricted LAN has users."""
        if self.adapter_type == "HIPERSOCKETS" and self.transport == "ETHERNET":
            raise FieldError("parameters.transport", self.transport, "IP for HIPERSOCKETS")
        if self.users and not self.restricted:
            raise FieldError("parameters.users", " ".join(self.users), "only a restricted LAN has a list of users")


@kind("lan.delete")
@dataclass(frozen=True, slots=True)
class DeleteLan(Operation):
    """Remove a guest LAN; one that is not there is fine. One with adapters coupled is left alone without `force`.

    Undone: nothing: it is one call, made or refused.

    Errors: 409 `lan-in-use`, with the adapters that are coupled.
    """

    name: str = fields.name()
    owner: str = _lan_owner()
    force: bool = False


@kind("lan.access")
@dataclass(frozen=True, slots=True)
class AccessLan(Operation):
    """Let a userid into a restricted guest LAN, or (`allow` false) shut it out.

    Undone: nothing: it is one call, made or refused.

    Errors: 404 `lan-unknown`; 409 `lan-open` for a LAN without a list.
    """

    name: str = fields.name()
    userid: str = fields.userid()
    owner: str = _lan_owner()
    allow: bool = True
    promiscuous: bool = False


@kind("vswitch.change")
@dataclass(frozen=True, slots=True)
class ChangeVswitch(Operation):
    """Change a VSWITCH; a member that is empty (or 0) stays as it is.

    Undone: nothing: it is one call, made or refused.

    Errors: 404 `vswitch-unknown`; 409 `vswitch-conflict`.
    """

    name: str = fields.name()
    rdev: tuple[str, ...] = fields.limits(
        default=(), pattern=r"[0-9A-F]{1,4}(\.P[0-9]{2})?|NONE", upper=True, rule="real devices, or NONE"
    )
    controller: str = fields.limits(default="", pattern=r"(\*|[A-Z0-9@#$_-]{1,8})?", upper=True, rule="a userid or *")
    connection: str = fields.limits(default="", choices=("", "CONNECT", "DISCONNECT"), upper=True)
    queue_mem: int = fields.limits(default=0, low=0, high=8)
    router: str = fields.limits(default="", choices=("", "NONROUTER", "PRIROUTER"), upper=True)
    port_type: str = fields.limits(default="", choices=("", "ACCESS", "TRUNK"), upper=True)
    gvrp: str = fields.limits(default="", choices=("", "GVRP", "NOGVRP"), upper=True)
    isolation: str = fields.limits(default="", choices=_ON_OFF, upper=True)
    mac_protect: str = fields.limits(default="", choices=("", "ON", "OFF", "UNSPECIFIED"), upper=True)
    vlan_counters: str = fields.limits(default="", choices=_ON_OFF, upper=True)
    vepa: str = fields.limits(default="", choices=_ON_OFF, upper=True)
    lacp: str = fields.limits(default="", choices=("", "ACTIVE", "INACTIVE"), upper=True)
    ip_timeout: int = fields.limits(default=0, low=0, high=240)
    persist: bool = True

    def check(self) -> None:
        """Something must change."""
        members = [item.name for item in dataclasses.fields(self) if item.name not in ("name", "persist")]
        if not any(getattr(self, item) for item in members):
            raise FieldError("parameters", "nothing to change", f"at least one of {', '.join(members)}")
        if len(self.rdev) > 3:
            raise FieldError("parameters.rdev", " ".join(self.rdev), "at most 3 real devices")


@kind("nic.create")
@dataclass(frozen=True, slots=True)
class CreateNic(OfDevice):
    """Define a QDIO adapter of three devices. Of `mac`, the last six hexadecimal digits are the MACID. With `osa` the
    adapter is real: that OSA device and the two behind it are dedicated, and a `mac` means nothing.

    Undone: the adapter is taken from the entry; OSA devices are taken from the running guest, then from the entry.

    Errors: 404 `guest-unknown`; 409 `device-exists`, `guest-inactive`, `osa-unavailable`.
    """

    mac: str | None = fields.limits(
        default=None, pattern=MAC, upper=True, rule="a MAC address or its last six hexadecimal digits"
    )
    active: bool = False
    osa: str | None = fields.limits(
        default=None, pattern=fields.VDEV, upper=True, pad=4, rule="1 to 4 hexadecimal digits"
    )


@kind("nic.delete")
@dataclass(frozen=True, slots=True)
class DeleteNic(OfDevice):
    """Remove an adapter; one that is not there is fine. `osa`: it consists of dedicated OSA devices.

    With `network`, a VSWITCH, the guest's right there becomes what it was before nic.attach, which told it: `grants`
    has it, or nothing. It stays when another adapter of the guest is for that VSWITCH.

    Undone: nothing: sent again, it goes on where it was.

    Errors: 404 `guest-unknown`.
    """

    active: bool = False
    osa: bool = False
    network: str = fields.name(default="")
    grants: tuple[Right, ...] = ()
    persist: bool = True


@kind("nic.couple")
@dataclass(frozen=True, slots=True)
class CoupleNic(OfDevice):
    """Connect an adapter to a VSWITCH, in the entry and (active) in the running guest.

    Undone: the adapter's statement as it was before.

    Errors: 404 `guest-unknown`, `nic-unknown`, `vswitch-unknown`; 409 `guest-inactive`, `not-authorized-to-couple`.
    """

    vswitch: str = fields.name()
    vlan: int | None = fields.limits(default=None, low=1, high=MAX_VLAN)
    active: bool = False


@kind("nic.uncouple")
@dataclass(frozen=True, slots=True)
class UncoupleNic(OfDevice):
    """Disconnect an adapter; one that is not connected is fine.

    Undone: nothing: sent again, it goes on where it was.

    Errors: 404 `guest-unknown`.
    """

    active: bool = False


@kind("vswitch.create")
@dataclass(frozen=True, slots=True)
class CreateVswitch(Operation):
    """Define a VSWITCH. `vid` is UNAWARE, AWARE or a VLAN id; the VLAN fields count only for an aware one.

    Undone: nothing: it is one call, made or refused.

    Errors: 409 `vswitch-exists`.
    """

    name: str = fields.name()
    rdev: tuple[str, ...] = fields.limits(default=(), pattern=fields.VDEV + r"|NONE", upper=True, rule="real devices")
    controller: str = fields.limits(default="*", pattern=r"\*|[A-Z0-9@#$_-]{0,8}", upper=True, rule="a userid or *")
    connection: str = fields.limits(default="CONNECT", choices=("CONNECT", "DISCONNECT", "NOUPLINK"), upper=True)
    queue_mem: int = fields.limits(default=8, low=1, high=8)
    router: str = fields.limits(default="NONROUTER", choices=("NONROUTER", "PRIROUTER"), upper=True)
    network_type: str = fields.limits(default="ETHERNET", choices=("IP", "ETHERNET"), upper=True)
    vid: str = fields.limits(
        default="UNAWARE", pattern=r"UNAWARE|AWARE|[0-9]{1,4}", upper=True, rule="UNAWARE, AWARE or 1 to 4094"
    )
    port_type: str = fields.limits(default="ACCESS", choices=("ACCESS", "TRUNK"), upper=True)
    gvrp: str = fields.limits(default="GVRP", choices=("GVRP", "NOGVRP"), upper=True)
    native_vid: int = fields.limits(default=1, low=1, high=MAX_VLAN)
    persist: bool = True


@kind("vswitch.delete")
@dataclass(frozen=True, slots=True)
class DeleteVswitch(Operation):
    """Remove a VSWITCH; one that is not there is fine.

    Undone: nothing: it is one call, made or refused.

    Errors: 403 `not-authorized`.
    """

    name: str = fields.name()
    persist: bool = True


@kind("vswitch.restore")
@dataclass(frozen=True, slots=True)
class RestoreVswitch(CreateVswitch):
    """Define a VSWITCH that was deleted again, with its grants, and couple the adapters of guests that run. What it
    takes is what vswitch.delete, vswitch.grant, vswitch.revoke and vswitch.set_vlan tell as `before`: with `defined`
    false only the rights on one that is there, which are again as they were: `grants`, and none of those `revoked`.

    Undone: the VSWITCH is deleted, if this operation made it.

    Errors: 409 `vswitch-conflict`.
    """

    defined: bool = True
    isolation: str = fields.limits(default="", choices=_ON_OFF, upper=True)
    mac_protect: str = fields.limits(default="", choices=("", "ON", "OFF", "UNSPECIFIED"), upper=True)
    vlan_counters: str = fields.limits(default="", choices=_ON_OFF, upper=True)
    ip_timeout: int = fields.limits(default=0, low=0, high=240)
    mac: str = fields.limits(default="", pattern=r"([0-9A-F]{6})?", upper=True, rule="six hexadecimal digits")
    grants: tuple[Right, ...] = ()
    revoked: tuple[str, ...] = fields.limits(default=(), pattern=fields.USERID, upper=True, rule="userids")
    adapters: tuple[Adapter, ...] = ()


@kind("vswitch.grant")
@dataclass(frozen=True, slots=True)
class GrantVswitch(_UserOfVswitch):
    """Let a userid couple to a VSWITCH. The result has the right of `before`, as vswitch.restore takes it.

    Undone: nothing: it is one call, made or refused.

    Errors: 404 `vswitch-unknown`; 409 `vswitch-conflict`.
    """

    persist: bool = True


@kind("vswitch.revoke")
@dataclass(frozen=True, slots=True)
class RevokeVswitch(_UserOfVswitch):
    """Take that right away; a userid without it is fine. The result has the right of `before`, as vswitch.restore
    takes it, with the adapters that CP uncouples.

    Undone: nothing: it is one call, made or refused.

    Errors: 404 `vswitch-unknown`.
    """

    persist: bool = True


@kind("vswitch.set_vlan")
@dataclass(frozen=True, slots=True)
class SetVswitchVlan(_UserOfVswitch):
    """Grant a userid one VLAN of a VSWITCH that is VLAN aware. The result has the right of `before`, as vswitch.restore
    takes it.

    Undone: nothing: it is one call, made or refused.

    Errors: 404 `vswitch-unknown`; 409 `vswitch-conflict`.
    """

    vlan: int = fields.limits(low=1, high=MAX_VLAN)
    persist: bool = True
