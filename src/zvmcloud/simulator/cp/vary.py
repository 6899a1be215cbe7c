"""VARY: real devices, channel paths, paths to a device, processors go online and offline.

What somebody uses does not go offline, and neither does the last path to a device or the last processor of the type
that CP was loaded on (IBM's reference of VARY PROCESSOR, 7.3). Judgement: the wording of the answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zvmcloud.cp import messages
from zvmcloud.cp.messages import Message
from zvmcloud.directory import statements
from zvmcloud.simulator import dasd, fabric, uplinks
from zvmcloud.simulator.cp.language import Command, Issuer, abbreviates, device_list, no_more, operand, rdev
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model_devices import ClosedPath

PROCESSOR_MISSING = Message(1311, "CPV", "E", "Processor {address} is not in the configuration")
LAST_PROCESSOR = Message(1312, "CPV", "E", "Processor {address} is the last primary processor; it stays online")
NO_PATH = Message(848, "CPV", "E", "Channel path {chpid} does not lead to device {rdev}")


def vary(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """VARY ON | OFF rdev ... | CHPID nn | PATH nn FROM rdev ... | PROCESSOR nn"""
    word = operand(words, 0, "CPV")
    if not (word in ("ON", "OFF") or abbreviates(word, "ONLINE", 2) or abbreviates(word, "OFFLINE", 3)):
        raise CpRefused(messages.INVALID_OPTION, module="CPV", option=word)
    online = word.startswith("ON")
    what = words[1] if len(words) > 1 else ""
    if what == "CHPID":
        return [_vary_chpid(issuer, words, online=online)]
    if abbreviates(what, "PATHS", 4):
        return _vary_path(issuer, words[2:], online=online)
    if abbreviates(what, "PROCESSOR", 4) or what == "CORE":
        no_more(words, 3)
        return [_vary_processor(issuer, operand(words, 2, "CPV"), online=online)]
    state = "online" if online else "offline"
    addresses = [
        address
        for position in range(1, max(len(words), 2))
        for address in ([rdev(words, position)] if position >= len(words) else device_list(words, position))
    ]
    for address in addresses:
        _vary_one(issuer, address, online=online)
    count = len(addresses)
    return [
        *(f"{address} varied {state}" for address in addresses),
        f"{count} device(s) specified; {count} device(s) successfully varied {state}",
    ]


def _vary_processor(issuer: Issuer, word: str, *, online: bool) -> str:
    """A processor that is offline is STANDBY, as System_Processor_Query says."""
    number = statements.vdev(word)
    facts = issuer.system.facts
    chosen = next((item for item in facts.processors if item.address == number), None)
    if chosen is None:
        raise CpRefused(PROCESSOR_MISSING, address=number or word)
    if not online:
        primary = facts.processors[0].kind
        others = [item for item in facts.processors if item is not chosen and item.status != "STANDBY"]
        if chosen.kind == primary and not any(item.kind == primary for item in others):
            raise CpRefused(LAST_PROCESSOR, address=chosen.address)
    if online == (chosen.status == "STANDBY"):
        status = "ALTERNATE" if online else "STANDBY"
        changed = [replace(item, status=status) if item is chosen else item for item in facts.processors]
        working = [item for item in changed if item.status != "STANDBY" and item.kind == facts.processors[0].kind]
        if all(item.status != "MASTER-PROCESSOR" for item in changed):
            # Another one of the primary type becomes the master.
            changed = [replace(item, status="MASTER-PROCESSOR") if item is working[0] else item for item in changed]
        issuer.system.facts_rows.put("system", replace(facts, processors=tuple(changed)))
    return f"Processor {chosen.address} varied {'online' if online else 'offline'}"


def _vary_path(issuer: Issuer, words: Sequence[str], *, online: bool) -> list[str]:
    """PATH nn FROM | TO rdev ..."""
    system = issuer.system
    chpid = operand(words, 0, "CPV").rjust(2, "0")
    rest = [word for word in words[1:] if word not in ("FROM", "TO")]
    addresses = [address for position in range(max(len(rest), 1)) for address in device_list(rest, position)]
    for address in addresses:
        paths = fabric.paths_to(system, address)
        if not paths:
            raise CpRefused(messages.DEVICE_MISSING, module="CPV", vdev=address)
        if chpid not in paths:
            raise CpRefused(NO_PATH, chpid=chpid, rdev=address)
        key = f"{chpid} {address}"
        if online and key in system.closed_paths:
            system.closed_paths.remove(key)
        elif not online:
            if not any(fabric.leads(system, path, address) for path in paths if path != chpid):
                raise CpRefused(messages.CHPID_IN_USE, chpid=chpid)
            system.closed_paths.put(key, ClosedPath(chpid, address))
    shown = "online to" if online else "offline from"
    return [f"Path {chpid} varied {shown} {address}" for address in addresses]


def _vary_chpid(issuer: Issuer, words: Sequence[str], *, online: bool) -> str:
    chpid = operand(words, 2, "CPV").rjust(2, "0")
    if chpid not in issuer.system.channel_paths:
        raise CpRefused(messages.CHPID_INVALID, module="CPV")
    uplinks.set_chpid(issuer.system, chpid, online=online)
    return f"CHPID {chpid} varied {'online' if online else 'offline'}"


def _vary_one(issuer: Issuer, address: str, *, online: bool) -> None:
    system = issuer.system
    osa, fcp, edev = system.osas.get(address), system.fcps.get(address), system.edevs.get(address)
    if osa is not None:
        if osa.owner and not online:
            raise CpRefused(messages.REAL_ATTACHED, module="CPV", kind="OSA", rdev=address, userid=osa.owner)
        uplinks.set_osa(system, address, online=online)
    elif fcp is not None:
        if fabric.fcp_status(system, address) == 1 and not online:
            owner = fcp.owner or "CP"
            raise CpRefused(messages.REAL_ATTACHED, module="CPV", kind="FCP", rdev=address, userid=owner)
        system.fcps.put(address, replace(fcp, online=online))
    elif edev is not None and online:
        fabric.vary_on(system, address)
    elif edev is not None:
        disk = dasd.find(system, address)
        if disk is not None and disk.status in ("SYSTEM", "OWNED", "ATTACHED"):
            raise CpRefused(messages.REAL_IN_USE, module="CPV", kind="EDEV", rdev=address, owner=disk.owner or "CP")
        system.edevs.put(address, replace(edev, online=False))
    else:
        dasd.vary(system, address, online=online)


COMMANDS = (Command("VARY", 4, "B", vary),)
