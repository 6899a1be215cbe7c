"""The bytes of a real z/VM 7.1 come through the codec unchanged."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from zvmcloud.smapi import functions as f
from zvmcloud.smapi.connection import ReplyFrame
from zvmcloud.smapi.errors import ParameterError, WireError
from zvmcloud.smapi.recording import Exchange, load, read_answer, read_request, verify

RECORDED = load(Path(__file__).with_name("recorded.jsonl"))


def exchange(label: str) -> Exchange:
    return next(found for found in RECORDED if found.label == label)


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda found: found.label)
def test_an_exchange_decodes_with_every_byte_used_and_encodes_to_the_same_bytes(recorded: Exchange) -> None:
    index = RECORDED.index(recorded)
    neighbour = RECORDED[(index + 1) % len(RECORDED)]
    assert [found for found in verify([recorded, neighbour]) if found.label == recorded.label] == []


def test_a_changed_byte_in_a_recording_is_noticed() -> None:
    recorded = exchange("Image_Status_Query/1.test")
    for at in range(16, len(recorded.received)):
        received = bytearray(recorded.received)
        received[at] ^= 0x01
        frame, request, _, _ = read_request([recorded.sent])
        assert frame.function == "Image_Status_Query"
        try:
            _, answer, again = read_answer(request, [bytes(received)])
        except WireError:
            continue
        assert answer is not None
        assert again == bytes(received)
        assert again != recorded.received


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda found: found.label)
def test_a_reply_that_is_a_byte_short_or_long_is_refused(recorded: Exchange) -> None:
    """The codec must not pass by ignoring bytes: a wrong length inside a consistent frame is an error.

    The two documented freedoms remain: the NUL behind a last string, and one NUL behind counted error text.
    """
    _, request, _, _ = read_request([recorded.sent])
    events, _, _ = read_answer(request, [recorded.received])
    frames = [event for event in events if isinstance(event, ReplyFrame)]
    for frame in frames:
        for data in (frame.data[:-1], frame.data + b"\x01"):
            if not frame.data or data in (b"", frame.data[:-1] if frame.data.endswith(b"\0") else None):
                continue
            if any(found in recorded.function for found in OPEN_ENDED):
                continue
            with pytest.raises(WireError):
                request.spec.decode_answer(frame.rc, frame.rs, data, request)


OPEN_ENDED = (
    # Their data are strings up to the end of the reply: any byte more or less is another string.
    "System_Disk_Query",
    "System_SCSI_Disk_Query",
    "System_Performance_Info_Query",
    "Image_Volume_Space_Query_Extended_DM",
    "System_RDR_File_Query",
    "Virtual_Network_OSA_Query",
    "Virtual_Network_LAN_Access_Query",
    "Metadata_Space_Query",
    "Query_ABEND_Dump",
    "System_WWPN_Query",
    "System_Info_Query",
    "SSI_Query",
    "VMRELOCATE",
    "Response_Recovery",
)


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda found: found.label)
def test_what_a_real_system_accepted_passes_our_limits(recorded: Exchange) -> None:
    _, request, _, _ = read_request([recorded.sent])
    if int.from_bytes(recorded.received[12:16], "big") == 0:
        request.spec.check(request)


def test_the_worked_example_of_a_nested_reply_reads_as_documented() -> None:
    recorded = exchange("Image_CPU_Query/1.test")
    _, request, _, _ = read_request([recorded.sent])
    _, answer, _ = read_answer(request, [recorded.received])
    assert answer is not None
    assert answer.reply.number_CPUs == 2
    assert [cpu.CPU_number for cpu in answer.reply.CPU_info_array] == [0, 1]
    assert {cpu.CPU_id for cpu in answer.reply.CPU_info_array} == {"FF01917729640000"}
    assert [cpu.CPU_type for cpu in answer.reply.CPU_info_array] == [2, 2]


def test_an_unknown_directory_keyword_comes_back_as_error_text() -> None:
    recorded = exchange("Image_Definition_Update_DM/1.test")
    _, request, _, _ = read_request([recorded.sent])
    assert isinstance(request, f.ImageDefinitionUpdateDM)
    _, answer, _ = read_answer(request, [recorded.received])
    assert answer is not None
    assert (answer.rc, answer.rs) == (8, 3002)
    assert answer.text == ("UNKNOWN_DIRECTORY_KEYWORD_PARAMETER=BOGUS_KEYWORD",)


def test_a_recording_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "broken.jsonl"
    file.write_text('{"function": "Image_Query_DM", "send_hex": "00", "recv_hex": "xx"}\n')
    with pytest.raises(WireError, match=r"broken\.jsonl, line 1"):
        load(file)


def test_verify_reports_what_does_not_come_back() -> None:
    good = exchange("Image_Query_DM/1.test")
    bad = dataclasses.replace(good, label="bad", received=good.received[:-1])
    assert {found.label for found in verify([good, bad])} == {"bad"}


def test_limits_name_field_value_and_limit() -> None:
    request = f.ImageDiskDeleteDM(target="LINUX01", image_disk_number="01000")
    with pytest.raises(ParameterError, match=r"image_disk_number: '01000' has 5 characters; at most 4") as caught:
        request.spec.check(request)
    assert (caught.value.rc, caught.value.rs % 100) == (24, 13)
