"""Questions about VSWITCHes: all that SMAPI says of them, or their names alone."""

from __future__ import annotations

from collections.abc import Iterable

from zvmcloud.cp import answers, commands
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp.errors import AgentError, Json
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.queries import checked_name

_STATUS = {
    "1": "defined", "2": "controller not available", "3": "operator intervention required", "4": "disconnected",
    "5": "virtual devices attached to controller", "6": "OSA initialization in progress", "7": "OSA device not ready",
    "8": "OSA device ready", "9": "OSA devices being detached", "10": "delete pending",
}  # fmt: skip
_SWITCH_WORDS = (
    "switch_name transport_type port_type queue_memory_limit routing_value vlan_awareness vlan_id native_vlan_id "
    "mac_address gvrp_request_attribute gvrp_enabled_attribute switch_status link_ag lag_interval lag_group IP_timeout "
    "switch_type isolation_status MAC_protect user_port_based VLAN_counters vepa_status spg_scope"
)
_DEVICE_WORDS = "real_device_address virtual_device_address controller_name port_name device_status device_error_status"
_USER_WORDS = "port_num grant_userid promiscuous_mode osd_sim vlan_count"
_ADAPTER_WORDS = "adapter_owner adapter_vdev adapter_macaddr adapter_type"


def _words(names: str, text: str) -> dict[str, Json]:
    return dict(zip(names.split(), text.split(), strict=False))


def ranges(numbers: Iterable[int]) -> tuple[str, ...]:
    """VLANs as they are granted: `10`, `20-29`. z/VM shows every number of a range."""
    found: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if found and found[-1][1] == number - 1:
            found[-1] = found[-1][0], number
        else:
            found.append((number, number))
    return tuple(str(low) if low == high else f"{low}-{high}" for low, high in found)


def _vswitch(record: f.network_vswitch_query.VswitchRecords) -> dict[str, Json]:
    attributes: dict[str, Json] = _words(
        _SWITCH_WORDS, record.vswitch_attributes[0] if record.vswitch_attributes else ""
    )
    users: list[Json] = []
    for item in record.authorized_user_array:
        user = _words(_USER_WORDS, item)
        user["user_vlan_ids"] = list(item.split()[5:])
        users.append(user)
    return {
        "name": attributes.get("switch_name", ""),
        "status": _STATUS.get(str(attributes.get("switch_status")), str(attributes.get("switch_status"))),
        "attributes": attributes,
        "real_devices": [_words(_DEVICE_WORDS, item) for item in record.real_device_info_array],
        "authorized_users": [*users],
        "adapters": [_words(_ADAPTER_WORDS, item) for item in record.connected_adapter_array],
    }


async def vswitches(context: Context) -> dict[str, Json]:
    """All VSWITCHes."""
    return {"vswitches": [*await _found(context, "*")]}


async def _found(context: Context, name: str) -> list[dict[str, Json]]:
    me = await context.machine.identity()
    query = f.VirtualNetworkVswitchQueryExtended(target=me.userid, switch_name=name)
    answer = await context.call(query, allow=((212, 40),))
    if answer.rc or answer.data is None:
        return []
    return [_vswitch(record) for record in answer.data.vswitch_array]


async def vswitch_names(context: Context) -> dict[str, Json]:
    """Names of all VSWITCHes. CP lists them without the grants and adapters that SMAPI adds, one by one, for every
    guest; SMAPI is asked where CP names none, or refuses."""
    try:
        names = answers.query_vswitch_names((await context.cp(commands.query_vswitch())).lines)
    except AgentError as problem:
        if problem.problem.code != "cp-refused":
            raise
        names = ()
    if names:
        return {"vswitches": [{"name": name} for name in names]}
    return {"vswitches": [{"name": item["name"]} for item in await _found(context, "*")]}


async def vswitch(context: Context, name: str) -> dict[str, Json]:
    """One VSWITCH. AgentError 404 `vswitch-unknown`."""
    name = checked_name(name, "vswitch")
    found = await _found(context, name)
    if found:
        return found[0]
    raise AgentError(404, "vswitch-unknown", f"no VSWITCH {name} on this system", remedy="see GET /v1/vswitches")
