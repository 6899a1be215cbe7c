"""Virtual switches in the system configuration: DEFINE VSWITCH and MODIFY VSWITCH statements.

CP reads them when it is IPLed. The statements are those of the CP planning manual: DEFINE with the attributes, a MODIFY
for each userid that is let in, and one for what only SET can say. What a function changes is written anew from the
switch as it then is, so that an IPL gives the same switch (judgement: the real servers edit single operands).
"""

from __future__ import annotations

from collections.abc import Iterator

from zvmcloud.simulator import system_config
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.model import Vswitch
from zvmcloud.simulator.model_devices import TextFile
from zvmcloud.simulator.system import System

#: Return code of the functions with positional parameters, and its reasons.
CONFIG = 620
DEFINED_ALREADY, NOT_DEFINED = 54, 60
#: A record of the file has room for so many characters here; longer statements are continued with a comma.
_WIDTH = 70


def statements(switch: Vswitch) -> tuple[str, ...]:
    """The records that define a switch."""
    words = ["DEFINE", "VSWITCH", switch.name, switch.transport]
    words += ["RDEV", *switch.rdevs] if switch.rdevs else ["RDEV", "NONE"]
    words += ["CONNECT" if switch.connected else "DISCONNECT", "QUEUESTORAGE", str(switch.queue_memory)]
    words += ["CONTROLLER", switch.controller]
    words += [switch.routing] if switch.routing else []
    words += ["PORTNAME", *switch.ports] if switch.ports else []
    if switch.aware:
        words += ["VLAN", switch.vlan, "PORTTYPE", switch.port_type or "ACCESS", "NATIVE", str(switch.native_vlan)]
        words += ["GVRP" if switch.gvrp else "NOGVRP"]
    words += ["USERBASED" if switch.user_based else "PORTBASED"]
    words += ["GROUP", switch.group] if switch.group else []
    words += ["TYPE", switch.switch_type] if switch.switch_type != "QDIO" else []
    words += ["DOMAIN", switch.ivl_domain] if switch.ivl_domain else []
    words += [switch.scope] if switch.scope == "GLOBAL" else []
    found = [*_records(words)]
    for grant in switch.grants:
        let_in = ["GRANT", grant.userid] if not grant.port else ["PORTNUMBER", str(grant.port), "USERID", grant.userid]
        let_in += ["PORTTYPE", grant.port_type] if grant.port_type else []
        let_in += ["VLAN", *grant.vlans] if grant.vlans else []
        let_in += ["PROMISCUOUS"] if grant.promiscuous else []
        found += _records(["MODIFY", "VSWITCH", switch.name, *let_in])
    return tuple(found)


def _records(words: list[str]) -> Iterator[str]:
    line = ""
    for word in words:
        if len(line) + len(word) + 2 > _WIDTH:
            yield line + ","
            line = "   "
        line = f"{line} {word}" if line else word
    yield line


def _of(file: TextFile, name: str) -> list[tuple[int, int]]:
    """First and last record of every statement about a switch."""
    found: list[tuple[int, int]] = []
    first, words = -1, ""
    for number, line in enumerate(file.lines):
        first = number if first < 0 else first
        text = line.rstrip()
        words += text.removesuffix(",") + " "
        if text.endswith(","):
            continue
        if words.upper().split()[:3] in (["DEFINE", "VSWITCH", name], ["MODIFY", "VSWITCH", name]):
            found.append((first, number))
        first, words = -1, ""
    return found


def defined(file: TextFile, name: str) -> bool:
    """Whether the configuration has a switch."""
    return bool(_of(file, name))


def add(system: System, files: list[TextFile], switch: Vswitch) -> None:
    """Write a new switch into each file. Refused 620/54 when the first has it, 620/34 when it is faulty."""
    _check(files)
    if defined(files[0], switch.name):
        raise Refused(CONFIG, DEFINED_ALREADY)
    for file in files:
        rewrite(system, file, switch.name, statements(switch))


def change(system: System, files: list[TextFile], switch: Vswitch) -> int:
    """Write a changed switch; gives the number of statements that went. Refused 620/60 when the first has none."""
    return _replace(system, files, switch.name, statements(switch))


def remove(system: System, files: list[TextFile], name: str) -> int:
    """Take a switch out; gives the number of statements that went. Refused 620/60 when the first has none."""
    return _replace(system, files, name, ())


def rewrite(system: System, file: TextFile, name: str, new: tuple[str, ...]) -> None:
    """Make one file say this of a switch, whatever it said before."""
    kept, _ = _without(file, name)
    system_config.written(system, file, (*kept, *new))


def _replace(system: System, files: list[TextFile], name: str, new: tuple[str, ...]) -> int:
    _check(files)
    gone = 0
    for file in files:
        kept, count = _without(file, name)
        if not count and file is files[0]:
            raise Refused(CONFIG, NOT_DEFINED)
        gone = max(gone, count)
        system_config.written(system, file, (*kept, *new))
    return gone


def _check(files: list[TextFile]) -> None:
    if system_config.problems(files[0]):
        raise Refused(CONFIG, system_config.FAULTY)


def _without(file: TextFile, name: str) -> tuple[tuple[str, ...], int]:
    spans = _of(file, name)
    gone = {number for first, last in spans for number in range(first, last + 1)}
    return tuple(line for number, line in enumerate(file.lines) if number not in gone), len(spans)
