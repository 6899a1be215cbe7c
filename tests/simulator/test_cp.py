"""CP: what commands answer, and how they are refused."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.checks import consistent
from simulator.support import linux
from zvmcloud.directory.devices import Mdisk
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator import guests, network, spool, storage
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.model import Grant, Vswitch
from zvmcloud.simulator.system import System


@pytest.fixture
def vm(system: System) -> System:
    """ZHCP and OPERATOR are on; LINUX01 has a disk of 5 cylinders and is off; VSW1 knows LINUX01."""
    with system.transaction():
        dm.create(system, "LINUX01", linux("LINUX01"))
        dm.add_disk(system, "LINUX01", Mdisk("0100", "3390", "AUTOG", None, 5, "POOL1", "MR", ("RPW", "WPW", "MPW")))
        system.vswitches.put("VSW1", Vswitch("VSW1", network.new_mac(system), grants=(Grant("LINUX01"),)))
        guests.log_on(system, "ZHCP")
    return system


def cp(vm: System, command: str, userid: str = "ZHCP") -> tuple[int, list[str]]:
    result = execute(vm, userid, command)
    return result.rc, list(result.lines)


@pytest.mark.parametrize(
    ("command", "rc", "line"),
    [
        ("QUERY USERID", 0, "ZHCP     AT ZVM1"),
        ("q userid", 0, "ZHCP     AT ZVM1"),
        ("cp q userid", 0, "ZHCP     AT ZVM1"),
        ("q operator", 0, "OPERATOR - DSC"),
        ("query user operator", 0, "OPERATOR - DSC"),
        ("q linux01", 45, "HCPCQU045E LINUX01 not logged on"),
        ("query user linux01", 45, "HCPCQU045E LINUX01 not logged on"),
        ("q nobody", 3, "HCPCQV003E Invalid option - NOBODY"),
        ("q", 26, "HCPCFC026E Operand missing or invalid"),
        ("q ffff", 40, "HCPQVD040E Device FFFF does not exist"),
        ("query virtual ffff", 40, "HCPQVD040E Device FFFF does not exist"),
        ("q v 0190", 0, "DASD 0190 3390 M01RES R/O        107 CYL ON DASD  5000 SUBCHANNEL = 0014"),
        ("detach 260c", 40, "HCPDTV040E Device 260C does not exist"),
        ("link fakeuser 0100 f000 rr", 53, "HCPLNM053E FAKEUSER not in CP directory"),
        ("link linux01 ffff f000 rr", 107, "HCPLNM107E LINUX01 FFFF not linked; not in CP directory"),
        ("link linux01 0100 f000 zz", 109, "HCPLNM109E Invalid mode - ZZ"),
        ("link linux01 0100 0190 rr", 92, "HCPLNM092E DASD 0190 not linked; device already defined"),
        ("link linux01 0100 as f000 rr", 0, "DASD F000 LINKED R/O"),
        ("link to linux01 100 f000 mr", 0, "DASD F000 LINKED R/W"),
        ("purge rdr 0101", 42, "HCPCSU042E Spoolid 0101 does not exist"),
        ("purge rdr xx", 27, "HCPCSU027E Spoolid missing or invalid"),
        ("query chpid 99 pchid", 846, "HCPQPA846E Invalid channel path identifier."),
        ("query chpid 1f pchid", 0, "Path 1F is associated with physical channel 021F"),
        ("query chpidv", 0, "One path CHPID Virtualization is on"),
        ("query vswitch nosw", 2788, "HCPSWU2788E VSWITCH SYSTEM NOSW does not exist"),
        ("frobnicate", 1, "HCPCMD001E Unknown CP command: FROBNICATE"),
        ("force operator", 1, "HCPCMD001E Unknown CP command: FORCE"),
        ("set vswitch nosw grant x", 2788, "HCPSWU2788E VSWITCH SYSTEM NOSW does not exist"),
        ("ipl 0999", 2042, "HCPVMI2042E IPL was not performed; device 0999 does not exist"),
    ],
)
def test_what_cp_answers_to_the_agent(vm: System, command: str, rc: int, line: str) -> None:
    assert cp(vm, command) == (rc, [line])
    consistent(vm)


def test_a_command_needs_its_privilege_class(vm: System) -> None:
    with vm.transaction():
        guests.log_on(vm, "LINUX01")
    assert cp(vm, "FORCE OPERATOR", "LINUX01")[0] == 1
    assert cp(vm, "XAUTOLOG MAINT", "LINUX01")[0] == 6033
    assert cp(vm, "XAUTOLOG MAINT", "OPERATOR")[0] == 0
    assert "MAINT" in vm.machines


#: mode, what others have (0 nothing, 1 a reader, 2 a writer), what one gets: W, R or the number of the refusal
LINKS = [
    *(("R", 0, "R"), ("R", 1, "R"), ("R", 2, 105)),
    *(("RR", 0, "R"), ("RR", 1, "R"), ("RR", 2, "R")),
    *(("W", 0, "W"), ("W", 1, 104), ("W", 2, 105)),
    *(("WR", 0, "W"), ("WR", 1, "R"), ("WR", 2, "R")),
    *(("M", 0, "W"), ("M", 1, "W"), ("M", 2, 105)),
    *(("MR", 0, "W"), ("MR", 1, "W"), ("MR", 2, "R")),
    *(("MW", 0, "W"), ("MW", 1, "W"), ("MW", 2, "W")),
]


@pytest.mark.parametrize(("mode", "others", "expected"), LINKS)
def test_link_modes(vm: System, mode: str, others: int, expected: str | int) -> None:
    storage.open_devices(vm, "ZHCP")
    with vm.transaction():
        guests.log_on(vm, "MAINT")
    if others:
        password = "RPW" if others == 1 else "MPW"
        assert cp(vm, f"LINK LINUX01 0100 0200 {'RR' if others == 1 else 'MW'} {password}", "MAINT")[0] == 0
    rc, lines = cp(vm, f"LINK LINUX01 0100 F000 {mode}")
    if isinstance(expected, int):
        assert rc == expected
    else:
        assert (rc, lines[0][:20]) == (0, f"DASD F000 LINKED R/{'W' if expected == 'W' else 'O'}")
        assert vm.device_name("ZHCP", "F000").is_symlink()
        assert cp(vm, "DETACH F000") == (0, ["DASD F000 DETACHED"])
    assert not vm.device_name("ZHCP", "F000").is_symlink()
    consistent(vm)


@pytest.mark.parametrize(
    ("mode", "password", "rc"),
    [("RR", "RPW", 0), ("RR", "WRONG", 114), ("RR", "", 114), ("MR", "RPW", 114), ("MR", "MPW", 0), ("W", "WPW", 0)],
)
def test_a_link_needs_the_password_of_its_mode(vm: System, mode: str, password: str, rc: int) -> None:
    with vm.transaction():
        guests.log_on(vm, "MAINT")
    assert cp(vm, f"LINK LINUX01 0100 0200 {mode} {password}", "MAINT")[0] == rc


def test_reader_files_are_changed_transferred_and_purged(vm: System) -> None:
    with vm.transaction():
        file = spool.create(vm, "ZHCP", "ZHCP", b"x" * 200, name="cfgdrive", filetype="iso")
    assert cp(vm, f"CHANGE RDR {file.spoolid} CLASS x") == (0, ["0001 FILE CHANGED"])
    assert cp(vm, f"TRANSFER * RDR {file.spoolid} TO NOBODY RDR")[0] == 53
    assert cp(vm, f"TRANSFER * RDR {file.spoolid} TO LINUX01 RDR") == (0, ["0001 FILE TRANSFERRED"])
    (moved,) = spool.files(vm, "LINUX01")
    assert (moved.origin, moved.spool_class, moved.records, spool.read(vm, moved)) == ("ZHCP", "X", 3, b"x" * 200)
    assert spool.files(vm, "ZHCP") == []
    with vm.transaction():
        spool.create(vm, "ZHCP", "ZHCP", b"")
    assert cp(vm, "PURGE RDR ALL") == (0, ["0001 FILE PURGED"])
    consistent(vm)


def test_an_adapter_is_defined_coupled_and_destroyed(vm: System) -> None:
    with vm.transaction():
        guests.log_on(vm, "LINUX01")
    answers = [
        cp(vm, command, "LINUX01")
        for command in (
            "DEFINE NIC 2000 TYPE QDIO",
            "COUPLE 2000 TO SYSTEM VSW1",
            "QUERY NIC 2000",
            "UNCOUPLE 2000",
            "DETACH NIC 2000",
        )
    ]
    assert [rc for rc, _ in answers] == [0] * 5
    assert "VSWITCH: SYSTEM VSW1" in answers[2][1][1]
    assert cp(vm, "COUPLE 1000 TO SYSTEM NOSW", "LINUX01")[0] == 2788
    assert cp(vm, "DEFINE NIC 1001", "LINUX01")[0] == 92


def test_coupling_needs_a_grant(vm: System) -> None:
    with vm.transaction():
        guests.log_on(vm, "LINUX01")
    assert cp(vm, "SET VSWITCH VSW1 REVOKE LINUX01")[0] == 0
    assert cp(vm, "COUPLE 1000 TO SYSTEM VSW1", "LINUX01")[0] == 6011
    assert cp(vm, "SET VSWITCH VSW1 GRANT LINUX01")[0] == 0
    assert cp(vm, "COUPLE 1000 TO SYSTEM VSW1", "LINUX01")[0] == 0
    assert cp(vm, "SET VSWITCH VSW1 REVOKE LINUX01")[0] == 0
    assert vm.machines["LINUX01"].nics[0].lan_name == ""


WORDS = (
    *("QUERY", "Q", "LINK", "DETACH", "DEF", "NIC", "COUPLE", "SPOOL", "CHANGE", "TRANSFER", "PURGE", "RDR", "VIRTUAL"),
    *("DASD", "ALL", "LINUX01", "ZHCP", "0100", "F000", "MR", "VSWITCH", "VSW1", "SYSTEM", "TO", "*", "CLASS", "X"),
    *("0001", "SET", "GRANT", "IPL", "CMS", "SHARE", "RELATIVE", "99999999", "é", "ATTACH", "1F00"),
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(
        st.sampled_from(WORDS) | st.text(max_size=10),
        max_size=7,
    )
)
def test_no_command_line_breaks_cp(vm: System, words: list[str]) -> None:
    result = execute(vm, "ZHCP", " ".join(words))
    assert result.rc == 0 or result.lines[0].startswith("HCP")
