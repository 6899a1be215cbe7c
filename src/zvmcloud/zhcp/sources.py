"""Where image files come from: HTTP(S) with resume, or a file below a folder the settings allow.

A lost HTTP connection is taken up again with a Range request from the next byte. A server that ignores Range sends
the file again; the bytes that are known are dropped. Five losses without a byte in between are the end.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from zvmcloud.zhcp.errors import AgentError, FieldError

PIECE = 1024 * 1024
_LOSSES = 5
_PAUSE = 0.2


def check(url: str, folders: tuple[Path, ...]) -> Path | None:
    """The file of a file: URL, None for http(s). FieldError for other schemes and for files elsewhere."""
    try:
        parts = urlsplit(url)
    except ValueError as problem:
        raise FieldError("source.url", url, f"a URL ({problem})") from problem
    if parts.scheme in ("http", "https"):
        if not parts.hostname:
            raise FieldError("source.url", url, "a host is missing")
        return None
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise FieldError("source.url", url, "http:, https: or file: is expected")
    path = Path(unquote(parts.path)).resolve()
    if not any(path.is_relative_to(folder) for folder in folders):
        raise FieldError("source.url", url, "file: URLs must be below one of the agent's image_folders")
    if not path.is_file():
        raise AgentError(404, "image-missing", f"source.url: there is no file {path.name} in the image folder")
    return path


async def pieces(url: str, headers: Mapping[str, str], folders: tuple[Path, ...]) -> AsyncGenerator[bytes, None]:
    """The bytes of the file. AgentError: 404 `image-missing`, 502 `source-refused`, 502 `source-lost`."""
    path = await asyncio.to_thread(check, url, folders)
    source = _file(path) if path else _http(url, headers)
    async with contextlib.aclosing(source):
        async for piece in source:
            yield piece


async def _file(path: Path) -> AsyncGenerator[bytes, None]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
    finally:
        file.close()


async def _http(url: str, headers: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
    done, losses = 0, 0
    timeout = httpx.Timeout(60.0, connect=15.0)
    async with httpx.AsyncClient(timeout=timeout, follow_redirects=False, trust_env=False) as client:
        while True:
            before = done
            try:
                async for piece in _once(client, url, headers, done):
                    done += len(piece)
                    yield piece
            except (httpx.TransportError, httpx.InvalidURL) as problem:
                if isinstance(problem, httpx.UnsupportedProtocol | httpx.InvalidURL):
                    raise FieldError("source.url", url, str(problem)) from problem
                losses = 1 if done > before else losses + 1
                if losses >= _LOSSES:
                    raise AgentError(
                        502, "source-lost", f"the image's server was lost after {done} bytes: {problem!r}",
                        retryable=True, remedy="see whether the server of the image can be reached from the agent",
                    ) from problem  # fmt: skip
                await asyncio.sleep(_PAUSE * 2**losses)
            else:
                return


async def _once(client: httpx.AsyncClient, url: str, headers: Mapping[str, str], done: int) -> AsyncIterator[bytes]:
    """The rest of the file from byte `done` on. TransportError when the connection ends before the last byte."""
    asked = {**headers, "accept-encoding": "identity"}
    if done:
        asked["range"] = f"bytes={done}-"
    async with client.stream("GET", url, headers=asked) as answer:
        if done and answer.status_code == 416:
            return
        if answer.status_code not in (200, 206):
            status = 404 if answer.status_code == 404 else 502
            code = "image-missing" if status == 404 else "source-refused"
            raise AgentError(
                status, code, f"the image's server answered {answer.status_code} {answer.reason_phrase}",
                retryable=answer.status_code >= 500, remedy="see whether the image is still there",
            )  # fmt: skip
        skip = done if answer.status_code == 200 else 0
        async for piece in answer.aiter_raw():
            if skip >= len(piece):
                skip -= len(piece)
                continue
            yield piece[skip:] if skip else piece
            skip = 0
