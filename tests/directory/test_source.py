"""Source directories: what goes in comes out, and what is wrong is told with its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zvmcloud.directory import Volume, source

TEXT = """\
DIRECTORY 0123 3390 M01RES
GLOBALDEFS
  GLOBALOPTS MACROLOAD

* the profile
PROFILE LNXDFLT
  IPL CMS
*
USER LINUX01 LBYONLY 2G 4G G
 INCLUDE LNXDFLT
* Made by Hand, with Small Letters
 NICDEF 1000 TYPE QDIO DEVICES 3
 NICDEF 1000 LAN SYSTEM VSW1
 MDISK 0100 3390 1 100,
    LX0001 MR READ WRITE
 FUTURE thing 'Of a Kind'

IDENTITY OPS OPSPW 32M 64M G
 BUILD ON ZVM1 USING SUBCONFIG OPS-1
SUBCONFIG OPS-1
 MDISK 0191 3390 101 5 LX0001 MR
*DVHOPT LNK0 LOG1 RCM1
"""
VOLUMES = {"LX0001": Volume("LX0001", "3390-03", 3339), "FB0001": Volume("FB0001", "9336-ET", 10_000)}


def again(text: str) -> str:
    found = source.read(text)
    assert found.problems == ()
    return source.write(found.header, (item.entry.render() for item in found.entries), found.layout)


def numbered(text: str, first: int, step: int) -> str:
    return "".join(f"{line:<72}{first + number * step:08d}\n" for number, line in enumerate(text.splitlines()))


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.rstrip("\n"),
        TEXT.replace("\n", "\r\n"),
        numbered(TEXT, 10, 10),
        numbered(TEXT, 10000, 1000),
        "".join(f"{line:<80}\n" for line in TEXT.splitlines()),
    ],
)
def test_a_directory_comes_out_as_it_went_in(text: str) -> None:
    assert again(text) == text


def test_an_irregular_file_is_stable_from_the_second_time_on() -> None:
    text = TEXT.replace("  IPL CMS", "  IPL CMS   ")
    assert again(text) != text
    assert again(again(text)) == again(text)


def test_what_is_read() -> None:
    found = source.read(TEXT)
    assert [(item.line, item.entry.kind, item.entry.name) for item in found.entries] == [
        (6, "PROFILE", "LNXDFLT"),
        (9, "USER", "LINUX01"),
        (18, "IDENTITY", "OPS"),
        (20, "SUBCONFIG", "OPS-1"),
    ]
    assert found.header[0] == "DIRECTORY 0123 3390 M01RES"
    identity = found.entries[2].entry
    assert identity.subconfig_for("ZVM1") == "OPS-1"
    assert identity.subconfig_for("ZVM2") == ""
    assert source.check_extents(found, VOLUMES) == ()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["MDISK 0101 3390 100 1 LX0001 MR"], (17, "overlaps LINUX01 0100")),
        (["MDISK 0101 3390 3338 2 LX0001 MR"], (17, "beyond volume LX0001 of 3339")),
        (["MDISK 0101 3390 1 1 NOVOL MR"], (17, "volume NOVOL does not exist")),
        (["MDISK 0101 9336 200 1 LX0001 MR"], (17, "is not the type of volume LX0001 (3390-03)")),
        (["MDISK 0101 3390 0 END LX0001 MR"], None),
        (["MDISK 0101 FB-512 V-DISK 100 MR"], None),
        (["MDISK 0101 FB-512 9999 1 FB0001 MR"], None),
    ],
)
def test_minidisks_are_checked_against_their_volumes(lines: list[str], expected: tuple[int, str] | None) -> None:
    records = TEXT.splitlines()
    records[16:16] = lines
    found = source.read("\n".join(records) + "\n")
    assert found.problems == ()
    wrong = source.check_extents(found, VOLUMES)
    if expected is None:
        assert wrong == ()
    else:
        (problem,) = (item for item in wrong if item.line == expected[0])
        assert expected[1] in problem.text


@pytest.mark.parametrize(
    ("line", "at"),
    [("MDISK 01X0 3390 1 1 LX0001 MR", 17), ("SPOOL 0100 2540 READER A", 17), ("X" * 90, 17), ("IPL \x07", 17)],
)
def test_a_wrong_line_is_told(line: str, at: int) -> None:
    records = TEXT.splitlines()
    records[16:16] = [line]
    found = source.read("\n".join(records) + "\n")
    assert [problem.line for problem in found.problems] == [at]


def test_a_name_is_defined_once() -> None:
    found = source.read(TEXT + "USER LINUX01 NOLOG 1M 1M G\n")
    assert str(found.problems[0]) == "line 23: LINUX01 is defined at line 9 already"


def test_volumes_that_only_the_directory_knows_are_large_enough() -> None:
    disks = ("MDISK 1 3390 3000 1000 V1 MR", "MDISK 2 FB-512 16 9000000 V2 MR", "MDISK 3 3390 1 262668 V3 MR")
    found = source.read("\n".join(("USER A NOLOG 1M 1M G", *disks, "")))
    made = {volume.volser: volume for volume in source.missing_volumes(found, {})}
    assert (made["V1"].size, made["V1"].model) == (10017, "3390-09")
    assert made["V2"].size == 9_000_016
    assert (made["V3"].size, made["V3"].model) == (1_182_006, "3390-0A")
    assert source.check_extents(found, made) == ()


@given(st.text(alphabet="ABZ0123 ,*'\n\r\tüUSERPROFILEMDISK", max_size=300))
def test_any_file_can_be_read(text: str) -> None:
    found = source.read(text)
    written = source.write(found.header, (item.entry.render() for item in found.entries), found.layout)
    if not found.problems:
        second = source.read(written)
        assert [item.entry for item in second.entries] == [item.entry for item in found.entries]
