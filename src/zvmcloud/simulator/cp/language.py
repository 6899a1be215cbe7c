"""Shared by the command modules: what a handler gets, operands, abbreviations, how CP prints sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zvmcloud.cp import messages
from zvmcloud.directory import Entry, statements
from zvmcloud.simulator import traffic
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import Machine
from zvmcloud.simulator.system import System

EVERY_CLASS = "ABCDEFG"
#: A list of device numbers or a range names at most this many devices.
MAX_DEVICES = 256


@dataclass(frozen=True, slots=True)
class Issuer:
    """The virtual machine that issues a command."""

    system: System
    userid: str
    entry: Entry
    home: System | None = None
    """The member that a command came from over AT: here it has no machine, and class G counts for nothing."""
    privileged: bool = False
    """Whether CP itself runs the command for it, as it does with the COMMAND statements of an entry."""

    @property
    def classes(self) -> str:
        if self.privileged:
            return EVERY_CLASS
        found = classes_of(self.home or self.system, self.userid, self.entry)
        return found.replace("G", "") if self.home is not None else found

    def has(self, letters: str) -> bool:
        """Whether the issuer has one of the privilege classes."""
        return any(letter in self.classes for letter in letters)

    @property
    def machine(self) -> Machine:
        """The issuer's virtual machine. CpRefused 045E when a command that came over AT needs one."""
        found = self.system.machines.get(self.userid)
        if found is None:
            raise CpRefused(messages.NOT_LOGGED_ON, userid=self.userid)
        return found

    @property
    def links_without_password(self) -> bool:
        return any("LNKNOPAS" in item.words for item in self.entry.every("OPTION"))


def classes_of(system: System, userid: str, entry: Entry) -> str:
    """Privilege classes that a user has at present: those of its entry until SET PRIVCLASS changes them."""
    machine, row = system.machines.get(userid), system.settings.get(userid)
    if machine is None or row is None or row.logon_at != machine.logon_at:
        return entry.privilege_classes
    return row.get("PRIVCLASS", entry.privilege_classes)


Handler = Callable[[Issuer, Sequence[str], str], list[str]]


@dataclass(frozen=True, slots=True)
class Command:
    """A command or operand: full name, shortest abbreviation, classes that may use it, what it does.

    A word that a command's classes do not cover is to CP no command at all: the next one that it abbreviates is tried.
    """

    name: str
    shortest: int
    classes: str
    handler: Handler

    def matches(self, word: str) -> bool:
        return abbreviates(word, self.name, self.shortest)


def chosen(commands: Sequence[Command], word: str, issuer: Issuer) -> Command | None:
    """The first command that the word names and the issuer's classes cover."""
    return next((item for item in commands if item.matches(word) and issuer.has(item.classes)), None)


def abbreviates(word: str, name: str, shortest: int) -> bool:
    """Whether the word is the name or a permitted abbreviation of it."""
    return len(word) >= shortest and name.startswith(word)


def operand(words: Sequence[str], number: int, module: str = "") -> str:
    """An operand by position. CpRefused 026E when it is missing."""
    if number >= len(words):
        raise CpRefused(messages.OPERAND_INVALID, module=module)
    return words[number]


def vdev(words: Sequence[str], number: int) -> str:
    """A virtual device number by position. CpRefused 022E when it is missing or none."""
    found = statements.vdev(words[number]) if number < len(words) else None
    if found is None:
        raise CpRefused(messages.VDEV_INVALID)
    return found


def rdev(words: Sequence[str], number: int) -> str:
    """A real device number by position. CpRefused 021E when it is missing or none."""
    found = statements.vdev(words[number]) if number < len(words) else None
    if found is None:
        raise CpRefused(messages.RDEV_INVALID)
    return found


def is_device_list(word: str) -> bool:
    """Whether the word is a device number or a range of them (1F00-1F02, 1F00.3)."""
    return bool(_device_range(word))


def _device_range(word: str) -> list[str]:
    for divider in ("-", "."):
        low, found, high = word.partition(divider)
        if found:
            break
    first = statements.vdev(low)
    if first is None:
        return []
    if not found:
        return [first]
    if divider == "-":
        end = statements.vdev(high)
        last = int(end, 16) if end is not None else -1
    else:
        last = int(first, 16) + int(high) - 1 if high.isascii() and high.isdecimal() and len(high) < 4 else -1
    if not int(first, 16) <= last < min(int(first, 16) + MAX_DEVICES, 0x10000):
        return []
    return [f"{number:04X}" for number in range(int(first, 16), last + 1)]


def device_list(words: Sequence[str], number: int, *, real: bool = True) -> list[str]:
    """The device numbers of one operand, alone or a range. CpRefused 021E or 022E (virtual), 009E for a bad range."""
    text = words[number] if number < len(words) else ""
    found = _device_range(text)
    if not found:
        if "-" in text or "." in text:
            raise CpRefused(messages.RANGE_INVALID, range=text)
        raise CpRefused(messages.RDEV_INVALID if real else messages.VDEV_INVALID)
    return found


def userid(words: Sequence[str], number: int) -> str:
    """A userid by position. CpRefused 020E when it is missing or none."""
    if number >= len(words) or not statements.is_userid(words[number]):
        raise CpRefused(messages.USERID_INVALID)
    return words[number]


def logged_on(issuer: Issuer, words: Sequence[str], number: int) -> Machine:
    """The machine that a userid, or * for the issuer, names. CpRefused 020E, 045E."""
    name = issuer.userid if words[number : number + 1] == ["*"] else userid(words, number)
    machine = issuer.system.machines.get(name)
    if machine is None:
        raise CpRefused(messages.NOT_LOGGED_ON, userid=name)
    return machine


def number(words: Sequence[str], position: int, low: int, high: int, module: str = "") -> int:
    """A decimal operand in a range. CpRefused 026E."""
    text = words[position] if position < len(words) else ""
    if not (text.isascii() and text.isdecimal() and len(text) <= 10) or not low <= int(text) <= high:
        raise CpRefused(messages.OPERAND_INVALID, module=module)
    return int(text)


def on_off(words: Sequence[str], position: int, module: str = "SET") -> bool:
    """ON or OFF. CpRefused 026E when missing, 003E for another word."""
    word = operand(words, position, module)
    if word not in ("ON", "OFF"):
        raise CpRefused(messages.INVALID_OPTION, module=module, option=word)
    return word == "ON"


def no_more(words: Sequence[str], count: int) -> None:
    """CpRefused 003E when more operands were given than the command has."""
    if len(words) > count:
        raise CpRefused(messages.EXCESS_OPTION, option=words[count])


def size(kib: int) -> str:
    """Storage as CP prints it, in the largest unit that fits."""
    for unit, factor in (("T", 1 << 30), ("G", 1 << 20), ("M", 1 << 10)):
        if kib and kib % factor == 0:
            return f"{kib // factor}{unit}"
    return f"{kib}K" if kib else "0"


def connect_line(system: System, machine: Machine) -> str:
    """CONNECT= hh:mm:ss VIRTCPU= mmm:ss.hh TOTCPU= mmm:ss.hh: since logon; CP's own share is a tenth (judgement)."""
    seconds = int(system.now() - machine.logon_at)
    used = traffic.processor_microseconds(system, machine) // 10_000
    virtual, total = (f"{part // 6000:03}:{part // 100 % 60:02}.{part % 100:02}" for part in (used, used + used // 10))
    return f"CONNECT= {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02} VIRTCPU= {virtual} TOTCPU= {total}"


def columns(items: Sequence[str], count: int = 4) -> list[str]:
    """Entries side by side with commas, as CP lists users, links and free devices."""
    return [", ".join(items[at : at + count]).rstrip() for at in range(0, len(items), count)]
