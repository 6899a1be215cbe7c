"""CP commands: what is built is what CP reads, and no operand can carry a second command."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zvmcloud.cp import commands


@pytest.mark.parametrize(
    ("built", "text"),
    [
        (commands.query_userid(), "QUERY USERID"),
        (commands.query_user("linux01"), "QUERY USER LINUX01"),
        (commands.query_virtual("100"), "QUERY VIRTUAL 0100"),
        (commands.link("linux01", "100", "f000", "mr"), "LINK LINUX01 0100 AS F000 MR"),
        (commands.detach("f000"), "DETACH F000"),
        (commands.change_reader("101", "x"), "CHANGE RDR 0101 CLASS X"),
        (commands.change_reader("7", file_name="cfgdrive", file_type="iso"), "CHANGE RDR 0007 NAME CFGDRIVE ISO"),
        (commands.transfer_reader("101", "linux01"), "TRANSFER * RDR 0101 TO LINUX01 RDR"),
        (commands.purge_reader("101"), "PURGE RDR 0101"),
        (commands.purge_reader("all", "linux01"), "PURGE LINUX01 RDR ALL"),
        (commands.xautolog("linux01"), "XAUTOLOG LINUX01"),
        (commands.force("linux01"), "FORCE LINUX01"),
        (commands.signal_shutdown("linux01", 120), "SIGNAL SHUTDOWN LINUX01 WITHIN 120"),
        (commands.send("linux01", "uname -a"), "SEND LINUX01 uname -a"),
        (commands.query_vswitch(), "QUERY VSWITCH ALL"),
        (commands.query_vswitch("vsw1", details=True), "QUERY VSWITCH VSW1 DETAILS"),
        (commands.set_vswitch_grant("vsw1", "linux01", 12), "SET VSWITCH VSW1 GRANT LINUX01 VLAN 12"),
        (commands.spool_reader_any_class(), "SPOOL READER CLASS *"),
        (commands.spool_punch("linux01", "x"), "SPOOL PUNCH TO LINUX01 CLASS X"),
    ],
)
def test_commands_have_the_words_cp_expects(built: str, text: str) -> None:
    assert built == text


@pytest.mark.parametrize(
    ("build", "operand"),
    [
        (lambda: commands.query_user("TOOLONGID"), "userid"),
        (lambda: commands.query_user(""), "userid"),
        (lambda: commands.link("LINUX01", "01000", "F000", "MR"), "owner_vdev"),
        (lambda: commands.link("LINUX01", "0100", "XYZ", "MR"), "as_vdev"),
        (lambda: commands.link("LINUX01", "0100", "F000", "MR; FORCE"), "mode"),
        (lambda: commands.flashcopy("0100", "0101", 1_182_006), "last"),
        (lambda: commands.change_reader("0", "X"), "spoolid"),
        (lambda: commands.change_reader("1", "XX"), "class"),
        (lambda: commands.change_reader("1"), "file_class"),
        (lambda: commands.signal_shutdown("LINUX01", -1), "within"),
        (lambda: commands.send("LINUX01", "a#CP SHUTDOWN"), "text"),
        (lambda: commands.send("LINUX01", "x" * 300), "command"),
        (lambda: commands.set_vswitch_grant("VSW1", "LINUX01", 4095), "vlan"),
        (lambda: commands.query_vswitch("A B"), "switch"),
    ],
)
def test_a_bad_operand_is_named(build: Callable[[], str], operand: str) -> None:
    with pytest.raises(commands.OperandError) as caught:
        build()
    assert caught.value.operand == operand
    assert caught.value.rule


@given(st.text(max_size=12))
def test_whatever_is_given_as_a_userid_a_command_keeps_its_number_of_words(text: str) -> None:
    try:
        command = commands.force(text)
    except commands.OperandError:
        return
    assert len(command.split()) == 2
    assert command.isascii()
    assert command.isprintable()
