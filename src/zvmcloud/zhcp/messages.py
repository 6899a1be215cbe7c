"""What goes over the agent's HTTP door, as frozen dataclasses: operations with their limits, and their outcome.

`OPERATIONS` maps each kind to its dataclass; `parse_operation` reads one strictly (FieldError names what is wrong),
`fields.write` gives the JSON back. Sizes: `size_units` counts cylinders (ECKD) or 512-byte blocks (FBA).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zvmcloud.zhcp import (
    boot_messages,
    entry_messages,
    expected,
    fcp_messages,
    fields,
    image_messages,
    kinds,
    network_messages,
    reader_messages,
    resource_messages,
)
from zvmcloud.zhcp.errors import Call, FieldError, Json, Problem
from zvmcloud.zhcp.kinds import kind as _kind

Operation = kinds.Operation
OPERATIONS = kinds.OPERATIONS
SUBJECTS = (
    boot_messages,
    entry_messages,
    fcp_messages,
    image_messages,
    network_messages,
    reader_messages,
    resource_messages,
)
"""Importing them registers the operations declared there."""

FORMATS = ("none", "ext2", "ext3", "ext4", "xfs", "swap")
MAX_CYLINDERS = 65_520
MAX_BLOCKS = 2_147_483_640
MAX_VDISK_BLOCKS = 4_194_296
SPOOL_FILE_LIMIT = 64 * 1024 * 1024


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


@_kind("guest.create")
@dataclass(frozen=True, slots=True)
class CreateGuest(Operation):
    """Define a virtual machine and its disks. Without a password only the LOGONBY users can log on to it."""

    userid: str = fields.userid()
    vcpus: int = fields.limits(low=1, high=64)
    memory_mb: int = fields.limits(low=1, high=16 * 1024 * 1024)
    max_cpus: int = fields.limits(default=64, low=1, high=64)
    max_memory_mb: int = fields.limits(default=0, low=0, high=16 * 1024 * 1024)
    profile: str = fields.limits(default="", pattern=r"([A-Z0-9@#$_-]{1,8})?", upper=True, rule="1 to 8 characters")
    password: str | None = field(
        default=None,
        repr=False,
        metadata={"pattern": r"[A-Za-z0-9@#$_-]{1,8}", "rule": "1 to 8 characters A-Z, 0-9, @, #, $, _ or -"},
    )
    logonby: tuple[str, ...] = fields.limits(default=(), pattern=fields.USERID, upper=True, rule="userids")
    account: str = fields.limits(default="", pattern=r"[ -~]{0,32}", rule="at most 32 printable characters")
    comments: tuple[str, ...] = fields.limits(
        default=(), pattern=r"[ -~]{0,70}", rule="at most 70 printable characters"
    )
    ipl: str = fields.limits(default="", pattern=r"[A-Z0-9@#$_-]{0,8}", upper=True, rule="a vdev or a system's name")
    ipl_parm: str = fields.text(high=64)
    loadparm: str = fields.limits(default="", pattern=r"[ -~]{0,10}", rule="at most 10 printable characters")
    share: str = fields.limits(
        default="",
        pattern=r"((REL(ATIVE)?|ABS(OLUTE)?) [A-Z0-9%. ]{1,50})?",
        upper=True,
        rule="such as RELATIVE 200 or ABSOLUTE 10%",
    )
    cpu_pool: str = fields.limits(default="", pattern=r"([A-Z0-9@#$_-]{1,8})?", upper=True, rule="1 to 8 characters")
    relocation_domain: str = fields.limits(
        default="", pattern=r"([A-Z0-9@#$_-]{1,8})?", upper=True, rule="1 to 8 characters"
    )
    dedicate: tuple[tuple[str, str], ...] = fields.limits(
        default=(), pattern=fields.VDEV, upper=True, pad=4, rule="1 to 4 hexadecimal digits"
    )
    loaddev: dict[str, str] = field(
        default_factory=dict, metadata={"pattern": r"[A-Za-z0-9:. ]{0,32}", "rule": "letters and digits"}
    )
    disks: tuple[NewDisk, ...] = fields.limits(default=(), high=64)

    def check(self) -> None:
        """Each disk in itself, and no vdev twice."""
        check_disks(self.disks)


@_kind("guest.delete")
@dataclass(frozen=True, slots=True)
class DeleteGuest(Operation):
    """Stop a virtual machine, and delete its reader files, disks and directory entry."""

    userid: str = fields.userid()


@_kind("guest.start")
@dataclass(frozen=True, slots=True)
class StartGuest(Operation):
    """Log a virtual machine on; one that is on is left alone."""

    userid: str = fields.userid()


@_kind("guest.stop")
@dataclass(frozen=True, slots=True)
class StopGuest(Operation):
    """Log a virtual machine off at once."""

    userid: str = fields.userid()


@_kind("guest.shutdown")
@dataclass(frozen=True, slots=True)
class ShutdownGuest(Operation):
    """Signal shutdown, wait up to `timeout` seconds looking every `poll` seconds; CP forces the guest after that."""

    userid: str = fields.userid()
    timeout: int = fields.limits(default=120, low=1, high=3600)
    poll: int = fields.limits(default=10, low=1, high=600)


@_kind("guest.pause")
@dataclass(frozen=True, slots=True)
class PauseGuest(Operation):
    """Stop all virtual processors of a guest that is on."""

    userid: str = fields.userid()


@_kind("guest.unpause")
@dataclass(frozen=True, slots=True)
class UnpauseGuest(Operation):
    """Let a paused guest go on."""

    userid: str = fields.userid()


@_kind("guest.reset")
@dataclass(frozen=True, slots=True)
class ResetGuest(Operation):
    """Log off at once and on again."""

    userid: str = fields.userid()


@_kind("guest.reboot")
@dataclass(frozen=True, slots=True)
class RebootGuest(Operation):
    """Have the guest's system restart itself through its agent."""

    userid: str = fields.userid()


@_kind("disk.add")
@dataclass(frozen=True, slots=True)
class AddDisks(Operation):
    """Add disks to a directory entry and format them; a guest that is on gets them at once."""

    userid: str = fields.userid()
    disks: tuple[NewDisk, ...] = fields.limits(high=64)

    def check(self) -> None:
        """Each disk in itself, and no vdev twice."""
        check_disks(self.disks)


@_kind("disk.remove")
@dataclass(frozen=True, slots=True)
class RemoveDisks(Operation):
    """Remove disks of a guest that is off; numbers it does not have are fine."""

    userid: str = fields.userid()
    vdevs: tuple[str, ...] = fields.limits(pattern=fields.VDEV, upper=True, pad=4, rule="1 to 4 hexadecimal digits")


@_kind("nic.create")
@dataclass(frozen=True, slots=True)
class CreateNic(Operation):
    """Define a QDIO adapter of three devices. Of `mac`, the last six hexadecimal digits are the MACID. With `osa` the
    adapter is real: that OSA device and the two behind it are dedicated, and a `mac` means nothing."""

    userid: str = fields.userid()
    vdev: str = fields.vdev()
    mac: str | None = fields.limits(
        default=None,
        pattern=r"([0-9A-F]{2}[:-]?){5}[0-9A-F]{2}|[0-9A-F]{6}|",
        upper=True,
        rule="a MAC address or its last six hexadecimal digits",
    )
    active: bool = False
    osa: str | None = fields.limits(
        default=None, pattern=fields.VDEV, upper=True, pad=4, rule="1 to 4 hexadecimal digits"
    )


@_kind("nic.delete")
@dataclass(frozen=True, slots=True)
class DeleteNic(Operation):
    """Remove an adapter; one that is not there is fine. `osa`: it consists of dedicated OSA devices."""

    userid: str = fields.userid()
    vdev: str = fields.vdev()
    active: bool = False
    osa: bool = False


@_kind("nic.couple")
@dataclass(frozen=True, slots=True)
class CoupleNic(Operation):
    """Connect an adapter to a VSWITCH, in the entry and (active) in the running guest."""

    userid: str = fields.userid()
    vdev: str = fields.vdev()
    vswitch: str = fields.name()
    vlan: int | None = fields.limits(default=None, low=1, high=4094)
    active: bool = False


@_kind("nic.uncouple")
@dataclass(frozen=True, slots=True)
class UncoupleNic(Operation):
    """Disconnect an adapter; one that is not connected is fine."""

    userid: str = fields.userid()
    vdev: str = fields.vdev()
    active: bool = False


@_kind("vswitch.create")
@dataclass(frozen=True, slots=True)
class CreateVswitch(Operation):
    """Define a VSWITCH. `vid` is UNAWARE, AWARE or a VLAN id; the VLAN fields count only for an aware one."""

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
    native_vid: int = fields.limits(default=1, low=1, high=4094)
    persist: bool = True


@_kind("vswitch.delete")
@dataclass(frozen=True, slots=True)
class DeleteVswitch(Operation):
    """Remove a VSWITCH; one that is not there is fine."""

    name: str = fields.name()
    persist: bool = True


@_kind("vswitch.grant")
@dataclass(frozen=True, slots=True)
class GrantVswitch(Operation):
    """Let a userid couple to a VSWITCH."""

    name: str = fields.name()
    userid: str = fields.userid()
    persist: bool = True


@_kind("vswitch.revoke")
@dataclass(frozen=True, slots=True)
class RevokeVswitch(Operation):
    """Take that right away; a userid without it is fine."""

    name: str = fields.name()
    userid: str = fields.userid()
    persist: bool = True


@_kind("vswitch.set_vlan")
@dataclass(frozen=True, slots=True)
class SetVswitchVlan(Operation):
    """Grant a userid one VLAN of a VSWITCH that is VLAN aware."""

    name: str = fields.name()
    userid: str = fields.userid()
    vlan: int = fields.limits(low=1, high=4094)
    persist: bool = True


@dataclass(frozen=True, slots=True)
class ReaderFile:
    """A file for a guest's reader. `data` is base64."""

    data: str = field(repr=False, metadata={"pattern": r"[A-Za-z0-9+/=\s]*", "rule": "base64"})
    name: str = fields.limits(pattern=r"[A-Za-z0-9@#$_.-]{1,64}", rule="1 to 64 letters, digits, @, #, $, _, . or -")
    type: str = fields.limits(
        default="", pattern=r"[A-Za-z0-9@#$_.-]{0,64}", rule="at most 64 letters, digits, @, #, $, _, . or -"
    )
    class_: str = fields.limits(default="X", pattern=r"[A-Z0-9]", upper=True, rule="one letter or digit")


@_kind("reader.punch")
@dataclass(frozen=True, slots=True)
class PunchFiles(Operation):
    """Put files into a guest's reader. Members: name, type, class (one letter, default X), data (base64)."""

    userid: str = fields.userid()
    files: tuple[ReaderFile, ...] = fields.limits(high=64)


def parse_operation(kind: object, parameters: object) -> Operation:
    """An operation from its wire form. FieldError names what is unknown, missing or beyond a limit."""
    if not isinstance(kind, str) or kind not in OPERATIONS:
        raise FieldError("kind", kind, "one of " + ", ".join(sorted(OPERATIONS)))
    parameters, _ = expected.taken_out(parameters)
    if kind == "reader.punch":
        parameters = _rename_class(parameters, "class", "class_")
    operation = fields.read(OPERATIONS[kind], parameters, "parameters")
    operation.check()
    return operation


def operation_json(operation: Operation) -> dict[str, Json]:
    """The parameters of an operation in their wire form."""
    written = fields.write(operation)
    if not isinstance(written, dict):
        raise TypeError(f"{type(operation).__name__} is no operation")
    return _rename_class(written, "class_", "class") if isinstance(operation, PunchFiles) else written


def _rename_class(parameters: Any, old: str, new: str) -> Any:
    if not isinstance(parameters, Mapping) or not isinstance(parameters.get("files"), list | tuple):
        return parameters
    files = [
        {(new if key == old else key): value for key, value in item.items()} if isinstance(item, Mapping) else item
        for item in parameters["files"]
    ]
    return {**parameters, "files": files}


@dataclass(frozen=True, slots=True)
class OperationOutcome:
    """The state of an operation: running, done or failed. `progress` goes from 0 to 1."""

    key: str
    kind: str
    state: str
    progress: float = 0.0
    detail: str = ""
    result: dict[str, Json] | None = None
    error: Problem | None = None
    calls: tuple[Call, ...] = ()

    @property
    def over(self) -> bool:
        """Whether it is done or failed."""
        return self.state != "running"

    def to_json(self) -> dict[str, Json]:
        """The document the service answers."""
        return {
            "key": self.key,
            "kind": self.kind,
            "state": self.state,
            "progress": round(self.progress, 4),
            "detail": self.detail,
            "result": self.result,
            "error": self.error.to_json() if self.error else None,
            "calls": [call.to_json() for call in self.calls],
        }


def parse_call(data: Mapping[str, Any]) -> Call:
    """A reported call."""
    return Call(
        str(data.get("kind") or ""),
        str(data.get("name") or ""),
        dict(data.get("parameters") or {}),
        data.get("rc"),
        data.get("rs"),
        tuple(data.get("text") or ()),
        float(data.get("milliseconds") or 0),
    )


def parse_problem(data: Mapping[str, Any]) -> Problem:
    """A problem document; missing members read as their defaults."""
    return Problem(
        int(data.get("status") or 500),
        str(data.get("code") or "unknown"),
        str(data.get("detail") or ""),
        bool(data.get("retryable")),
        str(data.get("remedy") or ""),
        data.get("smapi"),
        data.get("cp"),
        tuple(parse_call(call) for call in data.get("calls") or ()),
    )


def parse_outcome(data: Mapping[str, Any]) -> OperationOutcome:
    """The outcome document."""
    error = data.get("error")
    return OperationOutcome(
        str(data.get("key") or ""),
        str(data.get("kind") or ""),
        str(data.get("state") or "running"),
        float(data.get("progress") or 0),
        str(data.get("detail") or ""),
        data.get("result"),
        parse_problem(error) if isinstance(error, Mapping) else None,
        tuple(parse_call(call) for call in data.get("calls") or ()),
    )
