"""Operations about what a guest has of the machine: processors, storage, the machine itself."""

from __future__ import annotations

from dataclasses import dataclass

from zvmcloud.zhcp import fields
from zvmcloud.zhcp.kinds import OfGuest, kind

_SHARE = r"((REL(ATIVE)?|ABS(OLUTE)?) [0-9]{1,5}(\.[0-9]{1,2})?%?)?"


@kind("guest.resize_cpus")
@dataclass(frozen=True, slots=True)
class ResizeCpus(OfGuest):
    """Give a guest `count` virtual processors at its next logon, and (live) in the running guest too.

    Without `share` a share that follows the number of processors (100 each) goes on following it; another one stays.

    Undone: processors and share of the entry as before; processors that came online in the guest go off again, those
    that went off come back.

    Errors: 404 `guest-unknown`; 409 `cpu-limit`, `cpu-maximum-unknown`, `guest-inactive`, `guest-unreachable`.
    """

    count: int = fields.limits(low=1, high=64)
    share: str = fields.limits(default="", pattern=_SHARE, upper=True, rule="such as RELATIVE 200 or ABSOLUTE 10%")
    live: bool = False


@kind("guest.resize_memory")
@dataclass(frozen=True, slots=True)
class ResizeMemory(OfGuest):
    """Give a guest so much storage at its next logon, and (live) in the running guest, which can only grow.

    Undone: the storage of the entry as before; standby storage that was defined for it is given back.

    Errors: 400 `bad-parameter` for a size that is no whole number of the running guest's blocks; 404 `guest-unknown`;
    409 `memory-limit`, `memory-shrink`, `memory-reserved`, `storage-form`, `guest-inactive`, `guest-unreachable`.
    """

    memory_mb: int = fields.limits(low=1, high=16 * 1024 * 1024)
    live: bool = False


@kind("guest.relocate")
@dataclass(frozen=True, slots=True)
class RelocateGuest(OfGuest):
    """Move a running guest to another member of the SSI cluster, or (`test`) only ask whether it could go.

    Limits in seconds; 0: z/VM's own, -1: none. `authorize`: the userid whose commands the guest's agent obeys after it.

    Undone: nothing: a guest that has gone stays where it is.

    Errors: 404 `guest-unknown`; 409 `guest-inactive`, `guest-elsewhere`, `not-relocatable` (with `smapi.blockers`: each
    CP message, what it means, what mends it); 504 `still-moving`.
    """

    destination: str = fields.name()
    test: bool = False
    force: tuple[str, ...] = fields.limits(default=(), choices=("ARCHITECTURE", "DOMAIN", "STORAGE"), upper=True)
    immediate: bool | None = None
    max_total: int = fields.limits(default=0, low=-1, high=99_999_999)
    max_quiesce: int = fields.limits(default=0, low=-1, high=99_999_999)
    authorize: str = fields.limits(default="", pattern=f"({fields.USERID})?", upper=True, rule="a userid")
