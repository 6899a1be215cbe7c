"""Processors, memory, and the other settings of a guest's directory entry."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from zvmcloud.manager.errors import BadInput
from zvmcloud.manager.identity.roles import Caller
from zvmcloud.manager.jobs.plan import Plan, Step
from zvmcloud.manager.operations.declare import GUEST, Prepared, Target, Uses, guest_of, operation

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node


@dataclass(frozen=True, slots=True)
class ResizeCpus:
    """``share`` "": it follows the number of processors if it did so far. ``live``: in the running guest too."""

    vcpus: int
    share: str = ""
    live: bool = False


@operation("guest.resize_cpus", "POST", f"{GUEST}/resize-cpus", ResizeCpus)
async def resize_cpus(node: Node, caller: Caller, target: Target, wanted: ResizeCpus) -> Prepared:
    """Give a guest another number of processors. When it is undone, what a running guest got live goes at its next
    logon: CP takes no processor away."""
    owner, project = await guest_of(node, caller, target)
    if not 1 <= wanted.vcpus <= 64:
        raise BadInput("vcpus", wanted.vcpus, "1 to 64")
    plan = await node.resources.plan_cpus(target.system, owner, wanted.vcpus, share=wanted.share, live=wanted.live)
    return Prepared(plan, project, uses=Uses(**plan.uses))


@dataclass(frozen=True, slots=True)
class ResizeMemory:
    """``memory_mb``: in MiB. ``live``: in the running guest too, which can only grow."""

    memory_mb: int
    live: bool = False


@operation("guest.resize_memory", "POST", f"{GUEST}/resize-memory", ResizeMemory)
async def resize_memory(node: Node, caller: Caller, target: Target, wanted: ResizeMemory) -> Prepared:
    """Give a guest another amount of memory. When it is undone, what a running guest got live goes at its next
    logon: CP takes no storage away."""
    owner, project = await guest_of(node, caller, target)
    plan = await node.resources.plan_memory(target.system, owner, wanted.memory_mb, live=wanted.live)
    return Prepared(plan, project, uses=Uses(**plan.uses))


@dataclass(frozen=True, slots=True)
class Reconfigure:
    """What is left out (null) stays; an empty text or list takes the statement away. It counts from the next logon on;
    with ``live`` the share of the running guest is changed too."""

    share: str | None = None
    logonby: list[str] | None = None
    cpu_pool: str | None = None
    relocation_domain: str | None = None
    ipl: str | None = None
    ipl_parm: str = ""
    loadparm: str = ""
    profile: str | None = None
    account: str | None = None
    comments: list[str] | None = None
    max_cpus: int | None = None
    max_memory_mb: int | None = None
    live: bool = False


_WITH = {"ipl_parm", "loadparm", "live"}
"""What means something only with another member."""


@operation("guest.reconfigure", "POST", f"{GUEST}/reconfigure", Reconfigure)
async def reconfigure(node: Node, caller: Caller, target: Target, wanted: Reconfigure) -> Prepared:
    """Change share, logon, IPL, CPU pool, account, comments or maxima of a guest, in one replacement of its entry."""
    owner, project = await guest_of(node, caller, target)
    named = {name: value for name, value in asdict(wanted).items() if value is not None}
    named = {name: value for name, value in named.items() if value or name not in _WITH}
    if not set(named) - _WITH:
        raise BadInput("change", "nothing", "at least one member")
    words = ", ".join(name for name in named if name != "live")
    step = Step(
        "change",
        f"change {words} of {owner}",
        "guest.change",
        {"userid": owner, **named},
        "guest.restore",
        {"userid": owner},
    )
    return Prepared(Plan("guest.reconfigure", f"Change {words} of {owner}", target.system, (step,), owner), project)
