"""What clients read out of CP's answers, written down from reference/connector/cp_corpus.md and xcat/commands.md.

Each entry is a command as the client sends it, and the client's way to read the answer: expressions and word numbers
of those files, not parsers of this project.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest

from simulator.cp_system import prepare
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.model_devices import Edev
from zvmcloud.simulator.system import System

Read = Callable[[Sequence[str]], object]


@pytest.fixture
def vm(system: System) -> System:
    prepare(system)
    with system.transaction():
        system.edevs.put("9200", Edev("9200", ("1A00 500507630708D3B3 4000400000000000",)))
    for userid, command in (
        ("ZHCP", "link LINUX01 0101 as F101 rr"),
        ("ZHCP", "attach 1a01 to ZHCP as 1a01"),
        ("ZHCP", "link LINUX01 0100 F100 MR"),
    ):
        assert execute(system, userid, command).rc == 0, command
    return system


def word(number: int, line: int = 0) -> Read:
    return lambda lines: lines[line].split()[number]


def every(pattern: str) -> Read:
    """All groups that the expression finds in the whole answer."""
    return lambda lines: re.findall(pattern, "\n".join(lines), re.MULTILINE)


def count(pattern: str) -> Read:
    return lambda lines: sum(bool(re.search(pattern, line, re.IGNORECASE)) for line in lines)


#: userid, command, how it is read, what must come out.
CONNECTOR = [
    ("ZHCP", "query userid", word(0), "ZHCP"),
    ("ZHCP", "q userid", word(2), "ZVM1"),
    ("ZHCP", "q userid", word(-1), "ZVM1"),
    ("ZHCP", "q LINUX01", every(r"^(\S+)\s+- (\S+)"), [("LINUX01", "DSC")]),
    ("ZHCP", "q LINUX02", every(r"^HCP\w\w\w045E (\S+) not logged on"), ["LINUX02"]),
    ("ZHCP", "q XXXXX", every(r"^(HCP\w\w\w003E Invalid option - XXXXX)"), ["HCPCQV003E Invalid option - XXXXX"]),
    ("ZHCP", "q", every(r"^(HCP\w\w\w026E Operand missing or invalid)"), ["HCPCFC026E Operand missing or invalid"]),
    ("ZHCP", "q f101", every(r"^DASD F101 3390 \S+ R/O +(\d+) CYL ON DASD +\S+ SUBCHANNEL = \w{4}"), ["5"]),
    ("ZHCP", "q abcd", every(r"^(HCP\w\w\w040E) Device ABCD does not exist"), ["HCPQVD040E"]),
    ("ZHCP", "query user linux01", word(0), "LINUX01"),
    ("ZHCP", "query chpidv", every(r"CHPID Virtualization is (on|off)"), ["on"]),
    ("ZHCP", "query chpid 10 pchid", word(-1), "0210"),
    ("ZHCP", "query chpid zz pchid", every(r"^HCPQPA846E (Invalid channel path identifier\.)"),
     ["Invalid channel path identifier."]),
    ("LINUX01", "query chpid 10 pchid", every(r"^HCP\w\w\w(\d+)E"), ["003"]),
    ("ZHCP", "query virtual 0FFF", every("(HCPQVD040E)"), ["HCPQVD040E"]),
    ("ZHCP", "query virtual dasd", count(r"^DASD F101"), 1),
    ("ZHCP", "q v F101", word(5), "5"),
    ("ZHCP", "q v F101", word(6), "CYL"),
    ("ZHCP", "q v F101", count("CYL ON DASD"), 1),
    ("ZHCP", "q v 1a01", count("ON FCP"), 1),
    ("ZHCP", "link FAKEUSER 0100 as F300 rr", every(r"^HCPLNM053E (.*)"), ["FAKEUSER not in CP directory"]),
    ("ZHCP", "link LINUX01 FFFF as F300 rr", every("(not linked; not in CP directory)"),
     ["not linked; not in CP directory"]),
    ("ZHCP", "detach 260C", every(r"^HCPDTV040E (.*)"), ["Device 260C does not exist"]),
    ("ZHCP", "detach F101", every(r"^(DASD F101 DETACHED)"), ["DASD F101 DETACHED"]),
    ("ZHCP", "attach 1a02 to ZHCP as 1a02", count(r"^HCP"), 0),
    ("ZHCP", "det 1a01", count(r"^HCP"), 0),
    ("ZHCP", "spool reader class *", count(r"^HCP"), 0),
    ("ZHCP", "query rdr userid '*'", word(1, 1), "0001"),
    ("ZHCP", "purge reader 0", every(r"^HCP\w\w\w(042|027)E"), ["027"]),
    ("ZHCP", "trace diag run", count(r"^HCP"), 0),
    ("ZHCP", "spool console start", count(r"^HCP"), 0),
    ("LINUX01", "q 1000", word(0), "OSA"),
    ("LINUX01", "q 1000", count("1000 ON (NIC|OSA)"), 1),
    ("LINUX01", "q 2000", every("Device (2000) does not exist"), ["2000"]),
    ("LINUX01", "q storage", every(r"STANDBY = (\d+)([KMGT])\s+RESERVED = (\d+)([KMGT])"), [("0", "G", "2", "G")]),
    ("LINUX01", "def cpu 01 02 03", count(r"^HCP"), 0),
    ("LINUX01", "def storage standby 1024M", count(r"^HCP"), 0),
    ("LINUX01", "def storage standby 0M", count(r"^HCP"), 0),
]  # fmt: skip
XCAT = [
    ("LINUX01", "q priv", every(r"Currently: (\S+)"), ["G"]),
    ("LINUX01", "q v storage", every(r"^STORAGE = (\d+[KMGT])"), ["2G"]),
    ("LINUX01", "q v cpus", every(r"^CPU (\d\d)  ID  ([0-9A-F]{16})"), [("00", "FF07729639060000")]),
    ("LINUX01", "q v nic", every(r"MAC: (\S+) +(?:LAN|VSWITCH): SYSTEM (\S+)"), [("02-00-00-12-34-56", "VSW1")]),
    ("LINUX01", "q v dasd", every(r"^DASD (\d{4}) 3390 (\S{6}) R/W +(\d+) CYL"),
     [("0100", "LX0001", "5"), ("0101", "LX0001", "5")]),
    ("ZHCP", "q user LINUX02", every("(HCPCQU045E|HCPCQU361E)"), ["HCPCQU045E"]),
    ("ZHCP", "q cplevel", every(r"^IPL at (\d\d/\d\d/\d\d \d\d:\d\d:\d\d)"), ["09/13/20 12:26:40"]),
    ("ZHCP", "q vmlan", every(r"(MACADDR|USER) Prefix: ([0-9A-F]{6})"), [("MACADDR", "020000"), ("USER", "020000")]),
    ("ZHCP", "q lan", every(r"^(LAN|VSWITCH) (\S+) (\S+) +Type: (\S+)"),
     [("LAN", "SYSTEM", "LAN1", "QDIO"), ("VSWITCH", "SYSTEM", "VSW1", "QDIO")]),
    ("ZHCP", "flashcopy f101 0 end f100 0 end synchronous", every(r"^(HCP\S+)"), ["HCPNFC335E"]),
    ("LINUX01", "flashcopy 100 0 end 101 0 end synchronous", every(r"^(Command complete)"), ["Command complete"]),
    ("ZHCP", "q edev", every(r"^EDEV (\w{4}) TYPE (\S+)"), [("9200", "FBA")]),
    ("ZHCP", "q ssi", every("(not a member of an SSI cluster)"), ["not a member of an SSI cluster"]),
]  # fmt: skip


@pytest.mark.parametrize(("userid", "command", "read", "expected"), CONNECTOR + XCAT)
def test_clients_read_what_they_look_for(vm: System, userid: str, command: str, read: Read, expected: object) -> None:
    lines = execute(vm, userid, command).lines
    assert read(lines) == expected, lines
