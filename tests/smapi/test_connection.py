"""Framing: splits, limits, the freedoms that clients take."""

from __future__ import annotations

import tracemalloc

import pytest

from zvmcloud.smapi import functions as f
from zvmcloud.smapi.connection import (
    Accepted,
    ClientConnection,
    EventFrame,
    ReplyFrame,
    RequestFrame,
    ServerConnection,
    decode_request,
    encode_request,
)
from zvmcloud.smapi.errors import ParameterError, WireError
from zvmcloud.smapi.registry import REGISTRY

QUERY = f.ImageQueryDM(target="LINUX01")


def frames(wire: bytes) -> list[RequestFrame]:
    server = ServerConnection()
    server.receive_data(wire)
    return list(server.frames())


def test_check_authentication_may_end_after_the_password() -> None:
    with_target = encode_request(f.CheckAuthentication(), "MAINT", "secret")
    body = with_target[4:-4]
    (short,) = frames(len(body).to_bytes(4, "big") + body)
    assert short.target is None
    request, _ = decode_request(REGISTRY["Check_Authentication"], short)
    assert request == f.CheckAuthentication()
    assert short.encode() == len(body).to_bytes(4, "big") + body


def test_other_functions_need_a_target_field() -> None:
    frame = RequestFrame("Image_Query_DM", "MAINT", "secret", None)
    with pytest.raises(ParameterError, match="target_identifier") as caught:
        decode_request(REGISTRY["Image_Query_DM"], frame)
    assert (caught.value.rc, caught.value.rs) == (900, 20)


def test_a_subscription_without_match_key_is_taken() -> None:
    frame = RequestFrame("Event_Subscribe", "MAINT", "secret", "MAINT")
    request, shape = decode_request(REGISTRY["Event_Subscribe"], frame)
    assert request == f.EventSubscribe(target="MAINT")
    assert shape.absent


def test_keys_come_in_either_case_and_any_order_and_the_last_nul_may_lack() -> None:
    area = b"VEPA_STATUS=yes\0switch_name=VSW1"
    frame = RequestFrame("Virtual_Network_Vswitch_Query_Extended", "MAINT", "x", "MAINT", area)
    function = REGISTRY["Virtual_Network_Vswitch_Query_Extended"]
    request, shape = decode_request(function, frame)
    assert request == f.VirtualNetworkVswitchQueryExtended(target="MAINT", switch_name="VSW1", vepa_status="yes")
    assert function.encode_parameters(request, shape) == area
    assert function.encode_parameters(request) == b"switch_name=VSW1\0vepa_status=yes\0"


@pytest.mark.parametrize(
    ("area", "rs", "named"),
    [
        (b"switch_nam=VSW1\0", 3002, "switch_nam"),
        (b"switch_name\0", 3002, "switch_name"),
        (b"vepa_status=YES\0", 3004, "switch_name"),
        (b"switch_name=A\0SWITCH_NAME=B\0", 3002, "switch_name"),
    ],
)
def test_unknown_double_and_missing_keys_are_named(area: bytes, rs: int, named: str) -> None:
    frame = RequestFrame("Virtual_Network_Vswitch_Query_Extended", "MAINT", "x", "MAINT", area)
    with pytest.raises(ParameterError, match=named) as caught:
        decode_request(REGISTRY["Virtual_Network_Vswitch_Query_Extended"], frame)
    assert (caught.value.rc, caught.value.rs) == (8, rs)


def test_the_legacy_form_has_a_name_and_arguments_only() -> None:
    wire = encode_request(f.ImageIPLDeviceQuery(userid="LINUX01"), legacy=True)
    assert wire[4:5] == b"\xff"
    (frame,) = frames(wire)
    assert frame.legacy
    request, _ = decode_request(REGISTRY["Image_IPL_Device_Query"], frame)
    assert request == f.ImageIPLDeviceQuery(userid="LINUX01")
    with pytest.raises(ParameterError, match="no legacy form"):
        encode_request(QUERY, legacy=True)


@pytest.mark.parametrize(
    ("body", "rs"),
    [
        (b"\0\0\0\0", 36),  # function name of 0 characters
        (b"\0\0\0\x41" + b"A" * 65, 36),  # ... of 65
        (b"\0\0\0\x0eImage_Query_DM\0\0\0\x09MAINTMAIN", 36),  # userid of 9
        (b"\0\0\0\x0eImage_Query_DM\0\0\0\x05MAI", 20),  # userid longer than the request
        (b"\0\0\0\x0eImage_Query_DM\0\0\0", 20),  # no length
        (b"\xffNOEND", 36),
    ],
)
def test_lengths_out_of_range_and_lengths_that_do_not_add_up_are_told_apart(body: bytes, rs: int) -> None:
    with pytest.raises(WireError) as caught:
        frames(len(body).to_bytes(4, "big") + body)
    assert (caught.value.rc, caught.value.rs) == (900, rs)


def test_an_oversized_request_is_refused_before_its_bytes_are_kept() -> None:
    server = ServerConnection(max_request=1000)
    with pytest.raises(WireError, match="1001 bytes"):
        server.receive_data((1001).to_bytes(4, "big"))


def test_a_lying_count_does_not_take_memory() -> None:
    function = REGISTRY["Virtual_Network_Vswitch_Query_Extended"]
    tracemalloc.start()
    with pytest.raises(WireError, match="4294967295 items announced"):
        function.decode_answer(0, 0, b"\xff\xff\xff\xff" + bytes(100))
    with pytest.raises(WireError, match="items announced"):
        REGISTRY["Virtual_Network_Vswitch_Query_Byte_Stats"].decode_answer(0, 0, b"9999999999\0")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_client_sees_the_request_id_before_the_reply() -> None:
    client = ClientConnection(QUERY.spec)
    client.receive_data(ServerConnection.accepted(7))
    assert list(client.events()) == [Accepted(7)]
    client.receive_data(ServerConnection.reply(7, 400, 4))
    assert list(client.events()) == [ReplyFrame(7, 400, 4)]
    assert client.done


def test_a_reply_to_another_request_is_refused() -> None:
    client = ClientConnection(QUERY.spec)
    client.receive_data(ServerConnection.accepted(7) + ServerConnection.reply(8, 0, 0))
    with pytest.raises(WireError, match="for request 8, not for 7"):
        list(client.events())


def test_an_oversized_reply_is_refused_before_its_bytes_are_kept() -> None:
    client = ClientConnection(QUERY.spec, max_reply=1000)
    with pytest.raises(WireError, match="5000 bytes"):
        client.receive_data(ServerConnection.accepted(7) + (5000).to_bytes(4, "big"))


def test_a_connection_that_ends_early_is_an_error_on_both_sides() -> None:
    server = ServerConnection()
    server.receive_data(encode_request(QUERY, "MAINT", "x")[:-1])
    assert list(server.frames()) == []
    with pytest.raises(WireError, match="ended early"):
        server.receive_eof()
    client = ClientConnection(QUERY.spec)
    with pytest.raises(WireError, match="before its reply was complete"):
        client.receive_eof()


def test_a_subscription_streams_events_or_fails_with_a_record_of_twelve_bytes() -> None:
    stream = ClientConnection(REGISTRY["Event_Subscribe"])
    stream.receive_data(ServerConnection.accepted(9) + ServerConnection.event(1, b"hello"))
    assert list(stream.events()) == [Accepted(9), EventFrame(1, b"hello")]
    stream.receive_eof()
    refused = ClientConnection(REGISTRY["Event_Subscribe"])
    refused.receive_data(ServerConnection.accepted(9) + ServerConnection.reply(9, 100, 16))
    assert list(refused.events())[1] == ReplyFrame(9, 100, 16)


def test_credentials_that_cannot_be_sent_are_refused_by_name() -> None:
    with pytest.raises(ParameterError, match="authenticated_userid: 9 characters; at most 8"):
        encode_request(QUERY, "NINECHARS", "x")
    with pytest.raises(ParameterError, match="password: 201"):
        encode_request(QUERY, "MAINT", "x" * 201)
    with pytest.raises(ParameterError, match="does not exist on z/VM"):
        encode_request(f.ImageQueryDM(target="漢字"), "MAINT", "x")


def test_a_password_is_never_shown() -> None:
    (frame,) = frames(encode_request(QUERY, "MAINT", "hunter2"))
    assert frame.password == "hunter2"
    assert "hunter2" not in repr(frame)
