"""fcp.dedicate, fcp.undedicate and guest.configure; and what FCP devices the system has."""

from __future__ import annotations

import re

from zvmcloud.cp import commands
from zvmcloud.cp.answers import PowerState
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import entries
from zvmcloud.zhcp.errors import AgentError, Json
from zvmcloud.zhcp.fcp_messages import ConfigureGuest, DedicateFcps, UndedicateFcps
from zvmcloud.zhcp.operations.context import Context, Undo

_NO_FCP = (4, 28)
_STATES = {"1": "active", "2": "free", "3": "offline"}
_NONE = ("NONE", "N/A", "-")
_GONE_DM = ((404, 8), (400, 4))
_GONE = ((204, 8), (200, 12))
_HEX = re.compile(r"\b([0-9A-F]{3,4})\b")
_SERVICE = "zvmguestconfigure.service"


async def devices(context: Context) -> dict[str, Json]:
    """Every FCP device: WWPNs, channel path, physical channel, state (free, active, offline), who has it."""
    me = await context.machine.identity()
    answer = await context.call(f.SystemWWPNQuery(target=me.userid, owner="YES"), allow=(_NO_FCP,))
    rows = answer.data.wwpn_array if answer.rc == 0 and answer.data is not None else ()
    found: list[Json] = []
    channels: dict[str, str] = {}
    for words in (row.split() for row in rows):
        if len(words) < 5:
            continue
        fcp, npiv, chpid, physical, status = words[:5]
        owner = words[5].upper() if len(words) > 5 else ""
        if chpid not in channels:
            channels[chpid] = await _pchid(context, chpid)
        found.append(
            {
                "fcp": fcp.lower().zfill(4),
                "npiv": "" if npiv.upper() in _NONE else npiv.lower(),
                "physical": physical.lower(),
                "chpid": chpid,
                "pchid": channels[chpid],
                "state": _STATES.get(status, status.lower()),
                "owner": "" if owner in _NONE else owner,
            }
        )
    return {"fcps": found}


async def _pchid(context: Context, chpid: str) -> str:
    """The physical channel behind a channel path; empty where CP does not tell."""
    answer = await context.cp(commands.query_chpid_pchid(chpid), allow=(1, 2, 3, 6, 7, 40))
    numbers = _HEX.findall(" ".join(answer.lines).upper()) if answer.rc == 0 else []
    return numbers[-1].zfill(4) if numbers else ""


async def dedicate(context: Context, request: DedicateFcps) -> dict[str, Json]:
    """A device that another guest has is refused before anything is changed."""
    userid = request.userid
    async with context.writing(userid):
        entry = await entries.must_exist(context, userid)
        have = {item.vdev for item in entry.dedicates}
        await _must_be_free(context, request)
        on = await context.power(userid) is PowerState.ON
        for number, device in enumerate(request.devices):
            context.report(number / len(request.devices), f"device {device}")
            if device not in have:
                define = f.ImageDeviceDedicateDM(
                    target=userid, image_device_number=device, real_device_number=device, readonly=0
                )
                await context.make(define, f"device {device} of {userid}", _dropper(context, userid, device))
            if on:
                live = f.ImageDeviceDedicate(
                    target=userid, image_device_number=device, real_device_number=device, readonly=0
                )
                if device not in have:
                    context.on_undo(f"device {device} of {userid}", _live_dropper(context, userid, device))
                await context.call(live, allow=((204, 4),) if context.intended(f"live-{device}") else ())
                await context.intend(f"live-{device}")
    return {"devices": list(request.devices), "live": on}


async def _must_be_free(context: Context, request: DedicateFcps) -> None:
    known = (await devices(context))["fcps"]
    rows = {str(row["fcp"]).upper(): row for row in known if isinstance(row, dict)} if isinstance(known, list) else {}
    for device in request.devices:
        row = rows.get(device)
        if row is None:
            raise AgentError(404, "fcp-unknown", f"this system has no FCP device {device}", remedy="see GET /v1/fcps")
        if row["owner"] not in ("", request.userid):
            raise AgentError(
                409, "fcp-in-use", f"FCP device {device} is with {row['owner']}, not free for {request.userid}",
                remedy="choose another device, or take it back from its owner",
            )  # fmt: skip


def _dropper(context: Context, userid: str, device: str) -> Undo:
    return lambda: _drop(context, userid, device)


def _live_dropper(context: Context, userid: str, device: str) -> Undo:
    return lambda: _drop_live(context, userid, device)


async def _drop(context: Context, userid: str, device: str) -> object:
    return await context.call(f.ImageDeviceUndedicateDM(target=userid, image_device_number=device), allow=_GONE_DM)


async def _drop_live(context: Context, userid: str, device: str) -> object:
    return await context.call(f.ImageDeviceUndedicate(target=userid, image_device_number=device), allow=_GONE)


async def undedicate(context: Context, request: UndedicateFcps) -> dict[str, Json]:
    """fcp.undedicate"""
    userid = request.userid
    async with context.writing(userid):
        on = await context.power(userid) is PowerState.ON
        for number, device in enumerate(request.devices):
            context.report(number / max(len(request.devices), 1), f"device {device}")
            await _drop(context, userid, device)
            if on:
                await _drop_live(context, userid, device)
    return {"devices": list(request.devices), "live": on}


async def configure(context: Context, request: ConfigureGuest) -> dict[str, Json]:
    """guest.configure; AgentError 409 `configure-failed` with the service's exit status."""
    userid = request.userid
    if await context.power(userid) is not PowerState.ON or await context.guest(userid, "pwd") is None:
        return {"userid": userid, "configured": False}
    context.report(0.2, f"{userid} reads its class X files")
    answer = await context.guest(userid, f"systemctl start {_SERVICE}")
    if answer is not None and answer.rc == 0:
        return {"userid": userid, "configured": True}
    said = await context.guest(userid, f"systemctl status {_SERVICE}")
    found = re.search(r"status=(\d+)", said.output) if said is not None else None
    status = int(found[1]) if found else (answer.rc if answer is not None else 0)
    reason = _REASONS.get(status, f"its configuration service ended with {status}")
    raise AgentError(
        409, "configure-failed", f"{userid}: {reason}", remedy=f"see journalctl -u {_SERVICE} in the guest"
    )


# Exit statuses of the scripts that attach volumes, as clients know them.
_REASONS = {
    1: "multipathd is not active",
    2: "the script ended early",
    3: "no target WWPN can be reached",
    4: "the LUN did not become a disk",
}
