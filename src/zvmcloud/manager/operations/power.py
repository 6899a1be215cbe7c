"""Power of guests: one operation for each verb."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from zvmcloud.manager.guest_plans import BACK, plan_power
from zvmcloud.manager.identity.roles import Caller
from zvmcloud.manager.operations.declare import GUEST, Nothing, Prepare, Prepared, Target, guest_of, operation

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node

_POLL = 2
"""Seconds between two looks whether a guest that shuts down is off."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """``timeout``: seconds that the guest gets to shut down before it is logged off (1 to 3600)."""

    timeout: int = 120


def _verb(verb: str, parameters: type[Any] = Nothing, **more: int) -> Prepare:
    """What plans an operation of power; ``more``: parameters of the agent's operation that nobody is asked for."""

    async def prepare(node: Node, caller: Caller, target: Target, wanted: Any) -> Prepared:
        owner, project = await guest_of(node, caller, target)
        return Prepared(plan_power(target.system, owner, verb, {**asdict(wanted), **more}), project)

    prepare.__doc__ = VERBS[verb]
    why = "" if verb in BACK else "the guest has been restarted, and what it did then stays"
    return operation(f"guest.{verb}", "POST", f"{GUEST}/{verb}", parameters, no_undo=why)(prepare)


VERBS = {
    "start": "Log a guest on, so that it boots as its directory entry says.",
    "stop": "Log a guest off at once, as if its power were cut.",
    "shutdown": "Let the guest's system shut down, then log the guest off.",
    "reboot": "Restart the guest's system from inside.",
    "reset": "Log a guest off without a shutdown and boot it again.",
    "pause": "Stop a guest's processors; its storage stays as it is.",
    "unpause": "Let a paused guest's processors go on.",
}
"""Each verb, and what it does."""
for _name in VERBS:
    if _name == "shutdown":
        _verb(_name, Shutdown, poll=_POLL)
    else:
        _verb(_name)
