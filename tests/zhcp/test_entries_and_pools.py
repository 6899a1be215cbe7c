"""Entries are written in the order clients expect, and pools are read from z/VM's lines."""

import pytest

from zvmcloud.zhcp import entries, pools, queries
from zvmcloud.zhcp.disk_messages import NewDisk
from zvmcloud.zhcp.errors import AgentError, FieldError
from zvmcloud.zhcp.guest_messages import CreateGuest
from zvmcloud.zhcp.smapi_port import masked


def test_an_entry_has_the_statements_of_the_trace_in_their_order() -> None:
    request = CreateGuest(
        userid="X7",
        vcpus=2,
        memory_mb=2048,
        max_cpus=10,
        max_memory_mb=32768,
        profile="OSDFLT",
        account="A B",
        cpu_pool="POOL1",
        share="ABS 50%",
        ipl="CMS",
        ipl_parm="DUMMY",
        loadparm="LOAD=1",
        loaddev={"portName": "5678", "lun": "0000000000000000"},
        dedicate=(("1234", "1234"),),
        comments=("C1", "C 2"),
        logonby=("MAINT",),
        relocation_domain="DOM1",
        disks=(NewDisk(vdev="0200", vdisk_blocks=2048), NewDisk(vdev="0100", size_units=5, pool="P")),
    )
    assert entries.lines(request) == (
        "USER X7 LBYONLY 2G 32G G",
        "INCLUDE OSDFLT",
        "MACHINE ESA 10",
        "ACCOUNT A B",
        "COMMAND SET VCONFIG MODE LINUX",
        "COMMAND DEFINE CPU 00 TYPE IFL",
        "COMMAND DEFINE CPU 01 TYPE IFL",
        "COMMAND SCHEDULE * WITHIN POOL POOL1",
        "SHARE ABS 50%",
        "COMMAND SET VMRELOCATE * DOMAIN DOM1",
        "IPL CMS PARM DUMMY LOADPARM LOAD=1",
        "LOGONBY MAINT",
        "COMMAND DEF STOR INITIAL STANDBY REMAINDER",
        "LOADDEV PORTNAME 5678",
        "LOADDEV LUN 0000000000000000",
        "DEDICATE 1234 1234",
        "MDISK 0200 FB-512 V-DISK 2048 MWV",
        "* C1",
        "* C 2",
    )


def test_a_plain_guest_gets_a_share_by_its_processors_and_memory_in_megabytes() -> None:
    lines = entries.lines(CreateGuest(userid="A", vcpus=3, memory_mb=1500, max_memory_mb=0, ipl="0100"))
    assert lines[0] == "USER A LBYONLY 1500M 1500M G"
    assert "SHARE RELATIVE 300" in lines
    assert "IPL 0100" in lines


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (CreateGuest(userid="A", vcpus=1, memory_mb=2048, max_memory_mb=1024), "memory_mb"),
        (CreateGuest(userid="A", vcpus=4, memory_mb=1, max_cpus=2), "vcpus"),
        (CreateGuest(userid="A", vcpus=1, memory_mb=1, loaddev={"speed": "9"}), "loaddev.speed"),
        (CreateGuest(userid="A", vcpus=1, memory_mb=1, ipl="CMS", ipl_parm="x" * 64), "entry"),
    ],
)
def test_contradictions_are_named_before_anything_is_sent(request_: CreateGuest, field: str) -> None:
    with pytest.raises(FieldError) as caught:
        entries.lines(request_)
    assert caught.value.field == field


def test_what_the_directory_would_refuse_is_a_400() -> None:
    with pytest.raises(AgentError) as caught:
        entries.lines(CreateGuest(userid="A", vcpus=1, memory_mb=1, dedicate=(("1", "2"), ("1", "3"))))
    assert caught.value.problem.status == 400


def test_passwords_are_hidden_in_reported_records() -> None:
    shown = "\n".join(masked(("USER A GEHEIM 1G 1G G", "MDISK 0100 3390 1 10 VOL001 MR READPW WRITEPW")))
    assert "GEHEIM" not in shown
    assert "READPW" not in shown
    broken = "\n".join(masked(("USER A GEHEIM 1G 1G G", "MDISK 0100 BROKEN", "MDISK 0100 3390 1 10 V MR RPW")))
    assert "GEHEIM" not in broken
    assert "RPW" not in broken


def test_free_and_used_space_of_a_group_is_read() -> None:
    free = pools.parse_free(["T60300 3390-A 220346 14420 POOL1 T60300", "nonsense"])
    assert free == (pools.Extent("T60300", "3390-A", 220346, 14420, "POOL1", "T60300"),)
    assert free[0].type == "ECKD"
    assert free[0].bytes == 14420 * 737280
    used = pools.parse_used(["LX4004 3390 1 21846 LNX008 0100 * POOL1 LX4004"])
    assert (used[0].owner, used[0].vdev, used[0].pool, used[0].size) == ("LNX008", "0100", "POOL1", 21846)
    assert pools.parse_free(["F1 9336-ET 1 100 POOL2 F1"])[0].bytes == 51200
    assert [pools.Extent("V", "????", 1, size, "P").type for size in (100, 200_000)] == ["ECKD", "FBA"]


def test_adapters_are_read_with_their_addresses() -> None:
    items = (
        ["adapter_count=2", "adapter_address=1000", "x"][0],
        "adapter_address=1000",
        "adapter_status=02",
        "lan_owner=SYSTEM",
        "lan_name=VSW1",
        "mac_count=1",
        "mac_address=0255365D4857",
        "mac_ip_version=4",
        "mac_ip_address=192.0.2.9",
        "mac_info_end",
        "adapter_info_end",
        "adapter_address=2000",
        "adapter_info_end",
    )
    first, second = queries.parse_adapters(items)
    assert first == {
        "adapter_address": "1000",
        "adapter_status": "02",
        "lan_owner": "SYSTEM",
        "lan_name": "VSW1",
        "mac_count": "1",
        "macs": [{"mac_address": "0255365D4857", "mac_ip_version": "4", "mac_ip_address": "192.0.2.9"}],
    }
    assert second == {"adapter_address": "2000", "macs": []}


def test_nested_keywords_of_system_information_are_read_by_their_inner_name() -> None:
    found = queries.pairs(["STORAGE=STORAGE=50G CONFIGURED=50G STANDBY=2G", "CPU_COUNT=0004\0", "CPU_AVERAGE_USE=7%"])
    assert (found["STORAGE"], found["STANDBY"], found["CPU_COUNT"]) == ("50G", "2G", "0004")
    assert [queries.megabytes(text) for text in ("50G", "512M", "1T", "x")] == [51200, 512, 1048576, 0]


@pytest.mark.parametrize(
    ("records", "shown"),
    [
        (["USER LINUX01 GEHEIM".ljust(80, "X")], "USER ********"),
        ([" user LINUX01 GEHEIM".ljust(80, "X")], "USER ********"),
        (["IDENTITY LINUX01 GEHEIM".ljust(80, "X")], "IDENTITY ********"),
        (["USER LINUX01 PW", "MDISK 0100 3390 1 10 VOL1 MR GEHEIM".ljust(80, "X")], "MDISK ********"),
        (["USER LINUX01 PW", "*PW GEHEIM".ljust(80, "X")], "'********'"),
        (["USER LINUX01,", "  GEHEIM 1G".ljust(80, "X")], "'********'"),
        (["USER LINUX01 GEHEIM 1G,"], "USER ********"),
        (["USER LINUX01 GEHEIM 1G\a"], "USER ********"),
        (["USER LINUX01 PW", "COMMAND GEHEIM".ljust(80, "X")], "COMMAND ********"),
    ],
)
def test_a_record_that_cannot_be_read_shows_no_password(records: list[str], shown: str) -> None:
    with pytest.raises(AgentError) as caught:
        entries.checked(records)
    assert shown in caught.value.problem.detail
    assert "GEHEIM" not in caught.value.problem.detail
