"""What an operation is, and the register of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zvmcloud.manager.errors import guest_busy
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.jobs.again import UNLESS, WHY_NOT
from zvmcloud.manager.jobs.plan import Plan

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node


@dataclass(frozen=True, slots=True)
class Target:
    """What is changed: a z/VM system, and the userid of a guest there, or "" for the system itself. ``item``: what
    the path names below it (a virtual device, a VSWITCH)."""

    system: str
    userid: str = ""
    item: str = ""


@dataclass(frozen=True, slots=True)
class Uses:
    """What an operation adds to the use of its project's quotas; below 0, what its undo adds."""

    guests: int = 0
    vcpus: int = 0
    memory_mb: int = 0
    disk_mb: int = 0
    fcp_devices: int = 0
    image_mb: int = 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan and what belongs to it. ``files``: bulk data of its steps, by name. ``entries``: the userids whose
    directory entries the plan was made from, besides the plan's own. ``seen``: what else it was made from, as
    ``vswitch NAME``, ``lan OWNER NAME`` or ``volume NAME``; adapters that were recorded belong to each guest of
    ``entries``."""

    plan: Plan
    project: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    entries: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    uses: Uses = Uses()
    children: tuple[Prepared, ...] = ()
    """Plans of jobs that the plan's only step runs; ``uses`` has what all of them use."""


Prepare = Callable[["Node", Caller, Target, Any], Awaitable[Prepared]]


@dataclass(frozen=True, slots=True)
class Operation:
    """``name`` is noun and verb (guest.create); ``parameters`` a dataclass; ``method`` and ``path`` its route, where
    ``{system}`` and ``{userid}`` are the target's; any other name in it is its ``item``."""

    name: str
    summary: str
    role: Role
    parameters: type[Any]
    method: str
    path: str
    prepare: Prepare
    no_undo: str = ""
    """Why a job of it cannot be undone; "" when it can."""
    undo_unless: str = ""
    """With which parameters a job of it cannot be undone, and why."""
    asks: bool = False
    """Whether a person who types it is asked first, because it takes something away for good."""


OPERATIONS: dict[str, Operation] = {}
GUEST = "/guests/{system}/{userid}"
"""The path of a guest's operations."""


def operation(
    name: str,
    method: str,
    path: str,
    parameters: type[Any],
    role: Role = Role.MEMBER,
    *,
    no_undo: str = "",
    undo_unless: str = "",
    asks: bool | None = None,
) -> Callable[[Prepare], Prepare]:
    """Register the function below as the one that plans operation ``name``; its docstring's first line is the
    summary. ``no_undo``: why its jobs cannot be undone, ``undo_unless``: which of them cannot, and why; who asks is
    told it. ``asks``: whether a person is asked first; None: when the method is DELETE."""

    def register(prepare: Prepare) -> Prepare:
        if name in OPERATIONS:
            raise ValueError(f"operation {name} is declared twice")
        summary = (prepare.__doc__ or "").strip()
        sure = method == "DELETE" if asks is None else asks
        OPERATIONS[name] = Operation(
            name, summary, role, parameters, method, path, prepare, no_undo, undo_unless, asks=sure
        )
        if no_undo:
            WHY_NOT[name] = no_undo
        if undo_unless:
            UNLESS[name] = undo_unless
        return prepare

    return register


@dataclass(frozen=True, slots=True)
class Nothing:
    """An operation without parameters."""


async def guest_of(node: Node, caller: Caller, target: Target, role: Role = Role.MEMBER) -> tuple[str, str]:
    """Userid and project of a guest that the caller may change. Raises NotFound (guest-unknown), NotAllowed (role),
    Conflict (guest-busy) while a job changes it."""
    row = await node.core.owned(target.system, target.userid)
    caller.enters(row["project"], role, f"guest {row['userid']}")
    other = await node.journal.changing(target.system, row["userid"])
    if other is not None:
        raise guest_busy(row["userid"], other)
    return row["userid"], row["project"]
