"""Where image files come from: HTTP(S) with resume, or a file below a folder the settings allow.

A lost HTTP connection is taken up again with a Range request from the next byte, under If-Range when the server gave a
strong ETag (RFC 9110, 13.1.5). A server that ignores Range sends the file again; the bytes that are known are dropped.
A file that is another one by then (other ETag, other size) is an error: half of one and half of the other would be
found only by the digest. Five losses without a byte in between are the end.

Redirects are followed on the same host only (not from https to http): the caller's headers may hold a token.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from zvmcloud.zhcp.errors import HIDDEN, AgentError, FieldError
from zvmcloud.zhcp.image_messages import ImageSource
from zvmcloud.zhcp.joining import to_its_end

PIECE = 2 * 1024 * 1024
_LOSSES = 5
_REDIRECTS = 5
_END_SECONDS = 15.0
_PAUSE = 0.2
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
Trust = ssl.SSLContext | None
_ALGORITHMS = ("sha512", "sha256", "md5")


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest that a file should have: algorithm (sha256, sha512 or md5) and lower-case hexadecimal digits."""

    algorithm: str
    hex: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


def digest_of(source: ImageSource) -> Digest:
    """The strongest digest the source names. FieldError when it names none."""
    for algorithm in _ALGORITHMS:
        value = str(getattr(source, algorithm))
        if value:
            return Digest(algorithm, value.lower())
    raise FieldError("source.sha256", "", "a digest is required: sha256, sha512 or md5")


def check(url: str, folders: tuple[Path, ...]) -> Path | None:
    """The file of a file: URL, None for http(s). FieldError for other schemes and for files elsewhere."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise FieldError("source.url", HIDDEN, "a URL is expected") from None
    if parts.scheme in ("http", "https"):
        if not parts.hostname:
            raise FieldError("source.url", HIDDEN, "a host is missing")
        return None
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise FieldError("source.url", HIDDEN, "http:, https: or file: is expected")
    path = Path(unquote(parts.path)).resolve()
    if not any(path.is_relative_to(folder) for folder in folders):
        raise FieldError("source.url", url, "file: URLs must be below one of the agent's image_folders")
    if not path.is_file():
        raise AgentError(404, "image-missing", f"source.url: there is no file {path.name} in the image folder")
    return path


def client_of(timeout: httpx.Timeout, trust: Trust) -> httpx.AsyncClient:
    """A client for one exchange with a server of images; redirects are this module's own work."""
    verify: ssl.SSLContext | bool = True if trust is None else trust
    return httpx.AsyncClient(timeout=timeout, follow_redirects=False, trust_env=False, verify=verify)


async def end_of(source: ImageSource, length: int, trust: Trust = None) -> tuple[bytes, int]:
    """The last bytes of a file on a server and its size; (b"", 0) when the server does not tell.

    Whatever is wrong is left to who reads the file itself.
    """
    return await _part(source, f"-{length}", length, trust)


async def part_of(source: ImageSource, offset: int, length: int, trust: Trust = None) -> bytes:
    """Bytes of a file on a server; b"" when the server does not give just these."""
    found, _ = await _part(source, f"{offset}-{offset + length - 1}", length, trust)
    return found


async def _part(source: ImageSource, wanted: str, length: int, trust: Trust) -> tuple[bytes, int]:
    """The bytes of a range and the file's size."""
    asked = {**source.headers, "accept-encoding": "identity", "range": f"bytes={wanted}"}
    timeout = httpx.Timeout(_END_SECONDS)
    try:
        async with (
            client_of(timeout, trust) as client,
            _answer(client, source.url, asked) as answer,
        ):
            found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
            if answer.status_code != 206 or found is None or found[2] == "*":
                return b"", 0
            if not wanted.startswith(("-", f"{found[1]}-")):
                return b"", 0
            data = b""
            async for piece in answer.aiter_raw():
                data += piece
                if len(data) > length:
                    return b"", 0
            return (data, int(found[2])) if len(data) == length else (b"", 0)
    except (httpx.HTTPError, httpx.InvalidURL, AgentError):
        return b"", 0


@asynccontextmanager
async def _answer(client: httpx.AsyncClient, url: str, headers: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
    """The answer to a GET, its body still to be read; redirects to the same host are followed.

    AgentError 502 `source-refused` for others: the headers may hold a token that only this host should see.
    """
    for _ in range(_REDIRECTS):
        async with client.stream("GET", url, headers=headers) as answer:
            if answer.next_request is None:
                yield answer
                return
            old, new = answer.request.url, answer.next_request.url
            if new.host != old.host or (old.scheme == "https" and new.scheme != "https"):
                raise AgentError(
                    502, "source-refused",
                    f"the image's server answered {answer.status_code} and leads to {new.scheme}://{new.host}",
                    remedy="name the address it leads to in source.url, if that server is to be trusted",
                )  # fmt: skip
            url = str(new)
    raise AgentError(502, "source-refused", f"the image's server redirects more than {_REDIRECTS} times")


async def pieces(url: str, headers: Mapping[str, str], folders: tuple[Path, ...]) -> AsyncGenerator[bytes, None]:
    """The bytes of a file, wherever it is. FieldError, and AgentError as `HttpFile`."""
    path = await asyncio.to_thread(check, url, folders)
    stream = file_pieces(path) if path else HttpFile(url, headers).pieces()
    async with contextlib.aclosing(stream):
        async for piece in stream:
            yield piece


async def file_pieces(path: Path) -> AsyncGenerator[bytes, None]:
    """The bytes of a local file."""
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while piece := await to_its_end(asyncio.to_thread(file.read, PIECE)):
            yield piece
    finally:
        file.close()


class HttpFile:
    """A file on a web server, read from byte `start` on. `etag`: that of an earlier read, if it was a strong one.
    `trust`: whom to believe, None for public authorities."""

    def __init__(
        self, url: str, headers: Mapping[str, str], *, start: int = 0, etag: str = "", trust: Trust = None
    ) -> None:
        self._url = url
        self._trust = trust
        self._headers = headers
        self._done = start
        self.etag = etag
        self.total = 0
        """The file's size, once the server has said it."""

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The bytes. AgentError: 404 `image-missing`, 502 `source-refused`, `source-lost`, `source-changed`."""
        losses = 0
        timeout = httpx.Timeout(60.0, connect=15.0)
        async with client_of(timeout, self._trust) as client:
            while True:
                before = self._done
                try:
                    async for piece in self._once(client):
                        self._done += len(piece)
                        yield piece
                except (httpx.TransportError, httpx.InvalidURL) as problem:
                    if isinstance(problem, httpx.UnsupportedProtocol | httpx.InvalidURL):
                        raise FieldError("source.url", HIDDEN, "a URL of http or https is expected") from None
                    losses = 1 if self._done > before else losses + 1
                    if losses >= _LOSSES:
                        raise AgentError(
                            502, "source-lost", f"the image's server was lost after {self._done} bytes: {problem!r}",
                            retryable=True, remedy="see whether the server of the image can be reached from the agent",
                        ) from problem  # fmt: skip
                    await asyncio.sleep(_PAUSE * 2**losses)
                else:
                    return

    async def _once(self, client: httpx.AsyncClient) -> AsyncIterator[bytes]:
        """The rest of the file. TransportError when the connection ends before the last byte."""
        asked = {**self._headers, "accept-encoding": "identity"}
        if self._done:
            asked["range"] = f"bytes={self._done}-"
            if self.etag:
                asked["if-range"] = self.etag
        async with _answer(client, self._url, asked) as answer:
            if self._done and answer.status_code == 416 and self._done == self.total:
                return
            if answer.status_code not in (200, 206, 416):
                status = 404 if answer.status_code == 404 else 502
                code = "image-missing" if status == 404 else "source-refused"
                raise AgentError(
                    status, code, f"the image's server answered {answer.status_code} {answer.reason_phrase}",
                    retryable=answer.status_code >= 500, remedy="see whether the image is still there",
                )  # fmt: skip
            skip = self._compare(answer)
            async for piece in answer.aiter_raw():
                if skip >= len(piece):
                    skip -= len(piece)
                    continue
                yield piece[skip:] if skip else piece
                skip = 0

    def _compare(self, answer: httpx.Response) -> int:
        """See that it is still the same file; how many bytes of the answer are known already."""
        etag = answer.headers.get("etag", "")
        etag = "" if etag.startswith("W/") else etag
        length = answer.headers.get("content-length", "")
        total, skip = int(length) if length.isascii() and length.isdigit() else 0, self._done
        if answer.status_code != 200:
            found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
            if found is None or int(found[1]) != self._done:
                raise _changed(f"it was asked for byte {self._done} on and has other bytes")
            total, skip = int(found[2]) if found[2] != "*" else 0, 0
        if self.etag and etag != self.etag:
            raise _changed(f"its ETag was {self.etag} and is {etag or 'missing'}")
        if self.total and total and total != self.total:
            raise _changed(f"it had {self.total} bytes and has {total}")
        self.etag = self.etag or etag
        self.total = self.total or total
        return skip


def _changed(detail: str) -> AgentError:
    return AgentError(
        502, "source-changed", f"the image on its server is not the one that was begun: {detail}",
        retryable=True, remedy="try again from the start, with the digest of the image that is there now",
    )  # fmt: skip
