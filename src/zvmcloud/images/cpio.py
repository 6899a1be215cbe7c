"""The "newc" cpio archive, as Linux reads an initial file system: written and read in memory, for small archives.

Each member: "070701", thirteen fields of eight hexadecimal digits, the name with a NUL, zeros up to a multiple of
four, the content, zeros up to a multiple of four. The member TRAILER!!! ends the archive.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

MAGIC = b"070701"
_HEADER_BYTES = 110
_TRAILER = "TRAILER!!!"
_S_IFREG, _S_IFDIR, _S_IFMT = 0o100000, 0o040000, 0o170000


class CpioError(ValueError):
    """Not an archive, or damaged. `offset` is the byte of the member at fault."""

    def __init__(self, message: str, offset: int) -> None:
        self.offset = offset
        super().__init__(f"{message} (byte {offset} of the archive)")


@dataclass(frozen=True, slots=True)
class Member:
    """A file or directory. `mode` has the type bits of Unix."""

    name: str
    data: bytes = b""
    mode: int = _S_IFREG | 0o644

    @property
    def is_file(self) -> bool:
        """A regular file (not a directory, link or device)."""
        return self.mode & _S_IFMT == _S_IFREG


def _pad(length: int) -> bytes:
    return bytes(-length % 4)


def _member(name: str, data: bytes, mode: int, inode: int) -> bytes:
    encoded = name.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    head = MAGIC + b"".join(b"%08X" % value for value in fields) + encoded
    return head + _pad(len(head)) + data + _pad(len(data))


def write(files: Mapping[str, bytes]) -> bytes:
    """An archive of regular files, with the directories they need. The same files give the same bytes."""
    folders: dict[str, None] = {}
    for name in files:
        parts = name.strip("/").split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folders["/".join(parts[:depth])] = None
    out = [_member(name, b"", _S_IFDIR | 0o755, inode) for inode, name in enumerate(folders, 1)]
    out += [
        _member(name.strip("/"), data, _S_IFREG | 0o644, inode)
        for inode, (name, data) in enumerate(files.items(), len(folders) + 1)
    ]
    out.append(_member(_TRAILER, b"", 0, 0))
    return b"".join(out)


def read(data: bytes) -> tuple[Member, ...]:
    """All members, the trailer excluded. CpioError when the archive is damaged or has no trailer."""
    members: list[Member] = []
    at = 0
    while True:
        header = data[at : at + _HEADER_BYTES]
        if len(header) < _HEADER_BYTES or header[:6] not in (MAGIC, b"070702"):
            raise CpioError("no member header", at)
        try:
            fields = [int(header[6 + 8 * i : 14 + 8 * i], 16) for i in range(13)]
        except ValueError as problem:
            raise CpioError("a header field is not hexadecimal", at) from problem
        mode, size, name_size = fields[1], fields[6], fields[11]
        name_end = at + _HEADER_BYTES + name_size
        data_at = name_end + (-name_end % 4)
        end = data_at + size
        if name_size < 1 or end > len(data):
            raise CpioError("a member runs past the end", at)
        name = data[at + _HEADER_BYTES : name_end - 1].decode("utf-8", "replace")
        if name == _TRAILER:
            return tuple(members)
        members.append(Member(name, data[data_at:end], mode))
        at = end + (-end % 4)


def parse_os_release(text: str) -> dict[str, str]:
    """KEY=value lines of os-release, quotes resolved; lines that are none are skipped."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        key, separator, value = line.strip().partition("=")
        if not separator or not key.isidentifier():
            continue
        try:
            words = shlex.split(value)
        except ValueError:
            continue
        values[key] = " ".join(words)
    return values
