"""QUERY: a known operand, else a real or virtual device number, else a userid.

    query_users     NAMES, USERS, USERID, SHARE, SET, SECUSER, PRIVCLASS ...
    query_virtual   VIRTUAL and its operands, CPUS, STORAGE of the issuer, NIC
    query_disks     DASD, SYSTEM, MDISK, LINKS, CPOWNED
    query_devices   OSA, FCP, EDEVICE, CHPID, PATHS, real device numbers
    query_networks  VSWITCH, LAN, VMLAN, CONTROLLER
    query_system    TIME, CPLEVEL, PROCESSORS, STORAGE, FRAMES, ALLOC, MONITOR ...
    relocate        SSI, RELODOMAIN
    query_spool     READER, PRINTER, PUNCH, FILES
    trace, flashcopy    what these commands have set up
    query_absent    TAPES, CRYPTO, CPUPOOL ...: what no modelled system has

An operand that the issuer's classes do not cover is taken for a userid, as CP does, and refused as an invalid option
when it is none.
"""

from __future__ import annotations

from collections.abc import Sequence

from zvmcloud.cp import messages
from zvmcloud.directory import statements
from zvmcloud.simulator.cp import (
    flashcopy,
    query_absent,
    query_devices,
    query_disks,
    query_networks,
    query_spool,
    query_system,
    query_users,
    query_virtual,
    relocate,
    trace,
)
from zvmcloud.simulator.cp.language import Command, Issuer, chosen, is_device_list, operand
from zvmcloud.simulator.errors import CpRefused

_OPERANDS: tuple[Command, ...] = (
    *query_users.OPERANDS,
    *query_virtual.OPERANDS,
    *query_networks.OPERANDS,
    *query_disks.OPERANDS,
    *query_devices.OPERANDS,
    *query_system.OPERANDS,
    *relocate.QUERIES,
    *query_spool.OPERANDS,
    *trace.QUERIES,
    *flashcopy.QUERIES,
    *query_absent.OPERANDS,
)


def query(issuer: Issuer, words: Sequence[str], text: str) -> list[str]:
    """QUERY operand ..."""
    first = operand(words, 0)
    found = chosen(_OPERANDS, first, issuer)
    if found is not None:
        return found.handler(issuer, words[1:], text)
    if is_device_list(first):
        return query_devices.numbered(issuer, words)
    if statements.is_userid(first) and len(words) == 1:
        where = issuer.system.where(first)
        if where is not None:
            return [query_users.user_line(first, here=where is issuer.system)]
        entry = issuer.system.entry(first)
        if entry is not None and entry.is_machine:
            raise CpRefused(messages.NOT_LOGGED_ON, userid=first)
    raise CpRefused(messages.INVALID_OPTION, option=first)
