"""The pool file of zHCP: read and written back the same; every line that is wrong is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zvmcloud.manager.storage import pool_file
from zvmcloud.manager.storage.pool_file import HEADER, Lun, PoolFileError

FILE = f"""{HEADER}
free,5005076306138411;5005076306138412,4010400400000000,10G,1f00-1f0f,,,
used,5005076306138411,4010400500000000,10G,1f00-1f0f,lnx1,1f01,replace_root
reserved,5005076306138411,4010400600000000,,,lnx2,,
"""

PORTS = "5005076306138411;5005076306138412"
DIGITS = st.integers(0, 2**64 - 1).map("{:016x}".format)
DEVICE = st.integers(0, 0xFFFF).map("{:04x}".format)
RANGE = st.tuples(DEVICE, DEVICE).map(lambda pair: "-".join(sorted(pair))) | DEVICE


@st.composite
def luns(draw: st.DrawFn) -> Lun:
    state = draw(st.sampled_from(pool_file.STATES))
    owner = draw(st.from_regex(r"[A-Za-z0-9@#$]{1,8}", fullmatch=True)) if state != "free" else ""
    return Lun(
        state,
        tuple(draw(st.lists(DIGITS, min_size=1, max_size=4, unique=True))),
        draw(DIGITS),
        draw(st.integers(0, 2**32)),
        ";".join(draw(st.lists(RANGE, max_size=3))),
        owner,
        tuple(draw(st.lists(DEVICE, max_size=3))) if state != "free" else (),
        draw(st.sampled_from(["", "replace_root", "x-1"])),
    )


@given(st.lists(luns(), max_size=6, unique_by=lambda item: item.lun))
def test_what_is_written_is_read_again(found: list[Lun]) -> None:
    assert pool_file.parse(pool_file.render(found)) == tuple(found)


def test_a_file_in_its_own_spelling_is_written_back_to_the_letter() -> None:
    assert pool_file.render(pool_file.parse(FILE)) == FILE


def test_a_size_may_have_a_fraction() -> None:
    (found,) = pool_file.parse("free,5005076306138411,4010400400000000,1.5G,,,,\n")
    assert found.size_mb == 1536
    assert ",1536M," in pool_file.render([found])


@pytest.mark.parametrize(
    ("column", "value", "field"),
    [
        (0, "busy", "status"), (0, "", "status"), (0, "used", "owner"), (1, "", "wwpn"), (1, "50050763061384", "wwpn"),
        (1, "5005076306138411;5005076306138411", "wwpn"), (2, "401040040000000g", "lun"), (3, "10", "size"),
        (3, "0G", "size"), (3, "10T", "size"), (4, "1f0f-1f00", "range"), (4, "1f0", "range"), (4, ";", "range"),
        (5, "lnx1", "owner"), (6, "1f00", "channel"), (7, "a b", "tag"),
    ],
)  # fmt: skip
def test_a_column_that_is_wrong_is_named_with_its_line(column: int, value: str, field: str) -> None:
    columns = ["free", "5005076306138411", "4010400400000000", "10G", "1f00-1f0f", "", "", ""]
    columns[column] = value
    with pytest.raises(PoolFileError) as caught:
        pool_file.parse(f"{HEADER}\n\n{','.join(columns)}\n")
    assert [(fault.line, fault.field) for fault in caught.value.faults] == [(3, field)]
    assert f"line 3, {field}" in str(caught.value)


def test_all_wrong_lines_are_named_at_once() -> None:
    text = FILE + "free,1,2\n" + "what,5005076306138411,4010400700000000,,,,,\n" + FILE.splitlines()[1] + "\n"
    with pytest.raises(PoolFileError) as caught:
        pool_file.parse(text)
    assert [fault.line for fault in caught.value.faults] == [5, 6, 7]
    assert "line 2 has this LUN" in caught.value.faults[2].limit
    many = "\n".join(["what"] * 30)
    with pytest.raises(PoolFileError, match="and 10 more"):
        pool_file.parse(many)


def test_a_lun_is_reached_through_the_devices_of_its_range() -> None:
    found = pool_file.parse("free,5005076306138411,4010400400000000,,1F00-1f0f;2a80,,,\n")[0]
    assert [found.allows(fcp) for fcp in ("1f00", "1F0F", "1f10", "2a80", "2a81")] == [True, True, False, True, False]


def test_a_table_names_its_columns() -> None:
    lines = ("LUN, wwpn,size", f"4010400400000000,{PORTS},10G", "", "4010400500000000,5005076306138411,")
    table = "\n".join(lines)
    first, second = pool_file.parse(table)
    assert (first.state, first.lun, first.size_mb, len(first.wwpns)) == ("free", "4010400400000000", 10240, 2)
    assert (second.size_mb, second.devices, second.owner) == (0, "", "")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("lun,wwpn,colour\n", "line 1, columns: 'colour' given"),
        ("lun,wwpn,lun\n", "line 1, columns"),
        ("lun,wwpn\n4010400400000000\n", "line 2, columns"),
        ("lun,wwpn\n4010400400000000,5\n", "line 2, wwpn"),
        ("lun,wwpn,status\n4010400400000000,5005076306138411,used\n", "line 2, owner"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(table: str, words: str) -> None:
    with pytest.raises(PoolFileError, match=words):
        pool_file.parse(table)
