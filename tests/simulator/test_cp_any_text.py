"""Whatever is typed: CP answers, and a refused command has changed nothing."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.checks import consistent
from simulator.cp_system import prepare, snapshot
from zvmcloud.simulator.cp import execute, masked
from zvmcloud.simulator.cp.interpreter import COMMANDS
from zvmcloud.simulator.cp.query import _OPERANDS
from zvmcloud.simulator.system import System

VERBS = [command.name for command in COMMANDS if command.name not in ("SHUTDOWN", "LOGOFF")]
QUERIES = [f"QUERY {command.name}" for command in _OPERANDS]
KINDS = (
    *("DEFINE NIC", "DEFINE CPU", "DEFINE STORAGE", "DEFINE VFB-512", "DEFINE T3390", "DEFINE VSWITCH", "DEFINE LAN"),
    *("SET VSWITCH VSW1", "SET LAN LAN1", "SET SHARE", "SET SECUSER", "SET EDEVICE", "SET SIGNAL", "SET VCONFIG"),
    *("DETACH LAN", "DETACH VSWITCH", "DETACH NIC", "DETACH CPU", "SIGNAL SHUTDOWN", "SEND CP LINUX02", "VARY OFF"),
    *("CHANGE RDR", "PURGE RDR", "TRANSFER RDR", "CLOSE CONS", "SPOOL PUN", "INDICATE USER", "FLASHCOPY 0190 0 END"),
    *("QUERY VIRTUAL", "QUERY DASD DETAILS", "QUERY MDISK USERID LINUX01 ALL DIRECTORY", "VMRELOCATE TEST"),
)
WORDS = (
    *(
        "LINUX01",
        "LINUX02",
        "ZHCP",
        "MAINT",
        "SYSTEM",
        "*",
        "ALL",
        "NOBODY",
        "VSW1",
        "LAN1",
        "VSW2",
        "TO",
        "AS",
        "FROM",
    ),
    *("0100", "0190", "F000", "1000", "1F00", "1F00-1F02", "7000", "1A00", "1A00.2", "FFFF", "FFF0-FFFF", "C", "0009"),
    *("MR", "RR", "RDR", "PUN", "PRT", "CONS", "NIC", "QDIO", "HIPERS", "DEVICES", "TYPE", "GRANT", "REVOKE", "VLAN"),
    *("PORTNUMBER", "USERID", "VLANID", "ADD", "10", "1-4094", "0", "1", "9999", "65535", "99999999999999", "-1", "²"),
    *("RELATIVE", "ABSOLUTE", "50%", "101%", ".", "LIMITHARD", "CLASS", "X", "NAME", "HOLD", "COPY", "STANDBY", "1G"),
    *("RESERVED", "REMAINDER", "INITIAL", "WITHIN", "DETAILS", "FREE", "OFFLINE", "DETAIL", "RDEV", "NONE", "CHPID"),
    *("ON", "OFF", "0100 0 END", "0 END", "CMS", "CLEAR", "STOP", "FCP_DEV", "WWPN", "LUN", "USER", "MODE", "LINUX"),
    *("500507630708D3B3", "4000400000000000", "PATH", "DEV", "FILE", "QUERY", "SHUTDOWN", "END", "BLK", "é", "\x15"),
)


def lines() -> st.SearchStrategy[str]:
    start = st.sampled_from([*VERBS, *QUERIES, *KINDS]) | st.text(max_size=8)
    rest = st.lists(st.sampled_from(WORDS) | st.text(max_size=6), max_size=6)
    return st.tuples(start, rest).map(lambda pair: " ".join([pair[0], *pair[1]]))


@settings(max_examples=700, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.sampled_from(("MAINT", "ZHCP", "LINUX01")), lines())
def test_no_command_raises_and_a_refused_one_changes_nothing(system: System, userid: str, line: str) -> None:
    if not system.vswitches:
        prepare(system)
    before = snapshot(system)
    result = execute(system, userid, line)
    assert all(isinstance(text, str) for text in result.lines)
    if result.rc:
        assert any(text.startswith("HCP") for text in result.lines)
    if result.rc and "\n" not in line and "\x15" not in line and "\x85" not in line:
        assert snapshot(system) == before, line
    for name in ("MAINT", "ZHCP", "LINUX01"):
        if name not in system.machines:
            prepare(system)
    consistent(system)


@given(st.text(max_size=60))
def test_a_journal_line_can_be_made_of_any_text(line: str) -> None:
    assert len(masked(line)) <= 240


def test_passwords_do_not_get_into_the_journal() -> None:
    assert masked("CP LINK TO LINUX01 100 AS F000 MR SECRET") == "LINK LINUX01 100 F000 MR"
    assert masked("#cp autolog LINUX01 SECRET") == "autolog LINUX01"
    assert masked("QUERY TIME\nLINK LINUX01 100 F000 MR SECRET") == "QUERY TIME; LINK LINUX01 100 F000 MR"
