"""smcli, as the scripts and programs that were written for it use it: their command lines, and what they read."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from zvmcloud.simulator.faults import Rule
from zvmcloud.simulator.pytest_plugin import RunningSystem
from zvmcloud.smapi.declare import Function, Style
from zvmcloud.smapi.registry import REGISTRY
from zvmcloud.smcli.arguments import UsageError, parse
from zvmcloud.smcli.options import ASSUMED, LETTERS, options_of
from zvmcloud.smcli.program import run
from zvmcloud.smcli.settings import Settings, SettingsError, load

Smcli = Callable[..., tuple[int, list[str]]]

FEILONG = [line for line in (Path(__file__).parent / "feilong_commands.txt").read_text().splitlines() if line]
"""The smcli command lines of Feilong 1.6.7, recorded with its commands stubbed."""


@pytest.fixture
def smcli(zvm: RunningSystem) -> Smcli:
    settings = Settings(port=zvm.smapi_port, userid="MAINT", password="MAINT", retry=False)

    def call(line: str, stdin: str = "") -> tuple[int, list[str]]:
        return run(shlex.split(line), lambda: settings, lambda: stdin)

    return call


def fine(answer: tuple[int, list[str]]) -> list[str]:
    """The lines behind the header of a success."""
    code, lines = answer
    assert code == 0, lines
    assert re.fullmatch(r"0 0 \d+ \(details\) None", lines[0]), lines
    return lines[1:]


def refused(answer: tuple[int, list[str]], rc: int, rs: int) -> str:
    """As Feilong reads a failure: three numbers, "(details)", then text; exit code not 0."""
    code, lines = answer
    assert code != 0
    numbers, _, text = lines[0].partition("(details)")
    assert [int(word) for word in numbers.split()] == [8, rc, rs]
    assert re.match(rf" ULGSMC5{rc:03}E \S", text)
    assert "API issued : " in lines[1]
    assert "Failed" in lines
    assert f"  Return Code: {rc}" in lines
    assert f"  Reason Code: {rs}" in lines
    return text


@pytest.mark.parametrize("line", FEILONG)
def test_every_command_line_of_feilong_is_a_request(line: str, tmp_path: Path) -> None:
    words = shlex.split(line)[1:]
    (tmp_path / "entry").write_text("USER X PW 1G 2G G\n")
    words = [str(tmp_path / "entry") if word.startswith("/var/tmp/") else word for word in words]
    wanted = parse([words[0], "--addRCheader", *words[1:], "--timeout", "240"], "MAINT", str)
    assert wanted.request is not None
    assert wanted.header
    wanted.function.encode_parameters(wanted.request)


def test_the_table_names_only_parameters_that_there_are_and_all_of_them() -> None:
    for name in LETTERS:
        function = REGISTRY[name]
        assert function.style is Style.POSITIONAL, f"{name} takes keys: -k says it all"
        known = {member.name for member in function.fields}
        listed = [option.parameter for option in options_of(function).values() if option.parameter]
        assert set(listed) == known, name
        assert len(listed) == len(known), f"{name}: a parameter has two letters"
    for name, values in ASSUMED.items():
        assert set(values) <= {member.name for member in REGISTRY[name].fields}


@pytest.mark.parametrize("function", list(REGISTRY), ids=lambda function: function.name)
def test_each_function_has_help_with_every_parameter(function: Function) -> None:
    code, lines = run([function.name, "-h"], Settings, str)
    assert code == 0
    text = "\n".join(lines)
    for member in function.fields:
        assert member.doc in text


def test_a_script_makes_starts_and_deletes_a_guest(smcli: Smcli, tmp_path: Path) -> None:
    entry = tmp_path / "entry"
    entry.write_text("USER SCRIPT1 LBYONLY 512M 1G G\nIPL CMS\n")
    assert fine(smcli(f"Image_Create_DM --addRCheader -T SCRIPT1 -f {entry}")) == ["Done"]
    records = fine(smcli("Image_Query_DM --addRCheader -T SCRIPT1"))
    assert records[0].split()[:2] == ["USER", "SCRIPT1"]
    disk = "-v 0100 -t 3390 -a AUTOG -r POOL1 -u 1 -z 10 -f 1 -m MR"
    assert fine(smcli(f"Image_Disk_Create_DM --addRCheader -T SCRIPT1 {disk}")) == ["Done"]
    assert any(line.startswith("MDISK 0100 3390") for line in fine(smcli("Image_Query_DM --addRCheader -T SCRIPT1")))
    assert fine(smcli("Image_Activate --addRCheader -T SCRIPT1")) == ["Done"]
    refused(smcli("Image_Activate --addRCheader -T SCRIPT1"), 200, 8)
    assert fine(smcli("Image_Status_Query --addRCheader -T SCRIPT1")) == ["SCRIPT1"]
    disks = fine(smcli("Image_Disk_Query --addRCheader -T SCRIPT1 -k vdasd_id=all"))
    assert disks[0] == "DASD VDEV: 0100"
    assert [line.partition(":")[0].strip() for line in disks[1:7]] == [
        "RDEV", "Access type", "Device type", "Device size", "Device units", "Device volume label",
    ]  # fmt: skip
    assert disks[4:6] == ["  Device size: 10", "  Device units: Cylinders"]
    assert fine(smcli("Image_Deactivate --addRCheader -T SCRIPT1 -f IMMED")) == ["Done"]
    code, lines = smcli("Image_Status_Query -T SCRIPT1")
    assert code == 1
    assert "  Reason Code: 12" in lines
    assert fine(smcli("Image_Delete_DM --addRCheader -T SCRIPT1 -e 0")) == ["Done"]
    assert "no such" in refused(smcli("Image_Query_DM --addRCheader -T SCRIPT1"), 400, 4)


@pytest.mark.parametrize(
    ("function", "refusals", "pauses", "fails"),
    [("Image_Activate", 2, 2, False), ("Image_Activate", 0, 5, True), ("Image_Deactivate", 0, 0, True)],
)
def test_a_guest_that_is_logging_off_is_started_again_every_15_seconds(
    zvm: RunningSystem, smcli: Smcli, tmp_path: Path, function: str, refusals: int, pauses: int, fails: bool
) -> None:
    entry = tmp_path / "entry"
    entry.write_text("USER GOING LBYONLY 512M 1G G\nIPL CMS\n")
    fine(smcli(f"Image_Create_DM --addRCheader -T GOING -f {entry}"))
    zvm.faults.add(Rule(function=function, target="GOING", rc=200, rs=16, count=refusals))
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    settings = Settings(port=zvm.smapi_port, userid="MAINT", password="MAINT", retry=True)
    answer = run([function, "--addRCheader", "-T", "GOING"], lambda: settings, str, sleep)
    if fails:
        refused(answer, 200, 16)
    else:
        assert fine(answer) == ["Done"]
    assert slept == [15.0] * pauses


def test_letters_that_were_once_guessed_are_those_of_zthins_synopses() -> None:
    """-u of a notification was a guess; zthin's synopsis has -r for the type of the subscription."""
    line = "Asynchronous_Notification_Enable_DM -T X -t 1 -r 1 -c 2 -p 5000 -i 192.0.2.1 -e 1 -s text"
    wanted = parse(line.split(), "MAINT", str)
    assert getattr(wanted.request, "subscription_type", None) == 1
    with pytest.raises(UsageError):
        parse(line.replace("-r 1", "-u 1").split(), "MAINT", str)


def test_without_the_header_a_script_reads_done_and_failed(smcli: Smcli) -> None:
    assert smcli("Name_List_Add -T SCRIPTL -n A") == (0, ["Done. New list created. "])
    assert smcli("Name_List_Add -T SCRIPTL -n B") == (0, ["Done"])
    assert smcli("Name_List_Query -T SCRIPTL") == (0, ["A", "B"])
    assert smcli("Name_List_Remove -T SCRIPTL -n A") == (0, ["Done"])
    code, lines = smcli("Image_Query_DM -T NOBODY")
    assert code == 1
    assert lines[0] == "Failed"
    assert lines[1:3] == ["  Return Code: 400", "  Reason Code: 4"]


def test_an_entry_is_replaced_from_standard_input_under_a_lock(smcli: Smcli) -> None:
    smcli("Image_Create_DM -T SCRIPT2 -s", "USER SCRIPT2 LBYONLY 512M 1G G\n")
    assert fine(smcli("Image_Lock_Query_DM --addRCheader -T SCRIPT2")) == ["SCRIPT2 is Unlocked..."]
    assert smcli("Image_Lock_DM -T SCRIPT2") == (0, ["Done"])
    assert fine(smcli("Image_Lock_Query_DM --addRCheader -T SCRIPT2"))[:2] == [
        "Locked type: IMAGE",
        "Image locked by: MAINT",
    ]
    assert smcli("Image_Replace_DM -T SCRIPT2 -s", "USER SCRIPT2 LBYONLY 1G 2G G\n* new\n") == (0, ["Done"])
    assert any("1G 2G" in line for line in smcli("Image_Query_DM -T SCRIPT2")[1])
    assert smcli("Image_Definition_Update_DM -T SCRIPT2 -k 'SHARE=RELATIVE=400'") == (0, ["Done"])
    assert any("SHARE RELATIVE 400" in line for line in smcli("Image_Query_DM -T SCRIPT2")[1])


def test_virtual_switches_are_listed_as_feilong_and_xcat_read_them(smcli: Smcli) -> None:
    make = "-k switch_name=SCRIPTSW -k real_device_address='0600' -k connection_value=CONNECT -k queue_memory_limit=8"
    more = "-k transport_type=ETHERNET -k vlan_id=UNAWARE -k persist=YES"
    made = smcli(f"Virtual_Network_Vswitch_Create_Extended --addRCheader -T ZCC {make} {more}")
    assert fine(made) == ["Done"]
    again = smcli(f"Virtual_Network_Vswitch_Create_Extended --addRCheader -T ZCC {make} {more}")
    refused(again, 212, 36)
    listed = "\n".join(fine(smcli("Virtual_Network_Vswitch_Query --addRCheader -T ZCC -s '*'")))
    assert "SCRIPTSW" in re.findall("VSWITCH:  Name: (.*)", listed)
    assert re.findall("Real device: (.*)\n", listed + "\n")[-1] == "0600"
    shown = fine(smcli("Virtual_Network_Vswitch_Query_Extended --addRCheader -T ZCC -k switch_name=SCRIPTSW"))
    values = dict(line.split(": ", 1) for line in shown if ": " in line)
    assert values["switch_name"] == "SCRIPTSW"
    assert values["transport_type"] == "ETHERNET"
    assert values["real_device_address"] == "0600"
    assert list(values)[:4] == ["switch_name", "transport_type", "port_type", "queue_memory_limit"]
    counted = fine(smcli("Virtual_Network_Vswitch_Query_Byte_Stats --addRCheader -T A -T B -k switch_name=SCRIPTSW"))
    assert counted[:4] == ["vswitch count: 1", "", "vswitch number: 1", "vswitch name: SCRIPTSW"]
    assert counted[4].startswith("uplink count: ")
    uplinks = int(counted[4].rpartition(" ")[2])
    assert counted[5 + 9 * uplinks].startswith("bridge_fr_rx")
    assert counted[5 + 9 * uplinks + 8].startswith("nic count: ")
    assert fine(smcli("Virtual_Network_Vswitch_Delete_Extended --addRCheader -T Z -k switch_name=SCRIPTSW")) == ["Done"]


def test_what_host_queries_print(smcli: Smcli) -> None:
    free = fine(smcli("Image_Volume_Space_Query_DM --addRCheader -q 2 -e 3 -T DUMMY -n POOL1"))
    assert all(len(line.split()) == 6 and line.split()[4] == "POOL1" for line in free)
    (pool,) = fine(smcli("Image_Volume_Space_Query_DM --addRCheader -q 1 -e 3 -T dummy -n POOL1"))
    assert pool.split()[0] == "POOL1"
    (storage,) = fine(smcli("System_Information_Query --addRCheader -T dummy -k STORAGE="))
    assert storage.split()[0].startswith("STORAGE=STORAGE=")
    assert any(
        line.startswith("MEMORY_IN_USE=")
        for line in fine(smcli("System_Performance_Information_Query --addRCheader -T d -k detailed_cpu=show=no"))
    )
    ports = fine(smcli("System_WWPN_Query --addRCheader -T ZCC -k OWNER=YES"))
    assert len(ports) % 6 == 0
    assert [line.partition(":")[0].strip() for line in ports[:6]] == [
        "FCP device number", "Status", "NPIV world wide port number", "Channel path ID",
        "Physical world wide port number", "Owner",
    ]  # fmt: skip
    processors = fine(smcli("System_Processor_Query --addRCheader"))
    assert processors[0].startswith("Partition mode: ")
    assert processors[1:3] == ["", "ADDRESS STATUS TYPE CORE_ID"]
    assert "VSMWORK1" in fine(smcli("Image_Name_Query_DM --addRCheader"))
    (level,) = fine(smcli("Query_API_Functional_Level --addRCheader -T MAINT"))
    assert re.fullmatch(r"The API functional level is z/VM V\d\.\d", level)
    refused(smcli("SSI_Query --addRCheader"), 4, 3008)


def test_performance_of_a_list_is_printed_in_22_lines_for_each_guest(smcli: Smcli) -> None:
    smcli("Name_List_Add -T SCRIPTP -n VSMWORK1")
    lines = fine(smcli("System_Image_Performance_Query --addRCheader -T ZCC -T SCRIPTP"))
    assert lines[0].startswith("Virtual server ID: VSMWORK1")
    assert re.fullmatch(r'Used CPU time: "\d+ uS"', lines[3])
    assert lines[21] == 'Guest name: "VSMWORK1"'
    assert lines[22] == ""
    both = fine(smcli('Image_Performance_Query --addRCheader -T "VSMWORK1 DIRMAINT" -c 2'))
    assert sum(line.startswith("Guest name:") for line in both) == 2


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("Image_Qery_DM -T A", "Image_Query_DM"),
        ("Image_Query_DM", "-T is missing"),
        ("Image_Query_DM -X A", "X"),
        ("Image_Query_DM -T TOOLONGUSERID", "at most 8"),
        ("Image_Disk_Create_DM -T A -v 0100", "image_disk_device_type"),
        ("Image_Disk_Create_DM -T A -v 0100 -t 3390 -a AUTOG -u one -z 1 -m MR", "whole number"),
        ("Image_Disk_Query -T A -k colour=red", "vdasd_id="),
        ("Image_Replace_DM -T A -f /no/such/file", "/no/such/file"),
        ("Image_Query_DM -T A --timeout soon", "86400"),
        ("Metadata_Set -T A -k nothing", "name=value"),
    ],
)
def test_a_wrong_command_line_is_24_and_names_the_fault(line: str, named: str) -> None:
    code, lines = run([*shlex.split(line), "--addRCheader"], Settings, str)
    assert code == 1
    assert lines[0] == "24 0 0 (details) Input error"
    assert named in lines[1]
    with pytest.raises(UsageError):
        parse(shlex.split(line), "MAINT", str)


def test_no_answer_is_25_with_smclis_own_code() -> None:
    nowhere = Settings(port=1, userid="A", password="x", retry=False)
    code, lines = run(["Image_Query_DM", "-T", "A", "--addRCheader"], lambda: nowhere, str)
    assert code == 1
    assert lines[0].startswith("25 -101 0 (details) ULGSMC5004E ")
    code, lines = run(["Image_Query_DM", "-T", "A"], lambda: nowhere, str)
    assert lines[0] == "Failed"


def test_settings_come_from_a_file_and_the_environment_goes_first(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hush\n")
    file = tmp_path / "smcli.toml"
    file.write_text('[smapi]\nhost = "zvm1"\nport = 5\nuserid = "MAINT"\npassword_file = "secret"\n')
    found = load({"ZVM_SMCLI_SETTINGS": str(file)}, tmp_path)
    assert (found.host, found.port, found.secret(), found.retry) == ("zvm1", 5, "hush", True)
    assert "hush" not in repr(found)
    home = tmp_path / ".config/zvmcloud"
    home.mkdir(parents=True)
    file.rename(home / "smcli.toml")
    (tmp_path / "secret").rename(home / "secret")
    found = load({"ZVM_SMAPI_PORT": "7", "ZVM_SMAPI_PASSWORD": "other", "ZVM_SMAPI_TLS": "yes"}, tmp_path)
    assert (found.host, found.port, found.secret()) == ("zvm1", 7, "other")
    assert found.security() is not None


@pytest.mark.parametrize(
    ("text", "environment", "named"),
    [
        ('[smapi]\nuserid = "A"\ncolour = 1\n', {}, "smapi.colour"),
        ('[smapi]\nuserid = "A"\nport = "x"\n', {}, "smapi.port"),
        ("[smapi]\nport = 1\n", {}, "userid"),
        ('[smapi]\nuserid = "A"\n', {"ZVM_SMAPI_PORT": "99999"}, "65535"),
        ('[smapi]\nuserid = "A"\n', {"ZVM_SMAPI_RETRY": "maybe"}, "ZVM_SMAPI_RETRY"),
        ('[other]\n', {}, "other"),
        ("not toml", {}, "smcli.toml"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_used_are_named(
    tmp_path: Path, text: str, environment: dict[str, str], named: str
) -> None:
    file = tmp_path / "smcli.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=re.escape(named)):
        load({"ZVM_SMCLI_SETTINGS": str(file), **environment}, tmp_path)


def test_smcli_and_zvm_smcli_are_the_same_program(zvm: RunningSystem) -> None:
    environment = {
        **os.environ, "ZVM_SMAPI_PORT": str(zvm.smapi_port), "ZVM_SMAPI_USERID": "MAINT",
        "ZVM_SMAPI_PASSWORD": "MAINT", "ZVM_SMCLI_SETTINGS": "",
    }  # fmt: skip
    words = ["Image_Status_Query", "-T", "TCPIP", "--addRCheader"]
    programs = (
        [str(Path(sys.executable).parent / "smcli")],
        [sys.executable, "-c", "from zvmcloud.cli.main import main; main()", "smcli"],
    )
    for program in programs:
        done = subprocess.run(
            [*program, *words], capture_output=True, text=True, env=environment, timeout=60, check=False
        )
        assert (done.returncode, done.stdout) == (0, "0 0 0 (details) None\nTCPIP\n"), done.stderr
