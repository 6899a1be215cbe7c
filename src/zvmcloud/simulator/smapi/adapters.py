"""Virtual network adapters: in the directory entry (_DM) and in the running machine."""

from __future__ import annotations

from zvmcloud.cp import messages
from zvmcloud.directory.devices import Nicdef
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator import guest_lans, network
from zvmcloud.simulator.errors import CpRefused, Refused
from zvmcloud.simulator.model import Machine, Nic
from zvmcloud.simulator.smapi import targets
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.smapi import functions as f

ALREADY_COUPLED = (204, 20)
ALREADY_UNCOUPLED = (204, 48)
NOT_AUTHORIZED = (212, 8)
NO_ADAPTER = (212, 8)
NO_LAN = (212, 12)
TYPES_DIFFER = (212, 28)
NOT_CONNECTED = (212, 32)
NO_SWITCH = (212, 40)


def _type(text: str | None) -> str:
    """The adapter type from a key, which may be abbreviated. Refused 8/3003."""
    text = (text or "QDIO").upper()
    if len(text) >= 5 and "HIPERSOCKETS".startswith(text):
        return "HIPERS"
    if text in ("QDIO", "IEDN", "INMN"):
        return text
    raise Refused(8, 3003)


def _devices(text: str | None) -> int:
    if not text:
        return 3
    if not text.isdecimal() or not 3 <= int(text) <= 3072:
        raise Refused(8, 3003)
    return int(text)


# -- in the directory -------------------------------------------------------------------------------------------------


@handles(f.VirtualNetworkAdapterCreateDM, directory=True, authority="clients")
def virtual_network_adapter_create_dm(call: Call, request: f.VirtualNetworkAdapterCreateDM) -> Done:
    kind = {1: "HIPERS", 2: "QDIO"}.get(request.adapter_type)
    if kind is None:
        raise Refused(24, 619)
    address = targets.vdev(request.image_device_number)
    _define(
        call, request.target, address, kind, request.network_adapter_devices, request.channel_path_id, request.mac_id
    )
    return Done()


@handles(f.VirtualNetworkAdapterCreateExtendedDM, directory=True, authority="recorded")
def virtual_network_adapter_create_extended_dm(call: Call, request: f.VirtualNetworkAdapterCreateExtendedDM) -> Done:
    address = targets.vdev(request.image_device_number)
    kind, devices = _type(request.adapter_type), _devices(request.devices)
    _define(call, request.target, address, kind, devices, request.channel_path_id or "", request.mac_id or "")
    return Done()


def _define(call: Call, target: str, address: str, kind: str, devices: int, chpid: str, mac_id: str) -> None:
    if mac_id and len(mac_id) != 6:
        raise Refused(8, 3003)
    nicdef = Nicdef(address, kind, devices, chpid=chpid.upper(), mac_id=mac_id.upper())
    dm.add_device(call.system, target, address, nicdef.statement(), devices)


@handles(f.VirtualNetworkAdapterDeleteDM, directory=True, authority="clients")
def virtual_network_adapter_delete_dm(call: Call, request: f.VirtualNetworkAdapterDeleteDM) -> Done:
    dm.remove_device(call.system, request.target, targets.vdev(request.image_device_number), "NICDEF")
    return Done()


@handles(f.VirtualNetworkAdapterConnectVswitchDM, directory=True, authority="recorded")
def virtual_network_adapter_connect_vswitch_dm(call: Call, request: f.VirtualNetworkAdapterConnectVswitchDM) -> Done:
    _connect_dm(call, request.target, request.image_device_number, "SYSTEM", request.switch_name)
    return Done()


@handles(f.VirtualNetworkAdapterConnectLANDM, directory=True, authority="recorded")
def virtual_network_adapter_connect_lan_dm(call: Call, request: f.VirtualNetworkAdapterConnectLANDM) -> Done:
    _connect_dm(call, request.target, request.image_device_number, request.lan_owner.upper(), request.lan_name)
    return Done()


def _connect_dm(call: Call, target: str, device: str, owner: str, name: str) -> None:
    address = targets.vdev(device)
    dm.change_nic(call.system, target, address, lan_owner=owner, lan_name=targets.system_name(name))


@handles(f.VirtualNetworkAdapterDisconnectDM, directory=True, authority="recorded")
def virtual_network_adapter_disconnect_dm(call: Call, request: f.VirtualNetworkAdapterDisconnectDM) -> Done:
    address = targets.vdev(request.image_device_number)
    record = dm.unlocked(call.system, request.target, vdev=address)
    nic = record.entry.nicdef(address)
    if nic is None:
        raise Refused(*dm.DEVICE_MISSING)
    if not nic.lan_name:
        raise Refused(*NOT_CONNECTED)
    dm.change_nic(call.system, request.target, address, lan_owner="", lan_name="", vlan="", port_type="")
    return Done()


# -- in the running machine -------------------------------------------------------------------------------------------


@handles(f.VirtualNetworkAdapterCreate, authority="recorded")
def virtual_network_adapter_create(call: Call, request: f.VirtualNetworkAdapterCreate) -> Done:
    kind = {1: "HIPERS", 2: "QDIO"}.get(request.adapter_type)
    if kind is None:
        raise Refused(24, 619)
    address = targets.vdev(request.image_device_number)
    _create(call, request.target, address, kind, request.network_adapter_devices, request.channel_path_type_id)
    return Done()


@handles(f.VirtualNetworkAdapterCreateExtended, authority="recorded")
def virtual_network_adapter_create_extended(call: Call, request: f.VirtualNetworkAdapterCreateExtended) -> Done:
    address = targets.vdev(request.image_device_number)
    kind, devices = _type(request.adapter_type), _devices(request.devices)
    _create(call, request.target, address, kind, devices, request.channel_path_id or "")
    return Done()


def _create(call: Call, target: str, address: str, kind: str, devices: int, chpid: str) -> None:
    userid = targets.defined(call, target)
    machine = targets.running(call, userid)
    used = network.addresses_in_use(machine)
    first = int(address, 16)
    if any(f"{first + number:04X}" in used for number in range(devices)):
        raise Refused(*targets.DEVICE_EXISTS)
    entry = call.system.entry(userid)
    nicdef = entry.nicdef(address) if entry else None
    mac = network.new_mac(call.system, nicdef.mac_id if nicdef else "")
    network.define_nic(call.system, userid, Nic(address, mac, kind, devices, chpid))


@handles(f.VirtualNetworkAdapterDelete, authority="recorded")
def virtual_network_adapter_delete(call: Call, request: f.VirtualNetworkAdapterDelete) -> Done:
    userid = targets.defined(call, request.target)
    nic = targets.adapter(targets.running(call, userid), targets.vdev(request.image_device_number))
    network.detach_nic(call.system, userid, nic.vdev)
    return Done()


@handles(f.VirtualNetworkAdapterConnectVswitch, authority="recorded")
def virtual_network_adapter_connect_vswitch(call: Call, request: f.VirtualNetworkAdapterConnectVswitch) -> Done:
    _connect(call, request.target, request.image_device_number, request.switch_name)
    return Done()


@handles(f.VirtualNetworkAdapterConnectVswitchExtended, authority="recorded")
def virtual_network_adapter_connect_vswitch_extended(
    call: Call, request: f.VirtualNetworkAdapterConnectVswitchExtended
) -> Done:
    port = (request.port_selection or "AUTO").upper()
    if port != "AUTO" and not (port.isdecimal() and int(port) <= 65535):
        raise Refused(8, 3003)
    number = 0 if port == "AUTO" else int(port)
    _connect(call, request.target, request.image_device_number, request.switch_name, number)
    return Done()


@handles(f.VirtualNetworkAdapterConnectLAN, authority="recorded")
def virtual_network_adapter_connect_lan(call: Call, request: f.VirtualNetworkAdapterConnectLAN) -> Done:
    owner, name = request.lan_owner.upper(), targets.system_name(request.lan_name)
    if owner == "SYSTEM" and name in call.system.vswitches:
        _connect(call, request.target, request.image_device_number, name)
        return Done()
    if guest_lans.key(owner, name) not in call.system.guest_lans:
        raise Refused(*NO_LAN)
    machine = targets.running(call, request.target)
    nic = targets.adapter(machine, targets.vdev(request.image_device_number))
    if nic.lan_name:
        raise Refused(*ALREADY_COUPLED)
    try:
        guest_lans.couple(call.system, machine.userid, nic.vdev, owner, name)
    except CpRefused as refused:
        if refused.number == guest_lans.NOT_AUTHORIZED.number:
            raise Refused(*NOT_AUTHORIZED) from refused
        if refused.number == guest_lans.WRONG_ADAPTER.number:
            raise Refused(*TYPES_DIFFER) from refused
        raise
    return Done()


def _connect(call: Call, target: str, device: str, name: str, port: int = 0) -> None:
    machine = targets.running(call, target)
    nic = targets.adapter(machine, targets.vdev(device))
    name = targets.system_name(name)
    if name not in call.system.vswitches:
        raise Refused(*NO_SWITCH)
    if nic.lan_name:
        raise Refused(*ALREADY_COUPLED)
    try:
        network.couple(call.system, machine.userid, nic.vdev, name, port)
    except CpRefused as refused:
        if refused.number == messages.NIC_NOT_AUTHORIZED.number:
            raise Refused(*NOT_AUTHORIZED) from refused
        raise


@handles(f.VirtualNetworkAdapterDisconnect, authority="recorded")
def virtual_network_adapter_disconnect(call: Call, request: f.VirtualNetworkAdapterDisconnect) -> Done:
    machine = targets.running(call, request.target)
    nic = targets.adapter(machine, targets.vdev(request.image_device_number))
    if not nic.lan_name:
        raise Refused(*ALREADY_UNCOUPLED)
    network.uncouple(call.system, machine.userid, nic.vdev)
    return Done()


# -- queries ----------------------------------------------------------------------------------------------------------


def _chosen(call: Call, target: str, device: str) -> tuple[Machine, tuple[Nic, ...]]:
    machine = targets.running(call, targets.defined(call, target))
    if device in ("*", ""):
        return machine, machine.nics
    address = targets.vdev(device)
    found = machine.device(address)
    if not isinstance(found, Nic):
        raise Refused(*(NO_ADAPTER if found is None else targets.NO_DEVICE))
    return machine, (found,)


def _up(machine: Machine, nic: Nic) -> bool:
    """Whether a system runs that has brought the adapter online."""
    running = machine.system
    return running is not None and running.phase in ("up", "stopping") and nic.vdev in running.qeths


@handles(f.VirtualNetworkAdapterQuery, authority="recorded")
def virtual_network_adapter_query(call: Call, request: f.VirtualNetworkAdapterQuery) -> Done:
    machine, nics = _chosen(call, request.target, request.image_device_number)
    array = tuple(
        f.NetworkAdapter(
            image_device_number=nic.vdev,
            adapter_type=2 if nic.adapter_type == "QDIO" else 1,
            network_adapter_devices=nic.devices,
            adapter_status=(2 if _up(machine, nic) else 1) if nic.lan_name else 0,
            lan_owner=nic.lan_owner.ljust(8) if nic.lan_name else "",
            lan_name=nic.lan_name.ljust(8) if nic.lan_name else "",
        )
        for nic in nics
    )
    return Done(f.VirtualNetworkAdapterQueryReply(adapter_array=array))


@handles(f.VirtualNetworkAdapterQueryExtended, authority="clients")
def virtual_network_adapter_query_extended(call: Call, request: f.VirtualNetworkAdapterQueryExtended) -> Done:
    machine, nics = _chosen(call, request.target, request.image_device_number)
    items = [f"adapter_count={len(nics)}"]
    for nic in nics:
        items += _adapter_items(machine, nic)
    return Done(f.VirtualNetworkAdapterQueryExtendedReply(virtual_network_adapter_data=tuple(items)))


def _adapter_items(machine: Machine, nic: Nic) -> list[str]:
    """One adapter; its MAC and addresses are known to CP once the guest has registered them."""
    status = ("02" if _up(machine, nic) else "01") if nic.lan_name else "00"
    items = [
        f"adapter_address={nic.vdev}",
        "port_type=1",
        "extended_port_status=00",
        f"adapter_type={2 if nic.adapter_type == 'QDIO' else 1}",
        f"network_device_count={nic.devices}",
        f"adapter_status={status}",
    ]
    if nic.lan_name:
        items += [f"lan_owner={nic.lan_owner}", f"lan_name={nic.lan_name}"]
    items += ["device_options=00000000", "router_status=00"]
    if status == "02" and machine.system is not None:
        addresses = [address for address in machine.system.addresses if address.vdev == nic.vdev]
        items.append(f"mac_count={max(len(addresses), 1)}")
        if not addresses:
            items += [f"mac_address={nic.mac}", "mac_address_type=00", "mac_status=00", "mac_info_end"]
        for address in addresses:
            items += [
                f"mac_address={nic.mac}",
                "mac_address_type=00",
                "mac_status=00",
                f"mac_ip_version={6 if ':' in address.ip else 4}",
                f"mac_ip_address={address.ip}",
                "mac_info_end",
            ]
    return [*items, "adapter_info_end"]
