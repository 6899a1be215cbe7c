"""Bodies of requests: JSON of a limited length, with nothing in it that no table and no z/VM can hold."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from zvmcloud.api.connector.envelope import fault
from zvmcloud.manager.jobs.plan import Json

_BODY_LIMIT = 8 * 2**20
"""Bytes of a JSON body; ``PUT /files`` has its own limit."""
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")


async def parsed_body(request: Request) -> Json | Response:
    """The parsed body, or the answer that says why there is none."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > _BODY_LIMIT:
        return fault(413, f"the body has {declared} bytes; at most {_BODY_LIMIT} are accepted")
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > _BODY_LIMIT:
            return fault(413, f"the body has more than {_BODY_LIMIT} bytes")
    try:
        parsed: Json = json.loads(bytes(data), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return fault(400, f"Malformed JSON: {error}")
    plain = data.isascii() and b"\\u" not in data  # what has no escape cannot have such a character
    complaint = None if plain else no_text(parsed)
    return parsed if complaint is None else fault(400, f"Malformed JSON: {complaint}")


def _no_constant(name: str) -> Json:
    """NaN and Infinity are Python's, not JSON's."""
    raise ValueError(f"{name} is no JSON value")


def no_text(value: Json) -> str | None:
    """What no table and no z/VM can hold: a NUL or half of a surrogate pair in a text; None when there is neither."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, str) and _NO_TEXT.search(item):
            return f"{item[:100]!a} has a character that is none (NUL, or half of a surrogate pair)"
        if isinstance(item, Mapping):
            left += [*item, *item.values()]
        elif isinstance(item, list):
            left += item
    return None
