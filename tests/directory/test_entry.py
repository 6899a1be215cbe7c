"""Directory entries: views, edits, and keeping what is not understood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zvmcloud.directory import DirectoryError, Entry, parse_directory, statements
from zvmcloud.directory.devices import Mdisk, Nicdef

LINUX = [
    "user linux01 lbyonly 2G 64G G",
    "INCLUDE LNXDFLT",
    "MACHINE ESA 32",
    "COMMAND SET VCONFIG MODE LINUX",
    "COMMAND DEFINE CPU 00 TYPE IFL",
    "COMMAND DEFINE CPU 01 TYPE IFL",
    "SHARE RELATIVE 200",
    "IPL 0100 PARM AUTOCR LOADPARM 2",
    "LOGONBY MAINT OPERATOR",
    "COMMAND DEF STOR INITIAL STANDBY REMAINDER",
    "LINK MAINT 190 190 RR",
    "DEDICATE 5000 F080",
    "MDISK 0100 3390 1 3338 LX0001 MR READ WRITE MULTIPLE",
    "MDISK 0101 FB-512 V-DISK 1024 MWV",
    "NICDEF 1000 TYPE QDIO DEVICES 3 MACID 123456",
    "NICDEF 1000 LAN SYSTEM VSW1",
    "* made by a test",
    "*DVHOPT LNK0 LOG1",
]


def test_the_views_of_a_linux_guest() -> None:
    entry = Entry.parse(LINUX)
    assert (entry.kind, entry.name, entry.password) == ("USER", "LINUX01", "LBYONLY")
    assert (entry.storage_kib, entry.max_storage_kib) == (2 << 20, 64 << 20)
    assert entry.privilege_classes == "G"
    assert entry.machine == ("ESA", 32)
    assert entry.cpus == ("00", "01")
    assert entry.share == ("RELATIVE", "200")
    assert entry.logonby == ("MAINT", "OPERATOR")
    assert entry.includes == ("LNXDFLT",)
    ipl = entry.ipl
    assert ipl is not None
    assert (ipl.vdev, ipl.parameters, ipl.loadparm) == ("0100", "AUTOCR", "2")
    disk = Mdisk("0100", "3390", "PERM", 1, 3338, "LX0001", "MR", ("READ", "WRITE", "MULTIPLE"))
    assert entry.mdisks == (disk, Mdisk("0101", "FB-512", "V-DISK", None, 1024, "", "MWV"))
    assert entry.nicdefs == (Nicdef("1000", "QDIO", 3, "SYSTEM", "VSW1", "123456"),)
    assert entry.links[0].vdev == "0190"
    assert entry.dedicates[0].rdev == "F080"
    assert entry.device_addresses == {"0100", "0101", "0190", "1000", "5000"}


def test_nicdef_statements_of_one_adapter_become_one() -> None:
    lines = Entry.parse(LINUX).normalised().render()
    assert "NICDEF 1000 TYPE QDIO LAN SYSTEM VSW1 DEVICES 3 MACID 123456" in lines
    assert sum(line.startswith("NICDEF") for line in lines) == 1


def test_every_record_is_kept() -> None:
    assert Entry.parse(LINUX).render() == tuple(line.upper() for line in LINUX)


def test_a_device_address_is_defined_once() -> None:
    with pytest.raises(DirectoryError, match="a virtual device is defined once"):
        Entry.parse([*LINUX, "DEDICATE 100 F081"])


def test_an_entry_has_one_entry_statement() -> None:
    with pytest.raises(DirectoryError, match="one entry"):
        Entry.parse(["USER A PW 1M 1M G", "USER B PW 1M 1M G"])
    with pytest.raises(DirectoryError, match="first statement"):
        Entry.parse(["MACHINE ESA"])


def test_removing_a_device_leaves_the_rest() -> None:
    entry = Entry.parse(LINUX).without_device("1000")
    assert entry.nicdefs == ()
    assert len(entry.render()) == len(LINUX) - 2


def test_an_added_statement_goes_before_the_directory_managers_own() -> None:
    entry = Entry.parse(LINUX).add(statements.make("MDISK", "0102", "3390", 5000, 10, "LX0001", "MR"))
    assert entry.render()[-2:] == ("MDISK 0102 3390 5000 10 LX0001 MR", "*DVHOPT LNK0 LOG1")


def test_password_and_storage_can_be_replaced() -> None:
    entry = Entry.parse(LINUX).with_operand(2, "NEWPASS").with_operand(3, "4G")
    assert entry.accepts_password("newpass")
    assert entry.storage_kib == 4 << 20
    assert "NEWPASS" not in repr(entry) + repr(entry.statements)


@pytest.mark.parametrize("word", ["NOLOG", "LBYONLY", "AUTOONLY"])
def test_words_that_stand_for_no_password_are_not_passwords(word: str) -> None:
    assert not Entry.parse([f"USER A {word} 1M 1M G"]).accepts_password(word)


def test_a_profile_supplies_what_the_entry_does_not_say() -> None:
    profile = Entry.parse(
        ["PROFILE LNXDFLT", "IPL CMS", "CONSOLE 0009 3215 T", "SPOOL 000C 2540 READER *", "LINK MAINT 190 190 RR"]
    )
    seen = Entry.parse(LINUX).with_profile(profile)
    assert seen.ipl is not None
    assert seen.ipl.source == "0100"
    assert [unit.device_type for unit in seen.unit_records] == ["3215", "RDR"]
    assert len(seen.links) == 1


def test_a_source_directory_is_split_into_its_entries() -> None:
    entries = parse_directory(["DIRECTORY 0123 3390 M01RES", "*", "PROFILE P", "IPL CMS", "USER A PW 1M 1M G"])
    assert [(entry.kind, entry.name) for entry in entries] == [("PROFILE", "P"), ("USER", "A")]


vdevs = st.integers(0, 0xFFFF).map(lambda number: f"{number:04X}")
disks = st.builds(
    Mdisk,
    vdevs,
    st.just("3390"),
    st.just("PERM"),
    st.integers(1, 60000),
    st.integers(1, 60000),
    st.text("ABCXYZ019", min_size=1, max_size=6),
    st.sampled_from(["R", "RR", "MR", "MW"]),
    st.just(("RPW", "WPW", "MPW")),
)
nics = st.builds(
    Nicdef,
    vdevs,
    st.sampled_from(["QDIO", "HIPERS"]),
    st.integers(3, 3072),
    st.just("SYSTEM"),
    st.text("VSW123", min_size=1, max_size=8),
    st.sampled_from(["", "123456", "ABCDEF"]),
    st.sampled_from(["", "1F"]),
    st.sampled_from(["", "10", "1-100"]),
    st.sampled_from(["", "ACCESS", "TRUNK"]),
)


@given(disks, nics)
def test_a_view_and_its_statement_say_the_same(disk: Mdisk, nic: Nicdef) -> None:
    assert Mdisk.of(disk.statement()) == disk
    assert Nicdef.of([nic.statement()]) == nic


@given(st.lists(disks, max_size=8, unique_by=lambda disk: disk.vdev))
def test_adding_and_removing_a_device_gives_the_entry_back(found: list[Mdisk]) -> None:
    entry = Entry.parse(["USER A PW 1M 1M G", "MACHINE ESA"])
    changed = entry
    for disk in found:
        changed = changed.add(disk.statement())
    assert changed.mdisks == tuple(found)
    for disk in found:
        changed = changed.without_device(disk.vdev)
    assert changed == entry
