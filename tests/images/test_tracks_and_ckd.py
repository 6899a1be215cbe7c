"""Tracks and the CKD stream: what is written is read, in any pieces, and damage is named."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zvmcloud.images import ckd, tracks
from zvmcloud.images.tracks import DEFAULT_TRACK, Record, Track

CONTENT = st.tuples(st.binary(max_size=60), st.binary(max_size=5000))


def numbered(contents: list[tuple[bytes, bytes]]) -> Track:
    return Track(tuple(Record(n, key, data) for n, (key, data) in enumerate(contents, 1)))


TRACKS = st.one_of(st.just(DEFAULT_TRACK), st.lists(CONTENT, max_size=8).map(numbered))


@given(TRACKS, st.integers(0, 2**28 - 1), st.integers(0, 14))
def test_a_track_survives_its_raw_form(track: Track, cylinder: int, head: int) -> None:
    raw = tracks.encode(track, cylinder, head)
    assert len(raw) == 65536
    assert tracks.decode(raw, cylinder if any(raw) else None, head) == track
    assert tracks.decode(tracks.encode_explicit(track, cylinder, head), cylinder, head) == track


def test_a_hole_is_the_track_as_cp_formats_it() -> None:
    track = tracks.decode(bytes(65536))
    assert [(r.number, r.key, r.data) for r in track.records] == [(n, b"", bytes(4096)) for n in range(1, 13)]
    assert tracks.encode(track, 3, 4) == bytes(65536)


def test_the_raw_form_is_laid_out_as_the_device_shows_it() -> None:
    raw = tracks.encode(Track((Record(1, b"KK", b"DATA"),)), 0x0102, 3)
    assert raw[:16] == bytes.fromhex("01020003") + bytes(12)
    assert raw[16:30] == bytes.fromhex("0102000301020004") + b"KKDATA"
    assert raw[30:42] == b"\xff" * 12
    assert not any(raw[42:])


def test_the_high_bits_of_a_cylinder_stand_above_the_head() -> None:
    raw = tracks.encode(Track((Record(1, b"", b"DATA"),)), 0xABC1234, 14)
    assert raw[:4] == raw[16:20] == bytes.fromhex("1234ABCE")
    with pytest.raises(tracks.TrackError, match="home address says 180097588/14, expected 4660/14"):
        tracks.decode(raw, 0x1234, 14)
    with pytest.raises(tracks.TrackError, match="cylinder 268435456 is outside 0 to 268435455"):
        tracks.encode(Track(()), 2**28, 0)


@pytest.mark.parametrize(
    ("track", "text"),
    [
        (Track((Record(0, b"", b""),)), "record number 0"),
        (Track((Record(1, bytes(256), b""),)), "limit 255"),
        (Track((Record(1, b"", bytes(65536)),)), "limit 65535"),
        (Track((Record(1, b"", bytes(40000)), Record(2, b"", bytes(40000)))), "a track holds 65508"),
    ],
)
def test_records_that_do_not_fit_a_track_are_refused(track: Track, text: str) -> None:
    with pytest.raises(tracks.TrackError, match=text):
        tracks.encode(track, 0, 0)


@pytest.mark.parametrize(
    ("offset", "value", "text"),
    [
        (0, b"\x00\x09", "home address says 9/0"),
        (16, b"\x00\x07", "record count says track 7/0"),
        (22, b"\xff\xf0", "runs past the end"),
        (30, b"\xff\xff\xff\xff\xff\xff\xff\xff\x00", "damaged end of track"),
    ],
)
def test_damage_of_a_raw_track_is_found(offset: int, value: bytes, text: str) -> None:
    raw = bytearray(tracks.encode(Track((Record(1, b"KK", b"DATA"),)), 0, 0))
    raw[offset : offset + len(value)] = value
    with pytest.raises(tracks.TrackError, match=text):
        tracks.decode(bytes(raw), 0, 0)


@given(st.binary(min_size=1, max_size=400))
def test_garbage_is_a_track_error_or_a_track(garbage: bytes) -> None:
    try:
        track = tracks.decode(garbage.ljust(65536, b"\0"))
    except tracks.TrackError:
        return
    assert track.bytes_used <= tracks.RECORD_AREA_BYTES


@settings(max_examples=40)
@given(st.lists(TRACKS, max_size=4), st.lists(st.integers(1, 9000), min_size=1, max_size=40))
def test_the_stream_is_read_in_any_pieces(content: list[Track], cuts: list[int]) -> None:
    stream = b"".join(ckd.encode(content))
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(stream[at : at + cut])
        at += cut
    pieces.append(stream[at:])
    assert list(ckd.decode(pieces)) == content


def test_the_stream_is_read_byte_by_byte() -> None:
    content = [numbered([(b"IPL1", b"x" * 24), (b"", b"y" * 10)]), Track(()), numbered([(b"", b"")])]
    stream = b"".join(ckd.encode(content))
    assert list(ckd.decode(bytes([byte]) for byte in stream)) == content


def test_lengths_in_the_stream_are_big_endian_runs() -> None:
    track = numbered([(b"", b"a" * 258), (b"", b"b" * 258), (b"k", b"")])
    head = bytes([3, 2, 0, 1, 1, 2, 0x01, 0x02, 1, 0, 0])
    assert ckd.encode_track(track) == head + b"a" * 258 + b"b" * 258 + b"k"


@pytest.mark.parametrize(
    ("stream", "text"),
    [
        (bytes([2, 3, 0]), "runs name 3 records"),
        (bytes([2, 0, 0]), "a run of no records"),
        (bytes([2, 2, 0, 2, 0xFF, 0xFF]), "do not fit a track"),
        (bytes([1, 1, 0, 1, 0, 4, 1, 2]), "ends inside a track"),
        (bytes([5]), "ends inside a track"),
    ],
)
def test_damage_of_the_stream_is_named_with_its_place(stream: bytes, text: str) -> None:
    good = ckd.encode_track(DEFAULT_TRACK)
    with pytest.raises(ckd.CkdStreamError, match=text) as caught:
        list(ckd.decode([good, stream]))
    assert caught.value.track == 1
    assert len(good) <= caught.value.offset <= len(good) + len(stream)


@given(st.lists(st.binary(max_size=2000), max_size=30))
def test_the_decoder_never_holds_more_than_a_track_and_a_piece(pieces: list[bytes]) -> None:
    decoder = ckd.CkdDecoder()
    try:
        for piece in pieces:
            for _ in decoder.feed(piece):
                pass
            assert len(decoder._buffer) <= 65536 + 2000
        decoder.close()
    except ckd.CkdStreamError:
        pass


def test_a_stream_keeps_no_record_numbers_so_gaps_are_refused() -> None:
    with pytest.raises(tracks.TrackError, match="record 3 where record 2"):
        ckd.encode_track(Track((Record(1, b"", b""), Record(3, b"", b""))))
