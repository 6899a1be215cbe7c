"""CP messages: what is rendered is recognised, and the corpus's own lines are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zvmcloud.cp import messages

WORD = st.from_regex(r"[A-Z0-9]{1,8}", fullmatch=True)


@given(st.sampled_from(messages.MESSAGES), st.data())
def test_a_rendered_message_is_recognised_with_its_operands(message: messages.Message, data: st.DataObject) -> None:
    operands = {name: data.draw(WORD) for name in message.operands}
    seen = messages.recognise(message.render(**operands))
    assert seen is not None
    assert (seen.number, seen.module, seen.severity) == (message.number, message.module, message.severity)
    assert seen.message is message
    assert seen.operands == operands


@pytest.mark.parametrize(
    ("line", "message", "operands"),
    [
        ("HCPCQU045E TSTGUEST not logged on", messages.NOT_LOGGED_ON, {"userid": "TSTGUEST"}),
        ("HCPCQV003E Invalid option - XXXXX", messages.INVALID_OPTION, {"option": "XXXXX"}),
        ("HCPCQU361E LOGOFF/FORCE pending for user xxxxxx", messages.LOGOFF_PENDING, {"userid": "xxxxxx"}),
        ("HCPQVD040E Device 0A00 does not exist", messages.DEVICE_MISSING, {"vdev": "0A00"}),
        ("HCPDTV040E Device 260C does not exist", messages.DEVICE_MISSING, {"vdev": "260C"}),
        ("HCPLNM053E FAKEUSER not in CP directory", messages.NOT_IN_DIRECTORY, {"userid": "FAKEUSER"}),
        (
            "HCPLNM107E FAKEUSER FFFF not linked; not in CP directory",
            messages.LINK_NO_DISK,
            {"userid": "FAKEUSER", "vdev": "FFFF"},
        ),
        ("HCPCFC026E Operand missing or invalid", messages.OPERAND_INVALID, {}),
        ("HCPQPA846E Invalid channel path identifier.", messages.CHPID_INVALID, {}),
    ],
)
def test_lines_of_the_corpus_are_recognised(line: str, message: messages.Message, operands: dict[str, str]) -> None:
    seen = messages.recognise(line)
    assert seen is not None
    assert seen.message is message
    assert seen.operands == operands
    assert seen.is_error


@pytest.mark.parametrize("line", ["", "LINUX01  - DSC", "HCP", "Error: non-zero CP response for command 'X': #45"])
def test_a_line_that_is_no_message_is_not_taken_for_one(line: str) -> None:
    assert messages.recognise(line) is None


def test_an_unknown_message_still_gives_its_number_and_severity() -> None:
    seen = messages.recognise("HCPXYZ9876I something new")
    assert seen is not None
    assert (seen.number, seen.message, seen.text, seen.is_error) == (9876, None, "something new", False)


def test_the_first_error_is_found_among_other_lines() -> None:
    error = messages.first_error(["DASD 0100 LINKED R/O", "HCPLNM101I x", "HCPDTV040E Device 0100 does not exist"])
    assert error is not None
    assert error.number == 40


def test_identifiers_are_unique() -> None:
    assert len({(m.identifier, m.template) for m in messages.MESSAGES}) == len(messages.MESSAGES)
