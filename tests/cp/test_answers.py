"""CP answers: the corpus's lines are read into values."""

import pytest

from zvmcloud.cp import answers
from zvmcloud.cp.answers import PowerState


def test_query_userid_gives_userid_and_system() -> None:
    assert answers.query_userid(["OPNCLOUD AT OPNSTK2"]) == answers.Identity("OPNCLOUD", "OPNSTK2")
    with pytest.raises(answers.AnswerError):
        answers.query_userid(["HCPCMD001E Unknown CP command: Q"])


@pytest.mark.parametrize(
    ("rc", "line", "state"),
    [
        (0, "FBA0004  - DSC", PowerState.ON),
        (0, "FBA0004  -L0004", PowerState.ON),
        (0, "OTHER    - DSC", None),
        (0, "FBA0004  - SSI", PowerState.ELSEWHERE),
        (45, "HCPCQU045E FBA0004 not logged on", PowerState.OFF),
        (361, "HCPCQU361E LOGOFF/FORCE pending for user FBA0004", PowerState.GOING_OFF),
        (3, "HCPCQV003E Invalid option - FBA0004", PowerState.UNKNOWN_USER),
        (53, "HCPLNM053E FBA0004 not in CP directory", PowerState.UNKNOWN_USER),
        (1, "HCPCMD001E Unknown CP command: QUERY", None),
    ],
)
def test_query_user_tells_the_power_state(rc: int, line: str, state: PowerState | None) -> None:
    if state is None:
        with pytest.raises(answers.AnswerError):
            answers.query_user("fba0004", rc, [line])
    else:
        assert answers.query_user("fba0004", rc, [line]) is state


@pytest.mark.parametrize(
    ("line", "disk"),
    [
        (
            "DASD 0100 3390 IAS106 R/W      29128 CYL ON DASD  1356 SUBCHANNEL = 0003",
            answers.Dasd("0100", "3390", "IAS106", True, 29128, "CYL", "1356"),
        ),
        (
            "DASD 1000 3390 VOLSER R/O 4370 CYL ON DASD 6018 SUBCHANNEL = 0010",
            answers.Dasd("1000", "3390", "VOLSER", False, 4370, "CYL", "6018"),
        ),
        (
            "DASD 0444 9336 (VDSK) R/W     204800 BLK ON DASD  VDSK SUBCHANNEL = 0004",
            answers.Dasd("0444", "9336", "(VDSK)", True, 204800, "BLK", "VDSK"),
        ),
    ],
)
def test_query_virtual_shows_a_disk(line: str, disk: answers.Dasd) -> None:
    assert answers.query_virtual([line]) == disk


def test_query_virtual_of_another_device_is_no_disk() -> None:
    line = "OSA  1000 ON NIC  1000  UNIT 000 SUBCHANNEL = 0002"
    assert answers.query_virtual([line]) is None
    assert answers.query_virtual_nic([line]) == answers.NicDevice("1000", "NIC", "1000")


def test_a_link_may_have_become_read_only() -> None:
    assert answers.link("F000", [])
    assert answers.link("F000", ["DASD F000 LINKED R/W"])
    assert not answers.link("F000", ["DASD F000 LINKED R/O; R/W BY LINUX01"])


def test_punch_names_the_spool_file() -> None:
    assert answers.punched_spoolid(["Reader file with spoolid 0101 created."]) == "0101"
    with pytest.raises(answers.AnswerError):
        answers.punched_spoolid(["A concurrent instance of vmur is already active"])


def test_vswitches_are_named_by_the_first_line_of_each() -> None:
    lines = ["VSWITCH SYSTEM VSW1     Type: QDIO    Connected: 2    Maxconn: INFINITE", "  PERSISTENT  RESTRICTED"]
    assert answers.query_vswitch_names([*lines, lines[0].replace("VSW1", "vsw2")]) == ("VSW1", "VSW2")
    assert answers.query_vswitch_names(["No VSWITCHes exist"]) == ()


def test_cplevel_gives_version_and_ipl_time() -> None:
    lines = ["z/VM Version 7 Release 3.0, service level 2301 (64-bit)", "IPL at 07/12/17 22:37:47 EDT"]
    assert answers.query_cplevel(lines) == answers.CpLevel("7.3.0", "07/12/17 22:37:47 EDT")
