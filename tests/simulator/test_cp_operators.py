"""What operators do with CP: processors and paths, classes, other members, traces, relationships of FLASHCOPY."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simulator.cp_system import prepare, snapshot
from zvmcloud.images.diskfile import EckdDisk
from zvmcloud.images.sample import sample_tracks
from zvmcloud.simulator import guests, storage, traffic
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.installation import open_cluster
from zvmcloud.simulator.presets import PRESETS
from zvmcloud.simulator.system import System


@pytest.fixture
def vm(system: System) -> System:
    return prepare(system)


def cp(vm: System, userid: str, command: str) -> tuple[int, list[str]]:
    result = execute(vm, userid, command)
    return result.rc, list(result.lines)


def test_a_processor_goes_to_standby_and_comes_back(vm: System) -> None:
    assert cp(vm, "MAINT", "VARY OFFLINE PROCESSOR 05") == (0, ["Processor 0005 varied offline"])
    assert "PROCESSOR 05 STANDBY IFL" in cp(vm, "MAINT", "Q PROC ALL")[1]
    assert len(cp(vm, "MAINT", "Q PROC")[1]) == 5
    assert cp(vm, "MAINT", "VARY ON PROC 5")[0] == 0
    assert cp(vm, "MAINT", "Q PROC 5") == (0, ["PROCESSOR 05 ALTERNATE IFL"])


def test_another_primary_processor_becomes_the_master_and_the_last_one_stays(vm: System) -> None:
    assert cp(vm, "MAINT", "VARY OFF PROC 0")[0] == 0
    assert cp(vm, "MAINT", "Q PROC 1") == (0, ["PROCESSOR 01 MASTER CP"])
    before = snapshot(vm)
    assert cp(vm, "MAINT", "VARY OFF PROC 1")[0] == 1312
    assert cp(vm, "MAINT", "VARY OFF PROC 40")[0] == 1311
    assert snapshot(vm) == before


def test_one_path_of_a_device_is_closed_and_the_last_one_stays(vm: System) -> None:
    assert cp(vm, "MAINT", "VARY OFF PATH 40 FROM 6000") == (0, ["Path 40 varied offline from 6000"])
    lines = cp(vm, "MAINT", "Q PATHS 6000")[1]
    assert lines[2:4] == ["  Physically Available (PAM) : +  +", "  Online             (LPM) : -  +"]
    assert cp(vm, "MAINT", "VARY OFF PATH 41 FROM 6000")[0] == 847
    assert cp(vm, "MAINT", "VARY OFF PATH 10 FROM 6000")[0] == 848
    assert cp(vm, "MAINT", "VARY OFF PATH 40 FROM 9999")[0] == 40
    assert cp(vm, "MAINT", "VARY ON PATH 40 TO 6000")[0] == 0
    assert cp(vm, "MAINT", "Q PATHS 6000")[1][3] == "  Online             (LPM) : +  +"


@pytest.mark.parametrize(
    "command",
    ["VARY OFF PROC 1", "VARY OFF PATH 40 FROM 6000", "AT ZVM1 CMD Q N", "ATTACH 7000 *", "FORCE MAINT"],
)
def test_what_class_g_does_not_have_is_no_command(vm: System, command: str) -> None:
    before = snapshot(vm)
    rc, lines = cp(vm, "LINUX01", command)
    assert (rc, lines) == (1, [f"HCPCMD001E Unknown CP command: {command.split(maxsplit=1)[0]}"])
    assert snapshot(vm) == before


def test_classes_are_taken_given_and_reset(vm: System) -> None:
    assert cp(vm, "MAINT", "SET PRIVCLASS LINUX01 +B")[1][1] == "        Currently: BG"
    assert cp(vm, "LINUX01", "Q DASD 6000")[0] == 0
    assert cp(vm, "LINUX01", "SET PRIVCLASS * -B")[0] == 0
    assert cp(vm, "LINUX01", "Q DASD 6000")[0] != 0
    assert cp(vm, "MAINT", "SET PRIVCLASS =G")[1][1] == "        Currently: G"
    assert cp(vm, "MAINT", "FORCE LINUX01")[0] == 1
    assert cp(vm, "MAINT", "SET PRIVCLASS RESET")[1][1] == "        Currently: ABCDEFG"


@pytest.mark.parametrize(
    ("userid", "operands", "rc"),
    [
        ("LINUX01", "=A", 6614),
        ("LINUX01", "+BC", 6614),
        ("LINUX01", "-G", 6614),
        ("LINUX01", "=", 6614),
        ("LINUX01", "=?", 6614),
        ("LINUX01", "MAINT =G", 3),
        ("MAINT", "NOBODY =G", 45),
        ("MAINT", "", 26),
        ("MAINT", "LINUX01 =G MORE", 3),
    ],
)
def test_nobody_gets_classes_that_are_not_the_issuers(vm: System, userid: str, operands: str, rc: int) -> None:
    before = snapshot(vm)
    assert cp(vm, userid, f"SET PRIVCLASS {operands}")[0] == rc
    assert snapshot(vm) == before


def test_a_system_may_disable_set_privclass(vm: System) -> None:
    key, file = next((key, file) for key, file in vm.texts.items() if file.name == "SYSTEM")
    lines = tuple(line.replace("Enable Set_Privclass", "Disable Set_Privclass") for line in file.lines)
    with vm.transaction():
        vm.texts.put(key, type(file)(file.place, file.name, file.filetype, lines))
    assert cp(vm, "MAINT", "SET PRIVCLASS =G")[0] == 6615


def test_new_classes_end_with_the_logon(vm: System) -> None:
    assert cp(vm, "MAINT", "SET PRIVCLASS LINUX01 =ABG")[0] == 0
    vm.clock.advance(1)  # type: ignore[attr-defined]
    with vm.transaction():
        guests.log_off(vm, "LINUX01")
        guests.log_on(vm, "LINUX01")
    assert cp(vm, "LINUX01", "Q PRIV")[1][1] == "        Currently: G"


def test_processor_time_goes_on_with_the_load(vm: System) -> None:
    def used() -> float:
        minutes, seconds = re.findall(r"VIRTCPU= (\d+):([\d.]+)", cp(vm, "OPERATOR", "Q TIME")[1][1])[0]
        return int(minutes) * 60 + float(seconds)

    with vm.transaction():
        traffic.set_load(vm, vm.machines["OPERATOR"], cpu=50)
    before = used()
    vm.clock.advance(200)  # type: ignore[attr-defined]
    assert 99 < used() - before < 105


def test_traps_are_set_shown_and_ended(vm: System) -> None:
    assert cp(vm, "LINUX01", "TRACE DIAG RUN") == (0, [])
    assert cp(vm, "LINUX01", "TR I SKIP 5 PRINTER") == (0, [])
    lines = cp(vm, "LINUX01", "Q TRACE")[1]
    assert lines[1:3] == ["1   DIAGNOSE", "    TERM    NOPRINT    RUN    SIM"]
    assert "    SKIP 00005    PASS 00000    STOP 00000    STEP 00000" in lines
    assert cp(vm, "LINUX01", "TRACE DELETE 1") == (0, [])
    assert cp(vm, "LINUX01", "TRACE DELETE 1")[0] == 1505
    assert cp(vm, "LINUX01", "TRACE END") == (0, ["Trace ended"])
    assert cp(vm, "LINUX01", "Q TRACE") == (0, ["TRACE NOT ACTIVE"])
    assert [cp(vm, "LINUX01", f"TRACE {words}")[0] for words in ("", "NOTHING", "I SKIP", "I SKIP 100000")] == [
        26, 3, 26, 26,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("IND ACT", "00017 USERS 00000 DISP 00000 ELIG 00017 DORM"),
        ("IND USER LINUX01 EXP", "SPACES: OWNED=1  SHARED=0  PRIVATE=1  PAGES="),
        ("IND SPACES USER LINUX01", "SPACEID=LINUX01:BASE"),
        ("IND NSS SCEE", "NSS=SCEE     TYPE=DCSS"),
        ("IND PAGING WAIT", "No users in page wait"),
        ("IND PAGING ALL", "LINUX01"),
        ("Q NSS SCEE", "SCEE     DCSS     N/A      00900  009FF   SR  A  00000"),
        ("Q SYSTEM LX0001", "LINUX01  0100 R/W, LINUX01  0101 R/W"),
        ("Q COMMANDS", "VARY         VMRELOCATE"),
        ("Q UR", "RDR  000C CL *"),
    ],
)
def test_what_operators_ask(vm: System, command: str, line: str) -> None:
    rc, lines = cp(vm, "MAINT", command)
    assert rc == 0
    assert any(line in text for text in lines), lines


def test_a_switch_is_told_its_path_mtu_and_queuing(vm: System) -> None:
    assert cp(vm, "MAINT", "SET VSWITCH VSW1 PATHMTUDISCOVERY VALUE 8992 PRIQUEUING ON")[0] == 0
    assert "  Priority Queuing: ON          Path MTU: 8992" in cp(vm, "MAINT", "Q VSWITCH VSW1 DETAILS")[1]
    for words in ("PATHMTUDISCOVERY", "PATHMTUDISCOVERY VALUE 100", "PATHMTUDISCOVERY LATER", "PRIQUEUING SOMETIMES"):
        assert cp(vm, "MAINT", f"SET VSWITCH VSW1 {words}")[0] in (3, 26)


def test_a_relationship_lasts_until_it_is_withdrawn(vm: System) -> None:
    source, target = (storage.file_of(vm, vm.disks[f"LINUX01.010{number}"]) for number in (0, 1))
    flash = "SOURCE 100 0 END TARGET 101 0 END"
    assert cp(vm, "LINUX01", "Q FLASHC") == (0, ["No FLASHCOPY relationships exist"])
    assert cp(vm, "LINUX01", f"FLASHCOPY RESYNC {flash}")[0] == 337
    assert cp(vm, "LINUX01", f"FLASHCOPY ESTABLISH {flash} CHGRECORD") == (
        0, ["Command complete: FLASHCOPY ESTABLISH 0100 0 END TO 0101 0 END"],
    )  # fmt: skip
    assert cp(vm, "LINUX01", "Q FLASHCOPY 101")[1][1].split() == [
        "LINUX01", "0100", "00000", "LINUX01", "0101", "00000", "00005", "CHGRECORD",
    ]  # fmt: skip
    with EckdDisk(source, writable=True) as disk:
        for number, track in enumerate(sample_tracks(2)):
            disk.write_track(number // 15, number % 15, track)
    assert not _same(source, target)
    assert cp(vm, "LINUX01", f"FLASHCOPY RESYNC {flash}")[0] == 0
    assert _same(source, target)
    assert cp(vm, "LINUX01", "FLASHCOPY WITHDRAW TARGET 101")[0] == 0
    assert cp(vm, "LINUX01", "FLASHCOPY WITHDRAW TARGET 101")[0] == 337
    assert cp(vm, "LINUX01", "Q FLASHCOPY 101") == (0, ["No FLASHCOPY relationships exist"])


def _same(one: Path, other: Path) -> bool:
    with EckdDisk(one) as first, EckdDisk(other) as second:
        return [*first.used_tracks()] == [*second.used_tracks()]


def test_at_runs_a_command_on_another_member(tmp_path: Path) -> None:
    clock = ManualClock(1_600_000_000)
    cluster = open_cluster(tmp_path, PRESETS["ssi4"], clock=clock)
    try:
        one = cluster.systems["VM1"]
        with cluster.transaction():
            guests.log_on(one, "MAINT")
        assert cp(one, "MAINT", "AT VM2 CMD QUERY USERID") == (0, ["MAINT    AT VM2"])
        assert cp(one, "MAINT", "AT VM2 CMD VARY OFF PROC 5")[0] == 0
        assert cp(one, "MAINT", "Q PROC 5") == (0, ["PROCESSOR 05 ALTERNATE IFL"])
        assert cp(one, "MAINT", "AT VM2 CMD Q PROC 5") == (0, ["PROCESSOR 05 STANDBY IFL"])
        assert cp(one, "MAINT", "AT VM2 CMD DETACH 190")[0] != 0
        assert cp(one, "MAINT", "AT VM2 CMD DEFINE NIC 1000")[0] == 3
        assert cp(one, "MAINT", "AT VM2 CMD AT VM3 CMD Q N")[0] == 3
        assert cp(one, "MAINT", "AT VM9 CMD Q N")[0] == 1922
        cluster.take_down("VM2")
        clock.advance(60)
        assert cp(one, "MAINT", "AT VM2 CMD Q N")[0] == 1922
        assert cp(one, "MAINT", "AT VM1 CMD Q USERID") == (0, ["MAINT    AT VM1"])
    finally:
        cluster.close()
