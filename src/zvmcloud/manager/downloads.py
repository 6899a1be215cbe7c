"""Fetching image bytes over http and https, for clients that this manager trusts only so far.

A client may name any URL, so the manager must not become its way into networks that only the manager reaches: without
a setting only public addresses are connected to, exactly those that were checked, and no redirect leads to another
host. What such a server sends is never shown, nor are the credentials and the query of a URL.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from zvmcloud.manager.errors import BadInput, ImageUnusable, NotAllowed

_REDIRECTS = 5
_PIECE = 1 << 20
_IDLE = 60.0
"""Seconds for one connection attempt and between two pieces."""


@dataclass(frozen=True, slots=True)
class Limits:
    """``hosts`` may have any address; ``size`` in bytes; ``seconds`` for the whole download."""

    hosts: Sequence[str]
    size: int
    seconds: float


def shown(url: str) -> str:
    """The URL as messages and logs may have it: without user, password, query and fragment."""
    try:
        found = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        return "the URL"
    return str(found.copy_with(userinfo=b"", query=None, fragment=None))


async def download(url: str, limits: Limits, write: Callable[[bytes], Awaitable[None]]) -> None:
    """Hand the bytes behind ``url`` to ``write``, as they are stored there (no content coding is undone).

    Raises BadInput for what is no URL, NotAllowed (url-not-allowed), ImageUnusable (download-failed, image-size).
    """
    name = shown(url)
    try:
        async with asyncio.timeout(limits.seconds), _answer(url, limits) as answer:
            await _read(answer, name, limits, write)
    except TimeoutError:
        raise _unreachable(name, f"it takes more than {limits.seconds:g} seconds (setting import_seconds)") from None
    except httpx.HTTPStatusError as error:
        raise _unreachable(name, f"HTTP status {error.response.status_code}") from None
    except httpx.TimeoutException:
        raise _unreachable(name, f"no data for {_IDLE:g} seconds") from None
    except httpx.ConnectError:
        raise _unreachable(name, "no connection") from None
    except httpx.HTTPError as error:
        raise _unreachable(name, f"the server broke off or spoke no HTTP ({type(error).__name__})") from None


async def _read(answer: httpx.Response, name: str, limits: Limits, write: Callable[[bytes], Awaitable[None]]) -> None:
    declared = answer.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limits.size:
        raise _too_long(name, limits)
    size = 0
    async for data in answer.aiter_raw(_PIECE):
        size += len(data)
        if size > limits.size:
            raise _too_long(name, limits)
        await write(data)


@asynccontextmanager
async def _answer(url: str, limits: Limits) -> AsyncIterator[httpx.Response]:
    target = parsed(url)
    async with httpx.AsyncClient(timeout=_IDLE, follow_redirects=False, trust_env=False) as client:
        for _ in range(_REDIRECTS + 1):
            answer = await _send(client, target, limits)
            try:
                if not answer.is_redirect:
                    answer.raise_for_status()
                    yield answer
                    return
                target = _next(target, answer.headers.get("location", ""))
            finally:
                await answer.aclose()
    raise _unreachable(shown(url), f"more than {_REDIRECTS} redirects")


async def _send(client: httpx.AsyncClient, target: httpx.URL, limits: Limits) -> httpx.Response:
    """The answer of the first address that takes the connection; each was checked, and is what is connected to."""
    auth = httpx.BasicAuth(target.username, target.password) if target.userinfo else None
    plain = target.copy_with(userinfo=b"", fragment=None)
    found = await addresses(plain, limits.hosts)
    headers = {"host": plain.netloc.decode("ascii"), "accept-encoding": "identity"}
    for position, address in enumerate(found):
        request = client.build_request(
            "GET", plain.copy_with(host=address), headers=headers, extensions={"sni_hostname": plain.host}
        )
        try:
            return await client.send(request, stream=True, auth=auth)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if position == len(found) - 1:
                raise
    raise httpx.ConnectError("no address")


async def addresses(target: httpx.URL, hosts: Sequence[str], *, setting: str = "import_hosts") -> list[str]:
    """The host's addresses. Raises NotAllowed (url-not-allowed) when one is not public and ``hosts``, which are those
    of the setting, do not name it; ImageUnusable (download-failed) for a name that is not known."""
    host = target.host
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise _unreachable(shown(str(target)), f"the name {host} is not known") from None
    numbers = list(dict.fromkeys(str(item[4][0]) for item in found))
    if host.lower() in {name.lower().strip("[]") for name in hosts}:
        return numbers
    if any(not _public(address) for address in numbers):
        raise NotAllowed(
            f"url: {host} has an address that is not public; this manager fetches nothing from it",
            code="url-not-allowed",
            remedy=f"add the host to {setting} in the manager's settings",
            subject=host,
        )
    return numbers


def _public(address: str) -> bool:
    """Whether a host of the internet has it: neither loopback, link-local, private, multicast nor reserved."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is not None:
            return _public(str(inner))
        if found in _NAT64:
            return _public(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
    return found.is_global and not found.is_multicast


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def parsed(url: str) -> httpx.URL:
    """An http or https URL. Raises BadInput (url)."""
    try:
        found = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise BadInput("url", "it", "an http or https URL") from None
    if found.scheme not in {"http", "https"} or not found.host:
        raise BadInput("url", f"{found.scheme}:", "http://host/... or https://host/...")
    if found.port is not None and not 0 < found.port < 65536:
        raise BadInput("url", found.port, "a port from 1 to 65535")
    return found


def _next(target: httpx.URL, location: str) -> httpx.URL:
    """Where a redirect leads, if that is the same server: host and port, or from http to https."""
    try:
        found = target.join(location)
    except (httpx.InvalidURL, ValueError):
        raise _unreachable(shown(str(target)), "it redirects to something that is no URL") from None
    same = (found.scheme, found.port) == (target.scheme, target.port)
    safer = target.scheme == "http" and found.scheme == "https" and found.port is None
    if found.host != target.host or not (same or safer):
        raise NotAllowed(
            f"url: {shown(str(target))} redirects to another server",
            code="url-not-allowed",
            remedy="give the URL that it redirects to",
            subject=target.host,
        )
    return found.copy_with(userinfo=target.userinfo)


def _too_long(name: str, limits: Limits) -> ImageUnusable:
    return ImageUnusable(
        f"{name}: more than {limits.size} bytes (setting import_limit)", code="image-size", subject=name
    )


def _unreachable(name: str, why: str) -> ImageUnusable:
    return ImageUnusable(f"cannot fetch {name}: {why}", code="download-failed", subject=name)
