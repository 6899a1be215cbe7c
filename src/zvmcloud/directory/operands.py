"""The operands of the statements that are known, checked one by one; a refusal names line, operand, value and limit.

What they may be: z/VM, "CP Planning and Administration", the chapter on the user directory.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence

from zvmcloud.directory import statements
from zvmcloud.directory.extents import LARGEST_3390
from zvmcloud.directory.statements import WITH_PASSWORDS, DirectoryError, Statement

_CLASSES = re.compile(r"[A-Z1-6]{1,32}\Z")
_HEX6 = re.compile(r"[0-9A-F]{6}\Z")

LINK_MODES = ("R", "RR", "W", "WR", "M", "MR", "MW", "SR", "SW", "SM", "ER", "EW")
#: Letters that may follow the mode of an MDISK: V virtual reserve/release, D, E, S variants.
MODE_SUFFIXES = ("", "V", "D", "E", "S")


def check(statement: Statement, line: int) -> None:
    """Check the operands of a statement that this module knows; others pass.

    Raises DirectoryError naming the line and the operand.
    """
    checker = _CHECKS.get(statement.keyword)
    if checker is None or (not statement.keyword.startswith(WITH_PASSWORDS) and _is_good(statement)):
        return
    checker(_Operands(statement, line))


@functools.lru_cache(maxsize=2048)
def _is_good(statement: Statement) -> bool:
    try:
        _CHECKS[statement.keyword](_Operands(statement, 1))
    except DirectoryError:
        return False
    return True


class _Operands:
    """The words of a statement, with the checks that name line and operand when they fail."""

    def __init__(self, statement: Statement, line: int) -> None:
        self.words = statement.words
        self.keyword = statement.keyword
        self.line = line

    def __len__(self) -> int:
        return len(self.words)

    def text(self, number: int, name: str) -> str:
        if number >= len(self.words):
            raise DirectoryError(self.line, f"{self.keyword} {name}", "", "the operand is missing")
        return self.words[number]

    def fail(self, name: str, value: str, limit: str) -> DirectoryError:
        return DirectoryError(self.line, f"{self.keyword} {name}", value, limit)

    def vdev(self, number: int, name: str = "virtual device number") -> str:
        value = self.text(number, name)
        if statements.vdev(value) is None:
            raise self.fail(name, value, "one to four hexadecimal digits")
        return value

    def userid(self, number: int, name: str = "userid") -> str:
        value = self.text(number, name)
        if not statements.is_userid(value):
            raise self.fail(name, value, "1 to 8 characters of A-Z 0-9 @ # $ _ : + -")
        return value

    def number(self, number: int, name: str, low: int, high: int, words: Iterable[str] = ()) -> str:
        value = self.text(number, name)
        if value not in words and not (value.isdecimal() and low <= int(value) <= high):
            extra = "".join(f", {word}" for word in words)
            raise self.fail(name, value, f"{low} to {high}{extra}")
        return value

    def one_of(self, number: int, name: str, values: Sequence[str]) -> str:
        value = self.text(number, name)
        if value not in values:
            raise self.fail(name, value, "one of " + ", ".join(values))
        return value

    def mode(self, number: int) -> None:
        value = self.text(number, "access mode")
        if not any(value == mode + suffix for mode in LINK_MODES for suffix in MODE_SUFFIXES):
            raise self.fail("access mode", value, "one of " + ", ".join(LINK_MODES))

    def storage(self, number: int, name: str) -> None:
        value = self.text(number, name)
        if statements.storage_kib(value) is None:
            raise self.fail(name, value, "a number and K, M, G, T, P or E")


def _check_user(operands: _Operands) -> None:
    operands.userid(1)
    password = operands.text(2, "password")
    if len(password) > 8:
        raise operands.fail("password", "*" * 8, "1 to 8 characters")
    if len(operands) > 3:
        operands.storage(3, "storage")
    if len(operands) > 4:
        operands.storage(4, "maximum storage")
        if (statements.storage_kib(operands.words[3]) or 0) > (statements.storage_kib(operands.words[4]) or 0):
            raise operands.fail("storage", operands.words[3], f"at most the maximum storage {operands.words[4]}")
    if len(operands) > 5 and operands.words[5] != "*" and not _CLASSES.match(operands.words[5]):
        raise operands.fail("privilege classes", operands.words[5], "letters A to Z and digits 1 to 6")


def _check_mdisk(operands: _Operands) -> None:
    operands.vdev(1)
    device = operands.text(2, "device type")
    start = operands.text(3, "start")
    largest = LARGEST_3390 if device.startswith("3390") else 2147483640
    if start == "V-DISK":
        if device != "FB-512":
            raise operands.fail("device type", device, "FB-512 with V-DISK")
        operands.number(4, "size in blocks", 1, 4194304)
        if len(operands) > 5:
            operands.mode(5)
    elif start == "T-DISK":
        operands.number(4, "size", 1, largest)
        if len(operands) > 5:
            operands.mode(5)
    elif start == "DEVNO":
        operands.vdev(4, "real device number")
        if len(operands) > 5:
            operands.mode(5)
    else:
        if not start.isdecimal() and start not in ("AUTOG", "AUTOR", "AUTOV"):
            raise operands.fail("start", start, "a number, AUTOG, AUTOR, AUTOV, DEVNO, T-DISK or V-DISK")
        operands.number(4, "size", 1, largest, ("END",))
        area = operands.text(5, "volume")
        if start.isdecimal() and not statements.is_volser(area):
            raise operands.fail("volume", area, "1 to 6 characters")
        if len(operands) > 6:
            operands.mode(6)


def _check_link(operands: _Operands) -> None:
    operands.text(1, "userid")
    operands.vdev(2, "owner's device number")
    if len(operands) > 3:
        operands.vdev(3)
    if len(operands) > 4:
        operands.mode(4)


_NICDEF_VALUES = {
    "TYPE": ("QDIO", "HIPERSOCKETS", "HIPERS", "IEDN", "INMN"),
    "PORTTYPE": ("ACCESS", "TRUNK"),
}
_NICDEF_FLAGS = ("PROMISCUOUS", "NOPROMISCUOUS", "GRANT", "OSDSIM", "NOOSDSIM")


def _check_nicdef(operands: _Operands) -> None:
    operands.vdev(1)
    position = 2
    while position < len(operands):
        option = operands.words[position]
        if option in _NICDEF_FLAGS:
            position += 1
            continue
        if option in _NICDEF_VALUES:
            operands.one_of(position + 1, option, _NICDEF_VALUES[option])
        elif option == "DEVICES":
            operands.number(position + 1, option, 3, 3072)
        elif option == "LAN":
            operands.text(position + 1, "LAN owner")
            operands.userid(position + 2, "LAN name")
            position += 1
        elif option == "MACID":
            if not _HEX6.match(operands.text(position + 1, option)):
                raise operands.fail(option, operands.words[position + 1], "six hexadecimal digits")
        elif option == "CHPID":
            if not re.fullmatch("[0-9A-F]{2}", operands.text(position + 1, option)):
                raise operands.fail(option, operands.words[position + 1], "two hexadecimal digits")
        elif option in ("VLAN", "PORTNUMBER", "PQUPLINKTX"):
            operands.text(position + 1, option)
        else:
            raise operands.fail("option", option, "a known option of NICDEF")
        position += 2


def _check_dedicate(operands: _Operands) -> None:
    operands.vdev(1)
    operands.text(2, "real device number")


def _check_machine(operands: _Operands) -> None:
    operands.one_of(1, "architecture", ("ESA", "XA", "XC", "Z"))
    if len(operands) > 2:
        operands.number(2, "maximum number of CPUs", 1, 64)


def _check_cpu(operands: _Operands) -> None:
    value = operands.text(1, "address")
    if not re.fullmatch("[0-3]?[0-9A-F]", value):
        raise operands.fail("address", value, "00 to 3F")


def _check_storage(operands: _Operands) -> None:
    operands.storage(1, "size")


def _check_spool(operands: _Operands) -> None:
    operands.vdev(1)
    operands.text(2, "device type")


def _check_console(operands: _Operands) -> None:
    operands.vdev(1)


def _check_include(operands: _Operands) -> None:
    operands.userid(1, "profile")


def _check_name(operands: _Operands) -> None:
    operands.userid(1, "name")


def _check_logonby(operands: _Operands) -> None:
    for number in range(1, max(len(operands), 2)):
        operands.userid(number)
    if len(operands) > 9:
        raise operands.fail("userids", str(len(operands) - 1), "at most 8")


def _check_ipl(operands: _Operands) -> None:
    operands.text(1, "device or saved system")


_CHECKS = {
    "USER": _check_user,
    "IDENTITY": _check_user,
    "PROFILE": _check_name,
    "SUBCONFIG": _check_name,
    "MDISK": _check_mdisk,
    "LINK": _check_link,
    "NICDEF": _check_nicdef,
    "DEDICATE": _check_dedicate,
    "MACHINE": _check_machine,
    "CPU": _check_cpu,
    "STORAGE": _check_storage,
    "MAXSTORAGE": _check_storage,
    "SPOOL": _check_spool,
    "CONSOLE": _check_console,
    "SPECIAL": _check_console,
    "INCLUDE": _check_include,
    "LOGONBY": _check_logonby,
    "IPL": _check_ipl,
}
