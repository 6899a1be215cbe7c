"""Spool files of guests, and installations from the network that boot from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from zvmcloud.manager.core import userid
from zvmcloud.manager.downloads import shown
from zvmcloud.manager.errors import BadInput
from zvmcloud.manager.identity.roles import Caller
from zvmcloud.manager.jobs.plan import Json, Plan, Step
from zvmcloud.manager.jobs.remote import check_step
from zvmcloud.manager.operations.declare import GUEST, Prepared, Target, guest_of, operation

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node


@dataclass(frozen=True, slots=True)
class Purge:
    """Spool file numbers; none: all."""

    spoolids: list[str] = field(default_factory=list)


@operation("reader.purge", "POST", f"{GUEST}/reader/purge", Purge, no_undo="the files are gone", asks=True)
async def purge(node: Node, caller: Caller, target: Target, wanted: Purge) -> Prepared:
    """Delete files of a guest's reader."""
    what = ", ".join(wanted.spoolids) or "all files"
    return await _files(node, caller, target, "purge", f"purge {what} of", {"spoolids": wanted.spoolids})


@dataclass(frozen=True, slots=True)
class Order:
    """Spool file numbers: what an IPL of the reader loads is the first file."""

    spoolids: list[str]


@operation("reader.order", "POST", f"{GUEST}/reader/order", Order)
async def order(node: Node, caller: Caller, target: Target, wanted: Order) -> Prepared:
    """Put files of a guest's reader first, in this order."""
    what = f"put {', '.join(wanted.spoolids)} first in the reader of"
    back: dict[str, Json] = {"userid": target.userid, "gone": True}
    return await _files(node, caller, target, "order", what, {"spoolids": wanted.spoolids}, back)


@dataclass(frozen=True, slots=True)
class Transfer:
    """Spool file numbers, and the guest that gets the files."""

    spoolids: list[str]
    to: str


@operation("reader.transfer", "POST", f"{GUEST}/reader/transfer", Transfer)
async def transfer(node: Node, caller: Caller, target: Target, wanted: Transfer) -> Prepared:
    """Hand files of a guest's reader over to another guest. An undo hands them back, behind the files that are there by
    then; it does not find files that the other guest has read."""
    to, _ = await guest_of(node, caller, Target(target.system, userid(wanted.to, "to")))
    what = f"hand {', '.join(wanted.spoolids)} over to {to} from"
    back: dict[str, Json] = {"userid": to, "to": target.userid}
    return await _files(node, caller, target, "transfer", what, {"spoolids": wanted.spoolids, "to": to}, back)


async def _files(
    node: Node,
    caller: Caller,
    target: Target,
    verb: str,
    what: str,
    parameters: dict[str, Json],
    back: Mapping[str, Json] | None = None,
) -> Prepared:
    """One operation of the agent; ``back``: what the same one takes, besides what it found, to undo it."""
    owner, project = await guest_of(node, caller, target)
    title, kind = f"{what} {owner}", f"reader.{verb}"
    step = Step(verb, title, kind, {"userid": owner, **parameters}, kind if back else "", back or {})
    return Prepared(Plan(f"reader.{verb}", title[0].upper() + title[1:], target.system, (step,), owner), project)


@dataclass(frozen=True, slots=True)
class BootFile:
    """A file to load: its URL (http or https) and its SHA-256. What the URL says of user, password and query is not
    shown again."""

    url: str = field(repr=False)
    sha256: str


@dataclass(frozen=True, slots=True)
class NetBoot:
    """An installation from the network. ``method`` adds its words to ``parm``; ``repository`` and ``profile``: URLs of
    what is installed and of its answers (or Ignition). ``nic``: the adapter's number, for rd.znet. ``parm``, and of
    URLs user, password and query, are kept as secrets."""

    kernel: BootFile
    initrd: BootFile
    parm: str = field(default="", repr=False)
    method: Literal["", "autoyast", "kickstart", "nfsroot", "coreos"] = ""
    repository: str = field(default="", repr=False)
    profile: str = field(default="", repr=False)
    install_device: str = ""
    nic: str = ""
    dasds: list[str] = field(default_factory=list)
    start: bool = True


@operation("guest.netboot", "POST", f"{GUEST}/netboot", NetBoot, no_undo="what was booted has changed the guest")
async def netboot(node: Node, caller: Caller, target: Target, wanted: NetBoot) -> Prepared:
    """Start an installation: kernel, parameters and initrd go into the reader of a guest that is off, and boot."""
    owner, project = await guest_of(node, caller, target)
    step = Step("netboot", f"boot {owner} from its reader", "guest.netboot", {"userid": owner, **asdict(wanted)})
    for name, file in (("kernel", wanted.kernel), ("initrd", wanted.initrd)):
        if not file.url.startswith(("http://", "https://")):
            raise BadInput(f"{name}.url", "(not shown)", "a URL of http or https")
    check_step(step)
    step = replace(step, parameters={**step.parameters, **_shown(wanted), "stored": _ACCESS})
    plan = Plan("guest.netboot", f"Boot {owner} from the network", target.system, (step,), owner)
    return Prepared(plan, project, {_ACCESS: _secrets(wanted)})


_ACCESS = "access"


def _shown(wanted: NetBoot) -> dict[str, Json]:
    """What the job's row has in place of what is in its file."""
    return {
        "kernel": {"url": shown(wanted.kernel.url), "sha256": wanted.kernel.sha256},
        "initrd": {"url": shown(wanted.initrd.url), "sha256": wanted.initrd.sha256},
        "parm": "(not shown)" if wanted.parm else "",
        "repository": shown(wanted.repository),
        "profile": shown(wanted.profile),
    }


def _secrets(wanted: NetBoot) -> bytes:
    """The file of the job: members of the operation that may hold passwords, as they are."""
    whole = asdict(wanted)
    return json.dumps({name: whole[name] for name in _shown(wanted)}).encode()
