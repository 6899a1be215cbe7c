"""SPOOL, CHANGE, TRANSFER, PURGE, CLOSE: the issuer's spool files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zvmcloud.cp import messages
from zvmcloud.simulator import spool
from zvmcloud.simulator.cp.language import Command, Issuer, abbreviates, operand, userid
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import SpoolFile, UnitRecord

_QUEUES = (("READER", 1), ("RDR", 2), ("PUNCH", 2), ("PUN", 2), ("PRINTER", 2), ("PRT", 2), ("CONSOLE", 3))


def _queue(word: str) -> str:
    for name, shortest in _QUEUES:
        if abbreviates(word, name, shortest):
            return {"R": "RDR", "P": "PUN" if name.startswith("PU") else "PRT", "C": "CONS"}[name[0]]
    raise CpRefused(messages.INVALID_OPTION, module="CSU", option=word)


def _selected(issuer: Issuer, words: Sequence[str]) -> tuple[list[SpoolFile], list[str]]:
    """The files that operands choose (a number, ALL, CLASS c), and the operands left."""
    first = operand(words, 0)
    if first in ("ALL", "*"):
        return spool.files(issuer.system, issuer.userid), list(words[1:])
    if abbreviates(first, "CLASS", 2):
        letter = _class(words, 1)
        found = [file for file in spool.files(issuer.system, issuer.userid) if letter in ("*", file.spool_class)]
        return found, list(words[2:])
    return [spool.find(issuer.system, issuer.userid, first)], list(words[1:])


def _class(words: Sequence[str], number: int) -> str:
    letter = operand(words, number)
    if len(letter) != 1 or not (letter.isalnum() or letter == "*"):
        raise CpRefused(messages.CLASS_INVALID)
    return letter


def _files(count: int, verb: str) -> str:
    return f"{count:04d} FILE{'' if count == 1 else 'S'} {verb}" if count else f"NO FILES {verb}"


def set_spool(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """SPOOL device [CLASS c] [options]"""
    kind = _queue(operand(words, 0)) if not operand(words, 0)[0].isdecimal() else ""
    rest = list(words[1:])
    while rest:
        option = rest.pop(0)
        if abbreviates(option, "CLASS", 2):
            letter = _class(rest, 0)
            rest.pop(0)
            devices = tuple(
                replace(device, spool_class=letter)
                if isinstance(device, UnitRecord) and (device.kind == kind or device.vdev.endswith(words[0]))
                else device
                for device in issuer.machine.devices
            )
            issuer.system.machines.put(issuer.userid, replace(issuer.machine, devices=devices))
        elif option in ("TO", "NAME", "DIST", "FORM", "COPY", "FOR"):
            operand(rest, 0)
            rest.pop(0)
        elif option not in ("START", "STOP", "CONT", "NOCONT", "HOLD", "NOHOLD", "KEEP", "NOKEEP", "CLOSE", "*", "OFF"):
            raise CpRefused(messages.INVALID_OPTION, module="CSP", option=option)
    return []


def change(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """CHANGE READER files CLASS c | NAME fn [ft] | HOLD | NOHOLD"""
    _reader_only(words)
    found, rest = _selected(issuer, words[1:])
    if not rest:
        raise CpRefused(messages.OPERAND_INVALID, module="CSU")
    option = rest[0]
    for file in found:
        if abbreviates(option, "CLASS", 2):
            spool.change(issuer.system, file, spool_class=_class(rest, 1))
        elif option == "NAME":
            spool.change(issuer.system, file, name=operand(rest, 1), filetype=rest[2] if len(rest) > 2 else "")
        elif option in ("HOLD", "NOHOLD"):
            spool.change(issuer.system, file, hold="USER" if option == "HOLD" else "NONE")
        else:
            raise CpRefused(messages.INVALID_OPTION, module="CSU", option=option)
    return [_files(len(found), "CHANGED")]


def _reader_only(words: Sequence[str]) -> None:
    if _queue(operand(words, 0)) != "RDR":
        raise CpRefused(messages.INVALID_OPTION, module="CSU", option=words[0])


def transfer(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """TRANSFER [userid|*] READER files [TO] userid [READER]"""
    rest = list(words)
    if rest and rest[0] in ("*", issuer.userid):
        rest.pop(0)
    if rest and rest[0] == "FROM":
        del rest[:2]
    _reader_only(rest)
    found, left = _selected(issuer, rest[1:])
    left = [word for word in left if word != "TO"]
    target = issuer.userid if left[:1] == ["*"] else userid(left, 0)
    if issuer.system.entry(target) is None:
        raise CpRefused(messages.NOT_IN_DIRECTORY, module="CSX", userid=target)
    for file in found:
        spool.transfer(issuer.system, file, target)
    return [_files(len(found), "TRANSFERRED")]


def purge(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """PURGE READER files"""
    _reader_only(words)
    found, _ = _selected(issuer, words[1:])
    for file in found:
        spool.purge(issuer.system, file)
    return [_files(len(found), "PURGED")]


def close(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """CLOSE CONSOLE: the console file goes to the issuer's own reader."""
    if _queue(operand(words, 0)) == "CONS":
        file = spool.close_console(issuer.system, issuer.userid, issuer.userid)
        if file is not None:
            return [f"RDR FILE {file.spoolid} SENT FROM {issuer.userid} CON WAS {file.spoolid} RECS {file.records:04d}"]
    return []


COMMANDS = (
    Command("SPOOL", 2, "G", set_spool),
    Command("CHANGE", 2, "DG", change),
    Command("TRANSFER", 4, "DG", transfer),
    Command("PURGE", 3, "DG", purge),
    Command("CLOSE", 1, "G", close),
)
