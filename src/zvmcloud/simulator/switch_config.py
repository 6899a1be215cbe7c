"""Virtual switches in the system configuration: DEFINE VSWITCH and MODIFY VSWITCH statements.

CP reads them when it is IPLed (cp.configuration). The statements are those of the CP planning manual: DEFINE with the
attributes, a MODIFY for what only SET can say, and one for each userid that is let in. What a function changes is
written anew from the switch as it then is, so that an IPL gives the same switch (judgement: the real servers edit
single operands). The members of a cluster share the file: a switch is one member's, whose name stands before the
statement, unless the file has it for all of them already (judgement).
"""

from __future__ import annotations

from collections.abc import Iterator

from zvmcloud.simulator import system_config
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.model import Vswitch
from zvmcloud.simulator.model_devices import GuestLan, TextFile
from zvmcloud.simulator.system import System

#: Return code of the functions with positional parameters, and its reasons.
CONFIG = 620
DEFINED_ALREADY, NOT_DEFINED = 54, 60
#: A record of the file has room for so many characters here; longer statements are continued with a comma.
_WIDTH = 70


def statements(switch: Vswitch, member: str = "") -> tuple[str, ...]:
    """The records that define a switch; on one member of a cluster only, when that is named."""
    only = [f"{member}:"] if member else []
    words = [*only, "DEFINE", "VSWITCH", switch.name, switch.transport]
    words += ["RDEV", *switch.rdevs] if switch.rdevs else ["RDEV", "NONE"]
    words += ["CONNECT" if switch.connected else "DISCONNECT", "QUEUESTORAGE", str(switch.queue_memory)]
    words += ["CONTROLLER", switch.controller]
    words += [switch.routing] if switch.routing else []
    if switch.aware:
        words += ["VLAN", switch.vlan, "PORTTYPE", switch.port_type or "ACCESS", "NATIVE", str(switch.native_vlan)]
        words += ["GVRP" if switch.gvrp else "NOGVRP"]
    words += ["USERBASED" if switch.user_based else "PORTBASED"]
    words += ["GROUP", switch.group] if switch.group else []
    words += ["TYPE", switch.switch_type] if switch.switch_type != "QDIO" else []
    words += ["DOMAIN", switch.ivl_domain] if switch.ivl_domain else []
    words += [switch.scope] if switch.scope == "GLOBAL" else []
    words += ["IPTIMEOUT", str(switch.ip_timeout)] if switch.ip_timeout != 5 else []
    words += ["PORTNAME", *switch.ports] if switch.ports else []
    found = [*_records(words)]
    modify = [*only, "MODIFY", "VSWITCH", switch.name]
    for setting in _settings(switch):
        found += _records([*modify, *setting])
    for grant in switch.grants:
        let_in = ["GRANT", grant.userid] if not grant.port else ["PORTNUMBER", str(grant.port), "USERID", grant.userid]
        let_in += ["PORTTYPE", grant.port_type] if grant.port_type else []
        let_in += ["VLAN", *grant.vlans] if grant.vlans else []
        let_in += ["PROMISCUOUS"] if grant.promiscuous else []
        found += _records([*modify, *let_in])
    return tuple(found)


def _settings(switch: Vswitch) -> Iterator[list[str]]:
    """What is not as a new switch has it, and only SET VSWITCH can say."""
    if switch.mac_protect != "UNSPECIFIED":
        yield ["MACPROTECT", switch.mac_protect]
    if switch.path_mtu != "EXTERNAL":
        yield ["PATHMTUDISCOVERY", *(["OFF"] if switch.path_mtu == "OFF" else ["VALUE", switch.path_mtu])]
    flags = {"ISOLATION": switch.isolation, "VEPA": switch.vepa, "PRIQUEUING": switch.priority_queuing}
    for name, is_on in flags.items():
        if is_on:
            yield [name, "ON"]


def lan_statements(lan: GuestLan, member: str = "") -> tuple[str, ...]:
    """The record that defines a guest LAN; on one member of a cluster only, when that is named."""
    words = [f"{member}:"] if member else []
    words += ["DEFINE", "LAN", lan.name, "OWNERID", lan.owner, "TYPE", lan.kind, lan.transport]
    words += ["RESTRICTED" if lan.restricted else "UNRESTRICTED"]
    for grant in lan.grants:
        words += ["GRANT", grant.userid]
    return tuple(_records(words))


def _records(words: list[str]) -> Iterator[str]:
    line = ""
    for word in words:
        if len(line) + len(word) + 2 > _WIDTH:
            yield line + ","
            line = "   "
        line = f"{line} {word}" if line else word
    yield line


def _of(system: System, file: TextFile, name: str) -> list[tuple[int, int, str]]:
    """First and last record of every statement about a switch of this system, and the member that it names."""
    member = system.name if system.cluster is not None else ""
    found: list[tuple[int, int, str]] = []
    first, text = -1, ""
    for number, line in enumerate(file.lines):
        first = number if first < 0 else first
        text += line.rstrip().removesuffix(",") + " "
        if line.rstrip().endswith(","):
            continue
        words = text.upper().split()
        only = words.pop(0).removesuffix(":") if words and words[0] == f"{member}:" else ""
        if words[:3] in (["DEFINE", "VSWITCH", name], ["MODIFY", "VSWITCH", name]):
            found.append((first, number, only))
        first, text = -1, ""
    return found


def add(system: System, files: list[TextFile], switch: Vswitch) -> None:
    """Write a new switch into each file. Refused 620/54 when the first has it, 620/34 when it is faulty."""
    _check(files)
    if _of(system, files[0], switch.name):
        raise Refused(CONFIG, DEFINED_ALREADY)
    for file in files:
        rewrite(system, file, switch.name, switch)


def change(system: System, files: list[TextFile], switch: Vswitch) -> int:
    """Write a changed switch; gives the number of statements that went. Refused 620/60 when the first has none."""
    return _replace(system, files, switch.name, switch)


def remove(system: System, files: list[TextFile], name: str) -> int:
    """Take a switch out; gives the number of statements that went. Refused 620/60 when the first has none."""
    return _replace(system, files, name, None)


def rewrite(system: System, file: TextFile, name: str, switch: Vswitch | None) -> int:
    """Make one file say this of a switch, whatever it said before; gives the number of statements that went."""
    spans = _of(system, file, name)
    gone = {number for first, last, _ in spans for number in range(first, last + 1)}
    kept = tuple(line for number, line in enumerate(file.lines) if number not in gone)
    for_all = system.cluster is None or any(not only for _, _, only in spans)
    new = statements(switch, "" if for_all else system.name) if switch is not None else ()
    system_config.written(system, file, (*kept, *new))
    return len(spans)


def _replace(system: System, files: list[TextFile], name: str, switch: Vswitch | None) -> int:
    _check(files)
    if not _of(system, files[0], name):
        raise Refused(CONFIG, NOT_DEFINED)
    return max([rewrite(system, file, name, switch) for file in files])


def _check(files: list[TextFile]) -> None:
    if system_config.problems(files[0]):
        raise Refused(CONFIG, system_config.FAULTY)
