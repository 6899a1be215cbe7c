"""Handlers for FCP devices, their templates, and the volumes behind them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence

from zvmcloud.api.connector.ask import Ask, count, objects, text, texts
from zvmcloud.api.connector.envelope import Reply
from zvmcloud.api.connector.networks import interface_request
from zvmcloud.api.connector.schemas import truth
from zvmcloud.manager.core import vdev
from zvmcloud.manager.coreos_plans import network_words
from zvmcloud.manager.errors import BadInput, Conflict
from zvmcloud.manager.facts import Document
from zvmcloud.manager.fcp import Connector, TemplateChange
from zvmcloud.manager.fcp_choice import Device, ranges
from zvmcloud.manager.fcp_rows import Template
from zvmcloud.manager.jobs.plan import Json
from zvmcloud.manager.networks import addresses_of
from zvmcloud.manager.volumes import Connection

_FCP = re.compile(r"[0-9a-fA-F]{4}")
_LITERAL_LIMIT = 64 * 1024


async def attach(ask: Ask) -> Reply:
    return Reply(job=(await ask.node.volumes.attach(ask.system, _connection(ask), origin=ask.origin)).id)


async def detach(ask: Ask) -> Reply:
    return Reply(job=(await ask.node.volumes.detach(ask.system, _connection(ask), origin=ask.origin)).id)


async def connector(ask: Ask) -> Reply:
    """Reserve (or give back) one FCP device of each path for a guest that need not exist yet."""
    info = ask.member("info")
    template, provider = text(info.get("fcp_template_id")), text(info.get("storage_provider"))
    if truth(info["reserve"]):
        found = await ask.node.fcp.reserve(
            ask.system, ask.userid, template=template, provider=provider, capacity=_capacity(info.get("pchid_info"))
        )
    else:
        found = await ask.node.fcp.unreserve(ask.system, ask.userid, template=template, provider=provider)
    return Reply(_connector(found, await ask.node.hosts.info(ask.system), ask.userid))


async def create_template(ask: Ask) -> Reply:
    made = await ask.node.fcp.create(ask.system, _change(ask.body))
    others = [item for item in await ask.node.fcp.templates(ask.system) if item.id != made.id]
    pchids: dict[str, Json] = {"all": list(made.pchids), "first_used_by_templates": _first_used(made.pchids, others)}
    host = await ask.node.hosts.info(ask.system)
    return Reply({"fcp_template": {**_template(made), "pchids": pchids, **_host(host)}})


async def edit_template(ask: Ask) -> Reply:
    before, after = await ask.node.fcp.edit(ask.system, ask.path["template"], _change(ask.body))
    others = [item for item in await ask.node.fcp.templates(ask.system) if item.id != after.id]
    added = [pchid for pchid in after.pchids if pchid not in before.pchids]
    gone = [pchid for pchid in before.pchids if pchid not in after.pchids]
    pchids: dict[str, Json] = {
        "all": list(after.pchids),
        "add": {"all": added, "first_used_by_templates": _first_used(added, others)},
        "delete": {"all": gone, "not_exist_in_any_template": _first_used(gone, others)},
    }
    host = await ask.node.hosts.info(ask.system)
    return Reply({"fcp_template": {**_template(after), "pchids": pchids, **_host(host)}})


async def delete_template(ask: Ask) -> Reply:
    await ask.node.fcp.delete(ask.system, ask.path["template"])
    return Reply()


async def list_templates(ask: Ask) -> Reply:
    """Templates, filtered by the first of: ids, the guest they serve, storage provider, being the default."""
    found = await ask.node.fcp.templates(ask.system, _listed(ask.query.get("template_id_list", ""), "template_id_list"))
    assigner, providers = ask.query.get("assigner_id", ""), _listed(ask.query.get("storage_providers", ""), "")
    if assigner:
        used = {device.template for device in await ask.node.fcp.of_guest(ask.system, assigner.upper())}
        found = tuple(item for item in found if item.id in used)
    if providers:
        found = tuple(item for item in found if set(item.providers) & set(providers))
    if "host_default" in ask.query:
        wanted = truth(ask.query["host_default"])
        found = tuple(item for item in found if item.host_default == wanted)
    host = _host(await ask.node.hosts.info(ask.system))
    return Reply({"fcp_templates": [{**_template(item), "pchids": list(item.pchids), **host} for item in found]})


async def template_details(ask: Ask) -> Reply:
    """Templates with what their devices are used for; ``raw`` gives the table's rows, ``sync_with_zvm`` asks z/VM
    first."""
    if truth(ask.query.get("sync_with_zvm")):
        await ask.node.fcp.sync(ask.system)
    found = await ask.node.fcp.templates(ask.system, _listed(ask.query.get("template_id_list", ""), "template_id_list"))
    host = _host(await ask.node.hosts.info(ask.system))
    output: list[Json] = []
    for item in found:
        row: dict[str, Json] = _template(item)
        if truth(ask.query.get("raw")):
            row["raw"] = {str(number): [_raw(device, item.id) for device in path] for number, path in _numbered(item)}
        if truth(ask.query.get("statistics"), default=True):
            row["statistics"] = {str(number): _statistics(path) for number, path in _numbered(item)}
        physical = {device.pchid: device.physical for device in item.devices if device.pchid}
        output.append({**row, "pchids": list(item.pchids), "pchid_to_phy_wwpn": physical, **host})
    return Reply({"fcp_templates": output})


async def usage(ask: Ask) -> Reply:
    device = await ask.node.fcp.usage(ask.system, _fcp(ask))
    return Reply([device.assigner, int(device.reserved), device.connections, device.template])


async def set_usage(ask: Ask) -> Reply:
    info = ask.member("info")
    await ask.node.fcp.set_usage(
        ask.system,
        _fcp(ask),
        text(info.get("userid")),
        reserved=bool(info["reserved"]),
        connections=count(info["connections"]),
        template=text(info.get("fcp_template_id")),
    )
    return Reply()


async def refresh_bootmap(ask: Ask) -> Reply:
    """The target ports by FCP device. Clients send the devices and ports under either of two names."""
    info = ask.member("info")
    ignition, words = await _first_start(ask, info)
    paths, job = await ask.node.volumes.refresh_bootmap(
        ask.system,
        texts(info.get("fcpchannel") or info.get("fcpchannels")),
        texts(info.get("wwpn") or info.get("wwpns")),
        text(info["lun"]),
        wwid=text(info.get("wwid")),
        template=text(info.get("fcp_template_id")),
        ignition=ignition,
        first_start=words,
        origin=ask.origin,
    )
    return Reply(dict(paths), job.id)


async def _first_start(ask: Ask, info: Mapping[str, Json]) -> tuple[bytes, list[str]]:
    """Networks are given for CoreOS only: its Ignition file and the words of its first start. Raises Conflict
    (ignition-missing, coreos-network), and what reading the file raises."""
    networks = [interface_request(source) for source in objects(info.get("guest_networks"))]
    if not networks:
        return b"", []
    transport = text(info.get("transportfiles"))
    if not transport:
        raise Conflict(
            "Failed to refresh bootmap for RHCOS: transportfiles are required",
            code="ignition-missing",
            remedy="name the Ignition file in transportfiles",
            subject="transportfiles",
        )
    default = ask.node.settings.defaults.nic_vdev
    rows = [{"vdev": vdev(item.vdev or default, "nic_vdev"), "addresses": addresses_of(item)} for item in networks]
    return await ask.node.deploys.ignition(transport), network_words("", "rhcos4", rows, "")


def _fcp(ask: Ask) -> str:
    fcp = ask.path["fcp_id"]
    if not _FCP.fullmatch(fcp):
        raise BadInput("fcp_id", fcp, "4 hexadecimal digits")
    return fcp.lower()


def _connection(ask: Ask) -> Connection:
    source = ask.member("info").get("connection")
    info = source if isinstance(source, Mapping) else {}
    return Connection(
        userid=text(info["assigner_id"]),
        fcps=texts(info["zvm_fcp"]),
        wwpns=texts(info["target_wwpn"]),
        lun=text(info["target_lun"]),
        mount_point=text(info["mount_point"]),
        multipath=truth(info["multipath"]),
        template=text(info.get("fcp_template_id")),
        root=truth(info.get("is_root_volume")),
        record_only=truth(info.get("update_connections_only")),
    )


def _capacity(given: Json) -> dict[str, int] | None:
    """How many more devices each physical channel takes; None when the caller does not say."""
    if not isinstance(given, Mapping) or not given:
        return None
    found: dict[str, int] = {}
    for pchid, figures in given.items():
        if not isinstance(figures, Mapping):
            raise BadInput("pchid_info", figures, "an object with allocated and max")
        try:
            found[str(pchid).upper()] = int(str(figures["max"])) - int(str(figures.get("allocated") or 0))
        except (KeyError, ValueError) as error:
            raise BadInput("pchid_info", dict(figures), "allocated and max as whole numbers") from error
    return found


def _listed(given: str, field: str) -> tuple[str, ...]:
    """A list as clients write it into a URL: a literal of strings (parsed, never run), or words with commas."""
    given = given.strip()
    if not given.startswith("["):
        return tuple(part.strip() for part in given.split(",") if part.strip())
    try:
        found = ast.literal_eval(given) if len(given) <= _LITERAL_LIMIT else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise BadInput(field or "storage_providers", given, "a list such as ['a', 'b']")
    return tuple(found)


def _change(body: Mapping[str, Json]) -> TemplateChange:
    name, description, devices = body.get("name"), body.get("description"), body.get("fcp_devices")
    default, providers, least = body.get("host_default"), body.get("storage_providers"), body.get("min_fcp_paths_count")
    return TemplateChange(
        name=None if name is None else text(name),
        description=None if description is None else text(description),
        devices=None if devices is None else text(devices),
        host_default=None if default is None else truth(default),
        providers=None if providers is None else texts(providers),
        min_paths=None if least is None else count(least),
    )


def _template(item: Template) -> dict[str, Json]:
    return {
        "id": item.id,
        "name": item.name,
        "description": item.description,
        "host_default": item.host_default,
        "storage_providers": list(item.providers),
        "min_fcp_paths_count": item.min_paths if item.min_paths > 0 else len(item.paths),
    }


def _host(facts: Document) -> dict[str, Json]:
    return {
        "cpc_sn": facts.text("cpuid")[2:8].zfill(16),
        "cpc_name": facts.text("cpc_name"),
        "lpar": facts.text("lpar"),
        "hypervisor_hostname": facts.text("system", "name"),
    }


def _first_used(pchids: Iterable[str], others: Sequence[Template]) -> list[Json]:
    used = {pchid for other in others for pchid in other.pchids}
    return [pchid for pchid in pchids if pchid not in used]


def _connector(found: Connector, host: Document, owner: str) -> dict[str, Json]:
    by_pchid: dict[str, list[Json]] = {}
    for device in found.devices:
        by_pchid.setdefault(device.pchid, []).append(device.fcp.upper())
    output: dict[str, Json] = {
        "zvm_fcp": [device.fcp for device in found.devices],
        "wwpns": [device.npiv or device.physical for device in found.devices],
        "phy_to_virt_initiators": {device.npiv or device.physical: device.physical for device in found.devices},
        "host": f"{host.text('system', 'name')}_{owner}",
        "fcp_paths": len(found.devices),
        "fcp_template_id": found.template,
        **_host(host),
        "pchid_fcp_map": by_pchid,
        "is_reserved_changed": found.changed,
    }
    if found.why_empty:
        output["empty_fcp_list_reason"] = found.why_empty
    return output


def _numbered(item: Template) -> list[tuple[int, tuple[Device, ...]]]:
    return list(enumerate(item.paths))


def _raw(device: Device, template: str) -> list[Json]:
    return [
        device.fcp, template, device.assigner, device.connections, int(device.reserved), device.npiv, device.physical,
        device.chpid, device.pchid, device.state, device.owner or "none", device.template,
    ]  # fmt: skip


def _statistics(path: Sequence[Device]) -> dict[str, Json]:
    """What the devices of a path are used for, in ranges as people read them."""

    def those(wanted: Iterable[Device]) -> str:
        return ranges(device.fcp for device in wanted)[0]

    whole, single, spans = ranges(device.fcp for device in path)
    available = [device for device in path if device.available]
    chpids = sorted({device.chpid for device in path if device.chpid})
    pchids = sorted({device.pchid for device in path if device.pchid})
    return {
        "total": whole,
        "total_count": _counted(path),
        "single_fcp": single,
        "range_fcp": spans,
        "available": those(available),
        "available_count": _counted(available),
        "allocated": those(device for device in path if device.reserved and device.connections),
        "reserve_only": those(device for device in path if device.reserved and not device.connections),
        "connection_only": those(device for device in path if device.connections and not device.reserved),
        "unallocated_but_active": {
            device.fcp.upper(): device.owner for device in path if not device.allocated and device.state == "active"
        },
        "allocated_but_free": those(device for device in path if device.connections and device.state == "free"),
        "notfound": those(device for device in path if device.state == "notfound"),
        "offline": those(device for device in path if device.state == "offline"),
        "chpids": {chpid: those(device for device in path if device.chpid == chpid) for chpid in chpids},
        "pchids": {
            pchid: ", ".join(sorted({device.chpid for device in path if device.pchid == pchid})) for pchid in pchids
        },
    }


def _counted(devices: Iterable[Device]) -> dict[str, Json]:
    found: dict[str, int] = {}
    for device in devices:
        if device.pchid:
            found[device.pchid] = found.get(device.pchid, 0) + 1
    return {**found}
