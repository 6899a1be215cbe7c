"""qcow2 files made by hand: clusters of 64 KiB, plain, compressed or zero."""

import struct
import sys
import zlib

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["CLUSTER", "build", "sparse", "zstd"]

CLUSTER = 65536


def build(content: bytes, *, packed: str = "", version: int = 3, zeros: bool = False) -> bytes:
    """The image of a disk with this content; zero clusters are not stored, or (`zeros`) marked as zeros."""
    count = -(-len(content) // CLUSTER)
    entries, data = [], b""
    base = 3 * CLUSTER
    for number in range(count):
        piece = content[number * CLUSTER : (number + 1) * CLUSTER].ljust(CLUSTER, b"\0")
        if not any(piece):
            entries.append(1 if zeros else 0)
        elif packed:
            small = _pack(piece, packed)
            offset = base + len(data)
            sectors = (offset % 512 + len(small) - 1) // 512
            entries.append(1 << 62 | sectors << (70 - 16) | offset)
            data += small
        else:
            data += bytes(-len(data) % CLUSTER)
            entries.append(1 << 63 | base + len(data))
            data += piece
    table = struct.pack(f">{count}Q", *entries).ljust(CLUSTER, b"\0")
    l1 = struct.pack(">Q", 1 << 63 | 2 * CLUSTER).ljust(CLUSTER, b"\0")
    header = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", version, 0, 0, 16, len(content), 0, 1, CLUSTER, 0, 0, 0, 0
    )  # fmt: skip
    if version == 3:
        header += struct.pack(">QQQIIB7x", 8 if packed == "zstd" else 0, 0, 0, 4, 112, packed == "zstd")
    return header.ljust(CLUSTER, b"\0") + l1 + table + data


def sparse(size: int, pieces: dict[int, bytes]) -> bytes:
    """The image of a disk of up to 128 GiB that holds these bytes at these offsets: clusters of 1 MiB."""
    cluster = 1 << 20
    clusters: dict[int, bytearray] = {}
    for at, data in pieces.items():
        for offset, byte in enumerate(data, at):
            clusters.setdefault(offset // cluster, bytearray(cluster))[offset % cluster] = byte
    entries = [0] * (cluster // 8)
    for position, number in enumerate(clusters):
        entries[number] = 1 << 63 | (3 + position) * cluster
    header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 20, size, 0, 1, cluster, 0, 0, 0, 0)
    l1 = struct.pack(">Q", 1 << 63 | 2 * cluster)
    table = struct.pack(f">{len(entries)}Q", *entries)
    return header.ljust(cluster, b"\0") + l1.ljust(cluster, b"\0") + table + b"".join(clusters.values())


def _pack(piece: bytes, packed: str) -> bytes:
    if packed == "zstd":
        return zstd.compress(piece)
    deflate = zlib.compressobj(6, zlib.DEFLATED, -12)
    return deflate.compress(piece) + deflate.flush()
