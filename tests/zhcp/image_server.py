"""A web server with one image that takes whatever is sent to it, whose connections end when a test wants it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable


class ImageServer:
    """Serves one file over HTTP/1.1; `behave` decides how much of each answer is sent before the connection is cut."""

    def __init__(
        self, data: bytes, behave: Callable[[int], int | None] = lambda _: None, *, ranges: bool = True
    ) -> None:
        self.data, self.behave, self.ranges = data, behave, ranges
        self.etag = ""
        self.requests: list[str] = []
        self.redirects: dict[str, str] = {}
        """Paths that lead elsewhere."""
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.pause_after = -1

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/image"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.requests.append(request)
        if request.startswith("PUT "):
            while size := int(await reader.readline() or b"0", 16):
                await reader.readexactly(size + 2)
            with contextlib.suppress(ConnectionError):
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            writer.close()
            return
        start, end = 0, len(self.data)
        holds = f"if-range: {self.etag}" in request or "if-range" not in request.lower()
        for line in request.splitlines():
            if self.ranges and holds and line.lower().startswith("range: bytes="):
                first, _, last = line.partition("=")[2].rpartition("-")
                start = int(first) if first else len(self.data) - int(last)
                end = int(last) + 1 if first and last else end
        elsewhere = self.redirects.get(request.split()[1])
        if elsewhere:
            writer.write(f"HTTP/1.1 302 Found\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n".encode())
            writer.close()
            return
        limit = self.behave(len(self.requests))
        rest = self.data[start:end]
        status = "206 Partial Content" if start else "200 OK"
        if start:
            status += f"\r\nContent-Range: bytes {start}-{end - 1}/{len(self.data)}"
        if self.etag:
            status += f"\r\nETag: {self.etag}"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(rest)}\r\n\r\n".encode())
        sent = rest if limit is None else rest[:limit]
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await self._send(writer, sent)
        writer.close()

    async def _send(self, writer: asyncio.StreamWriter, sent: bytes) -> None:
        if self.pause_after >= 0:
            writer.write(sent[: self.pause_after])
            await writer.drain()
            await self.go_on.wait()
            sent = sent[self.pause_after :]
        writer.write(sent)
        await writer.drain()
