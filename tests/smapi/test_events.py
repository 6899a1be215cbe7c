"""Event records and EBCDIC."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zvmcloud.smapi import ebcdic
from zvmcloud.smapi.errors import WireError
from zvmcloud.smapi.events import (
    DefinitionDone,
    DirectoryChanged,
    SmapiEvent,
    UnknownEvent,
    UserEvent,
    VmEvent,
    decode_smapi_event,
    decode_vmevents,
    encode_smapi_event,
    encode_vmevent,
)


def test_the_published_sample_has_two_bundled_events() -> None:
    data = bytes.fromhex("00000000") + ebcdic.encode("SMAPC05D") + bytes.fromhex("00000005") + ebcdic.encode("SMAPC05D")
    events = decode_vmevents(data)
    assert events == [VmEvent(0, 0, ("SMAPC05D",)), VmEvent(0, 5, ("SMAPC05D",))]
    assert b"".join(encode_vmevent(event) for event in events if isinstance(event, VmEvent)) == data


def test_an_unknown_event_keeps_the_rest_of_its_record() -> None:
    logon = encode_vmevent(VmEvent(0, 0, ("LINUX01",)))
    assert decode_vmevents(logon + b"\0\x63\0\0rest") == [VmEvent(0, 0, ("LINUX01",)), UnknownEvent(b"\0\x63\0\0rest")]


def test_a_relocation_names_guest_and_system() -> None:
    (event,) = decode_vmevents(encode_vmevent(VmEvent(0, 9, ("LINUX01", "VM2"))))
    assert isinstance(event, VmEvent)
    assert event.userid == "LINUX01"
    assert event.fields[1] == "VM2"


@pytest.mark.parametrize("event", [VmEvent(0, 0, ("NINECHARS",)), VmEvent(9, 9, ()), VmEvent(0, 2, ("A", 256))])
def test_an_event_that_does_not_fit_is_refused(event: VmEvent) -> None:
    with pytest.raises(WireError):
        encode_vmevent(event)


names = st.text("ABCDEFGH0123456789@#$", max_size=8)


@given(
    st.one_of(
        st.builds(DirectoryChanged, names, st.sampled_from(["ADD", "PURGE", "REPLACE"]), names),
        st.builds(
            DefinitionDone,
            st.integers(0, 2**32 - 1),
            st.integers(0, 2**32 - 1),
            st.integers(0, 2**32 - 1),
            st.lists(names.filter(bool), max_size=3).map(tuple),
        ),
        st.builds(UserEvent, st.integers(16777216, 2**32 - 1), st.binary(max_size=30)),
    )
)
def test_a_smapi_event_decodes_to_itself(event: SmapiEvent) -> None:
    assert decode_smapi_event(encode_smapi_event(event)) == event


@given(st.binary(max_size=60))
def test_any_bytes_are_events_or_a_typed_error(data: bytes) -> None:
    for decode in (decode_vmevents, decode_smapi_event):
        try:
            decode(data)
        except WireError:
            continue


@given(st.binary())
def test_every_byte_survives_ebcdic(data: bytes) -> None:
    for page in (ebcdic.CP1047, ebcdic.CP924):
        assert ebcdic.encode(ebcdic.decode(data, page), page) == data


def test_the_pages_differ_where_they_should() -> None:
    assert ebcdic.encode("[]^") == bytes([0xAD, 0xBD, 0x5F])
    assert ebcdic.encode("€", ebcdic.CP924) == b"\x9f"
    assert ebcdic.encode("MAINT\n") == bytes.fromhex("d4c1c9d5e315")
    with pytest.raises(ValueError, match="€"):
        ebcdic.encode("€", ebcdic.CP1047)
