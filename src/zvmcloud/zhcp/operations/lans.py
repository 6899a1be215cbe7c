"""lan.create, lan.delete, lan.access, and the guest LANs of the system."""

from __future__ import annotations

from collections.abc import Sequence

from zvmcloud.cp import answers, commands
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp.errors import AgentError, Json
from zvmcloud.zhcp.network_messages import AccessLan, CreateLan, DeleteLan
from zvmcloud.zhcp.operations.before import coupled_again, remembered
from zvmcloud.zhcp.operations.context import Context

_CREATED = 20
_MISSING = ((212, 12), (212, 16))
_DIFFERS = (212, 24)
_OPEN = (8, 2795)
_NO_LIST = (8, 2783)
_UNRESTRICTED, _NOBODY = (4, 5), (4, 6)
_TYPES = {("HIPERSOCKETS", False): 1, ("QDIO", False): 2, ("HIPERSOCKETS", True): 3, ("QDIO", True): 4}
_TRANSPORTS = {"IP": 1, "ETHERNET": 2}


async def create(context: Context, request: CreateLan) -> dict[str, Json]:
    """lan.create. AgentError 409 `lan-differs` when there is one with other attributes."""
    name, owner = request.name, request.owner
    definition = f.VirtualNetworkLANCreate(
        target=owner,
        lan_name=name,
        lan_owner=owner,
        lan_type=_TYPES[request.adapter_type, request.restricted],
        transport_type=_TRANSPORTS[request.transport],
    )

    async def take_back() -> object:
        removal = f.VirtualNetworkLANDelete(target=owner, lan_name=name, lan_owner=owner)
        return await context.call(removal, allow=_MISSING)

    again = context.intended("lan")
    await context.intend("lan")
    answer = await context.call(definition, allow=(_DIFFERS,))
    if answer.rc:
        raise AgentError(
            409, "lan-differs", f"there is a LAN {owner} {name} with other attributes",
            remedy="choose another name, or use the LAN that exists",
        )  # fmt: skip
    created = answer.rs == _CREATED or again
    if created:
        context.on_undo(f"LAN {owner} {name}", take_back)
    for userid in request.users:
        await admit(context, name, owner, userid)
    told: dict[str, Json] = {"name": name, "owner": owner, "created": created}
    if request.adapters:
        told["left"] = await coupled_again(context, request.adapters, name, owner)
    return told


async def admit(context: Context, name: str, owner: str, userid: str) -> bool:
    """Let a userid into a LAN; False when the LAN is open to everyone, or there is none."""
    right = f.VirtualNetworkLANAccess(
        target=owner, lan_name=name, lan_owner=owner, access_op="GRANT", access_user=userid,
        promiscuity="NONPROMISCUOUS",
    )  # fmt: skip
    answer = await context.call(right, allow=(_OPEN, _NO_LIST))
    return answer.rc == 0


async def delete(context: Context, request: DeleteLan) -> dict[str, Json]:
    """lan.delete. AgentError 409 `lan-in-use` names the adapters that are coupled."""
    name, owner = request.name, request.owner
    found = await find(context, name, owner)
    coupled = found[0]["adapters"] if found else []
    if coupled and isinstance(coupled, list) and not request.force:
        shown = ", ".join(f"{item['userid']} {item['vdev']}" for item in coupled if isinstance(item, dict))
        raise AgentError(
            409, "lan-in-use", f"LAN {owner} {name} has adapters coupled: {shown}",
            remedy="uncouple them, or delete it with force",
        )  # fmt: skip
    before = await remembered(context, lambda: _whole(context, found))
    removal = f.VirtualNetworkLANDelete(target=owner, lan_name=name, lan_owner=owner)
    answer = await context.call(removal, allow=_MISSING)
    told: dict[str, Json] = {"name": name, "owner": owner, "existed": answer.rc == 0}
    return {**told, "before": before} if before else told


async def _whole(context: Context, found: Sequence[dict[str, Json]]) -> Json:
    """A LAN as lan.create takes it, None for none. SMAPI does not tell its transport: CP does."""
    if not found:
        return None
    (lan,) = found
    name, owner = str(lan["name"]), str(lan["owner"])
    shown = await context.cp(commands.query_lan(name, owner))
    access = f.VirtualNetworkLANAccessQuery(target=owner, lan_name=name, lan_owner=owner)
    answer = await context.call(access, allow=(_UNRESTRICTED, _NOBODY))
    rows = answer.data.authorized_users_array if answer.rc == 0 and answer.data is not None else ()
    return {
        "adapter_type": lan["adapter_type"],
        "transport": answers.query_lan_transport(shown.lines),
        "restricted": (answer.rc, answer.rs) != _UNRESTRICTED,
        "users": [row.split()[0] for row in rows],
        "adapters": lan["adapters"],
    }


async def access(context: Context, request: AccessLan) -> dict[str, Json]:
    """lan.access. AgentError 409 `lan-open` for a LAN without a list, 404 `lan-unknown`."""
    right = f.VirtualNetworkLANAccess(
        target=request.owner,
        lan_name=request.name,
        lan_owner=request.owner,
        access_op="GRANT" if request.allow else "REVOKE",
        access_user=request.userid,
        promiscuity="PROMISCUOUS" if request.promiscuous else "NONPROMISCUOUS",
    )
    answer = await context.call(right, allow=(_OPEN, _NO_LIST))
    what = f"LAN {request.owner} {request.name}"
    if (answer.rc, answer.rs) == _OPEN:
        raise AgentError(
            409, "lan-open", f"{what} is open to everyone: it has no list of users", remedy="leave the grant out"
        )
    if answer.rc:
        raise AgentError(404, "lan-unknown", f"this system has no {what}", remedy="see GET /v1/lans")
    return {"name": request.name, "owner": request.owner, "userid": request.userid, "allowed": request.allow}


async def find(context: Context, name: str = "*", owner: str = "*") -> list[dict[str, Json]]:
    """Guest LANs and VSWITCHes (LANs of SYSTEM): type and what is coupled."""
    me = await context.machine.identity()
    query = f.VirtualNetworkLANQuery(target=me.userid, lan_name=name, lan_owner=owner)
    answer = await context.call(query, allow=_MISSING)
    rows = answer.data.lan_info_array if answer.rc == 0 and answer.data is not None else ()
    return [
        {
            "name": row.lan_name.strip(),
            "owner": row.lan_owner.strip(),
            "adapter_type": "HIPERSOCKETS" if row.lan_type == 1 else "QDIO",
            "adapters": [
                {"userid": item.adapter_owner.strip(), "vdev": item.image_device_number}
                for item in row.connected_adapter_array
            ],
        }
        for row in rows
    ]
