"""QUERY VSWITCH, LAN, VMLAN, CONTROLLER.

The first line of a LAN or VSWITCH and the layout of DETAILS as z/VM prints them (xCAT reads the first three words, and
the MACADDR and USER prefixes of VMLAN); the order of the lines below is knowledge of CP (judgement).
"""

from __future__ import annotations

from collections.abc import Sequence

from zvmcloud.cp import messages
from zvmcloud.simulator import guest_lans, network, uplinks
from zvmcloud.simulator.cp.language import Command, Issuer, abbreviates, operand
from zvmcloud.simulator.cp.query_virtual import address_lines, counter_lines, port
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import Nic, Vswitch
from zvmcloud.simulator.model_devices import GuestLan
from zvmcloud.simulator.system import System
from zvmcloud.simulator.traffic import adapter_traffic

_STATES = {1: "Defined", 4: "Disconnected", 5: "Device error", 8: "Ready"}
#: Virtual addresses that a controller gives the first device of an uplink.
_FIRST_VDEV = 0x600


def vswitch(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY VSWITCH [name | ALL] [DETAILS | ACCESSLIST | PROMISCUOUS]"""
    system = issuer.system
    details = any(abbreviates(word, "DETAILS", 3) for word in words)
    access = details or any(abbreviates(word, "ACCESSLIST", 3) for word in words)
    options = [word for word in words if abbreviates(word, "DETAILS", 3) or abbreviates(word, "ACCESSLIST", 3)]
    names = [word for word in words if word not in (*options, "ALL", "PROMISCUOUS", "SYSTEM")]
    if len(names) > 1:
        raise CpRefused(messages.EXCESS_OPTION, module="SWU", option=names[1])
    if names:
        switches = [network.find(system, names[0])]
    else:
        switches = sorted(system.vswitches.values(), key=lambda item: item.name)
    lines: list[str] = []
    for switch in switches:
        lines += switch_lines(system, switch, details=details, access=access)
    return lines or ["No VSWITCHes exist"]


def switch_lines(system: System, switch: Vswitch, *, details: bool, access: bool) -> list[str]:
    """What CP says of one VSWITCH."""
    adapters = network.adapters(system, switch) if details else []
    connected = len(system.coupled.get(switch.name, ()))
    kind = "ETHERNET" if switch.transport == "ETHERNET" else switch.routing or "NONROUTER"
    lines = [
        (f"VSWITCH SYSTEM {switch.name:<8} Type: {switch.switch_type:<7} Connected: {connected:<4} Maxconn: INFINITE"),
        f"  {'PERSISTENT' if switch.persistent else 'TRANSIENT':<10}  RESTRICTED    {kind:<25} Accounting: OFF",
        f"  {'USERBASED' if switch.user_based else 'PORTBASED'} {switch.scope}",
    ]
    lines += [f"  IVL Domain: {switch.ivl_domain}"] if switch.ivl_domain else []
    if switch.aware:
        lines += [
            (
                f"  VLAN Aware  Default VLAN: {_vlan(switch.vlan)}    Default Porttype: "
                f"{(switch.port_type or 'ACCESS').title()}  GVRP: {'Enabled' if switch.gvrp else 'Disabled'}"
            ),
            f"              Native  VLAN: {switch.native_vlan:04d}    VLAN Counters: {_on(switch.counters)}",
        ]
    else:
        lines.append("  VLAN Unaware")
    lines += [
        f"  MAC address: {network.mac_text(switch.mac)}    MAC Protection: {switch.mac_protect.title()}",
        f"  IPTimeout: {switch.ip_timeout:<9} QueueStorage: {switch.queue_memory}",
        f"  Isolation Status: {_on(switch.isolation):<11} VEPA Status: {_on(switch.vepa)}",
        f"  Priority Queuing: {_on(switch.priority_queuing):<11} Path MTU: {switch.path_mtu}",
    ]
    if access:
        lines += _access_lines(switch)
    lines += [" Uplink Port:", f"  State: {_STATES[network.status(system, switch)]}"]
    if switch.group:
        lines.append(f"  Group: {switch.group}")
    active = network.uplink(system, switch)
    for position, rdev in enumerate(switch.rdevs):
        lines += _uplink_lines(system, switch, rdev, position, active=rdev == active, details=details)
    if details:
        lines.append(f"  Adapter Connections:                Connected: {len(adapters)}")
        for owner, nic in adapters:
            lines += adapter_lines(system, owner, nic, _port_lines(switch, owner))
    return lines


def _on(flag: bool) -> str:
    return "ON" if flag else "OFF"


def _vlan(text: str) -> str:
    return f"{int(text):04d}" if text.isdecimal() else "0001" if text == "AWARE" else text


def _access_lines(switch: Vswitch) -> list[str]:
    if not switch.user_based:
        lines = ["    Port list:"]
        lines += [
            f"      Port: {grant.port:04d}  Userid: {grant.userid:<8} {_grant_text(switch, grant.userid)}".rstrip()
            for grant in sorted(switch.grants, key=lambda item: item.port)
        ]
        return lines if switch.grants else [*lines, "      None"]
    lines = ["    Authorized userids:"]
    lines += [f"      {grant.userid:<8} {_grant_text(switch, grant.userid)}".rstrip() for grant in switch.grants]
    return lines if switch.grants else [*lines, "      None"]


def _grant_text(switch: Vswitch, userid: str) -> str:
    grant = switch.grant(userid)
    if grant is None:
        return ""
    text = f"Porttype: {(grant.port_type or switch.port_type or 'ACCESS').title()}"
    if switch.aware:
        vlans = grant.vlans or ((switch.vlan,) if switch.vlan.isdecimal() else ())
        text += f" VLAN: {' '.join(_vlan(vlan) for vlan in vlans)}" if vlans else ""
    return text + (" Promiscuous" if grant.promiscuous else "")


def _port_lines(switch: Vswitch, userid: str) -> list[str]:
    text = _grant_text(switch, userid)
    return [f"      {text}"] if text else []


def _uplink_lines(
    system: System, switch: Vswitch, rdev: str, position: int, *, active: bool, details: bool
) -> list[str]:
    controller = network.controller_of(switch) if active else "NONE"
    number = f"{_FIRST_VDEV + 3 * position:04X}"
    if not network.works(system, rdev):
        return [f"  RDEV: {rdev}.P00 VDEV: NONE Controller: NONE     ERROR"]
    if not active:
        return [f"  RDEV: {rdev}.P00 VDEV: {number} Controller: {network.controller_of(switch):<8} BACKUP"]
    lines = [f"  RDEV: {rdev}.P00 VDEV: {number} Controller: {controller:<8} ACTIVE"]
    if details:
        lines += [
            "    Uplink Port Connection:",
            f"    MAC address: {network.mac_text(switch.mac)}",
            *counter_lines(uplinks.carried(system, switch, rdev), "    "),
            f"    Device: {number}  Unit: 000   Role: DATA       Port: 2049",
        ]
    return lines


def adapter_lines(system: System, owner: str, nic: Nic, ports: Sequence[str] = ()) -> list[str]:
    """An adapter that is coupled, as DETAILS shows it."""
    machine = system.machines[owner]
    lines = [
        f"    Adapter Owner: {owner:<8} NIC: {nic.vdev}.P00 Name: UNASSIGNED Type: {nic.adapter_type}",
        *ports,
        *counter_lines(adapter_traffic(system, machine, nic), "      "),
    ]
    running = machine.system
    if running is not None and running.phase == "up":
        device = f"{int(nic.vdev, 16) + 2:04X}"
        lines += [
            f"      Device: {device}  Unit: 002   Role: DATA       Port: {port(nic):04d}",
            "      Options: Broadcast",
        ]
        lines += address_lines(machine, nic)
    return lines


def lan(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY LAN [name [owner] | ALL] [DETAILS]: guest LANs and virtual switches"""
    system = issuer.system
    details = any(abbreviates(word, "DETAILS", 3) for word in words)
    rest = [word for word in words if word not in ("ALL", "OWNERID", "OWNER") and not abbreviates(word, "DETAILS", 3)]
    name, owner = (rest[0] if rest else ""), (rest[1] if len(rest) > 1 else "")
    owner = issuer.userid if owner == "*" else owner
    lines: list[str] = []
    lans = sorted(system.guest_lans.values(), key=lambda item: (item.owner, item.name))
    for item in lans:
        if name in ("", item.name) and owner in ("", item.owner):
            lines += _lan_lines(system, item, details=details)
    for switch in sorted(system.vswitches.values(), key=lambda item: item.name):
        if name in ("", switch.name) and owner in ("", "SYSTEM"):
            lines += switch_lines(system, switch, details=details, access=details)
    if name and not lines:
        raise CpRefused(guest_lans.LAN_MISSING, module="NDL", owner=owner or issuer.userid, name=name)
    return lines or ["No LANs exist"]


def _lan_lines(system: System, item: GuestLan, *, details: bool) -> list[str]:
    adapters = guest_lans.adapters(system, item)
    lines = [
        f"LAN {item.owner} {item.name:<12} Type: {item.kind:<7} Connected: {len(adapters):<4} Maxconn: INFINITE",
        (
            f"  {'PERSISTENT' if item.persistent else 'TRANSIENT':<10}  "
            f"{'RESTRICTED' if item.restricted else 'UNRESTRICTED':<12}  {item.transport:<25} Accounting: OFF"
        ),
        "  IPTimeout: 5                 MAC Protection: Unspecified",
        "  Isolation Status: OFF",
    ]
    if details:
        if item.restricted:
            lines.append("    Authorized userids:")
            lines += [f"      {grant.userid}" for grant in item.grants] or ["      None"]
        lines.append(f"  Adapter Connections:                Connected: {len(adapters)}")
        for owner, nic in adapters:
            lines += adapter_lines(system, owner, nic)
    return lines


def _vmlan(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    system = issuer.system
    prefix = system.facts.mac_prefix
    switches = list(system.vswitches.values())
    lasting = sum(1 for item in switches if item.persistent)
    lasting += sum(1 for item in system.guest_lans.values() if item.persistent)
    count = len(switches) + len(system.guest_lans)
    return [
        "VMLAN maintenance level:",
        "  Latest Service: Base",
        "VMLAN MAC address assignment:",
        "  System MAC Protection: OFF",
        f"  MACADDR Prefix: {prefix}      USER Prefix: {system.facts.user_prefix or prefix}",
        "  MACIDRANGE SYSTEM: 000001-FFFFFF",
        "             USER:   000000-000000",
        "VMLAN default accounting status:",
        "  SYSTEM Accounting: OFF       USER Accounting: OFF",
        "VMLAN general activity:",
        f"  PERSISTENT Limit: INFINITE   Current: {lasting}",
        f"  TRANSIENT  Limit: INFINITE   Current: {count - lasting}",
    ]


def _controller(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY CONTROLLER [userid | ALL]: the machines named DTCVSW... that are on, and those that switches name"""
    system = issuer.system
    named = {network.controller_of(switch) for switch in system.vswitches.values()}
    names = sorted(name for name in system.machines if name.startswith("DTCVSW") or name in named)
    if words and words[0] not in ("*", "ALL"):
        names = [name for name in names if name == operand(words, 0)]
    lines: list[str] = []
    for name in names:
        lines += [
            f"Controller {name:<8} Available: YES   VDEV Range: *        Level {system.facts.level}",
            "  Capability: IP ETHERNET VLAN_ARP GVRP     LINKAGG ISOLATION",
            "              NO_ENSEMBLE NO_INMN  NO_IEDN  VEPA",
        ]
        for switch in sorted(system.vswitches.values(), key=lambda item: item.name):
            rdev = network.uplink(system, switch)
            if rdev and network.controller_of(switch) == name:
                number = f"{_FIRST_VDEV + 3 * switch.rdevs.index(rdev):04X}"
                lines.append(
                    f"    SYSTEM {switch.name:<8} Primary     Controller: {switch.controller:<8} VDEV: {number}"
                )
    return lines or ["No controllers are available"]


OPERANDS: tuple[Command, ...] = (
    Command("VSWITCH", 3, "BG", vswitch),
    Command("LAN", 3, "BG", lan),
    Command("VMLAN", 5, "BG", _vmlan),
    Command("CONTROLLER", 7, "B", _controller),
)
