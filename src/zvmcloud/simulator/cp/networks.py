"""COUPLE, UNCOUPLE, and what DEFINE, SET and DETACH do with a LAN or a VSWITCH.

Operands of DEFINE and SET VSWITCH are those of IBM's command reference (7.2, 7.4); bridge ports, IVL ports and
global switches are refused as options that do not exist. Judgement: message numbers
about VLANs and ports.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zvmcloud.cp import messages
from zvmcloud.directory import statements
from zvmcloud.simulator import channels, guest_lans, network, uplinks
from zvmcloud.simulator.cp.language import Command, Issuer, abbreviates, no_more, number, on_off, operand, userid, vdev
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import Ctca, Grant, Vswitch
from zvmcloud.simulator.system import System

MAX_UPLINKS = 3
MAX_PORT = 2048
#: Words of DEFINE and SET VSWITCH that stand alone: shortest form, field, value.
_FLAGS: tuple[tuple[str, int, str, object], ...] = (
    ("CONNECT", 3, "connected", True),
    ("DISCONNECT", 6, "connected", False),
    ("NONROUTER", 3, "routing", "NONROUTER"),
    ("PRIROUTER", 3, "routing", "PRIROUTER"),
    ("GVRP", 4, "gvrp", True),
    ("NOGVRP", 6, "gvrp", False),
    ("NOGROUP", 3, "group", ""),
    ("IP", 2, "transport", "IP"),
    ("ETHERNET", 3, "transport", "ETHERNET"),
    ("USERBASED", 4, "user_based", True),
    ("PORTBASED", 4, "user_based", False),
    ("NOUPLINK", 4, "rdevs", ()),
    ("LOCAL", 3, "scope", "LOCAL"),
    ("GLOBAL", 4, "scope", "GLOBAL"),
    ("UPLINK", 6, "", None),
)
#: Those of the words that only DEFINE takes.
_ONLY_DEFINE = ("transport", "user_based", "scope")


def couple(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """COUPLE vdev [TO] owner lan | VSWITCH name | LAN owner name | userid vdev (channel-to-channel adapters)"""
    rest = [word for word in words if word != "TO"]
    address = vdev(rest, 0)
    device = issuer.machine.device(address)
    if isinstance(device, Ctca):
        return _couple_ctca(issuer, device, rest)
    owner, name = operand(rest, 1), operand(rest, 2)
    if owner == "VSWITCH":
        owner = "SYSTEM"
    elif owner == "LAN":
        owner, name = name, operand(rest, 3)
    owner = issuer.userid if owner == "*" else owner
    nic = network.nic(issuer.system, issuer.userid, address)
    if nic.lan_name:
        raise CpRefused(messages.NIC_ALREADY_COUPLED, vdev=address)
    guest_lans.connect(issuer.system, issuer.userid, address, owner, name)
    return [f"NIC {address} is connected to {_lan(issuer.system, owner, name)}"]


def _lan(system: System, owner: str, name: str) -> str:
    is_switch = owner == "SYSTEM" and name in system.vswitches and guest_lans.key(owner, name) not in system.guest_lans
    return f"{'VSWITCH' if is_switch else 'LAN'} {owner} {name}"


def _couple_ctca(issuer: Issuer, own: Ctca, words: Sequence[str]) -> list[str]:
    peer = issuer.userid if words[1:2] == ["*"] else userid(words, 1)
    peer_vdev = vdev(words, 2)
    machine = issuer.system.machines.get(peer)
    if machine is None:
        raise CpRefused(messages.NOT_LOGGED_ON, userid=peer)
    other = channels.find(machine, peer_vdev)
    if other is None or other.peer or own.peer or (peer, peer_vdev) == (issuer.userid, own.vdev):
        raise CpRefused(messages.ADAPTER_PAIR, userid=peer, vdev=peer_vdev)
    channels.couple(issuer.system, issuer.userid, own.vdev, peer, peer_vdev)
    return [f"CTCA {own.vdev} COUPLED TO {peer} {peer_vdev}"]


def uncouple(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """UNCOUPLE vdev"""
    address = vdev(words, 0)
    no_more(words, 1)
    device = issuer.machine.device(address)
    if isinstance(device, Ctca) and device.peer:
        channels.uncouple(issuer.system, issuer.userid, address)
        return [f"CTCA {address} UNCOUPLED FROM {device.peer} {device.peer_vdev}"]
    nic = network.nic(issuer.system, issuer.userid, address)
    if not nic.lan_name:
        raise CpRefused(messages.NIC_NOT_COUPLED, vdev=address)
    network.uncouple(issuer.system, issuer.userid, address)
    return [f"NIC {address} is disconnected from {_lan(issuer.system, nic.lan_owner, nic.lan_name)}"]


# -- virtual switches -------------------------------------------------------------------------------------------------


def define_vswitch(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """DEFINE VSWITCH name [operands in any order]"""
    system = issuer.system
    name = operand(words, 0, "SWU")
    if not statements.is_userid(name):
        raise CpRefused(messages.LAN_INVALID, name=name)
    if name in system.vswitches or guest_lans.key("SYSTEM", name) in system.guest_lans:
        raise CpRefused(messages.VSWITCH_EXISTS, name=name)
    switch = _with_operands(issuer, Vswitch(name, "", "IP", routing="NONROUTER"), words[1:], define=True)
    if switch.transport == "ETHERNET":
        switch = replace(switch, routing="")
    if not switch.aware and (switch.gvrp or switch.port_type == "TRUNK"):
        raise CpRefused(messages.CONFLICTING_OPTION, module="SWU", option="GVRP" if switch.gvrp else "PORTTYPE")
    switch = replace(
        switch, mac=network.new_mac(system), port_type=switch.port_type or ("ACCESS" if switch.aware else "")
    )
    system.vswitches.put(name, switch)
    move_uplinks(system, (), switch)
    return [f"VSWITCH SYSTEM {name} is created"]


def move_uplinks(system: System, before: Sequence[str], switch: Vswitch) -> None:
    """The controller gives back uplink devices that the switch has no more, and takes those that are free."""
    controller = network.controller_of(switch)
    for rdev in before:
        osa = system.osas.get(rdev)
        used = any(rdev in other.rdevs for other in system.vswitches.values())
        if osa is not None and osa.owner == controller and not used:
            system.osas.put(rdev, replace(osa, owner=""))
    for rdev in switch.rdevs:
        osa = system.osas.get(rdev)
        if osa is not None and not osa.owner:
            system.osas.put(rdev, replace(osa, owner=controller))


def _with_operands(issuer: Issuer, switch: Vswitch, words: Sequence[str], *, define: bool) -> Vswitch:
    rest = list(words)
    values: dict[str, object] = {}
    while rest:
        word = rest.pop(0)
        flag = next(((field, value) for name, short, field, value in _FLAGS if abbreviates(word, name, short)), None)
        if flag is not None and (define or flag[0] not in _ONLY_DEFINE):
            if flag[0]:
                values[flag[0]] = flag[1]
        elif word == "TYPE" and define:
            if operand(rest, 0, "SWU") not in ("QDIO", "IEDN", "INMN", "IVL"):
                raise CpRefused(messages.INVALID_OPTION, module="SWU", option=rest[0])
            values["switch_type"] = rest.pop(0)
            values |= {"ivl_domain": _ivl_domain(rest)} if values["switch_type"] == "IVL" else {}
        elif word == "VLAN" and define:
            values["vlan"] = _vlan_default(rest)
        elif abbreviates(word, "NATIVE", 3) and define:
            values["native_vlan"] = number(rest, 0, 1, network.MAX_VLAN, "SWU")
            rest.pop(0)
        elif abbreviates(word, "PORTTYPE", 5):
            values["port_type"] = _port_type(rest)
        elif word == "RDEV":
            values["rdevs"] = _rdevs(rest)
        elif abbreviates(word, "CONTROLLER", 5):
            values["controller"] = "*" if rest[:1] == ["*"] else userid(rest, 0)
            rest.pop(0)
        elif abbreviates(word, "QUEUESTORAGE", 3):
            values["queue_memory"] = number([item.removesuffix("M") for item in rest], 0, 1, 256, "SWU")
            rest.pop(0)
        elif abbreviates(word, "IPTIMEOUT", 3):
            values["ip_timeout"] = number(rest, 0, 1, 240, "SWU")
            rest.pop(0)
        elif abbreviates(word, "GROUP", 3):
            values["group"] = userid(rest, 0)
            rest.pop(0)
        elif abbreviates(word, "PORTNAME", 5):
            values["ports"] = tuple(operand(rest, at, "SWU")[:8] for at in range(max(len(rest), 1)))
            rest.clear()
        elif not define:
            values |= _set_only(issuer, word, rest)
        else:
            raise CpRefused(messages.INVALID_OPTION, module="SWU", option=word)
    return replace(switch, **values)  # type: ignore[arg-type]


def _set_only(issuer: Issuer, word: str, rest: list[str]) -> dict[str, object]:
    """Operands that only SET VSWITCH takes."""
    if abbreviates(word, "MACPROTECT", 4):
        value = operand(rest, 0, "SWU")
        if value not in ("ON", "OFF") and not abbreviates(value, "UNSPECIFIED", 6):
            raise CpRefused(messages.INVALID_OPTION, module="SWU", option=value)
        rest.pop(0)
        return {"mac_protect": value if value in ("ON", "OFF") else "UNSPECIFIED"}
    if word == "MACID":
        mac_id = operand(rest, 0, "SWU").rjust(6, "0")
        if len(mac_id) != 6 or any(digit not in "0123456789ABCDEF" for digit in mac_id):
            raise CpRefused(messages.OPERAND_INVALID, module="SWU")
        rest.pop(0)
        return {"mac": network.new_mac(issuer.system, mac_id)}
    if abbreviates(word, "PATHMTUDISCOVERY", 7):
        value = operand(rest, 0, "SWU")
        rest.pop(0)
        if value == "VALUE":
            mtu = number(rest, 0, 576, 65535, "SWU")
            rest.pop(0)
            return {"path_mtu": str(mtu)}
        if value not in ("EXTERNAL", "OFF"):
            raise CpRefused(messages.INVALID_OPTION, module="SWU", option=value)
        return {"path_mtu": value}
    for name, short, field in (
        ("VEPA", 4, "vepa"),
        ("ISOLATION", 4, "isolation"),
        ("VLAN_COUNTERS", 5, "counters"),
        ("PRIQUEUING", 6, "priority_queuing"),
    ):
        if abbreviates(word, name, short):
            flag = on_off(rest, 0, "SWU")
            rest.pop(0)
            return {field: flag}
    raise CpRefused(messages.INVALID_OPTION, module="SWU", option=word)


def _ivl_domain(rest: list[str]) -> str:
    """DOMAIN letter behind TYPE IVL; A when it is left out."""
    if rest[:1] != ["DOMAIN"]:
        return "A"
    letter = operand(rest, 1, "SWU")
    if letter not in network.IVL_DOMAINS:
        raise CpRefused(messages.INVALID_OPTION, module="SWU", option=letter)
    del rest[:2]
    return letter


def _vlan_default(rest: list[str]) -> str:
    word = operand(rest, 0, "SWU")
    if word in ("UNAWARE", "AWARE"):
        rest.pop(0)
        return "" if word == "UNAWARE" else "AWARE"
    vlan = number(rest, 0, 1, network.MAX_VLAN, "SWU")
    rest.pop(0)
    return str(vlan)


def _port_type(rest: list[str]) -> str:
    word = operand(rest, 0, "SWU")
    if word not in ("ACCESS", "TRUNK"):
        raise CpRefused(messages.INVALID_OPTION, module="SWU", option=word)
    return rest.pop(0)


def _rdevs(rest: list[str]) -> tuple[str, ...]:
    """Up to three device numbers, each perhaps with a port (.P00), or NONE."""
    if rest[:1] == ["NONE"]:
        rest.pop(0)
        return ()
    found: list[str] = []
    while rest and len(found) < MAX_UPLINKS:
        rdev = statements.vdev(rest[0].partition(".")[0])
        if rdev is None:
            break
        found.append(rdev)
        rest.pop(0)
    if not found:
        raise CpRefused(messages.RDEV_INVALID, module="SWU")
    return tuple(found)


def set_vswitch(issuer: Issuer, words: Sequence[str]) -> list[str]:
    """SET VSWITCH name GRANT | REVOKE | PORTNUMBER | VLANID | attributes"""
    system = issuer.system
    switch = network.find(system, operand(words, 0, "SWU"))
    action = operand(words, 1, "SWU")
    if abbreviates(action, "GRANT", 3):
        _grant(issuer, switch, userid(words, 2), words[3:])
    elif abbreviates(action, "REVOKE", 3):
        name = userid(words, 2)
        no_more(words, 3)
        network.revoke(system, switch, name)
    elif abbreviates(action, "PORTNUMBER", 7):
        _port(issuer, switch, words[2:])
    elif action == "VLANID":
        _vlan_ports(issuer, switch, words[2:])
    else:
        with uplinks.watched(system, switch.name):
            changed = _with_operands(issuer, switch, words[1:], define=False)
            if changed.gvrp and not changed.aware:
                raise CpRefused(messages.VSWITCH_NOT_VLAN_AWARE, name=switch.name)
            system.vswitches.put(switch.name, changed)
            move_uplinks(system, switch.rdevs, changed)
    return [messages.COMMAND_ACCEPTED]


def _grant(issuer: Issuer, switch: Vswitch, name: str, words: Sequence[str], port: int | None = None) -> None:
    known = switch.grant(name)
    grant = known or Grant(name)
    if port is not None:
        grant = replace(grant, port=port)
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if abbreviates(word, "PORTTYPE", 5):
            grant = replace(grant, port_type=_port_type(rest))
        elif abbreviates(word, "PROMISCUOUS", 3):
            grant = replace(grant, promiscuous=True)
        elif abbreviates(word, "NOPROMISCUOUS", 4):
            grant = replace(grant, promiscuous=False)
        elif word == "VLAN":
            if not switch.aware:
                raise CpRefused(messages.VSWITCH_NOT_VLAN_AWARE, name=switch.name)
            vlans: list[str] = []
            while rest and rest[0].isascii() and network.vlan_ok(rest[0]):
                vlans += rest.pop(0).replace(",", " ").split()
            if not vlans:
                raise CpRefused(messages.VLAN_INVALID, vlan=rest[0] if rest else "id")
            grant = replace(grant, vlans=tuple(vlans))
        else:
            raise CpRefused(messages.INVALID_OPTION, module="SWU", option=word)
    network.grant(issuer.system, switch, grant)


def _port(issuer: Issuer, switch: Vswitch, words: Sequence[str]) -> None:
    """PORTNUMBER n USERID userid [options] | MODIFY n options | REMOVE n"""
    if words[:1] in (["MODIFY"], ["REMOVE"]):
        port = number(words, 1, 1, MAX_PORT, "SWU")
        owner = next((item for item in switch.grants if item.port == port), None)
        if owner is None:
            raise CpRefused(messages.PORT_MISSING, port=port, name=switch.name)
        if words[0] == "REMOVE":
            network.revoke(issuer.system, switch, owner.userid)
        else:
            _grant(issuer, switch, owner.userid, words[2:])
        return
    port = number(words, 0, 1, MAX_PORT, "SWU")
    if operand(words, 1, "SWU") != "USERID":
        raise CpRefused(messages.INVALID_OPTION, module="SWU", option=words[1])
    name = userid(words, 2)
    other = next((item for item in switch.grants if item.port == port and item.userid != name), None)
    if other is not None:
        raise CpRefused(messages.PORT_TAKEN, port=port, name=switch.name, userid=other.userid)
    _grant(issuer, switch, name, words[3:], port)


def _vlan_ports(issuer: Issuer, switch: Vswitch, words: Sequence[str]) -> None:
    """VLANID id ADD ports | REMOVE ports | DELETE, on a PORTBASED switch"""
    vlan = number(words, 0, 1, network.MAX_VLAN, "SWU")
    action = operand(words, 1, "SWU")
    if action not in ("ADD", "REMOVE", "DELETE"):
        raise CpRefused(messages.INVALID_OPTION, module="SWU", option=action)
    ports: set[int] = set()
    if action != "DELETE":
        ports = {number(words, at, 1, MAX_PORT, "SWU") for at in range(2, max(len(words), 3))}
    network.change_vlan(issuer.system, switch, vlan, action, frozenset(ports))


def detach_vswitch(issuer: Issuer, words: Sequence[str]) -> list[str]:
    """DETACH VSWITCH name"""
    switch = network.find(issuer.system, operand(words, 0, "SWU"))
    no_more(words, 1)
    network.delete(issuer.system, switch)
    return [f"VSWITCH SYSTEM {switch.name} is destroyed"]


COMMANDS = (
    Command("COUPLE", 4, "G", couple),
    Command("UNCOUPLE", 6, "G", uncouple),
)
