"""Directory statements: records, continuation, comments, operands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zvmcloud.directory import operands, statements
from zvmcloud.directory.statements import DirectoryError


def test_a_continued_statement_is_one_statement_and_keeps_its_records() -> None:
    (item,) = statements.split(["MDISK 0100 3390 1 100,", "   LX0001 MR"])
    assert item.words == ("MDISK", "0100", "3390", "1", "100", "LX0001", "MR")
    assert item.records == ("MDISK 0100 3390 1 100,", "   LX0001 MR")


def test_text_is_upper_cased_except_in_quotes() -> None:
    (item,) = statements.split(["loaddev scpdata 'root=/dev/dasda1 Ab'"])
    assert item.words == ("LOADDEV", "SCPDATA", "'root=/dev/dasda1 Ab'")


def test_sequence_numbers_are_dropped_and_other_text_beyond_column_72_is_refused() -> None:
    (item,) = statements.split(["IPL CMS".ljust(72) + "00010000"])
    assert item.records == ("IPL CMS",)
    with pytest.raises(DirectoryError, match="72 columns"):
        statements.split(["IPL CMS".ljust(72) + "PARM"])


def test_comments_stay() -> None:
    items = statements.split(["* owner: web team", "IPL CMS"])
    assert [item.is_comment for item in items] == [True, False]
    assert items[0].records == ("* OWNER: WEB TEAM",)


def test_a_continuation_needs_a_next_record() -> None:
    with pytest.raises(DirectoryError) as caught:
        statements.split(["IPL CMS", "MDISK 0100,"])
    assert caught.value.line == 2


@pytest.mark.parametrize(
    ("record", "operand"),
    [
        ("USER", "userid"),
        ("USER TOOLONGNAME PW 1G 1G G", "userid"),
        ("USER LINUX01 PW 1G2 2G G", "storage"),
        ("USER LINUX01 PW 4G 2G G", "storage"),
        ("USER LINUX01 PASSWORDTOOLONG 1G 1G G", "password"),
        ("USER LINUX01 PW 1G 1G G7", "privilege classes"),
        ("MDISK 01G0 3390 1 100 LX0001 MR", "virtual device number"),
        ("MDISK 0100 3390 ONE 100 LX0001 MR", "start"),
        ("MDISK 0100 3390 1 0 LX0001 MR", "size"),
        ("MDISK 0100 3390 1 100 LX0001 XX", "access mode"),
        ("MDISK 0100 3390 1 100 LX0001TOO MR", "volume"),
        ("MDISK 0100 3390 V-DISK 100 MR", "device type"),
        ("MDISK 0100 3390 1 1182007 LX0001 MR", "size"),
        ("MDISK 0100 3390 T-DISK 1182007 MR", "size"),
        ("NICDEF 1000 TYPE TOKENRING", "TYPE"),
        ("NICDEF 1000 TYPE QDIO DEVICES 2", "DEVICES"),
        ("NICDEF 1000 TYPE QDIO MACID 12345G", "MACID"),
        ("NICDEF 1000 COLOUR RED", "option"),
        ("MACHINE S370", "architecture"),
        ("MACHINE ESA 65", "maximum number of CPUs"),
        ("CPU 40", "address"),
        ("LINK MAINT", "owner's device number"),
        ("LOGONBY", "userid"),
        ("DEDICATE 1000", "real device number"),
    ],
)
def test_a_wrong_operand_is_named_with_its_line(record: str, operand: str) -> None:
    (item,) = statements.split([record])
    with pytest.raises(DirectoryError) as caught:
        operands.check(item, 7)
    assert caught.value.line == 7
    assert operand in caught.value.operand
    assert caught.value.limit in str(caught.value)


def test_unknown_statements_pass() -> None:
    (item,) = statements.split(["FUTURE STATEMENT X=1"])
    operands.check(item, 1)
    assert item.keyword == "FUTURE"


def test_passwords_do_not_appear_in_a_repr_or_an_error() -> None:
    (user, disk) = statements.split(
        ["USER LINUX01 SECRET1 1G 1G G", "MDISK 0100 3390 1 9 LX0001 MR RSECRET WSECRET MSECRET"]
    )
    assert "SECRET" not in repr(user) + repr(disk)
    with pytest.raises(DirectoryError) as caught:
        operands.check(statements.split(["USER LINUX01 SECRETSECRET 1G 1G G"])[0], 1)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(("text", "kib"), [("1M", 1024), ("512K", 512), ("2G", 2 << 20), ("1T", 1 << 30), ("12", None)])
def test_storage_sizes(text: str, kib: int | None) -> None:
    assert statements.storage_kib(text) == kib


@given(st.lists(st.text(max_size=20), min_size=1, max_size=6))
def test_no_value_is_read_back_as_something_else(values: list[str]) -> None:
    try:
        item = statements.make("IPL", *values)
    except DirectoryError:
        return
    assert item.words == ("IPL", *(statements.upper(value) for value in values if value))
    assert statements.split(item.records) == (item,)


@pytest.mark.parametrize("value", ["A B", "A\nMDISK", "A,", "it's", "'a' b", "x" * 69, "A\u00a0B"])
def test_a_value_cannot_smuggle_words_into_a_statement(value: str) -> None:
    with pytest.raises(DirectoryError):
        statements.make("IPL", value)


words = st.lists(st.text("ABCDEFGHIJ0123456789=@#$", min_size=1, max_size=12), min_size=1, max_size=30)


@given(words)
def test_what_make_wraps_split_reads_back(values: list[str]) -> None:
    item = statements.make(*values)
    assert all(len(record) <= 72 for record in item.records)
    assert statements.split(item.records) == (item,)
    assert item.words == tuple(values)


@pytest.mark.parametrize("keyword", sorted(statements.KEYWORDS - {"ACCOUNT", "COMMAND", "LOADDEV", "SHARE"}))
def test_every_keyword_but_four_is_one_whose_operands_are_checked(keyword: str) -> None:
    with pytest.raises(DirectoryError):
        operands.check(statements.make(keyword), 1)
