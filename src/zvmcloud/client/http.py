"""The blocking client. One instance may be used by several threads."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from zvmcloud.client.errors import AnswerError, ConnectionFailed, Json, ProblemError

Document = dict[str, Any]
"""A JSON object of the API; its members are described by ``/v1/openapi.json``."""

_FINAL = frozenset({"done", "failed", "cancelled"})
_UNAVAILABLE = 503
_PAGE = 1000


class Client:
    """A manager at ``url`` (``http://host:port``, without ``/v1``).

    ``ca``: file with the certificate authority to trust for https (default: the system's). ``timeout``: seconds for
    one answer. ``retries``: how often a reading call is repeated after a lost connection, and any call after 503,
    with growing pauses; calls that change something are repeated only when the request cannot have arrived.
    ``transport`` is a seam for tests.
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
            headers={"Authorization": f"Bearer {token}"},
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

    def health(self) -> Document:
        """Version and epoch of the manager."""
        return self._object("GET", "/health")

    def systems(self) -> list[Document]:
        """The z/VM systems, and whether each one's agent answers."""
        return self._list("/systems")

    def guests(self, *, system: str = "", project: str = "") -> Iterator[Document]:
        """The guests the manager owns, page after page."""
        return self._pages("/guests", system=system, project=project)

    def images(self) -> Iterator[Document]:
        """The images the caller sees, page after page."""
        return self._pages("/images")

    def image(self, name: str) -> Document:
        """One image; ProblemError with status 404 when there is none of that name."""
        return self._object("GET", f"/images/{quote(name, safe='')}")

    def jobs(self, *, userid: str = "", state: str = "", system: str = "", limit: int = 100) -> list[Document]:
        """The newest jobs first, ``limit`` at most, without their steps."""
        page = str(min(limit, _PAGE))
        return list(islice(self._pages("/jobs", limit=page, userid=userid, state=state, system=system), limit))

    def job(self, job: str) -> Document:
        """One job with its steps and every call they made."""
        return self._object("GET", f"/jobs/{quote(job, safe='')}")

    def cancel(self, job: str) -> Document:
        """Ask a job to stop and undo what it did; returns it as it is then (it may still be running)."""
        return self._object("POST", f"/jobs/{quote(job, safe='')}/cancel")

    def watch(self, job: str) -> Iterator[Document]:
        """The job now and after every change, until it is over. A lost connection is made anew."""
        lost = 0
        while True:
            try:
                with self._http.stream(
                    "GET", f"/jobs/{quote(job, safe='')}/events", timeout=httpx.Timeout(30.0, read=None)
                ) as answer:
                    if not answer.is_success:
                        answer.read()
                        self._parsed(answer)
                    for line in answer.iter_lines():
                        if line.startswith("data: "):
                            lost = 0
                            document: Document = json.loads(line.removeprefix("data: "))
                            yield document
                            if document["state"] in _FINAL:
                                return
            except httpx.TransportError as error:
                self._again(error, lost)
            else:
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
        self._sleep(0.2 * 2**attempt)

    def _object(self, method: str, path: str) -> Document:
        found = self._call(method, path, {})
        if not isinstance(found, dict):
            raise AnswerError(f"{self.url}: the answer to {path} is not an object")
        return found

    def _pages(self, path: str, **query: str) -> Iterator[Document]:
        """The items of a list, which is fetched page by page as they are asked for."""
        asked = {"limit": str(_PAGE), **{name: value for name, value in query.items() if value}}
        while True:
            found = self._call("GET", path, asked)
            if not isinstance(found, dict) or not isinstance(found.get("items"), list):
                raise AnswerError(f"{self.url}: the answer to {path} is not a page of a list")
            yield from found["items"]
            if not found.get("next"):
                return
            asked["cursor"] = str(found["next"])

    def _list(self, path: str, **query: str) -> list[Document]:
        found = self._call("GET", path, {name: value for name, value in query.items() if value})
        if not isinstance(found, list):
            raise AnswerError(f"{self.url}: the answer to {path} is not a list")
        return found

    def _call(self, method: str, path: str, query: Mapping[str, str]) -> Json:
        attempt = 0
        while True:
            try:
                answer = self._http.request(method, path, params=dict(query))
            except httpx.TransportError as error:
                if method != "GET" and not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                    raise ConnectionFailed(f"{self.url}: {error}") from error
                self._again(error, attempt)
            else:
                if answer.status_code != _UNAVAILABLE or attempt >= self._retries:
                    return self._parsed(answer)
                self._sleep(0.2 * 2**attempt)
            attempt += 1

    def _parsed(self, answer: httpx.Response) -> Json:
        try:
            document: Json = answer.json()
        except ValueError:
            raise AnswerError(
                f"{self.url}: HTTP {answer.status_code} without JSON; is this a zvmcloud manager?"
            ) from None
        if answer.is_success:
            return document
        raise ProblemError(document if isinstance(document, dict) else {}, answer.status_code)
