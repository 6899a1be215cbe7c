"""Prototypes: patterns from which entries are made.

A prototype is kept as its records; the first statement is USER or IDENTITY with any name. A new entry gets the name,
and where they are given the password and the account number; everything else is the prototype's, and minidisks with
AUTOG, AUTOR or AUTOV find their space then.
"""

from __future__ import annotations

from collections.abc import Sequence

from zvmcloud.directory import DirectoryError, Entry, statements
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.model_directory import Prototype
from zvmcloud.simulator.system import System

FAULTY = (416, 0)
NOT_FOUND = (416, 4)
EXISTS = (416, 8)
NO_PROTOTYPE = (400, 20)
BAD_PASSWORD = (500, 20)
BAD_ACCOUNT = (448, 0)


def find(system: System, name: str) -> Prototype:
    """A prototype by name. Refused 416/4."""
    found = system.prototypes.get(name.upper())
    if found is None:
        raise Refused(*NOT_FOUND)
    return found


def define(system: System, name: str, records: Sequence[str]) -> None:
    """A new prototype. Refused 416/8 when the name is in use, 416/0 when the records make no entry."""
    if name.upper() in system.prototypes:
        raise Refused(*EXISTS)
    _put(system, name, records)


def replace(system: System, name: str, records: Sequence[str]) -> None:
    """Other records for a prototype. Refused 416/4, and 416/0 as for a new one (judgement)."""
    find(system, name)
    _put(system, name, records)


def delete(system: System, name: str) -> None:
    """Forget a prototype; entries made from it stay. Refused 416/4."""
    system.prototypes.remove(find(system, name).name)


def _put(system: System, name: str, records: Sequence[str]) -> None:
    name = name.upper()
    if not statements.is_userid(name):
        raise Refused(*FAULTY)
    try:
        entry = Entry.parse(records)
    except DirectoryError as error:
        raise Refused(*FAULTY) from error
    if not entry.is_machine:
        raise Refused(*FAULTY)
    system.prototypes.put(name, Prototype(name, entry.render()))


def instance(system: System, prototype: str, name: str, password: str, account: str) -> tuple[str, ...]:
    """The records of a new entry. Refused 400/20 no such prototype, 500/20 a password phrase, 448/0 account number."""
    found = system.prototypes.get(prototype.upper())
    if found is None:
        raise Refused(*NO_PROTOTYPE)
    entry = Entry(statements.split(found.records, verbatim=True)).renamed(name)
    if password:
        if not statements.is_password(password):
            raise Refused(*BAD_PASSWORD)
        entry = entry.with_operand(2, password)
    if account:
        try:
            entry = entry.with_only("ACCOUNT", statements.make("ACCOUNT", account))
        except DirectoryError as error:
            raise Refused(*BAD_ACCOUNT) from error
    return entry.render()
