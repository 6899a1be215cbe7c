"""AF_IUCV: connections to other virtual machines of the same z/VM system.

    sockaddr_iucv, 32 bytes:  family u16 (32) | port u16 (0) | address u32 (0) | node 8 blanks | userid 8 | program 8

Userid and program are padded with blanks. The SMAPI request server is userid VSMREQIU, program DMSRSRQU (protocol.md
section 1); it knows who calls, so userid and password are sent empty. The agent in a guest is program OPNCLOUD
(formats.md section 3): one request of at most 1024 bytes with a NUL, answered by text up to `iucvcmdrc=N`.

Python has no address of this family, so the kernel's `connect` is called through the C library.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import socket
import struct
from collections.abc import Callable

from zvmcloud.smapi.client import Opener
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.machine import GuestAnswer, GuestUnreachableError

AF_IUCV: int = getattr(socket, "AF_IUCV", 32)
GUEST_PROGRAM = "OPNCLOUD"
MAX_REQUEST = 1024
_MAX_ANSWER = 16 * 1024 * 1024
_VERSION = "0.0.0.0"  # noqa: S104 (no address: never above a guest's own version, so that it asks for no upgrade)
_ENDED = re.compile(rb"iucvcmdrc=(\d+)[\n\0][\s\0]*\Z")

Connector = Callable[[bytes], socket.socket]
"""Makes a connected socket for a sockaddr. Raises OSError. Blocks."""


def address(userid: str, program: str) -> bytes:
    """The sockaddr of a program in a virtual machine."""
    names = [text.upper().ljust(8).encode("ascii") for text in (userid, program)]
    if any(len(name) != 8 for name in names):
        raise ValueError(f"{userid} {program}: a userid and a program name have at most 8 characters")
    return struct.pack("=HHI8s8s8s", AF_IUCV, 0, 0, b" " * 8, *names)


def connect(where: bytes) -> socket.socket:
    """A connected stream socket. OSError; EAFNOSUPPORT where the kernel has no AF_IUCV."""
    made = socket.socket(AF_IUCV, socket.SOCK_STREAM)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if library.connect(made.fileno(), where, len(where)):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    except BaseException:
        made.close()
        raise
    return made


def opener(userid: str, program: str, connector: Connector = connect) -> Opener:
    """What the SMAPI client opens its connections with. OSError goes to the client, which knows which to repeat."""
    where = address(userid, program)

    async def open_streams() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        made = await asyncio.to_thread(connector, where)
        made.setblocking(False)
        return await asyncio.open_connection(sock=made)

    return open_streams


async def guest_command(
    userid: str, me: str, command: str, connector: Connector = connect, seconds: float = 600.0
) -> GuestAnswer:
    """Run a command in a guest. GuestUnreachableError; AgentError 400 when it is too long, 504 `guest-timeout`."""
    request = f"{me} {_VERSION} {command}".encode() + b"\0"
    if len(request) > MAX_REQUEST:
        raise AgentError(400, "bad-parameter", f"a guest's command has at most {MAX_REQUEST - 32} bytes")
    try:
        reader, writer = await opener(userid, GUEST_PROGRAM, connector)()
    except OSError as problem:
        raise GuestUnreachableError(f"{userid}: {problem.strerror or problem}") from problem
    answer = b""
    try:
        async with asyncio.timeout(seconds):
            writer.write(request)
            await writer.drain()
            while (ended := _ENDED.search(answer)) is None and not answer.startswith(b"UNAUTHORIZED_ERROR"):
                data = await reader.read(65536)
                if not data:
                    raise GuestUnreachableError(f"{userid}: the connection ended before the command did")
                answer += data
                if len(answer) > _MAX_ANSWER:
                    raise AgentError(502, "answer-cut", f"{userid}: over {_MAX_ANSWER} bytes of output")
    except TimeoutError as problem:
        raise AgentError(504, "guest-timeout", f"{userid}: {command} has not ended within {seconds:g} s") from problem
    except OSError as problem:
        raise GuestUnreachableError(f"{userid}: {problem.strerror or problem}") from problem
    finally:
        writer.close()
    if ended is None:
        return GuestAnswer(1, answer.rstrip(b"\0").decode("utf-8", "replace"))
    return GuestAnswer(int(ended[1]), answer[: ended.start()].decode("utf-8", "replace"))
