"""Fetching image bytes over http and https, for clients that this manager trusts only so far.

A client may name any URL, so the manager must not become its way into networks that only the manager reaches: without
a setting only public addresses are connected to, exactly those that were checked, and no redirect leads to another
host. What such a server sends is never shown, nor are the credentials and the query of a URL.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from zvmcloud.manager.errors import BadInput, ImageUnusable, NotAllowed

_REDIRECTS = 5
_PIECE = 1 << 18
"""Bytes that are written at once."""
_IDLE = 60.0
"""Seconds for one connection attempt and between two pieces."""
_UNSATISFIABLE = 416
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses that may be others the next time."""
_DIGITS = 19
_LONGEST_TAG = 512


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


@dataclass(frozen=True, slots=True)
class Part:
    """The beginning of a file that is here: ``size`` bytes of the version with the strong entity tag ``etag`` ("" when
    the server gave none)."""

    size: int = 0
    etag: str = ""


Begin = Callable[[Part, int], Awaitable[None]]
"""Told what is kept of the part (all of it, or nothing), and the size of the whole file (0: the server does not say),
before the first byte."""


async def _no_part(_part: Part, _total: int) -> None:
    """For downloads that begin at the first byte."""


async def download(
    url: str,
    limits: Limits,
    write: Callable[[bytes], Awaitable[None]],
    *,
    part: Part = Part(),
    begin: Begin = _no_part,
) -> None:
    """Hand the bytes behind ``url`` to ``write``, as they are stored there (no content coding is undone).

    With a ``part`` the server is asked for the rest; when it has another version by now, or knows no ranges, the file
    begins anew. Raises BadInput for what is no URL, NotAllowed (url-not-allowed), ImageUnusable (download-failed,
    image-size); ``retryable`` when asking again, with the part there is then, may help.
    """
    name = shown(url)
    try:
        async with asyncio.timeout(limits.seconds), _answer(url, limits, _range(part)) as answer:
            start = _start(answer, part)
            total = _total(answer, start)
            if total > limits.size:
                raise _too_long(name, limits)
            await begin(Part(start, _strong(answer)), total)
            if answer.status_code != _UNSATISFIABLE:
                await _read(answer, name, limits, write, start)
    except TimeoutError:
        raise _unreachable(name, f"it takes more than {limits.seconds:g} seconds (setting import_seconds)") from None
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        raise _unreachable(name, f"HTTP status {status}", again=status in _PASSING) from None
    except httpx.TimeoutException:
        raise _unreachable(name, f"no data for {_IDLE:g} seconds", again=True) from None
    except httpx.ConnectError:
        raise _unreachable(name, "no connection", again=True) from None
    except httpx.HTTPError as error:
        why = f"the server broke off or spoke no HTTP ({type(error).__name__})"
        raise _unreachable(name, why, again=True) from None


def _range(part: Part) -> dict[str, str]:
    if not part.size:
        return {}
    found = {"range": f"bytes={part.size}-"}
    return {**found, "if-range": part.etag} if part.etag else found


def _start(answer: httpx.Response, part: Part) -> int:
    """The byte that an answer begins with: that behind the part, or the first one."""
    if answer.status_code == _UNSATISFIABLE:
        return part.size
    first = answer.headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
    if answer.status_code == httpx.codes.PARTIAL_CONTENT and first != str(part.size):
        raise httpx.RemoteProtocolError("the server sent another range than it was asked for")
    return part.size if answer.status_code == httpx.codes.PARTIAL_CONTENT else 0


def _total(answer: httpx.Response, start: int) -> int:
    declared = answer.headers.get("content-length", "")
    if answer.status_code == _UNSATISFIABLE:
        return start
    return start + int(declared) if declared.isdecimal() and len(declared) < _DIGITS else 0


def _strong(answer: httpx.Response) -> str:
    tag = str(answer.headers.get("etag", ""))
    return tag if tag.startswith('"') and len(tag) < _LONGEST_TAG else ""


async def _read(
    answer: httpx.Response, name: str, limits: Limits, write: Callable[[bytes], Awaitable[None]], size: int
) -> None:
    buffer = bytearray()
    try:
        async for data in answer.aiter_raw():
            size += len(data)
            if size > limits.size:
                buffer.clear()
                raise _too_long(name, limits)
            buffer += data
            if len(buffer) >= _PIECE:
                await write(bytes(buffer))
                buffer.clear()
    except httpx.HTTPError:  # what came before the connection broke need not come again
        await write(bytes(buffer))
        raise
    await write(bytes(buffer))


@asynccontextmanager
async def _answer(url: str, limits: Limits, headers: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
    """The answer that is no redirect; 416 only when the part that is there is the whole file."""
    target = parsed(url)
    async with httpx.AsyncClient(timeout=_IDLE, follow_redirects=False, trust_env=False) as client:
        for _ in range(_REDIRECTS + 1):
            answer = await _send(client, target, limits, headers)
            try:
                if answer.status_code == _UNSATISFIABLE and headers:
                    whole = answer.headers.get("content-range", "").rpartition("/")[2]
                    if headers["range"] == f"bytes={whole}-":
                        yield answer
                        return
                    headers = {}
                    continue
                if not answer.is_redirect:
                    answer.raise_for_status()
                    yield answer
                    return
                target = _next(target, answer.headers.get("location", ""))
            finally:
                await answer.aclose()
    raise _unreachable(shown(url), f"more than {_REDIRECTS} redirects")


async def _send(
    client: httpx.AsyncClient, target: httpx.URL, limits: Limits, more: Mapping[str, str]
) -> httpx.Response:
    """The answer of the first address that takes the connection; each was checked, and is what is connected to."""
    auth = httpx.BasicAuth(target.username, target.password) if target.userinfo else None
    plain = target.copy_with(userinfo=b"", fragment=None)
    found = await addresses(plain, limits.hosts)
    headers = {"host": plain.netloc.decode("ascii"), "accept-encoding": "identity", **more}
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


def _unreachable(name: str, why: str, *, again: bool = False) -> ImageUnusable:
    found = ImageUnusable(f"cannot fetch {name}: {why}", code="download-failed", subject=name)
    found.retryable = again
    return found
