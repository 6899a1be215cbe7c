"""Power of guests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zvmcloud.manager.guests import plan_power
from zvmcloud.manager.identity.roles import Caller
from zvmcloud.manager.jobs.plan import Json
from zvmcloud.manager.operations.declare import GUEST, Nothing, Prepared, Target, guest_of, operation

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node


@dataclass(frozen=True, slots=True)
class Shutdown:
    """``timeout``: seconds that the guest gets to shut down before it is logged off (1 to 3600)."""

    timeout: int = 120


async def _power(
    node: Node, caller: Caller, target: Target, verb: str, parameters: Mapping[str, Json] | None = None
) -> Prepared:
    owner, project = await guest_of(node, caller, target)
    return Prepared(plan_power(target.system, owner, verb, parameters or {}), project)


@operation("guest.start", "POST", f"{GUEST}/start", Nothing)
async def start(node: Node, caller: Caller, target: Target, _: Nothing) -> Prepared:
    """Log a guest on, so that it boots as its directory entry says."""
    return await _power(node, caller, target, "start")


@operation("guest.stop", "POST", f"{GUEST}/stop", Nothing)
async def stop(node: Node, caller: Caller, target: Target, _: Nothing) -> Prepared:
    """Log a guest off at once, as if its power were cut."""
    return await _power(node, caller, target, "stop")


@operation("guest.shutdown", "POST", f"{GUEST}/shutdown", Shutdown)
async def shutdown(node: Node, caller: Caller, target: Target, wanted: Shutdown) -> Prepared:
    """Let the guest's system shut down, then log the guest off."""
    return await _power(node, caller, target, "shutdown", {"timeout": wanted.timeout, "poll": 2})


@operation("guest.reboot", "POST", f"{GUEST}/reboot", Nothing)
async def reboot(node: Node, caller: Caller, target: Target, _: Nothing) -> Prepared:
    """Restart the guest's system from inside."""
    return await _power(node, caller, target, "reboot")


@operation("guest.reset", "POST", f"{GUEST}/reset", Nothing)
async def reset(node: Node, caller: Caller, target: Target, _: Nothing) -> Prepared:
    """Log a guest off without a shutdown and boot it again."""
    return await _power(node, caller, target, "reset")


@operation("guest.pause", "POST", f"{GUEST}/pause", Nothing)
async def pause(node: Node, caller: Caller, target: Target, _: Nothing) -> Prepared:
    """Stop a guest's processors; its storage stays as it is."""
    return await _power(node, caller, target, "pause")


@operation("guest.unpause", "POST", f"{GUEST}/unpause", Nothing)
async def unpause(node: Node, caller: Caller, target: Target, _: Nothing) -> Prepared:
    """Let a paused guest's processors go on."""
    return await _power(node, caller, target, "unpause")
