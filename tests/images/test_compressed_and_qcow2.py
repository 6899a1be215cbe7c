"""Image files are known by their content, expanded in bounded pieces, and refused by name when they cannot be used."""

import gzip
import io
import lzma
import random
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from images.qcow2_files import CLUSTER, build, zstd
from zvmcloud.images import compression
from zvmcloud.images.compression import PIECE_BYTES, Codec, CompressionError, Expander
from zvmcloud.images.formats import Format, UnsupportedFormatError, detect
from zvmcloud.images.qcow2 import Hole, Qcow2, Qcow2Error

CONTENT = random.Random(1).randbytes(300_000) + bytes(2_000_000) + b"the end"
PACK: dict[Codec, Callable[[bytes], bytes]] = {
    Codec.GZIP: gzip.compress,
    Codec.XZ: lambda data: lzma.compress(data, preset=1),
    Codec.ZSTD: lambda data: zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}),
}


def expand(codec: Codec, data: bytes, step: int = 70_001) -> bytes:
    expander = Expander(codec)
    out = b"".join(piece for at in range(0, len(data), step) for piece in expander.feed(data[at : at + step]))
    expander.close()
    return out


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("step", [1 << 20, 4099])
def test_a_stream_is_the_same_in_any_pieces_with_members_and_padding(codec: Codec, step: int) -> None:
    packed = PACK[codec](CONTENT)
    assert expand(codec, packed, step) == CONTENT
    assert expand(codec, packed + PACK[codec](b"more") + bytes(8), step) == CONTENT + b"more"


@pytest.mark.parametrize("codec", Codec)
def test_a_short_stream_goes_byte_by_byte(codec: Codec) -> None:
    assert expand(codec, PACK[codec](b"a" * 5000) + PACK[codec](b"b"), 1) == b"a" * 5000 + b"b"


@pytest.mark.parametrize("codec", Codec)
def test_a_stream_that_is_cut_damaged_or_followed_by_something_is_an_error(codec: Codec) -> None:
    packed = PACK[codec](CONTENT)
    for bad in (packed[:-1], packed[:5], b"", packed[:90_000] + bytes(100) + packed[90_100:], packed + b"garbage!"):
        with pytest.raises(CompressionError):
            expand(codec, bad)


@pytest.mark.parametrize("codec", Codec)
def test_a_bomb_comes_in_pieces_and_can_be_left(codec: Codec) -> None:
    bomb = PACK[codec](bytes(200_000_000))
    tracemalloc.start()
    try:
        taken = 0
        for piece in Expander(codec).feed(bomb):
            assert len(piece) <= PIECE_BYTES
            taken += len(piece)
            if taken > 50_000_000:
                break
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_windows_larger_than_the_limit_are_refused() -> None:
    wide = zstd.compress(CONTENT, options={zstd.CompressionParameter.window_log: 27})
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    stream = packer.compress(CONTENT) + packer.flush()  # a frame that names its size needs no more than that
    with pytest.raises(CompressionError, match="64 MiB"):
        expand(Codec.ZSTD, stream)
    assert expand(Codec.ZSTD, wide) == CONTENT
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 128 << 20, "preset": 0}]
    with pytest.raises(CompressionError, match="64 MiB"):
        expand(Codec.XZ, lzma.compress(b"x", filters=filters))


def test_sizes_are_known_before_anything_is_expanded() -> None:
    assert compression.zstd_size(zstd.compress(CONTENT)) == len(CONTENT)
    assert compression.zstd_size(b"no frame") is None
    two = lzma.compress(CONTENT, preset=1) + bytes(8) + lzma.compress(b"more")
    assert compression.xz_size(io.BytesIO(two)) == len(CONTENT) + 4
    for damaged in (b"", b"short", two[:-5], bytes(64)):
        assert not compression.xz_size(io.BytesIO(damaged))
    assert compression.gzip_size(gzip.compress(CONTENT)[-4:]) == len(CONTENT)


@pytest.mark.parametrize(
    ("first", "found"),
    [
        (gzip.compress(b"a"), Format.GZIP), (lzma.compress(b"a"), Format.XZ), (zstd.compress(b"a"), Format.ZSTD),
        (b"QFI\xfb\0\0\0\3", Format.QCOW2), (b"xCAT CKD Disk Image:", Format.CONNECTOR), (bytes(512), Format.RAW),
        (b"", Format.RAW),
    ],
)  # fmt: skip
def test_content_tells_the_format(first: bytes, found: Format) -> None:
    assert detect(first) is found


@pytest.mark.parametrize("first", [b"KDMV", b"vhdxfile", b"BZh91AY", b"PK\x03\x04", b"<!DOCTYPE html>"])
def test_what_is_certainly_no_disk_is_refused(first: bytes) -> None:
    with pytest.raises(UnsupportedFormatError, match="the file is"):
        detect(first + bytes(600))


# -- qcow2 -------------------------------------------------------------------------------------------------------------

DISK = random.Random(2).randbytes(CLUSTER * 3) + bytes(CLUSTER * 40) + b"x" * 70_000 + bytes(512)


def content(path: Path) -> tuple[bytes, int]:
    """What the image holds, and how much of it is holes."""
    with Qcow2(path) as image:
        pieces = list(image.pieces())
    holes = sum(piece.length for piece in pieces if isinstance(piece, Hole))
    return b"".join(bytes(piece.length) if isinstance(piece, Hole) else piece for piece in pieces), holes


@pytest.mark.parametrize(
    ("packed", "version", "zeros"),
    [("", 2, False), ("", 3, True), ("zlib", 3, False), ("zlib", 2, False), ("zstd", 3, True)],
)  # fmt: skip
def test_a_qcow2_image_is_its_disk(tmp_path: Path, packed: str, version: int, zeros: bool) -> None:
    (tmp_path / "i").write_bytes(build(DISK, packed=packed, version=version, zeros=zeros))
    assert content(tmp_path / "i") == (DISK, CLUSTER * 40)


def patched(offset: int, form: str, value: int) -> bytes:
    image = bytearray(build(DISK))
    struct.pack_into(form, image, offset, value)
    return bytes(image)


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (patched(8, ">Q", 512), "backing file"),
        (patched(32, ">I", 1), "encrypted"),
        (patched(4, ">I", 4), "version 4"),
        (patched(20, ">I", 30), "clusters of 2"),
        (patched(24, ">Q", 1 << 60), "L1 table"),
        (patched(36, ">I", 1 << 30), "L1 table"),
        (patched(40, ">Q", 1 << 40), "beyond the end"),
        (patched(72, ">Q", 2), "corrupt"),
        (patched(72, ">Q", 4), "another file"),
        (patched(72, ">Q", 16), "subclusters"),
        (patched(72, ">Q", 1 << 40), "not known"),
        (patched(2 * CLUSTER, ">Q", 1 << 45), "beyond the end"),
        (patched(2 * CLUSTER, ">Q", 1 << 62 | 3 * CLUSTER), "compressed cluster"),
        (patched(CLUSTER, ">Q", 1 << 50), "L2 table"),
        (build(DISK)[:60], "72 bytes"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path, image: bytes, text: str) -> None:
    (tmp_path / "i").write_bytes(image)
    with pytest.raises(Qcow2Error, match=text):
        content(tmp_path / "i")
