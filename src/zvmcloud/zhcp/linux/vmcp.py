"""CP commands through the character device /dev/vmcp.

    ioctl SETBUF (bytes)   room for the answer; the driver takes 4096 bytes to 1 MiB and refuses more
    write (command)        at most 240 characters; returns when CP is done
    ioctl GETCODE          CP's return code: 0, or the number of the message that refuses
    ioctl GETSIZE          bytes of the answer; more than the buffer means that the end is missing
    read                   the answer in ASCII, lines divided by line feeds

Source: s390-tools' vmcp(8) and the kernel's uapi header asm/vmcp.h (request numbers 1 to 3 of type 0x10). An answer
that did not fit was cut, and CP has run the command: only a query is sent again, with a buffer of the size it named.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path
from typing import Protocol

from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.machine import CpAnswer

DEVICE = "/dev/vmcp"
MAX_COMMAND = 240
FIRST_BUFFER = 8192
MAX_BUFFER = 1048576

_READ, _WRITE = 2, 1


def _request(direction: int, number: int) -> int:
    """An ioctl number as asm-generic/ioctl.h makes it: direction, size of an int, type, number."""
    return direction << 30 | struct.calcsize("i") << 16 | 0x10 << 8 | number


GETCODE = _request(_READ, 1)
SETBUF = _request(_WRITE, 2)
GETSIZE = _request(_READ, 3)


class Device(Protocol):
    """An open /dev/vmcp. Methods raise OSError."""

    def control(self, request: int, value: int = 0) -> int:
        """An ioctl that takes and gives an int."""

    def write(self, data: bytes) -> None:
        """One command."""

    def read(self, count: int) -> bytes:
        """The answer."""

    def close(self) -> None:
        """Let it go."""


class CharacterDevice:
    """The device of this kernel."""

    def __init__(self, path: Path) -> None:
        """OSError when there is none."""
        self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)

    def control(self, request: int, value: int = 0) -> int:
        answer: bytes = fcntl.ioctl(self._fd, request, struct.pack("i", value))
        return int(struct.unpack("i", answer)[0])

    def write(self, data: bytes) -> None:
        os.write(self._fd, data)

    def read(self, count: int) -> bytes:
        return os.read(self._fd, count)

    def close(self) -> None:
        os.close(self._fd)


def execute(device: Device, command: str) -> CpAnswer:
    """Run one command. AgentError 400 `bad-parameter` (too long), 502 `answer-cut` (no query, and an answer that no
    buffer holds, or that did not fit)."""
    data = command.encode("ascii", "replace")
    if not 1 <= len(data) <= MAX_COMMAND:
        raise AgentError(400, "bad-parameter", f"a CP command has 1 to {MAX_COMMAND} characters, not {len(data)}")
    room = FIRST_BUFFER
    while True:
        device.control(SETBUF, room)
        device.write(data)
        rc = device.control(GETCODE)
        size = device.control(GETSIZE)
        if size <= room:
            text = device.read(size) if size else b""
            return CpAnswer(rc, tuple(line.rstrip() for line in text.decode("ascii", "replace").splitlines()))
        if size > MAX_BUFFER or not command.upper().startswith(("QUERY ", "INDICATE ")):
            raise AgentError(
                502, "answer-cut", f"the answer to {command} has {size} bytes, and {room} were taken",
                remedy="see on z/VM what it did; ask for less",
            )  # fmt: skip
        room = min(-(-size // 4096) * 4096, MAX_BUFFER)


def run(path: Path, command: str) -> CpAnswer:
    """Open the device, run one command, close it. AgentError 503 `machine-unreachable` where there is none."""
    try:
        device = CharacterDevice(path)
        try:
            return execute(device, command)
        finally:
            device.close()
    except OSError as problem:
        raise AgentError(
            503, "machine-unreachable", f"{path}: {problem.strerror or problem}", retryable=True,
            remedy="modprobe vmcp, and run the agent as root on a Linux guest of z/VM",
        ) from problem  # fmt: skip
