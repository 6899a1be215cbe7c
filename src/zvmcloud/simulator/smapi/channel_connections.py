"""Virtual channel connections: CTCAs in entries (SPECIAL statements) and between machines that are logged on."""

from __future__ import annotations

from zvmcloud.directory import statements
from zvmcloud.simulator import channels
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.model import Machine
from zvmcloud.simulator.smapi import targets
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.smapi import functions as f

NO_PARTNER = (212, 4)
WRONG_TYPE = (212, 28)
BUSY = (204, 12)
NO_PARTNER_ENTRY = (412, 4)


@handles(f.VirtualChannelConnectionCreateDM, directory=True, authority="recorded")
def virtual_channel_connection_create_dm(call: Call, request: f.VirtualChannelConnectionCreateDM) -> Done:
    address = targets.vdev(request.image_device_number)
    partner = request.coupled_image_name.upper()
    record = dm.find(call.system, request.target)
    found = call.system.entries.get(partner)
    if found is None or not found.entry.is_machine:
        raise Refused(*NO_PARTNER_ENTRY)
    statement = statements.make("SPECIAL", address, "CTCA", partner)
    dm.add_device(call.system, record.entry.name, address, statement)
    return Done()


@handles(f.VirtualChannelConnectionDeleteDM, directory=True, authority="recorded")
def virtual_channel_connection_delete_dm(call: Call, request: f.VirtualChannelConnectionDeleteDM) -> Done:
    address = targets.vdev(request.image_device_number)
    record = dm.find(call.system, request.target)
    specials = record.entry.every("SPECIAL")
    if not any(statements.vdev(item.operand(1)) == address and item.operand(2) == "CTCA" for item in specials):
        raise Refused(*dm.DEVICE_MISSING)
    dm.remove_device(call.system, record.entry.name, address, "SPECIAL")
    return Done()


@handles(f.VirtualChannelConnectionCreate, authority="document")
def virtual_channel_connection_create(call: Call, request: f.VirtualChannelConnectionCreate) -> Done:
    """Defines the adapters that are not there yet, and couples them."""
    userid = targets.defined(call, request.target)
    machine = targets.running(call, userid)
    address = targets.vdev(request.image_device_number)
    partner = call.system.machines.get(request.coupled_image_name.upper())
    partner_address = targets.vdev(request.coupled_image_device_number, 7)
    if partner is None:
        raise Refused(*NO_PARTNER)
    if (userid, address) == (partner.userid, partner_address):
        raise Refused(*WRONG_TYPE)
    _check_free(machine, address)
    _check_free(partner, partner_address)
    channels.define(call.system, userid, address)
    channels.define(call.system, partner.userid, partner_address)
    channels.couple(call.system, userid, address, partner.userid, partner_address)
    return Done()


def _check_free(machine: Machine, address: str) -> None:
    device = machine.device(address)
    if device is None:
        return
    adapter = channels.find(machine, address)
    if adapter is None:
        raise Refused(*WRONG_TYPE)
    if adapter.peer:
        raise Refused(*BUSY)


@handles(f.VirtualChannelConnectionDelete, authority="document")
def virtual_channel_connection_delete(call: Call, request: f.VirtualChannelConnectionDelete) -> Done:
    userid = targets.defined(call, request.target)
    machine = targets.running(call, userid)
    address = targets.vdev(request.image_device_number)
    if channels.find(machine, address) is None:
        raise Refused(*targets.NO_DEVICE)
    channels.detach(call.system, userid, address)
    return Done()
