"""Hypothesis strategies for any declared message, made from the declaration itself."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from zvmcloud.smapi import layout, spelling
from zvmcloud.smapi.declare import Function, Message, Request, Style

WIRE_TEXT = "".join(bytes([code]).decode(spelling.ENCODING) for code in range(1, 256))


def text(spec: layout.Limited, *, keep_limits: bool) -> st.SearchStrategy[str]:
    if spec.choices and keep_limits:
        return st.sampled_from(sorted(spec.choices))
    if not keep_limits:
        return st.text(WIRE_TEXT, max_size=12)
    allowed = spec.charset.allowed
    letters = "".join(sorted(allowed)) if allowed is not None else "".join(set(WIRE_TEXT) - set(spec.charset.excluded))
    maximum = min(spec.maximum if spec.maximum is not None else 12, max(spec.minimum, 12))
    return st.text(letters, min_size=spec.minimum, max_size=maximum)


def value(spec: layout.Spec, *, keep_limits: bool) -> st.SearchStrategy[Any]:
    if isinstance(spec, layout.ByRequestKey):
        return st.lists(st.text(WIRE_TEXT, max_size=8), max_size=3).map(tuple)
    if isinstance(spec, layout.Repeat):
        return st.lists(value(spec.item, keep_limits=keep_limits), max_size=3).map(tuple)
    if isinstance(spec, layout.Group):
        members = {m.attribute: value(m.spec, keep_limits=keep_limits) for m in spec.structure.__fields__}
        return st.builds(spec.structure, **members)
    if isinstance(spec, layout.Int):
        if keep_limits and spec.choices:
            return st.sampled_from(sorted(spec.choices))
        bits = 8 * spec.size
        low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if spec.signed else (0, (1 << bits) - 1)
        if keep_limits:
            low = max(low, spec.minimum if spec.minimum is not None else low)
            high = min(high, spec.maximum if spec.maximum is not None else high)
        return st.integers(low, high)
    if isinstance(spec, layout.Chars):
        return st.text(WIRE_TEXT, max_size=spec.size).map(lambda found: found.rstrip(" "))
    if isinstance(spec, layout.Raw):
        return st.binary(max_size=20)
    assert isinstance(spec, layout.Limited)
    return text(spec, keep_limits=keep_limits)


def message(kind: type[Message], *, keep_limits: bool = False) -> st.SearchStrategy[Message]:
    members = {}
    for member in kind.__fields__:
        strategy = value(member.spec, keep_limits=keep_limits)
        if isinstance(member.spec, layout.Key) and not member.required:
            strategy = st.none() | strategy
        members[member.attribute] = strategy
    return st.builds(kind, **members)


def request(function: Function, *, keep_limits: bool = False) -> st.SearchStrategy[Request[Any]]:
    made: st.SearchStrategy[Any] = message(function.request_type, keep_limits=keep_limits)
    if function.style is Style.KEYWORDS:
        (only,) = function.fields
        strings = st.lists(st.text(WIRE_TEXT, max_size=8), max_size=3).map(tuple)
        made = st.builds(function.request_type, **{only.attribute: strings})
    return made
