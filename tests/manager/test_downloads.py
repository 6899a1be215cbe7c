"""Downloads of images: only from public addresses or named hosts, within limits, and without telling what came."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from manager.fake_zhcp import FakeZhcp
from manager.support import image_file, running, settings
from zvmcloud.manager.downloads import _public
from zvmcloud.manager.errors import BadInput, ImageUnusable, ManagerError, NotAllowed
from zvmcloud.manager.images.localfiles import is_here


class Server:
    """Answers every request with the same bytes, and notes what it was asked."""

    def __init__(self, answer: bytes, *, hang: bool = False) -> None:
        self.answer = answer
        self.hang = hang
        self.asked = b""
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/image"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += await reader.readuntil(b"\r\n\r\n")
        writer.write(self.answer)
        await writer.drain()
        if self.hang:
            await reader.read()
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server(b"")
    listener = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = listener.sockets[0].getsockname()[1]
    yield found
    listener.close()


async def fetch(tmp_path: Path, url: str, **more: object) -> bytes:
    """The bytes kept for an image that was imported from there."""
    async with running(FakeZhcp(), settings(tmp_path / "state", **more)) as node:
        await node.images.import_url("web", url, "rhel9")
        return node.images.path(await node.images.get("web")).read_bytes()


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "0.0.0.1", "100.64.0.1", "224.0.0.1", "::1",
     "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"],
)  # fmt: skip
def test_addresses_that_only_insiders_reach_are_not_public(address: str) -> None:
    assert not _public(address)


def test_addresses_of_the_internet_are_public() -> None:
    assert _public("1.1.1.1")
    assert _public("2606:4700:4700::1111")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433"])
async def test_this_machine_is_asked_only_if_the_settings_name_it(tmp_path: Path, server: Server, host: str) -> None:
    with pytest.raises(ManagerError) as caught:
        await fetch(tmp_path, f"http://{host}:{server.port}/x", import_hosts=[])
    assert isinstance(caught.value, NotAllowed)
    assert "import_hosts" in caught.value.remedy
    assert server.asked == b""


async def test_a_redirect_to_another_server_is_refused(tmp_path: Path, server: Server) -> None:
    server.answer = http(b"", "location: http://localhost:1/secret", status="302 Found")
    with pytest.raises(NotAllowed, match="another server"):
        await fetch(tmp_path, server.url, import_hosts=["127.0.0.1", "localhost"])


async def test_a_redirect_that_never_ends_is_given_up(tmp_path: Path, server: Server) -> None:
    server.answer = http(b"", "location: /image", status="302 Found")
    with pytest.raises(ImageUnusable, match="redirects"):
        await fetch(tmp_path, server.url)


async def test_proxies_of_the_environment_are_not_used(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    body = image_file(tmp_path).read_bytes()
    server.answer = http(body)
    assert await fetch(tmp_path, server.url) == body


async def test_bytes_are_kept_as_they_are_sent(tmp_path: Path, server: Server) -> None:
    body = image_file(tmp_path).read_bytes()
    server.answer = http(body, "content-encoding: gzip")
    assert gzip.decompress(body[512:])
    assert await fetch(tmp_path, server.url) == body


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "not declared"])
async def test_more_bytes_than_the_limit_are_refused(tmp_path: Path, server: Server, declared: bool) -> None:
    body = image_file(tmp_path).read_bytes()
    server.answer = http(body) if declared else b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + body
    with pytest.raises(ImageUnusable, match="import_limit"):
        await fetch(tmp_path, server.url, import_limit=len(body) - 1)


async def test_a_server_that_is_too_slow_is_given_up(tmp_path: Path, server: Server) -> None:
    server.answer, server.hang = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nslow", True
    with pytest.raises(ImageUnusable, match="more than 1 seconds"):
        await fetch(tmp_path, server.url, import_seconds=1)


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-SECRETSERVER\r\n\r\n", http(b"SECRET" * 200)], ids=["no http", "no image"]
)
async def test_neither_content_nor_credentials_are_told(
    tmp_path: Path, server: Server, caplog: pytest.LogCaptureFixture, answer: bytes
) -> None:
    caplog.set_level("WARNING")
    server.answer = answer
    url = server.url.replace("//", "//joe:PASSWORD@") + "?signature=SIGNED"
    with pytest.raises(ImageUnusable) as caught:
        await fetch(tmp_path, url)
    told = repr(caught.value.problem()) + caplog.text
    assert b"authorization: basic" in server.asked.lower()
    for secret in ("SECRET", "PASSWORD", "SIGNED", "joe"):
        assert secret not in told


async def test_a_url_that_is_none_is_bad_input_that_is_not_repeated(tmp_path: Path) -> None:
    for url in ("http://[::1", "ftp://joe:PASSWORD@host/x", "http://", "http://host:99999999/"):
        with pytest.raises(BadInput, match="url") as caught:
            await fetch(tmp_path, url)
        assert "PASSWORD" not in str(caught.value)


def test_a_host_name_is_never_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def looked_up(*_: object) -> None:
        raise AssertionError("a name was looked up")

    for name in ("getaddrinfo", "gethostbyname", "getfqdn", "gethostbyaddr"):
        monkeypatch.setattr(f"socket.{name}", looked_up)
    assert not is_here("root@localhost", [])
    assert not is_here("root@nfs.example.com", [])
    assert is_here("root@::1", []) or is_here("root@127.0.0.1", [])
