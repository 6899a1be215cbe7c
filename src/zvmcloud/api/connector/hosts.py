"""Handlers for the z/VM system: version, host, disk pools, health."""

from __future__ import annotations

from zvmcloud import __version__
from zvmcloud.api.connector.ask import Ask
from zvmcloud.api.connector.envelope import Reply
from zvmcloud.api.connector.schemas import truth
from zvmcloud.manager.errors import ManagerError, NotFound
from zvmcloud.manager.facts import Document
from zvmcloud.manager.jobs.plan import Json
from zvmcloud.manager.node import Node

_GIB = 2**30


async def version(_ask: Ask) -> Reply:
    """Clients demand api_version "1.0"."""
    return Reply({"version": __version__, "api_version": "1.0", "max_version": "1.0", "min_version": "1.0"})


async def host(ask: Ask) -> Reply:
    """The hypervisor with its totals: memory in MB, disk in GB."""
    facts = await ask.node.hosts.info(ask.system)
    pool = await ask.node.hosts.pool(ask.system)
    name = facts.text("system", "name")
    return Reply(
        {
            "zcc_userid": facts.text("userid"),
            "vcpus": facts.number("cpus_total"),
            "vcpus_used": facts.number("cpus_used"),
            "cpu_info": {"architecture": "s390x", "cec_model": facts.text("model")},
            "memory_mb": float(facts.number("memory_mb")),
            "memory_mb_used": float(facts.number("memory_used_mb")),
            "hypervisor_type": "zvm",
            "hypervisor_version": _version(facts),
            "ipl_time": facts.text("ipl_time"),
            "zvm_host": name,
            "hypervisor_hostname": name,
            **_space(pool.total, pool.used),
        }
    )


async def host_guests(ask: Ask) -> Reply:
    return Reply(list(await ask.node.hosts.userids(ask.system)))


async def diskpool(ask: Ask) -> Reply:
    """Space of a pool in GB, or with ``details`` its free areas."""
    pool = await ask.node.hosts.pool(ask.system, ask.query.get("poolname", ""))
    if not truth(ask.query.get("details")):
        return Reply(_space(pool.total, pool.used))
    return Reply({pool.name: [_area(area, pool.name) for area in pool.free]})


async def diskpool_volumes(ask: Ask) -> Reply:
    pool = await ask.node.hosts.pool(ask.system, ask.query.get("poolname", ""))
    names = [volume.text("volume") for volume in pool.volumes]
    return Reply({"diskpool_volumes": " ".join(names)})


async def volume(ask: Ask) -> Reply:
    """One volume, or without a name all of them by label."""
    found = {item.text("volume"): item for item in await ask.node.hosts.volumes(ask.system)}
    name = ask.query.get("volumename", "").upper()
    if not name:
        return Reply({label: _volume(item) for label, item in found.items()})
    if name not in found:
        raise NotFound(f"Not found error: 'no volume {name} on this system'", code="volume-unknown", subject=name)
    return Reply(_volume(found[name]))


async def ssi(ask: Ask) -> Reply:
    """The SSI cluster in the lines that clients split at " = "; an empty list for a system that is in none."""
    found = await ask.node.hosts.ssi(ask.system)
    if not found.flag("member"):
        return Reply([])
    members = found.documents("members")
    lines = [
        f"ssi_name = {found.text('name')}",
        f"ssi_mode = {found.text('mode')}",
        f"ssi_pdr = {found.text('pdr')}",
        f"cross_system_timeouts = {found.text('cross_system_timeouts')}",
        f"output.ssiInfoCount = {len(members)}",
        "",
    ]
    for member in members:
        lines += [
            f"member_slot = {member.text('slot')}",
            f"member_system_id = {member.text('system')}",
            f"member_state = {member.text('state')}",
            f"member_pdr_heartbeat = {member.text('pdr_heartbeat')}",
            f"member_received_heartbeat = {member.text('received_heartbeat')}",
            "",
        ]
    return Reply([*lines])


async def smapi_health(ask: Ask) -> Reply:
    return Reply(await health(ask.node, ask.system))


async def health(node: Node, system: str) -> dict[str, Json]:
    """How the agent's calls of SMAPI went since it was started; not healthy when the agent itself does not answer."""
    try:
        found = await node.hosts.smapi(system)
    except ManagerError:
        found = Document({"healthy": False})
    return {
        "totalSuccess": found.number("total_success"),
        "totalFail": found.number("total_fail"),
        "lastSuccess": found.text("last_success"),
        "lastFail": found.text("last_fail"),
        "continuousFail": found.number("continuous_fail"),
        "healthy": found.flag("healthy"),
    }


def _volume(item: Document) -> dict[str, Json]:
    return {"volume_type": item.text("device_type"), "volume_size": item.text("size")}


def _space(total: int, used: int) -> dict[str, Json]:
    """Whole GB; available is rounded down on its own, as clients do not add the figures up."""
    return {"disk_total": total // _GIB, "disk_used": used // _GIB, "disk_available": (total - used) // _GIB}


def _area(area: Document, pool: str) -> dict[str, Json]:
    return {
        "volume_name": area.text("volume"),
        "device_type": area.text("device_type"),
        "start_cylinder": area.text("start"),
        "free_size": area.number("bytes") // _GIB,
        "dasd_group": pool,
        "region_name": area.text("region") or area.text("volume"),
    }


def _version(facts: Document) -> int:
    """z/VM 7.3.0 as 730."""
    digits = "".join(letter for letter in facts.text("version") if letter.isdigit())
    return int(digits[:3]) if digits else 0
