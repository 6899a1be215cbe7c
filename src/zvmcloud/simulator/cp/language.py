"""Shared by the command modules: what a handler gets, operands, abbreviations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zvmcloud.cp import messages
from zvmcloud.directory import Entry, statements
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import Machine
from zvmcloud.simulator.system import System


@dataclass(frozen=True, slots=True)
class Issuer:
    """The virtual machine that issues a command."""

    system: System
    userid: str
    entry: Entry

    @property
    def classes(self) -> str:
        return self.entry.privilege_classes

    def has(self, letters: str) -> bool:
        """Whether the issuer has one of the privilege classes."""
        return any(letter in self.classes for letter in letters)

    @property
    def machine(self) -> Machine:
        return self.system.machines[self.userid]

    @property
    def links_without_password(self) -> bool:
        return any("LNKNOPAS" in item.words for item in self.entry.every("OPTION"))


Handler = Callable[[Issuer, Sequence[str], str], list[str]]


@dataclass(frozen=True, slots=True)
class Command:
    """A command or operand: full name, shortest abbreviation, classes that may use it, what it does."""

    name: str
    shortest: int
    classes: str
    handler: Handler

    def matches(self, word: str) -> bool:
        return len(word) >= self.shortest and self.name.startswith(word)


def abbreviates(word: str, name: str, shortest: int) -> bool:
    """Whether the word is the name or a permitted abbreviation of it."""
    return len(word) >= shortest and name.startswith(word)


def operand(words: Sequence[str], number: int) -> str:
    """An operand by position. CpRefused 026E when it is missing."""
    if number >= len(words):
        raise CpRefused(messages.OPERAND_INVALID)
    return words[number]


def vdev(words: Sequence[str], number: int) -> str:
    """A virtual device number by position. CpRefused 022E when it is missing or none."""
    found = statements.vdev(words[number]) if number < len(words) else None
    if found is None:
        raise CpRefused(messages.VDEV_INVALID)
    return found


def userid(words: Sequence[str], number: int) -> str:
    """A userid by position. CpRefused 020E when it is missing or none."""
    if number >= len(words) or not statements.is_userid(words[number]):
        raise CpRefused(messages.USERID_INVALID)
    return words[number]


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
