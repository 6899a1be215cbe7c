"""SPOOL, CHANGE, TRANSFER, PURGE, ORDER, CLOSE, TAG: unit record devices and spool files.

A userid may name files of others with class D; with class G only its own, and files that it sent to somebody else's
reader (TRANSFER ... FROM). Judgement: a console file that is closed goes to a reader, also when no TO was given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from zvmcloud.cp import messages
from zvmcloud.directory import statements
from zvmcloud.simulator import spool
from zvmcloud.simulator.cp.language import Command, Issuer, abbreviates, operand, userid
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import SpoolFile, UnitRecord

#: Name, shortest form, what it is in the model. C, D and E are device numbers: vmcp SPOOL C means 000C.
_QUEUES = (("READER", 1, "RDR"), ("RDR", 2, "RDR"), ("PUNCH", 2, "PUN"), ("PRINTER", 1, "PRT"), ("PRT", 3, "PRT"))
QUEUES = ("RDR", "PRT", "PUN")
#: Options of SPOOL that change nothing that can be seen here, and whether they take an operand.
_WITHOUT_EFFECT = {
    **dict.fromkeys(("MSG", "NOMSG", "EOF", "NOEOF", "RESCAN", "NORESCAN", "SYSTEM", "*", "OFF"), False),
    **dict.fromkeys(("DEST", "CHARS", "FCB", "FLASH", "MODIFY", "FOR"), True),
}


def queue(word: str) -> str:
    """RDR, PUN or PRT for a queue's name; empty when the word is none."""
    return next((kind for name, shortest, kind in _QUEUES if abbreviates(word, name, shortest)), "")


@dataclass(frozen=True, slots=True)
class Selection:
    """Files that operands choose, whose and in which queues, and the operands left."""

    files: tuple[SpoolFile, ...]
    rest: tuple[str, ...]


def spool_class(words: Sequence[str], number: int) -> str:
    """A class by position. CpRefused 028E."""
    letter = operand(words, number)
    if len(letter) != 1 or not (letter == "*" or (letter.isascii() and letter.isalnum())):
        raise CpRefused(messages.CLASS_INVALID)
    return letter


def owner_of(issuer: Issuer, word: str) -> str:
    """The userid whose files a word means. CpRefused 007E for another's without class D."""
    if word in ("*", issuer.userid):
        return issuer.userid
    if not statements.is_userid(word) or not issuer.has("D"):
        raise CpRefused(messages.TRANSFER_SAME_USER, module="CSU", userid=word)
    if issuer.system.entry(word) is None:
        raise CpRefused(messages.NOT_IN_DIRECTORY, module="CSU", userid=word)
    return word


def select(issuer: Issuer, words: Sequence[str], *, several: bool = False) -> Selection:
    """[userid] queue file ... | ALL | CLASS c: CpRefused 003E no queue, 027E no number, 042E no such file."""
    rest = list(words)
    first = operand(rest, 0, "CSU")
    owner = issuer.userid
    if not queue(first) and first != "ALL" and len(rest) > 1:
        owner = owner_of(issuer, rest.pop(0))
        first = rest[0]
    if first == "ALL" and len(rest) == 1:
        found = [file for kind in QUEUES for file in spool.files(issuer.system, owner, kind)]
        return Selection(tuple(found), ())
    kind = queue(first)
    if not kind:
        raise CpRefused(messages.INVALID_OPTION, module="CSU", option=first)
    rest.pop(0)
    files = spool.files(issuer.system, owner, kind)
    what = operand(rest, 0, "CSU")
    if what in ("ALL", "*"):
        rest.pop(0)
    elif abbreviates(what, "CLASS", 2):
        letter = spool_class(rest, 1)
        del rest[:2]
        files = [file for file in files if letter in ("*", file.spool_class)]
    else:
        chosen = [_file(issuer, owner, kind, rest.pop(0))]
        while several and rest and rest[0].isdecimal():
            file = _file(issuer, owner, kind, rest.pop(0))
            if file not in chosen:
                chosen.append(file)
        files = chosen
    return Selection(tuple(files), tuple(rest))


def _file(issuer: Issuer, owner: str, kind: str, word: str) -> SpoolFile:
    found = spool.find(issuer.system, owner, word)
    if found.queue != kind:
        raise CpRefused(messages.SPOOL_FILE_MISSING, spoolid=found.spoolid)
    return found


def _count(count: int, verb: str) -> list[str]:
    return [f"{count:04d} FILE{'' if count == 1 else 'S'} {verb}" if count else f"NO FILES {verb}"]


def _units(issuer: Issuer, word: str) -> list[UnitRecord]:
    """The unit record devices that a word means: those of a kind, or one by its number. CpRefused 040E."""
    kind = "CONS" if abbreviates(word, "CONSOLE", 3) else queue(word)
    units = [device for device in issuer.machine.devices if isinstance(device, UnitRecord)]
    if kind:
        return [unit for unit in units if unit.kind == kind]
    number = statements.vdev(word)
    if number is None:
        raise CpRefused(messages.INVALID_OPTION, module="CSP", option=word)
    found = [unit for unit in units if unit.vdev == number]
    if not found:
        raise CpRefused(messages.SPOOL_DEVICE_MISSING, vdev=number)
    return found


def _put_unit(issuer: Issuer, changed: UnitRecord) -> None:
    machine = issuer.machine
    devices = tuple(changed if item.vdev == changed.vdev else item for item in machine.devices)
    issuer.system.machines.put(issuer.userid, replace(machine, devices=devices))


def set_spool(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """SPOOL device [CLASS c] [TO userid | *] [COPY n] [NAME fn ft] [HOLD] [CONT] [KEEP] [START | STOP] [CLOSE] ..."""
    units = _units(issuer, operand(words, 0, "CSP"))
    if len(words) < 2:
        raise CpRefused(messages.OPERAND_INVALID, module="CSP")
    values, closing = _options(issuer, list(words[1:]))
    console = all(unit.kind == "CONS" for unit in units)
    if "stopped" in values and not console:
        raise CpRefused(messages.INVALID_OPTION, module="CSP", option="STOP" if values["stopped"] else "START")
    for unit in units:
        _put_unit(issuer, replace(unit, **values))  # type: ignore[arg-type]
    return _close(issuer, units) if closing else []


def _options(issuer: Issuer, rest: list[str]) -> tuple[dict[str, object], bool]:
    """What options change in a device, and whether CLOSE is among them."""
    values: dict[str, object] = {}
    closing = False
    while rest:
        option = rest.pop(0)
        if abbreviates(option, "CLASS", 2):
            values["spool_class"] = spool_class(rest, 0)
        elif option == "TO":
            values["to"] = "" if rest[:1] in (["*"], ["SYSTEM"], ["OFF"]) else userid(rest, 0)
            if values["to"] and issuer.system.entry(str(values["to"])) is None:
                raise CpRefused(messages.NOT_IN_DIRECTORY, module="CSP", userid=str(values["to"]))
        elif option in ("COPY", "COPIES"):
            values["copies"] = _copies(rest)
        elif option == "NAME":
            values["name"] = operand(rest, 0)[:8]
            values["filetype"] = rest[1][:8] if len(rest) > 1 else ""
            del rest[1:2]
        elif abbreviates(option, "DISTRIBUTION", 4):
            values["distribution"] = operand(rest, 0)[:8]
        elif option == "FORM":
            values["form"] = operand(rest, 0)[:8]
        elif option in ("HOLD", "NOHOLD"):
            values["held"] = option == "HOLD"
            continue
        elif option in ("CONT", "NOCONT"):
            values["continuous"] = option == "CONT"
            continue
        elif option in ("KEEP", "NOKEEP"):
            values["kept"] = option == "KEEP"
            continue
        elif option in ("START", "STOP"):
            values["stopped"] = option == "STOP"
            continue
        elif option == "CLOSE":
            closing = True
            continue
        elif option in _WITHOUT_EFFECT:
            if not _WITHOUT_EFFECT[option]:
                continue
            operand(rest, 0)
        else:
            raise CpRefused(messages.INVALID_OPTION, module="CSP", option=option)
        del rest[:1]
    return values, closing


def _copies(rest: Sequence[str]) -> int:
    text = operand(rest, 0).removeprefix("*")
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text[:4]) <= 255:
        raise CpRefused(messages.COPIES_INVALID, copies=text or "*")
    return int(text)


def change(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """CHANGE [userid] queue files CLASS c | NAME fn [ft] | HOLD | NOHOLD | COPY n | DIST d | FORM f | KEEP | NOKEEP"""
    chosen = select(issuer, words)
    rest = list(chosen.rest)
    if not rest:
        raise CpRefused(messages.OPERAND_INVALID, module="CSU")
    values: dict[str, object] = {}
    while rest:
        option = rest.pop(0)
        if abbreviates(option, "CLASS", 2):
            values["spool_class"] = spool_class(rest, 0)
        elif option == "NAME":
            values["name"] = operand(rest, 0)
            values["filetype"] = rest[1] if len(rest) > 1 else ""
            del rest[1:2]
        elif option in ("COPY", "COPIES"):
            values["copies"] = _copies(rest)
        elif abbreviates(option, "DISTRIBUTION", 4):
            values["distribution"] = operand(rest, 0)[:8]
        elif option == "FORM":
            values["form"] = operand(rest, 0)[:8]
        elif option in ("HOLD", "NOHOLD"):
            values["hold"] = "USER" if option == "HOLD" else "NONE"
            continue
        elif option in ("KEEP", "NOKEEP"):
            values["kept"] = option == "KEEP"
            continue
        else:
            raise CpRefused(messages.INVALID_OPTION, module="CSU", option=option)
        del rest[:1]
    for file in chosen.files:
        spool.change(issuer.system, file, **values)  # type: ignore[arg-type]
    return _count(len(chosen.files), "CHANGED")


def transfer(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """TRANSFER [userid | *] queue files [TO] userid [queue], or ... FROM userid: what the issuer sent comes back"""
    if "FROM" in words:
        return _reclaim(issuer, words)
    chosen = select(issuer, words)
    rest = [word for word in chosen.rest if word != "TO"]
    target = issuer.userid if rest[:1] == ["*"] else userid(rest, 0)
    kind = queue(rest[1]) if len(rest) > 1 else ""
    if len(rest) > 1 and not kind:
        raise CpRefused(messages.INVALID_OPTION, module="CSX", option=rest[1])
    entry = issuer.system.entry(target)
    if entry is None or not entry.is_machine:
        raise CpRefused(messages.NOT_IN_DIRECTORY, module="CSX", userid=target)
    for file in chosen.files:
        moved = spool.transfer(issuer.system, file, target)
        if kind and moved.queue != kind:
            spool.change(issuer.system, moved, queue=kind)
    return _count(len(chosen.files), "TRANSFERRED")


def _reclaim(issuer: Issuer, words: Sequence[str]) -> list[str]:
    at = list(words).index("FROM")
    holder = userid(words, at + 1)
    rest = [word for word in words[:at] if word not in ("*", issuer.userid)]
    kind = queue(operand(rest, 0, "CSX"))
    if not kind:
        raise CpRefused(messages.INVALID_OPTION, module="CSX", option=rest[0])
    mine = [
        file for file in spool.files(issuer.system, holder, kind) if file.origin == issuer.userid or issuer.has("D")
    ]
    what = operand(rest, 1, "CSX")
    if what not in ("ALL", "*"):
        mine = [file for file in mine if what.isdecimal() and file.spoolid == f"{int(what):04d}"]
        if not mine:
            raise CpRefused(messages.SPOOL_FILE_MISSING, module="CSX", spoolid=what.rjust(4, "0"))
    for file in mine:
        spool.transfer(issuer.system, file, issuer.userid)
    return _count(len(mine), "TRANSFERRED")


def purge(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """PURGE [userid] queue files | ALL"""
    chosen = select(issuer, words, several=True)
    if chosen.rest:
        raise CpRefused(messages.INVALID_OPTION, module="CSU", option=chosen.rest[0])
    for file in chosen.files:
        spool.purge(issuer.system, file)
    return _count(len(chosen.files), "PURGED")


def order(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """ORDER [userid] queue files: these come first from now on, in this order.

    Files are kept by the time of their arrival; ordering moves it by as little as puts them first.
    """
    chosen = select(issuer, words, several=True)
    if chosen.rest:
        raise CpRefused(messages.INVALID_OPTION, module="CSU", option=chosen.rest[0])
    if chosen.files:
        first = chosen.files[0]
        earliest = min(file.created for file in spool.files(issuer.system, first.owner, first.queue))
        for back, file in enumerate(reversed(chosen.files), 1):
            spool.change(issuer.system, file, created=earliest - back * 1e-3)  # type: ignore[arg-type]
    return _count(len(chosen.files), "ORDERED")


def close(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """CLOSE device [PURGE] [NAME fn ft] [TO userid]: a console file goes to the reader of SPOOL TO, or its own"""
    units = _units(issuer, operand(words, 0, "CSC"))
    purging = "PURGE" in words[1:]
    values, _ = _options(issuer, [word for word in words[1:] if word != "PURGE"])
    return _close(issuer, [replace(unit, **values) for unit in units], purging=purging)  # type: ignore[arg-type]


def _close(issuer: Issuer, units: Sequence[UnitRecord], *, purging: bool = False) -> list[str]:
    lines = []
    for unit in units:
        if unit.kind != "CONS":
            continue
        if purging:
            issuer.system.machines.put(issuer.userid, replace(issuer.machine, console=()))
            continue
        target = unit.to or issuer.userid
        file = spool.close_console(issuer.system, issuer.userid, target)
        if file is None:
            continue
        hold = "USER" if unit.held else "NONE"
        spool.change(
            issuer.system,
            file,
            spool_class=unit.spool_class if unit.spool_class != "*" else "T",
            name=unit.name,
            filetype=unit.filetype,
            hold=hold,
        )
        lines.append(
            f"RDR FILE {file.spoolid} SENT FROM {issuer.userid:<8} CON WAS {file.spoolid} RECS {file.records:04d} "
            f"CPY  {unit.copies:03d} {unit.spool_class} {'HOLD' if unit.held else 'NOHOLD'} "
            f"{'KEEP' if unit.kept else 'NOKEEP'}"
        )
    return lines


def tag(issuer: Issuer, words: Sequence[str], text: str) -> list[str]:
    """TAG DEV device text | FILE spoolid text | QUERY DEV device | QUERY FILE spoolid"""
    asking = words[:1] == ["QUERY"] or words[:1] == ["Q"]
    rest = list(words[1:]) if asking else list(words)
    kind, what = operand(rest, 0, "TAG"), operand(rest, 1, "TAG")
    skipped = len(words) - len(rest) + 3
    said = text.split(None, skipped)[skipped] if len(rest) > 2 else ""
    if abbreviates(kind, "DEV", 1):
        units = _units(issuer, what)
        if asking:
            return [unit.tag or f"{unit.vdev} TAG NOT SET" for unit in units]
        for unit in units:
            _put_unit(issuer, replace(unit, tag=said[:136]))
        return []
    if abbreviates(kind, "FILE", 1):
        file = spool.find(issuer.system, issuer.userid, what)
        if asking:
            return [file.tag or f"FILE {file.spoolid} TAG NOT SET"]
        if not said:
            raise CpRefused(messages.TAG_MISSING, vdev=file.spoolid)
        spool.change(issuer.system, file, tag=said[:136])
        return []
    raise CpRefused(messages.INVALID_OPTION, module="TAG", option=kind)


COMMANDS = (
    Command("SPOOL", 2, "G", set_spool),
    Command("CHANGE", 2, "DG", change),
    Command("TRANSFER", 4, "DG", transfer),
    Command("PURGE", 3, "DG", purge),
    Command("ORDER", 3, "DG", order),
    Command("CLOSE", 1, "G", close),
    Command("TAG", 3, "G", tag),
)
