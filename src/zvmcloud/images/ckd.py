"""The CKD stream: the body of an ECKD image file after decompression. Tracks in device order, each

    1          N, the number of records (0 to 255)
    2 * k      runs (count, key length) until the counts add up to N
    3 * k      runs (count, data length, big-endian sixteen bits) until the counts add up to N
    ...        for every record: key, data

with no mark between tracks and none at the end. Record numbers are 1 to N. The decoder takes the stream in any
pieces and holds at most one track and the piece just fed. Source: reference/connector/formats.md 1.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from zvmcloud.images.tracks import RECORD_AREA_BYTES, Record, Track, TrackError


class CkdStreamError(ValueError):
    """The stream is damaged. `offset` counts bytes of the decompressed stream, `track` counts tracks from 0."""

    def __init__(self, message: str, offset: int, track: int) -> None:
        self.offset = offset
        self.track = track
        super().__init__(f"{message} (byte {offset} of the CKD stream, track {track})")


class CkdDecoder:
    """Bytes in, tracks out. `feed` pieces, take the tracks each piece completes, `close` at the end."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._offset = 0
        self._tracks = 0
        self._need = 1

    @property
    def offset(self) -> int:
        """Bytes of complete tracks so far."""
        return self._offset

    @property
    def tracks(self) -> int:
        """Complete tracks so far."""
        return self._tracks

    def feed(self, piece: bytes) -> Iterator[Track]:
        """Yield the tracks that are complete now. CkdStreamError at damage; the tracks before it were yielded."""
        self._buffer += piece
        at = 0
        try:
            while len(self._buffer) - at >= self._need:
                parsed = self._parse(at)
                if parsed is None:
                    break
                track, end = parsed
                self._offset += end - at
                self._tracks += 1
                self._need = 1
                at = end
                yield track
        finally:
            del self._buffer[:at]

    def close(self) -> None:
        """CkdStreamError when the stream ended inside a track."""
        if self._buffer:
            raise self._error(f"the stream ends inside a track, {len(self._buffer)} bytes into it", len(self._buffer))

    def _error(self, message: str, inside: int = 0) -> CkdStreamError:
        return CkdStreamError(message, self._offset + inside, self._tracks)

    def _runs(self, at: int, count: int, width: int, start: int) -> tuple[list[int], int] | None:
        """Expand run-length coded lengths; None when more bytes are needed."""
        lengths: list[int] = []
        buffer = self._buffer
        while len(lengths) < count:
            if at + width > len(buffer):
                return None
            times = buffer[at]
            if times == 0:
                raise self._error("a run of no records", at - start)
            if len(lengths) + times > count:
                raise self._error(f"runs name {len(lengths) + times} records, the track has {count}", at - start)
            lengths += [int.from_bytes(buffer[at + 1 : at + width], "big")] * times
            at += width
        return lengths, at

    def _parse(self, start: int) -> tuple[Track, int] | None:
        buffer = self._buffer
        count = buffer[start]
        keys = self._runs(start + 1, count, 2, start)
        if keys is None:
            return None
        key_lengths, at = keys
        datas = self._runs(at, count, 3, start)
        if datas is None:
            return None
        data_lengths, at = datas
        area = sum(key_lengths) + sum(data_lengths)
        if area + 8 * count > RECORD_AREA_BYTES:
            raise self._error(f"records of {area} bytes do not fit a track", at - start)
        end = at + area
        if end > len(buffer):
            self._need = end - start
            return None
        body = bytes(memoryview(buffer)[at:end])
        records: list[Record] = []
        at = 0
        for number, (key_length, data_length) in enumerate(zip(key_lengths, data_lengths, strict=True), 1):
            data_at = at + key_length
            records.append(Record(number, body[at:data_at], body[data_at : data_at + data_length]))
            at = data_at + data_length
        return Track(tuple(records)), end


def _encode_runs(lengths: list[int], width: int) -> bytes:
    out = bytearray()
    at = 0
    while at < len(lengths):
        length, run = lengths[at], 1
        while at + run < len(lengths) and lengths[at + run] == length:
            run += 1
        out.append(run)
        out += length.to_bytes(width, "big")
        at += run
    return bytes(out)


def encode_track(track: Track) -> bytes:
    """One track of the stream. TrackError when the records do not fit or are not numbered 1 to N."""
    track.check()
    for expected, record in enumerate(track.records, 1):
        if record.number != expected:
            raise TrackError(f"record {record.number} where record {expected} must stand; the stream keeps no numbers")
    parts = [
        bytes([len(track.records)]),
        _encode_runs([len(r.key) for r in track.records], 1),
        _encode_runs([len(r.data) for r in track.records], 2),
    ]
    for record in track.records:
        parts.append(record.key)
        parts.append(record.data)
    return b"".join(parts)


def encode(tracks: Iterable[Track]) -> Iterator[bytes]:
    """The stream of these tracks, one piece a track."""
    for track in tracks:
        yield encode_track(track)


def decode(pieces: Iterable[bytes]) -> Iterator[Track]:
    """The tracks of a whole stream. CkdStreamError at damage or when it ends inside a track."""
    decoder = CkdDecoder()
    for piece in pieces:
        yield from decoder.feed(piece)
    decoder.close()
