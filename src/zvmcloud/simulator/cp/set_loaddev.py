"""SET LOADDEV: from which SCSI disk a machine is loaded, and what the kernel's command line gets."""

from __future__ import annotations

from collections.abc import Sequence

from zvmcloud.cp import messages
from zvmcloud.simulator import loaddev
from zvmcloud.simulator.cp.language import Issuer, abbreviates, number, operand, vdev
from zvmcloud.simulator.errors import CpRefused


def set_loaddev(issuer: Issuer, words: Sequence[str], text: str) -> list[str]:
    """SET LOADDEV [CLEAR] [SCSI] [DEVICE vdev] [PORTNAME hex] [LUN hex] [BOOTPROG n] [BR_LBA hex]
    [ALTERNATE vdev PORTNAME hex] [SCPDATA [NEW] text | SCPDATA HEX digits]"""
    rest, values, clear = list(words), dict[str, str](), False
    while rest:
        word = rest.pop(0)
        if word == "CLEAR":
            clear, values = True, {}
        elif abbreviates(word, "DEVICE", 3):
            values["DEVICE"] = vdev(rest, 0)
            rest.pop(0)
        elif abbreviates(word, "PORTNAME", 4):
            values["PORTNAME"] = _sixteen(rest)
        elif word in ("LUN", "BR_LBA"):
            values[word] = _sixteen(rest)
        elif abbreviates(word, "BOOTPROG", 4):
            program = "0" if rest[:1] == ["AUTO"] else str(number(rest, 0, 0, loaddev.MAX_PROGRAM, "SET"))
            values["BOOTPROG"] = program
            rest.pop(0)
        elif abbreviates(word, "ALTERNATE", 3):
            device = vdev(rest, 0)
            rest.pop(0)
            port = ""
            if rest and abbreviates(rest[0], "PORTNAME", 4):
                rest.pop(0)
                port = _sixteen(rest)
            values["ALTERNATE"] = f"{device} {port}".rstrip()
        elif abbreviates(word, "SCPDATA", 3):
            values |= _scpdata(text, rest)
            rest.clear()
        elif word not in ("SCSI", "NOSECURE"):
            raise CpRefused(messages.INVALID_OPTION, module="SET", option=word)
    loaddev.put(issuer.system, issuer.machine, values, clear=clear)
    return []


def _sixteen(rest: list[str]) -> str:
    """Up to sixteen digits in one or two words, taken from the operands. CpRefused 026E when they are none."""
    digits = operand(rest, 0, "SET")
    rest.pop(0)
    if len(digits) <= 8 and rest and len(rest[0]) == 8 and _is_hex(rest[0]):
        digits = digits.zfill(8) + rest.pop(0)
    if len(digits) > 16 or not _is_hex(digits):
        raise CpRefused(messages.OPERAND_INVALID, module="SET")
    return digits.zfill(16)


def _is_hex(text: str) -> bool:
    return bool(text) and all(digit in "0123456789ABCDEF" for digit in text)


def _scpdata(text: str, rest: Sequence[str]) -> dict[str, str]:
    """SCP data from the command as it was written: letters keep their case."""
    if rest[:1] == ["HEX"]:
        digits = "".join(rest[1:])
        if not _is_hex(digits) or len(digits) % 2 or len(digits) > 2 * loaddev.MAX_SCPDATA:
            raise CpRefused(messages.OPERAND_INVALID, module="SET")
        return {"SCPHEX": digits}
    at = text.upper().find(" SCP")
    data = text[at:].split(None, 1)[1] if len(text[at:].split(None, 1)) > 1 else ""
    if rest[:1] == ["NEW"]:
        data = data.partition(" ")[2]
    data = data.strip().removeprefix("'").removesuffix("'")
    if not data or len(data) > loaddev.MAX_SCPDATA:
        raise CpRefused(messages.OPERAND_INVALID, module="SET")
    return {"SCPDATA": data}
