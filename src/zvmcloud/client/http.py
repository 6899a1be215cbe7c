"""The blocking client. One instance may be used by several threads."""

from __future__ import annotations

import json
import ssl
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from urllib.parse import quote

import httpx

from zvmcloud.client.errors import AnswerError, ConnectionFailed, Json, ProblemError

Document = dict[str, Any]
"""A JSON object of the API; its members are described by ``/v1/openapi.json``."""

_FINAL = frozenset({"done", "failed", "cancelled", "undone"})
_UNAVAILABLE = 503
_NOT_MODIFIED = 304
_PAGE = 1000
_LONGEST_PAUSE = 10.0


@dataclass(frozen=True, slots=True)
class Event:
    """A server-sent event: its id ("" when it has none), its name, its data."""

    id: str
    name: str
    data: str


class Client:
    """A manager at ``url`` (``http://host:port``, without ``/v1``).

    ``token`` "" asks without one, which few routes answer. ``ca``: file with the certificate authority to trust for
    https (default: the system's). ``timeout``: seconds for one answer. ``retries``: how often a reading call is
    repeated after a lost connection, and any call after 503, with growing pauses; calls that change something are
    repeated when they carry an Idempotency-Key, else only when the request cannot have arrived. ``transport`` is a
    seam for tests.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        ca: Path | None = None,
        timeout: float = 30.0,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url.rstrip("/")
        self._retries = retries
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=f"{self.url}/v1",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=timeout,
            verify=ssl.create_default_context(cafile=str(ca)) if ca else True,
            transport=transport,
        )

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Json] | None = None,
        body: Json = None,
        content: bytes | Iterable[bytes] | None = None,
        media: str = "application/octet-stream",
        part: str = "",
    ) -> Json:
        """Any route: its JSON answer, its text, or None for an empty one. ``body`` is sent as JSON, ``content`` as it
        is; ``part`` is its Content-Range. Every POST carries an Idempotency-Key, so it is repeated after a lost
        connection without being done twice.
        """
        headers: dict[str, str] = {"Content-Range": part} if part else {}
        if method == "POST" and path != "/login":
            headers["Idempotency-Key"] = str(uuid.uuid4())
        if content is not None:
            headers["Content-Type"] = media
        return self._call(method, path, dict(query or {}), headers, body, content)

    def download(self, path: str, target: BinaryIO, told: Callable[[int, int], None] | None = None) -> int:
        """Write the bytes of a route to a file; ``told`` hears how many of how many there are (0: unknown)."""
        size = 0
        try:
            with self._http.stream("GET", path) as answer:
                if not answer.is_success:
                    answer.read()
                    self._parsed(answer)
                whole = int(answer.headers.get("content-length", "0"))
                for piece in answer.iter_bytes(1 << 20):
                    size += target.write(piece)
                    if told is not None:
                        told(size, whole)
        except httpx.TransportError as error:
            raise ConnectionFailed(f"{self.url}: {error}") from error
        return size

    def events(self, path: str, query: Mapping[str, Json] | None = None, last: str = "") -> Iterator[Event]:
        """The server-sent events of a route, until the manager ends them. A lost connection is made anew, behind the
        last event that has an id (``last`` at first)."""
        lost = 0
        while True:
            headers = {"Last-Event-ID": last} if last else {}
            try:
                with self._http.stream(
                    "GET", path, params=_given(query or {}), headers=headers, timeout=httpx.Timeout(30.0, read=None)
                ) as answer:
                    if not answer.is_success:
                        answer.read()
                        self._parsed(answer)
                    for event in _parse_events(answer.iter_lines()):
                        lost, last = 0, event.id or last
                        yield event
            except httpx.TransportError as error:
                self._again(error, lost)
            else:
                return
            lost += 1

    def document(self, tag: str = "") -> tuple[Document | None, str]:
        """The OpenAPI document and its ETag; no document when it is still the one of ``tag``."""
        try:
            answer = self._http.get("/openapi.json", headers={"If-None-Match": tag} if tag else {})
        except httpx.TransportError as error:
            raise ConnectionFailed(f"{self.url}: {error}") from error
        if answer.status_code == _NOT_MODIFIED:
            return None, tag
        found = self._parsed(answer)
        if not isinstance(found, dict) or "paths" not in found:
            raise AnswerError(f"{self.url}: the answer to /v1/openapi.json is no OpenAPI document")
        return found, answer.headers.get("etag", "")

    def health(self) -> Document:
        """Version and epoch of the manager."""
        return self.ask("GET", "/health")

    def whoami(self) -> Document:
        """User, role and projects of the token, and the default system."""
        return self.ask("GET", "/whoami")

    def systems(self) -> list[Document]:
        """The z/VM systems, and whether each one's agent answers."""
        return self._list("/systems")

    def guests(self, *, system: str = "", project: str = "") -> Iterator[Document]:
        """The guests the manager owns, page after page."""
        return self.pages("/guests", {"system": system, "project": project})

    def images(self) -> Iterator[Document]:
        """The images the caller sees, page after page."""
        return self.pages("/images", {})

    def image(self, name: str) -> Document:
        """One image; ProblemError with status 404 when there is none of that name."""
        return self.ask("GET", f"/images/{quote(name, safe='')}")

    def uploads(self) -> list[Document]:
        """Images that are on their way."""
        return self._list("/uploads")

    def jobs(self, *, userid: str = "", state: str = "", system: str = "", limit: int = 100) -> list[Document]:
        """The newest jobs first, ``limit`` at most, without their steps."""
        query = {"limit": min(limit, _PAGE), "userid": userid, "state": state, "system": system}
        return list(islice(self.pages("/jobs", query), limit))

    def job(self, job: str) -> Document:
        """One job with its steps and every call they made."""
        return self.ask("GET", f"/jobs/{quote(job, safe='')}")

    def cancel(self, job: str) -> Document:
        """Ask a job to stop and undo what it did; returns it as it is then (it may still be running)."""
        return self.ask("POST", f"/jobs/{quote(job, safe='')}/cancel")

    def watch(self, job: str) -> Iterator[Document]:
        """The job now and after every change, until it is over. A lost connection is made anew."""
        lost = 0
        while True:
            for event in self.events(f"/jobs/{quote(job, safe='')}/events"):
                if event.name == "job":
                    lost = 0
                    document: Document = json.loads(event.data)
                    yield document
                    if document["state"] in _FINAL:
                        return
            self._again(None, lost)
            lost += 1

    def wait(self, job: str) -> Document:
        """The job when it is over, however it ended."""
        found: Document = {}
        for found in self.watch(job):  # noqa: B007  the last one counts
            pass
        return self.job(str(found["id"]))

    def _again(self, error: Exception | None, attempt: int) -> None:
        if attempt >= self._retries:
            raise ConnectionFailed(f"{self.url}: {error or 'the stream of events ended early'}") from error
        self._sleep(_pause(attempt))

    def ask(self, method: str, path: str, *, query: Mapping[str, Json] | None = None, body: Json = None) -> Document:
        """Any route that answers with one object. Raises AnswerError for another answer."""
        found = self.call(method, path, query=query, body=body)
        if not isinstance(found, dict):
            raise AnswerError(f"{self.url}: the answer to {path} is not an object")
        return found

    def pages(self, path: str, query: Mapping[str, Json]) -> Iterator[Document]:
        """The items of a list, which is fetched page by page as they are asked for."""
        asked: dict[str, Json] = {"limit": _PAGE, **query}
        while True:
            found = self._call("GET", path, asked)
            if isinstance(found, list):
                yield from found
                return
            if not isinstance(found, dict) or not isinstance(found.get("items"), list):
                raise AnswerError(f"{self.url}: the answer to {path} is not a list")
            yield from found["items"]
            if not found.get("next"):
                return
            asked["cursor"] = str(found["next"])

    def _list(self, path: str, **query: str) -> list[Document]:
        found = self._call("GET", path, {name: value for name, value in query.items() if value})
        if not isinstance(found, list):
            raise AnswerError(f"{self.url}: the answer to {path} is not a list")
        return found

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, Json],
        headers: Mapping[str, str] | None = None,
        body: Json = None,
        content: bytes | Iterable[bytes] | None = None,
    ) -> Json:
        attempt = 0
        once = content is not None and not isinstance(content, bytes)
        safe = not once and (method == "GET" or "Idempotency-Key" in (headers or {}))
        while True:
            try:
                answer = self._http.request(
                    method, path, params=_given(query), headers=dict(headers or {}), json=body, content=content
                )
            except httpx.TransportError as error:
                if once or (not safe and not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)):
                    raise ConnectionFailed(f"{self.url}: {error}") from error
                self._again(error, attempt)
            else:
                if answer.status_code != _UNAVAILABLE or attempt >= self._retries or once:
                    return self._parsed(answer)
                self._sleep(_pause(attempt))
            attempt += 1

    def _parsed(self, answer: httpx.Response) -> Json:
        kind = answer.headers.get("content-type", "")
        if answer.is_success and (not answer.content or kind.startswith("text/plain")):
            return answer.text or None
        try:
            document: Json = answer.json()
        except ValueError:
            raise AnswerError(
                f"{self.url}: HTTP {answer.status_code} without JSON; is this a zvmcloud manager?"
            ) from None
        if answer.is_success:
            return document
        raise ProblemError(document if isinstance(document, dict) else {}, answer.status_code)


def _pause(attempt: int) -> float:
    return min(0.2 * 2.0**attempt, _LONGEST_PAUSE)


def _given(query: Mapping[str, Json]) -> httpx.QueryParams:
    """What a query has, lists as repeated names."""
    pairs: list[tuple[str, str | int | float | bool | None]] = []
    for name, value in query.items():
        values = value if isinstance(value, list) else [] if value is None or value == "" else [value]
        pairs += [(name, str(item).lower() if isinstance(item, bool) else str(item)) for item in values]
    return httpx.QueryParams(pairs)


def _parse_events(lines: Iterable[str]) -> Iterator[Event]:
    """Events out of the lines of a stream; comments, which only keep the connection open, are left out."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if line and name:
            value = value.removeprefix(" ")
            fields[name] = f"{fields['data']}\n{value}" if name == "data" and "data" in fields else value
        elif not line and "data" in fields:
            yield Event(fields.get("id", ""), fields.get("event", "message"), fields["data"])
            fields = {}
        elif not line:
            fields = {}
