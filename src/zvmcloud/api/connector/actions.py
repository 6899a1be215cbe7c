"""Handlers for ``POST /guests/{userid}/action``: one per action name, found in a table."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from zvmcloud.api.connector.ask import Ask, Handler, count, megabytes, text
from zvmcloud.api.connector.envelope import Reply, fault
from zvmcloud.api.connector.schemas import ACTIONS, Checker, truth
from zvmcloud.manager.deploys import DeployRequest
from zvmcloud.manager.errors import BadInput, Busy, NotSupported
from zvmcloud.manager.guest_plans import Relocation
from zvmcloud.manager.jobs.plan import Json

_CHECKERS: Mapping[str, Checker] = {name: Checker(schema) for name, schema in ACTIONS.items() if schema is not None}


async def act(ask: Ask) -> Reply | Response:
    """Check the action's own fields, then do it."""
    name = ask.body.get("action")
    if not isinstance(name, str) or not name:
        return fault(400, "action not exist or is empty")
    if name not in ACTIONS:
        return fault(400, f"action {name[:40]} is invalid")
    fields = {key: value for key, value in ask.body.items() if key != "action"}
    checker = _CHECKERS.get(name)
    complaint = checker.complaint(fields) if checker else None
    if complaint:
        return fault(400, f"ValidationError: {complaint}")
    handler = _HANDLERS.get(name)
    if handler is None:
        await ask.node.core.owned(ask.system, ask.userid)
        raise NotSupported(f"The requested function: {name} has not been implemented in current release")
    return await handler(ask)


async def _start(ask: Ask) -> Reply:
    job = await ask.node.guests.start(ask.system, ask.userid, wait=count(ask.body.get("timeout")), origin=ask.origin)
    return Reply(job=job.id)


async def _stop(ask: Ask) -> Reply:
    return Reply(job=(await ask.node.guests.stop(ask.system, ask.userid, origin=ask.origin)).id)


async def _softstop(ask: Ask) -> Reply:
    settings = ask.node.settings.connector
    job = await ask.node.guests.shutdown(
        ask.system,
        ask.userid,
        seconds=count(ask.body.get("timeout")) or settings.softstop_seconds,
        poll=count(ask.body.get("poll_interval")) or settings.softstop_poll,
        origin=ask.origin,
    )
    return Reply(job=job.id)


async def _pause(ask: Ask) -> Reply:
    return Reply(job=(await ask.node.guests.pause(ask.system, ask.userid, origin=ask.origin)).id)


async def _unpause(ask: Ask) -> Reply:
    return Reply(job=(await ask.node.guests.unpause(ask.system, ask.userid, origin=ask.origin)).id)


async def _reboot(ask: Ask) -> Reply:
    return Reply(job=(await ask.node.guests.reboot(ask.system, ask.userid, origin=ask.origin)).id)


async def _reset(ask: Ask) -> Reply:
    return Reply(job=(await ask.node.guests.reset(ask.system, ask.userid, origin=ask.origin)).id)


async def _console(ask: Ask) -> Reply:
    return Reply(await ask.node.guests.console(ask.system, ask.userid, ask.node.settings.connector.console_kb))


async def _deploy(ask: Ask) -> Reply:
    """Waits for the job's end, as clients expect; the job itself does not depend on the client staying."""
    if ask.deploys.locked():
        raise Busy(
            "Max concurrent deploy/capture requests received, request is rejected.", remedy="repeat the request later"
        )
    request = DeployRequest(
        userid=ask.userid,
        image=text(ask.body["image"]),
        transport=text(ask.body.get("transportfiles")),
        remote_host=text(ask.body.get("remotehost")),
        vdev=text(ask.body.get("vdev")),
        hostname=text(ask.body.get("hostname")),
        skip_copy=truth(ask.body.get("skipdiskcopy")),
    )
    async with ask.deploys:
        job = await ask.node.deploys.deploy(ask.system, request, origin=ask.origin)
    return Reply(job=job.id)


async def _capture(ask: Ask) -> Reply:
    """Waits for the job's end, as a deploy does, and counts as one."""
    if ask.deploys.locked():
        raise Busy(
            "Max concurrent deploy/capture requests received, request is rejected.", remedy="repeat the request later"
        )
    async with ask.deploys:
        job = await ask.node.captures.capture(
            ask.system,
            ask.userid,
            text(ask.body["image"]),
            kind=text(ask.body.get("capture_type")) or "rootonly",
            compression=count(ask.body.get("compress_level"), 6),
            origin=ask.origin,
        )
    return Reply(job=job.id)


async def _register(ask: Ask) -> Reply:
    """``meta`` is "os_version=rhel8.6" (or only the version); ``port_macs`` maps port ids to MAC addresses."""
    macs = ask.body.get("port_macs")
    job = await ask.node.guests.register(
        ask.system,
        ask.userid,
        os_version=text(ask.body["meta"]).rpartition("=")[2][:64],
        net_set=truth(ask.body["net_set"]),
        ports={str(port): text(mac) for port, mac in macs.items()} if isinstance(macs, Mapping) else {},
        origin=ask.origin,
    )
    return Reply(job=job.id)


async def _deregister(ask: Ask) -> Reply:
    return Reply(job=(await ask.node.guests.deregister(ask.system, ask.userid, origin=ask.origin)).id)


async def _live_migrate(ask: Ask) -> Reply:
    """``parms`` limits and forces a move; "-1" lifts a limit. A test answers like a move, and moves nothing."""
    operation = text(ask.body["operation"]).lower()
    if operation not in {"move", "test"}:
        raise BadInput("operation", ask.body["operation"], "move or test")
    parms = ask.member("parms")
    forced = [word for word in ("ARCHITECTURE", "DOMAIN", "STORAGE") if _forced(parms, word)]
    immediate = text(parms.get("immediate"))
    request = Relocation(
        userid=ask.userid,
        destination=text(ask.body["destination"]),
        test=operation == "test",
        force=tuple(forced),
        immediate=immediate.upper() in {"YES", "TRUE", "1"} if immediate else None,
        max_total=count(parms.get("maxtotal")),
        max_quiesce=count(parms.get("maxquiesce")),
        authorize=text(ask.body.get("dest_zcc_userid")),
    )
    return Reply(job=(await ask.node.guests.relocate(ask.system, request, origin=ask.origin)).id)


def _forced(parms: Mapping[str, Json], word: str) -> bool:
    given = text(parms.get({"ARCHITECTURE": "forcearch"}.get(word, f"force{word.lower()}")))
    return bool(given) and given.upper() not in {"NO", "FALSE", "0", "OFF"}


async def _resize_cpus(ask: Ask) -> Reply:
    return await _cpus(ask, live=False)


async def _live_resize_cpus(ask: Ask) -> Reply:
    return await _cpus(ask, live=True)


async def _cpus(ask: Ask, *, live: bool) -> Reply:
    job = await ask.node.resources.resize_cpus(
        ask.system,
        ask.userid,
        count(ask.body["cpu_cnt"]),
        share=text(ask.body.get("cpu_share")),
        live=live,
        origin=ask.origin,
    )
    return Reply(job=job.id)


async def _resize_mem(ask: Ask) -> Reply:
    return await _memory(ask, live=False)


async def _live_resize_mem(ask: Ask) -> Reply:
    return await _memory(ask, live=True)


async def _memory(ask: Ask, *, live: bool) -> Reply:
    size = megabytes(ask.body["size"])
    job = await ask.node.resources.resize_memory(ask.system, ask.userid, size, live=live, origin=ask.origin)
    return Reply(job=job.id)


async def _grow_root_volume(ask: Ask) -> Reply:
    return Reply(job=(await ask.node.resources.grow_root_volume(ask.system, ask.userid, origin=ask.origin)).id)


_HANDLERS: Mapping[str, Handler] = {
    "start": _start,
    "stop": _stop,
    "softstop": _softstop,
    "pause": _pause,
    "unpause": _unpause,
    "reboot": _reboot,
    "reset": _reset,
    "get_console_output": _console,
    "deploy": _deploy,
    "capture": _capture,
    "register_vm": _register,
    "deregister_vm": _deregister,
    "live_migrate_vm": _live_migrate,
    "resize_cpus": _resize_cpus,
    "live_resize_cpus": _live_resize_cpus,
    "resize_mem": _resize_mem,
    "live_resize_mem": _live_resize_mem,
    "grow_root_volume": _grow_root_volume,
}
