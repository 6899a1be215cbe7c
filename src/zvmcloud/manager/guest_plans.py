"""Plans about one guest, and what they are made from: for the services, the native operations and evacuations alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from zvmcloud.manager.disks import DiskRequest
from zvmcloud.manager.facts import Document
from zvmcloud.manager.jobs.plan import NOTHING, Json, Plan, Step


@dataclass(frozen=True, slots=True)
class GuestRequest:
    """A guest to define. Memory in MiB; empty values get the manager's defaults."""

    userid: str
    vcpus: int
    memory_mb: int
    disks: tuple[DiskRequest, ...] = ()
    max_cpus: int = 0
    max_memory_mb: int = 0
    profile: str = ""
    ipl: str = ""
    ipl_parm: str = ""
    loadparm: str = ""
    account: str = ""
    comments: tuple[str, ...] = ()
    share: str = ""
    cpu_pool: str = ""
    relocation_domain: str = ""
    dedicate: tuple[tuple[str, str], ...] = ()
    loaddev: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Relocation:
    """A move to another member. Limits in seconds; 0 for z/VM's own, -1 for none. ``force`` names checks to leave out:
    ARCHITECTURE, DOMAIN, STORAGE."""

    userid: str
    destination: str
    test: bool = False
    force: tuple[str, ...] = ()
    immediate: bool | None = None
    max_total: int = 0
    max_quiesce: int = 0
    authorize: str = ""


def powered(facts: Document) -> bool:
    """Whether the agent's facts say that the userid is logged on."""
    return facts.text("power_state", "state").lower() == "on"


def plan_delete(system: str, owner: str) -> Plan:
    """Delete a guest with its disks, and forget it."""
    steps = (
        Step("delete", f"delete {owner} and its disks", "guest.delete", {"userid": owner}),
        Step("record", f"forget {owner}", "manager.guest_deleted", {"gone": True}),
    )
    return Plan("guest.delete", f"Delete guest {owner}", system, steps, owner)


def plan_relocate(
    system: str,
    owner: str,
    request: Relocation,
    *,
    managed: bool = False,
    devices: Mapping[str, str] | None = None,
    kept: Sequence[str] = (),
) -> Plan:
    """Move a guest to another member, or test whether it could go. ``managed``: the member is a system of ours, where
    the guest is recorded then; else its record stays here, as migrated. ``devices``: the FCP device that it has at each
    of its numbers; ``kept``: those of the member that are others', which are off."""
    parameters: dict[str, Json] = {
        "userid": owner,
        "destination": request.destination.upper(),
        "test": request.test,
        "force": list(request.force),
        "immediate": request.immediate,
        "max_total": request.max_total,
        "max_quiesce": request.max_quiesce,
        "authorize": request.authorize.upper(),
    }
    what = f"{'test whether' if request.test else 'move'} {owner} {'can go to' if request.test else 'to'}"
    title = f"{what} {request.destination.upper()}"
    move = Step("relocate", title, "guest.relocate", parameters)
    if request.test:
        steps: tuple[Step, ...] = (replace(move, undo_kind=NOTHING),)
    elif managed:
        steps = _there_and_back(system, owner, request.destination.upper(), move, devices or {}, kept)
    else:
        migrated = {"userid": owner, "migrated": True}
        gone = Step("record", f"record that {owner} has gone", "manager.guest_migrated", migrated)
        steps = (move, gone)
    return Plan("guest.relocate", title[0].upper() + title[1:], system, steps, owner)


def _there_and_back(
    system: str, owner: str, to: str, move: Step, devices: Mapping[str, str], kept: Sequence[str]
) -> tuple[Step, ...]:
    """A move between two systems of ours. An undo goes backwards: the agent there sends the guest back, and only when
    it has, the guest is recorded here again; that is why what does so is a step before the move. So is what has its
    entry name the FCP devices that it gets here then. z/VM chooses the FCP devices there among those that nobody has,
    and does not know of guests that are off: theirs are offline meanwhile."""
    back: dict[str, Json] = {"userid": owner, "from": to, "after": move.name}
    if devices:
        back["devices"] = dict(devices)
    keep = Step("keep", f"keep where {owner} is recorded", NOTHING, {}, "manager.guest_moved_back", back)
    home: dict[str, Json] = {**move.parameters, "destination": system}
    record = replace(moved_step(owner, to), undo_kind=NOTHING, undo_parameters={})
    there = replace(move, undo_kind=move.kind, undo_parameters=home, undo_system=to)
    if not devices:
        return keep, there, record
    whose: dict[str, Json] = {"userid": owner}
    numbers = ", ".join(devices)
    stay = Step("stay", f"keep which FCP devices {numbers} of {owner} are", NOTHING, {}, "fcp.follow", whose)
    title = f"the entry of {owner} dedicates what z/VM gives it at {to} as {numbers}"
    follow = Step("devices", title, "fcp.follow", whose, NOTHING, system=to)
    record = replace(record, parameters={**record.parameters, "devices_of": follow.name})
    if not kept:
        return keep, stay, there, follow, record
    off: dict[str, Json] = {"devices": list(kept), "online": False}
    on: dict[str, Json] = {"devices": list(kept), "online": True}
    title = f"z/VM gives none of {', '.join(kept)} of {to} away, which are kept for guests that are off"
    hide = Step("hide", title, "fcp.vary", off, "fcp.vary", on, undo_system=to, system=to)
    show = Step("show", f"{', '.join(kept)} of {to} are online again", "fcp.vary", on, NOTHING, system=to)
    return keep, stay, hide, there, show, follow, record


def moved_step(
    owner: str, to: str, devices: Mapping[str, str] | None = None, before: Mapping[str, str] | None = None
) -> Step:
    """Record a guest, its adapters, tags and volumes with the system ``to``; undone when the guest is off there too.
    ``devices``: its FCP devices there; ``before``: those here."""
    done: dict[str, Json] = {"userid": owner, "to": to}
    back: dict[str, Json] = {"userid": owner, "from": to}
    if devices:
        done["devices"], back["devices"] = dict(devices), dict(before or {})
    return Step("record", f"record {owner} at {to}", "manager.guest_moved", done, "manager.guest_moved_back", back)


BACK = {"start": "guest.stop", "stop": "guest.start", "shutdown": "guest.start", "pause": "guest.unpause"}
BACK["unpause"] = "guest.pause"
"""The operation that takes a power verb back."""


def plan_power(system: str, owner: str, verb: str, parameters: Mapping[str, Json]) -> Plan:
    """One power verb: start, stop, shutdown, pause, unpause, reset, reboot."""
    back = BACK.get(verb, "")
    told = {"userid": owner} if back else {}
    step = Step(verb, f"{verb} {owner}", f"guest.{verb}", {"userid": owner, **parameters}, back, told)
    return Plan(f"guest.{verb}", f"{verb.capitalize()} guest {owner}", system, (step,), owner)
