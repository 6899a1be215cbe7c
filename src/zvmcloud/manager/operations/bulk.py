"""Many guests in one request: each has a plan and a job of its own, below one that runs them (jobs/trees.py)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from zvmcloud.manager.bulk.names import expand
from zvmcloud.manager.bulk.placement import spread
from zvmcloud.manager.errors import AgentUnreachable, BadInput, NotFound
from zvmcloud.manager.gathering import gathered
from zvmcloud.manager.identity.roles import Caller
from zvmcloud.manager.jobs.plan import Plan
from zvmcloud.manager.jobs.trees import MOST_PER_MINUTE, tree_step
from zvmcloud.manager.operations.declare import OPERATIONS, Prepared, Target, Uses, operation
from zvmcloud.manager.operations.guests import project_for
from zvmcloud.manager.operations.provisioning import FromImage, NewInterface, ProvisionGuest

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node

Policy = Literal["stop", "continue", "undo"]
Deploy = Literal["deploy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkDeploy(FromImage):
    """Guests by pattern (``web[001-100]``, ``web[1-3],db1``), each with an image on its first disk and its name as its
    host name. ``systems``: where they may go, none for all; each goes to the one that got the fewest so far of those
    with room in the pool. The ``address`` of an interface is the first guest's; each further guest has the next one.

    ``on_failure``: when one fails the others are stopped (those that run end), continued, or undone. ``rate``: guests
    that are begun in a minute at most, 0 for no such limit. The rest is as for one guest.
    """

    names: str
    image: str
    systems: list[str] = field(default_factory=list)
    on_failure: Policy = "stop"
    rate: int = 0


_SHARED = tuple(item.name for item in fields(FromImage))


@operation("bulk.deploy", "POST", "/bulk/deploy", BulkDeploy)
async def deploy(node: Node, caller: Caller, target: Target, wanted: BulkDeploy) -> Prepared:
    """Define many guests, spread over the systems, each with networks, an image and a config drive, and start them."""
    del target
    names = expand(wanted.names)
    project = await project_for(node, caller, wanted.project)
    image = await node.images.seen_by(caller, wanted.image)
    need, free = await _room(node, wanted, image.name)
    places = spread(len(names), need, free)
    shared = {name: getattr(wanted, name) for name in _SHARED}
    prepare = OPERATIONS["guest.provision"].prepare

    async def one(number: int, userid: str, system: str) -> Prepared:
        interfaces = [_interface(item, number) for item in wanted.interfaces]
        guest = ProvisionGuest(
            **{**shared, "interfaces": interfaces}, userid=userid, image=wanted.image, hostname=userid.lower()
        )
        return await prepare(node, caller, Target(system, userid), guest)

    children = await gathered(
        one(number, userid, system) for number, (userid, system) in enumerate(zip(names, places, strict=True))
    )
    title = f"Deploy {wanted.image} to {len(names)} guests"
    return _tree("bulk.deploy", title, project, children, wanted.on_failure, wanted.rate)


async def _room(node: Node, wanted: BulkDeploy, image: str) -> tuple[int, Mapping[str, int]]:
    """Bytes that a guest takes in the pool, and bytes that are free there on each system that may be used. Systems
    that do not answer or have no such pool are left out, unless they are named."""
    pool = wanted.pool or node.settings.defaults.disk_pool
    found: dict[str, int] = {}
    for name in [node.core.system(system) for system in wanted.systems] or node.core.agents.names:
        try:
            space = await node.hosts.pool(name, pool)
        except (AgentUnreachable, NotFound):
            if wanted.systems:
                raise
            continue
        found[name] = space.total - space.used
    return await node.provisioning.disk_bytes(image, pool, wanted.disk_size), found


def _interface(item: NewInterface, number: int) -> NewInterface:
    """The interface of the guest with that number, from 0. Raises BadInput (address) when the network has no more."""
    if not item.address:
        return item
    try:
        first = ipaddress.ip_interface(item.address)
        mine = ipaddress.ip_interface(f"{first.ip + number}/{first.network.prefixlen}")
    except ValueError as error:
        raise BadInput(
            "interfaces.address", item.address, "an address with its prefix length: 192.0.2.10/24"
        ) from error
    if mine not in first.network or (number and mine.ip == first.network.broadcast_address):
        raise BadInput("interfaces.address", item.address, f"a network with an address for each; {number} are there")
    return replace(item, address=str(mine), mac="" if number else item.mac)


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkPower:
    """``verb``, of guests by pattern (``web[001-100]``). ``systems``: where they are looked for, none for all.
    ``on_failure`` and ``rate``: as for a bulk deploy."""

    verb: Literal["start", "stop", "shutdown", "reboot", "reset", "pause", "unpause"]
    names: str
    systems: list[str] = field(default_factory=list)
    on_failure: Policy = "continue"
    rate: int = 0


@operation(
    "bulk.power",
    "POST",
    "/bulk/power",
    BulkPower,
    undo_unless="reboot and reset: the guests have been restarted, and what they did then stays",
)
async def power(node: Node, caller: Caller, target: Target, wanted: BulkPower) -> Prepared:
    """Start, stop, shut down, restart, pause or let go on many guests."""
    del target
    return await _each(node, caller, "bulk.power", f"guest.{wanted.verb}", wanted.verb.capitalize(), wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkDelete:
    """Guests by pattern (``web[001-100]``). ``systems``: where they are looked for, none for all. ``on_failure`` and
    ``rate``: as for a bulk deploy; what is deleted cannot be undone."""

    names: str
    systems: list[str] = field(default_factory=list)
    on_failure: Literal["stop", "continue"] = "stop"
    rate: int = 0


@operation("bulk.delete", "POST", "/bulk/delete", BulkDelete, no_undo="what was on the disks is gone", asks=True)
async def delete(node: Node, caller: Caller, target: Target, wanted: BulkDelete) -> Prepared:
    """Log many guests off, and delete their directory entries and their disks."""
    del target
    return await _each(node, caller, "bulk.delete", "guest.delete", "Delete", wanted)


async def _each(
    node: Node, caller: Caller, name: str, of_one: str, word: str, wanted: BulkPower | BulkDelete
) -> Prepared:
    """The operation ``of_one`` for each of the guests."""
    found = OPERATIONS[of_one]
    targets = await _guests(node, caller, expand(wanted.names), wanted.systems)
    parameters: Any = found.parameters()
    children = await gathered(found.prepare(node, caller, target, parameters) for target in targets)
    if wanted.on_failure == "undo" and not all(step.undo_kind for child in children for step in child.plan.steps):
        raise BadInput("on_failure", "undo", f"stop or continue: {of_one} cannot be undone")
    projects = sorted({child.project for child in children})
    if len(projects) > 1:
        raise BadInput("names", f"guests of {', '.join(projects)}", "guests of one project: ask for each by itself")
    title = f"{word} {len(children)} guests"
    return _tree(name, title, projects[0], children, wanted.on_failure, wanted.rate)


async def _guests(node: Node, caller: Caller, names: Sequence[str], systems: Sequence[str]) -> list[Target]:
    """Where our guests of these names are. Raises NotFound (guest-unknown), BadInput when one is on two systems."""
    wanted = {node.core.system(system) for system in systems}
    places: dict[str, list[str]] = {}
    for row in await node.guests.rows():
        if (not wanted or row["system"] in wanted) and caller.role_in(row["project"]) is not None:
            places.setdefault(row["userid"], []).append(row["system"])
    targets = []
    for name in names:
        found = places.get(name, [])
        if not found:
            raise NotFound(f"guest {name} does not exist", code="guest-unknown", subject=name)
        if len(found) > 1:
            raise BadInput("systems", f"{name} is on {', '.join(found)}", "the system that is meant")
        targets.append(Target(found[0], name))
    return targets


def _tree(name: str, title: str, project: str, children: Sequence[Prepared], on_failure: str, rate: int) -> Prepared:
    """The plan of the parent. Raises BadInput (rate)."""
    if not 0 <= rate <= MOST_PER_MINUTE:
        raise BadInput("rate", rate, f"0 to {MOST_PER_MINUTE} in a minute")
    uses = Uses(*(sum(getattr(child.uses, item.name) for child in children) for item in fields(Uses)))
    step = tree_step(title[0].lower() + title[1:], on_failure, rate)
    return Prepared(Plan(name, title, "", (step,)), project, uses=uses, children=tuple(children))
