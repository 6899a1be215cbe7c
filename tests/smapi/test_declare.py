"""Sites bring functions of their own: one declaration is all it takes."""

from __future__ import annotations

from typing import Annotated

import pytest

from zvmcloud.smapi import functions as f
from zvmcloud.smapi.connection import ServerConnection, decode_request, encode_request
from zvmcloud.smapi.declare import NoData, Reply, Request, function, reply
from zvmcloud.smapi.layout import Array, Int, Text
from zvmcloud.smapi.registry import REGISTRY, Registry


@reply
class EchoParametersReply(Reply):
    lines: Annotated[tuple[str, ...], Array(Text()), "What was sent"]


@function("Echo_Parameters", family="site")
class EchoParameters(Request[EchoParametersReply]):
    """Give the parameters back."""

    count: Annotated[int, Int(4), "How often"] = 1


def test_a_site_function_is_registered_encoded_and_decoded_like_any_other() -> None:
    registry = Registry()
    registry.add(*f.ALL, EchoParameters)
    assert len(registry) == 197
    server = ServerConnection()
    server.receive_data(encode_request(EchoParameters(target="MAINT", count=3), "MAINT", "x"))
    (frame,) = list(server.frames())
    request, _ = decode_request(registry[frame.function], frame)
    assert request == EchoParameters(target="MAINT", count=3)
    data = registry["echo_parameters"].encode_reply(EchoParametersReply(lines=("a", "b")))
    assert registry["Echo_Parameters"].decode_answer(0, 0, data).reply == EchoParametersReply(lines=("a", "b"))


def test_a_name_can_be_taken_only_once() -> None:
    @function("Image_Query_DM", family="site")
    class Other(Request[NoData]):
        """Another one."""

    registry = Registry()
    registry.add(f.ImageQueryDM)
    registry.add(f.ImageQueryDM)
    with pytest.raises(ValueError, match="declared already"):
        registry.add(Other)


@pytest.mark.parametrize("name", ["", "1st", "A" * 65, "With-Hyphen"])
def test_a_name_must_be_one(name: str) -> None:
    with pytest.raises(ValueError, match="1-64 letters"):
        function(name, family="site")


def test_the_table_of_functions_is_found_in_either_case() -> None:
    assert REGISTRY.get("image_query_dm") is REGISTRY["Image_Query_DM"]
    assert REGISTRY.get("No_Such_Function") is None
    assert [found.name for found in REGISTRY][:2] == sorted(found.name for found in REGISTRY)[:2]
