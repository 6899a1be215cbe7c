"""fcp.dedicate, fcp.follow, fcp.undedicate, fcp.vary and guest.configure; and what FCP devices the system has."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from zvmcloud.cp import answers, commands
from zvmcloud.cp.answers import PowerState
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import entries
from zvmcloud.zhcp.entry_messages import ChangeGuest
from zvmcloud.zhcp.errors import AgentError, FieldError, Json
from zvmcloud.zhcp.fcp_messages import ConfigureGuest, DedicateFcps, FollowFcps, UndedicateFcps, VaryFcps
from zvmcloud.zhcp.joining import to_its_end
from zvmcloud.zhcp.operations import definitions, own_reader, reader
from zvmcloud.zhcp.operations.context import Context, Undo

_NO_FCP = (4, 28)
_STATES = {"1": "active", "2": "free", "3": "offline"}
_NONE = ("NONE", "N/A", "-")
_GONE_DM = ((404, 8), (400, 4))
_GONE = ((204, 8), (200, 12))
_ATTACHED = 122
_HEX = re.compile(r"\b([0-9A-F]{3,4})\b")
_SERVICE = "zvmguestconfigure.service"
_START = (
    f"if command -v systemctl >/dev/null; then systemctl start {_SERVICE}; "
    f"else service {_SERVICE.removesuffix('.service')} start; fi"
)
"""SLES 11 and RHEL 6 have no systemd (connector/flows.md 3)."""


async def devices(context: Context) -> dict[str, Json]:
    """Every FCP device: WWPNs, channel path, physical channel, state (free, active, offline), who has it and at which
    virtual device number."""
    me = await context.machine.identity()
    held = {item.rdev: item for item in await _held(context)}
    answer = await context.call(f.SystemWWPNQuery(target=me.userid, owner="YES"), allow=(_NO_FCP,))
    rows = answer.data.wwpn_array if answer.rc == 0 and answer.data is not None else ()
    found: list[Json] = []
    channels: dict[str, str] = {}
    for words in (row.split() for row in rows):
        if len(words) < 5:
            continue
        fcp, npiv, chpid, physical, status = words[:5]
        owner = words[5].upper() if len(words) > 5 else ""
        owner = "" if owner in _NONE else owner
        virtual = held.get(fcp.upper().zfill(4))
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
                "owner": owner,
                "vdev": virtual.vdev.lower() if virtual is not None and virtual.userid == owner else "",
            }
        )
    return {"fcps": found}


async def luns(context: Context) -> dict[str, Json]:
    """GET /v1/luns: the LUNs that the storage shows the FCP devices of the agent's settings, one row for each path.
    FieldError without such devices, AgentError 409 `lun-unreachable`."""
    devices = context.settings.storage.fcps
    if not devices:
        raise FieldError("storage.fcps", "", "FCP devices of the agent's machine, in its settings")
    rows: list[Json] = [
        {"device": item.device, "wwpn": item.wwpn, "lun": item.lun, "uuid": item.uuid, "bytes": item.size}
        for item in await context.machine.luns(devices)
    ]
    return {"luns": rows}


async def _held(context: Context) -> tuple[answers.HeldFcp, ...]:
    return answers.query_fcp((await context.cp(commands.query_fcp_active())).lines)


async def _pchid(context: Context, chpid: str) -> str:
    """The physical channel behind a channel path; empty where CP does not tell."""
    answer = await context.cp(commands.query_chpid_pchid(chpid), allow=(1, 2, 3, 6, 7, 40))
    numbers = _HEX.findall(" ".join(answer.lines).upper()) if answer.rc == 0 else []
    return numbers[-1].zfill(4) if numbers else ""


@asynccontextmanager
async def _only_one(context: Context, userid: str, reals: Sequence[str]) -> AsyncIterator[None]:
    """Be the one operation that changes the guest's entry and gives these devices to anybody, until it is undone.

    Devices in the order of their numbers, so that two operations never wait for each other.
    """
    async with context.writing(userid), AsyncExitStack() as held:
        for device in sorted(set(reals)):
            await held.enter_async_context(context.writing(f"FCP {device}"))
        yield


async def dedicate(context: Context, request: DedicateFcps) -> dict[str, Json]:
    """A device that another guest has, now or from its next logon on, is refused before anything is changed."""
    userid, reals = request.userid, [real for _, real in request.pairs]
    async with _only_one(context, userid, reals):
        entry = await entries.must_exist(context, userid)
        have = {item.vdev for item in entry.dedicates}
        await _must_be_free(context, userid, reals, request.elsewhere)
        on = await context.power(userid) is PowerState.ON
        for number, (device, real) in enumerate(request.pairs):
            context.report(number / len(request.devices), f"device {device}")
            # After a crash the notes tell what an earlier run of this operation was about to do: it is ours to undo.
            entry_before, live_before = context.intended(f"entry-{device}"), context.intended(f"live-{device}")
            undo = _back(context, userid, device, live=on)
            if device not in have:
                define = f.ImageDeviceDedicateDM(
                    target=userid, image_device_number=device, real_device_number=real, readonly=0
                )
                await context.make(
                    define, f"device {device} of {userid}", undo,
                    done=partial(_dedicated, context, userid, device, real), rerun=entry_before,
                    noting=(f"entry-{device}",),
                )  # fmt: skip
            elif entry_before:
                context.on_undo(f"device {device} of {userid}", undo)
            if on:
                await context.intend(f"live-{device}")
                live = f.ImageDeviceDedicate(
                    target=userid, image_device_number=device, real_device_number=real, readonly=0
                )
                await context.call(live, allow=((204, 4),) if live_before else ())
    return {"devices": list(request.devices), "live": on}


async def follow(context: Context, request: FollowFcps) -> dict[str, Json]:
    """The entry names real devices, of whichever member the guest logs on at: those of the member where it is now, or
    is to start. The devices in the result are pairs of virtual and real numbers."""
    userid = request.userid
    async with _only_one(context, userid, request.reals):
        entry = await entries.must_exist(context, userid)
        if request.devices:
            if await context.power(userid) is not PowerState.OFF:
                raise AgentError(409, "guest-active", f"{userid} is on", remedy="stop or relocate it")
            await _must_be_free(context, userid, request.reals, request.elsewhere)
            wanted = dict(zip(request.devices, request.reals, strict=True))
        else:
            wanted = {item.vdev: item.rdev for item in await _held(context) if item.userid == userid}
        have = {item.vdev: item.rdev for item in entry.dedicates}
        others = [(vdev, rdev) for vdev, rdev in wanted.items() if have.get(vdev) not in (None, rdev)]
        if others:
            numbers = tuple(vdev for vdev, _ in others)
            change = ChangeGuest(userid=userid, undedicate=numbers, dedicate=tuple(others))
            await definitions.change(context, change)
    return {"userid": userid, "devices": [[vdev.lower(), rdev.lower()] for vdev, rdev in sorted(wanted.items())]}


async def vary(context: Context, request: VaryFcps) -> dict[str, Json]:
    """fcp.vary. VARY of a device that is as it is wanted changes nothing (judgement)."""
    varied: list[Json] = []
    for device in request.devices:
        if not request.online:
            context.on_undo(f"device {device} online", _online(context, device))
        answer = await context.cp(commands.vary(device, online=request.online), allow=(_ATTACHED,))
        if answer.rc == 0:
            varied.append(device.lower())
    return {"devices": varied, "online": request.online}


def _online(context: Context, device: str) -> Undo:
    async def online() -> None:
        await context.cp(commands.vary(device, online=True), allow=(_ATTACHED,))

    return online


async def _must_be_free(context: Context, userid: str, reals: Sequence[str], elsewhere: Sequence[str]) -> None:
    """CP knows who has a device now; the directory knows who gets it at the next logon, at the member where it logs
    on."""
    known = (await devices(context))["fcps"]
    rows = {str(row["fcp"]).upper(): row for row in known if isinstance(row, dict)} if isinstance(known, list) else {}
    for device in reals:
        if device not in rows:
            raise AgentError(404, "fcp-unknown", f"this system has no FCP device {device}", remedy="see GET /v1/fcps")
    promised = await _promised(context)
    for device in reals:
        owners = {str(rows[device]["owner"]), *promised.get(device, set()).difference(elsewhere)} - {"", userid}
        if owners:
            others = ", ".join(sorted(owners))
            raise AgentError(
                409, "fcp-in-use", f"FCP device {device} is with {others}, not free for {userid}",
                remedy="choose another device, or take it back from its owner",
            )  # fmt: skip


async def _promised(context: Context) -> dict[str, set[str]]:
    """Real device -> entries with a DEDICATE of it."""
    me = await context.machine.identity()
    answer = await context.call(f.DirectoryManagerSearchDM(target=me.userid, search_pattern="DEDICATE"))
    found: dict[str, set[str]] = {}
    for item in answer.data.statement_array if answer.data is not None else ():
        words = item.statement.upper().split()
        if len(words) > 2 and words[0] == "DEDICATE" and _HEX.fullmatch(words[2]):
            found.setdefault(words[2].zfill(4), set()).add(item.target_id.upper())
    return found


async def _dedicated(context: Context, userid: str, device: str, real: str) -> bool:
    entry = await entries.query(context, userid)
    return entry is not None and any((item.vdev, item.rdev) == (device, real) for item in entry.dedicates)


def _back(context: Context, userid: str, device: str, *, live: bool) -> Undo:
    """Take a device back, the live half first: while the guest has it, its entry keeps it too."""

    async def back() -> None:
        if live:
            await _drop_live(context, userid, device)
        await _drop(context, userid, device)

    return back


async def _drop(context: Context, userid: str, device: str) -> object:
    return await context.call(f.ImageDeviceUndedicateDM(target=userid, image_device_number=device), allow=_GONE_DM)


async def _drop_live(context: Context, userid: str, device: str) -> object:
    return await context.call(f.ImageDeviceUndedicate(target=userid, image_device_number=device), allow=_GONE)


async def undedicate(context: Context, request: UndedicateFcps) -> dict[str, Json]:
    """The live half goes first: a device that CP does not take back stays in the entry, and is nobody else's."""
    userid = request.userid
    async with _only_one(context, userid, request.devices):
        entry = await entries.query(context, userid)
        dedicated = entry.dedicates if entry is not None else ()
        reals = json.dumps({item.vdev: item.rdev for item in dedicated if item.vdev in request.devices})
        have: dict[str, str] = json.loads(await context.remember("reals", reals))
        on = await context.power(userid) is PowerState.ON
        for number, device in enumerate(request.devices):
            context.report(number / max(len(request.devices), 1), f"device {device}")
            live = on and await _taken_live(context, userid, device)
            if live or device in have:
                real = have.get(device, "")
                context.on_undo(f"device {device} of {userid}", _again(context, userid, device, real, live=live))
            await _drop(context, userid, device)
    return {"devices": list(request.devices), "live": on}


async def _taken_live(context: Context, userid: str, device: str) -> bool:
    """Take a device from the running guest; False when it did not have it."""
    before = context.intended(f"gone-{device}")
    await context.intend(f"gone-{device}")
    answer = await context.call(f.ImageDeviceUndedicate(target=userid, image_device_number=device), allow=_GONE)
    return answer.rc == 0 or before


def _again(context: Context, userid: str, device: str, real: str, *, live: bool) -> Undo:
    """Give a device back that was taken away. ``real``: what the entry named, "" when it did not have the device."""

    async def again() -> None:
        both = {"target": userid, "image_device_number": device, "real_device_number": real or device}
        if real:
            await context.call(f.ImageDeviceDedicateDM(**both, readonly=0), allow=((404, 4),))
        if live:
            await context.call(f.ImageDeviceDedicate(**both, readonly=0), allow=((204, 4),))

    return again


async def configure(context: Context, request: ConfigureGuest) -> dict[str, Json]:
    """guest.configure; AgentError 409 `volume-script-failed`, `disks-script-failed` or `network-script-failed` with the
    service's exit status."""
    userid = request.userid
    if request.unless and await reader.of_ours(context, userid, request.unless, "SH"):
        return {"userid": userid, "configured": False}
    if request.script:
        await _give_script(context, userid, "script", request.script)
    try:
        up = await context.power(userid) is PowerState.ON and await context.guest(userid, "pwd") is not None
    except AgentError:
        if not request.or_at_boot:
            raise
        up = False
    if not up:
        return {"userid": userid, "configured": False}
    context.report(0.2, f"{userid} reads its class X files")
    if request.back:
        context.on_undo(f"what {userid} did", lambda: _run_back(context, userid, request.back))
    answer = await to_its_end(context.guest(userid, _START))
    if answer is not None and answer.rc == 0:
        return {"userid": userid, "configured": True}
    said = await context.guest(userid, f"systemctl status {_SERVICE}")
    found = re.search(r"status=(\d+)", said.output) if said is not None else None
    status = int(found[1]) if found else (answer.rc if answer is not None else 0)
    reason = f"its configuration service ended with status {status}"
    if request.scripts == "volume" and status in _VOLUME_REASONS:
        reason += f": {_VOLUME_REASONS[status]}"
    raise AgentError(
        409,
        f"{request.scripts}-script-failed",
        f"{userid}: {reason}",
        remedy=f"see journalctl -u {_SERVICE} in the guest",
    )


async def _give_script(context: Context, userid: str, name: str, script: str) -> None:
    data = reader.decoded(name, script)
    await own_reader.give(context, userid, own_reader.CardFile("CONFIG", "SH", "X", data), name)


async def _run_back(context: Context, userid: str, script: str) -> None:
    await _give_script(context, userid, "back", script)
    await context.guest(userid, _START)


# Exit statuses of the scripts that attach volumes, as clients know them.
_VOLUME_REASONS = {
    1: "multipathd is not active",
    2: "the script ended early",
    3: "no target WWPN can be reached",
    4: "the LUN did not become a disk",
}
