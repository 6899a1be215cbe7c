"""guest.create, guest.delete and the power verbs on the wire."""

from __future__ import annotations

from dataclasses import dataclass, field

from zvmcloud.zhcp import fields
from zvmcloud.zhcp.disk_messages import NewDisk, check_disks
from zvmcloud.zhcp.kinds import OfGuest, kind


@kind("guest.create")
@dataclass(frozen=True, slots=True)
class CreateGuest(OfGuest):
    """Define a virtual machine and its disks. Without a password only the LOGONBY users can log on to it.

    Undone: the entry is deleted with its disks.

    Errors: 404 `profile-unknown`, `pool-unknown`; 409 `guest-exists`, `pool-full`; 422 `format-failed`; 501
    `tool-missing`.
    """

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


@kind("guest.delete")
@dataclass(frozen=True, slots=True)
class DeleteGuest(OfGuest):
    """Stop a virtual machine, and delete its reader files, disks and directory entry.

    Undone: a guest whose entry is not deleted is on again, if it was on. Its reader files are gone by then.

    Errors: 409 `guest-elsewhere`; 504 `still-on`.
    """


@kind("guest.start")
@dataclass(frozen=True, slots=True)
class StartGuest(OfGuest):
    """Log a virtual machine on; one that is on is left alone.

    Undone: nothing: a guest that was logged on stays on.

    Errors: 404 `guest-unknown`; 409 `guest-elsewhere`, `guest-going-off`.
    """


@kind("guest.stop")
@dataclass(frozen=True, slots=True)
class StopGuest(OfGuest):
    """Log a virtual machine off at once.

    Undone: nothing.

    Errors: 404 `guest-unknown`; 409 `guest-elsewhere`; 504 `still-on`.
    """


@kind("guest.shutdown")
@dataclass(frozen=True, slots=True)
class ShutdownGuest(OfGuest):
    """Signal shutdown, wait up to `timeout` seconds looking every `poll` seconds; CP forces the guest after that.

    Undone: nothing: CP keeps to the deadline that it was given.

    Errors: 404 `guest-unknown`; 409 `guest-elsewhere`; 504 `still-on`.
    """

    timeout: int = fields.limits(default=120, low=1, high=3600)
    poll: int = fields.limits(default=10, low=1, high=600)


@kind("guest.pause")
@dataclass(frozen=True, slots=True)
class PauseGuest(OfGuest):
    """Stop all virtual processors of a guest that is on.

    Undone: nothing.

    Errors: 404 `guest-unknown`; 409 `guest-inactive`, `guest-elsewhere`.
    """


@kind("guest.unpause")
@dataclass(frozen=True, slots=True)
class UnpauseGuest(OfGuest):
    """Let a paused guest go on.

    Undone: nothing.

    Errors: 404 `guest-unknown`; 409 `guest-inactive`, `guest-elsewhere`.
    """


@kind("guest.reset")
@dataclass(frozen=True, slots=True)
class ResetGuest(OfGuest):
    """Log off at once and on again.

    Undone: a guest that was on is on again, also when it is cancelled between off and on.

    Errors: 404 `guest-unknown`; 409 `guest-elsewhere`, `guest-going-off`; 504 `still-on`.
    """


@kind("guest.reboot")
@dataclass(frozen=True, slots=True)
class RebootGuest(OfGuest):
    """Have the guest's system restart itself through its agent.

    Undone: nothing.

    Errors: 404 `guest-unknown`; 409 `guest-inactive`, `guest-elsewhere`, `guest-unreachable`.
    """
