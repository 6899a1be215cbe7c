"""For every declared function: what is encoded decodes to the same, and nothing else escapes than one typed error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smapi.strategies import message, request
from zvmcloud.smapi import functions
from zvmcloud.smapi.connection import ClientConnection, ServerConnection, decode_request, encode_request
from zvmcloud.smapi.declare import Function, NoData, Style
from zvmcloud.smapi.errors import ParameterError, WireError
from zvmcloud.smapi.registry import REGISTRY

FUNCTIONS = list(REGISTRY)
quick = settings(max_examples=25)
for_each_function = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda found: found.name)


def encodable(encode: Callable[[], bytes]) -> bytes | None:
    """The bytes, or None where the value has no place on the wire (a NUL inside a string, an empty last string)."""
    try:
        return encode()
    except ParameterError:
        return None


def test_all_documented_functions_are_declared() -> None:
    assert len(FUNCTIONS) == 196
    assert len({function.name for function in FUNCTIONS}) == 196
    assert len(functions.ALL) == 196


@for_each_function
@quick
@given(data=st.data())
def test_a_request_decodes_to_itself(function: Function, data: st.DataObject) -> None:
    made = data.draw(request(function))
    wire = encodable(lambda: encode_request(made, "MAINT", "secret"))
    if wire is None:
        return
    server = ServerConnection()
    server.receive_data(wire)
    (frame,) = list(server.frames())
    again, shape = decode_request(function, frame)
    assert again == made
    assert (frame.userid, frame.password) == ("MAINT", "secret")
    assert function.encode_parameters(again, shape) == frame.parameters


@for_each_function
@quick
@given(data=st.data())
def test_a_request_within_its_limits_passes_the_check(function: Function, data: st.DataObject) -> None:
    made = data.draw(request(function, keep_limits=True))
    function.check(made)


@for_each_function
@quick
@given(data=st.data())
def test_a_reply_decodes_to_itself(function: Function, data: st.DataObject) -> None:
    if function.reply_type is NoData:
        answer = function.decode_answer(0, 0, b"")
        assert answer.reply == NoData()
        return
    asked = data.draw(request(function))
    made: Any = data.draw(message(function.reply_type))
    wire = encodable(lambda: function.encode_reply(made, asked))
    if wire is None or (function.data_optional and not wire):
        return
    rc = min(function.data_with)
    answer = function.decode_answer(rc, 0, wire, asked)
    assert answer.reply == made
    assert function.encode_reply(answer.reply, asked, answer.shape) == wire


@for_each_function
@quick
@given(data=st.data())
def test_damaged_bytes_end_in_one_typed_error_or_another_message(function: Function, data: st.DataObject) -> None:
    made = data.draw(request(function))
    wire = encodable(lambda: encode_request(made, "MAINT", "secret"))
    if wire is None:
        return
    damaged = data.draw(damage(wire))
    server = ServerConnection(max_request=1 << 20)
    try:
        server.receive_data(damaged)
        for frame in server.frames():
            decode_request(function, frame)
        server.receive_eof()
    except WireError as error:
        assert error.rc  # noqa: PT017 (either outcome is right; an untyped error is what fails here)
    answer = data.draw(st.binary(max_size=60))
    client = ClientConnection(function, max_reply=1 << 20)
    try:
        client.receive_data(answer)
        for event in client.events():
            function.decode_answer(0, 0, getattr(event, "data", b""), made)
    except WireError:
        pass


def damage(wire: bytes) -> st.SearchStrategy[bytes]:
    cut = st.integers(0, len(wire)).map(lambda at: wire[:at])
    grown = st.binary(min_size=1, max_size=8).map(lambda more: wire + more)
    flipped = st.tuples(st.integers(0, len(wire) - 1), st.integers(1, 255)).map(
        lambda change: wire[: change[0]] + bytes([wire[change[0]] ^ change[1]]) + wire[change[0] + 1 :]
    )
    return st.one_of(cut, grown, flipped)


@for_each_function
@given(split=st.lists(st.integers(1, 40), min_size=1, max_size=20))
@settings(max_examples=5)
def test_any_split_of_the_stream_gives_the_same_request(function: Function, split: list[int]) -> None:
    values: dict[str, Any] = {}
    for member in function.fields:
        if member.required and function.style is not Style.POSITIONAL:
            values[member.attribute] = "A"
    if function.style is Style.POSITIONAL and function.fields:
        return
    if function.style is Style.KEYWORDS:
        values = {function.fields[0].attribute: ("IPL=190",)}
    wire = encode_request(function.request_type(target="MAINT", **values), "MAINT", "secret")
    server = ServerConnection()
    frames = []
    at = 0
    while at < len(wire):
        step = split[at % len(split)]
        server.receive_data(wire[at : at + step])
        frames += list(server.frames())
        at += step
    (frame,) = frames
    assert decode_request(function, frame)[0] == function.request_type(target="MAINT", **values)
