"""How far a door reaches that is limited to a project (``[connector] role = "member"``): its guests, its images, and no
thing of the whole system.

Each rule of the routes says what it needs here, and the dispatch asks before it calls the handler. A door whose role
acts on all projects is asked nothing. What a guest is given of networks and pools the manager itself looks at
(:mod:`zvmcloud.manager.borders`), and lists are narrowed by the caller in :class:`~zvmcloud.api.connector.ask.Ask`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from zvmcloud.api.connector.ask import Ask, text
from zvmcloud.manager.errors import Hidden, NotFound
from zvmcloud.manager.identity.roles import Role
from zvmcloud.manager.jobs.plan import Json

Names = Callable[[Ask], Iterable[str]]


def _nothing(_ask: Ask) -> Iterable[str]:
    return ()


def _of_path(ask: Ask) -> Iterable[str]:
    """The guest that the path names, if it names one."""
    return (ask.path["userid"],) if "userid" in ask.path else ()


def _image_of_path(ask: Ask) -> Iterable[str]:
    return (ask.path["name"],)


def _image_of_body(ask: Ask) -> Iterable[str]:
    return (text(ask.body.get("image")),)


def _of_query(ask: Ask) -> Iterable[str]:
    return ask.query.get("userid", "").split(",")


def _of_connection(ask: Ask) -> Iterable[str]:
    """The guest that a volume is attached to."""
    connection = ask.member("info").get("connection")
    return (text(connection.get("assigner_id")),) if isinstance(connection, Mapping) else ()


@dataclass(frozen=True, slots=True)
class Reach:
    """What a request needs. ``operator``: a door of all projects. ``guests``: those that it is about; with ``new`` they
    may be nobody's. ``images``: those that it reads, with ``changes`` those that it changes."""

    operator: bool = False
    guests: Names = _of_path
    new: bool = False
    images: Names = _nothing
    changes: bool = False

    async def check(self, ask: Ask) -> None:
        """Raises NotAllowed (role), NotFound or Hidden (guest-unknown, image-unknown)."""
        caller, node = ask.caller, ask.node
        if caller.sees is None:
            return
        if self.operator:
            caller.needs(Role.OPERATOR)
        for name in filter(None, (name.strip() for name in self.guests(ask))):
            row = await node.core.owned_or_none(ask.system, name)
            if row is None and self.new:
                continue
            if row is None or caller.role_in(row["project"]) is None:
                owner, absent = name.upper(), NotFound if row is None else Hidden
                raise absent(f"Guest '{owner}' does not exist.", code="guest-unknown", subject=owner)
        for name in self.images(ask):
            if not await node.images.exists(name):
                continue  # what becomes of that is the handler's
            await (node.images.changeable if self.changes else node.images.seen_by)(caller, name)


GUEST = Reach()
"""The guest of the path, if it names one; everybody's where it names none."""
NEW_GUEST = Reach(new=True)
GUESTS_ASKED = Reach(guests=_of_query)
CONNECTION = Reach(guests=_of_connection)
IMAGE = Reach(images=_image_of_path)
IMAGE_CHANGED = replace(IMAGE, changes=True)
OPERATOR = Reach(operator=True)
_OF_ACTION: Mapping[str, Reach] = {
    "register_vm": OPERATOR,
    "deregister_vm": OPERATOR,
    "deploy": Reach(images=_image_of_body),
}


def of_action(body: Mapping[str, Json]) -> Reach:
    """What an action of a guest needs: adopting and forgetting are an operator's, as in the native API."""
    return _OF_ACTION.get(text(body.get("action")), GUEST)
