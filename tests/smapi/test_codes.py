"""What return and reason codes say."""

import pytest

from zvmcloud.smapi.codes import CODES, SYNTAX_DETAILS, meaning, retryable


@pytest.mark.parametrize(
    ("rc", "rs", "text"),
    [
        (0, 0, "success"),
        (100, 16, "not authorized, says the SMAPI authorization file"),
        (200, 12, "userid is not logged on"),
        (212, 40, "no such VSWITCH"),
        (400, 8, "a directory entry of that name is there already"),
        (900, 12, "SMAPI has no function of that name"),
    ],
)
def test_a_documented_pair_has_one_general_meaning(rc: int, rs: int, text: str) -> None:
    assert meaning(rc, rs) == text
    assert meaning(rc, rs, "Image_Activate") == text


@pytest.mark.parametrize(
    ("rc", "rs", "function", "text"),
    [
        (0, 12, "Image_Status_Query", "the userid is not logged on"),
        (0, 12, "Name_List_Add", "the name list is new"),
        (4, 4, "Response_Recovery", "the server holds no reply under that request id"),
        (8, 4, "System_RDR_File_Query", "the reader is empty"),
        (8, 8, "Image_Console_Get", "there is no console output"),
        (200, 12, "Process_ABEND_Dump", "the dump-processing userid is off or busy"),
        (404, 24, "Image_Unlock_DM", "the device has not been locked"),
    ],
)
def test_a_function_may_give_a_pair_its_own_meaning(rc: int, rs: int, function: str, text: str) -> None:
    assert meaning(rc, rs, function) == text
    assert meaning(rc, rs, function.lower()) == text
    assert meaning(rc, rs) != text


def test_syntax_errors_name_the_parameter_and_its_fault() -> None:
    assert meaning(24, 313) == "parameter 3 is longer than its limit or than the request"
    assert meaning(24, 1024, "Image_Create_DM") == "parameter 10 is required"
    assert meaning(24, 277) == "parameter 2 is malformed in a way that is not documented (detail 77)"
    assert meaning(24, 19) == "a parameter is none of the values known"
    assert meaning(24, 13, "Metadata_Set") == "a metadata name has more than 1024 characters"


def test_a_reason_code_that_carries_a_number_is_shown() -> None:
    assert meaning(396, 2846).endswith("(396/2846)")
    assert meaning(596, 3658).endswith("(596/3658)")
    assert meaning(0, 300, "Image_Deactivate").startswith("the guest has been signalled")


def test_an_unknown_pair_is_called_undocumented() -> None:
    assert meaning(777, 5) == "return code 777, reason code 5 is not documented"
    assert meaning(0, 300) == "return code 0, reason code 300 is not documented"
    assert meaning(400, 999, "Image_Query_DM") == "return code 400, reason code 999 is not documented"


@pytest.mark.parametrize(("rc", "rs"), [(400, 12), (404, 12), (408, 12), (204, 12), (500, 8), (900, 8), (900, 99)])
def test_locks_and_absent_servers_are_worth_a_retry(rc: int, rs: int) -> None:
    assert retryable(rc, rs)


@pytest.mark.parametrize(("rc", "rs"), [(0, 0), (24, 313), (100, 8), (120, 0), (200, 4), (400, 8), (592, 12), (777, 5)])
def test_refusals_and_faulty_requests_are_not(rc: int, rs: int) -> None:
    assert not retryable(rc, rs)


def test_every_documented_code_is_there_once() -> None:
    general = [(code.rc, code.rs) for code in CODES if code.functions is None]
    assert len(general) == len(set(general))
    special = [(code.rc, code.rs, name) for code in CODES for name in code.functions or ()]
    assert len(special) == len(set(special))
    assert len(set(general) | {(rc, rs) for rc, rs, _ in special}) == 308
    assert all(code.meaning and not code.meaning.endswith(".") for code in CODES)
    assert len(SYNTAX_DETAILS) == 24
