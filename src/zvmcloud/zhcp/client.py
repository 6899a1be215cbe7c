"""A client of the agent's HTTP door: typed operations in, outcomes and documents out.

>>> async with ZhcpClient("http://127.0.0.1:8091") as agent:
...     outcome = await agent.run(job="j1", step="create", epoch=1, operation=CreateGuest(...))

Addresses: `http://`, `https://` (with `ca`, and `certificate` and `key` for mutual TLS) or `unix:/path`.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from zvmcloud.zhcp.errors import Json, Problem
from zvmcloud.zhcp.messages import Operation, OperationOutcome, operation_json, parse_outcome, parse_problem

Progress = Callable[[OperationOutcome], None]
_LONG_POLL = 60.0
_PROGRESS_POLL = 0.5


class ZhcpError(Exception):
    """The agent refused, failed, or cannot be reached (code `agent-unreachable`)."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.detail} ({problem.code})")
        self.problem = problem


class ZhcpClient:
    """One agent. May be used by many tasks of one event loop."""

    def __init__(
        self,
        address: str,
        *,
        ca: str = "",
        certificate: str = "",
        key: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        base = address
        if address.startswith("unix:"):
            base = "http://zhcp"
            transport = transport or httpx.AsyncHTTPTransport(uds=address.removeprefix("unix:").removeprefix("//"))
        verify: ssl.SSLContext | bool = True
        if address.startswith("https:") and (ca or certificate):
            verify = ssl.create_default_context(cafile=ca or None)
            if certificate:
                verify.load_cert_chain(certificate, key or None)
        self._client = httpx.AsyncClient(
            base_url=base,
            transport=transport,
            verify=verify,
            timeout=httpx.Timeout(_LONG_POLL + 30, connect=10.0),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def run(
        self,
        *,
        job: str,
        step: str,
        epoch: int,
        operation: Operation,
        progress: Progress | None = None,
        patience: float = 10.0,
    ) -> OperationOutcome:
        """Run an operation to its end. ZhcpError when it fails, with the calls made; `patience` in seconds: how long
        a lost agent is waited for before that is an error."""
        path = f"/v1/operations/{quote(job, safe='')}/{quote(step, safe='')}"
        body = {"epoch": epoch, "kind": operation.kind, "parameters": operation_json(operation)}
        wait = _PROGRESS_POLL if progress else _LONG_POLL
        deadline = time.monotonic() + patience
        while True:
            try:
                outcome = parse_outcome(await self._ask("PUT", path, params={"wait": wait}, json=body))
            except ZhcpError as error:
                if error.problem.code != "agent-unreachable" or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)
                continue
            deadline = time.monotonic() + patience
            if progress is not None:
                progress(outcome)
            if outcome.error is not None:
                raise ZhcpError(outcome.error)
            if outcome.over:
                return outcome

    async def cancel(self, job: str, step: str) -> OperationOutcome:
        """Cancel an operation and undo it."""
        path = f"/v1/operations/{quote(job, safe='')}/{quote(step, safe='')}"
        return parse_outcome(await self._ask("DELETE", path))

    async def health(self) -> dict[str, Json]:
        """Who the agent is."""
        return await self._ask("GET", "/v1/health")

    async def system(self) -> dict[str, Json]:
        """Facts of the z/VM system."""
        return await self._ask("GET", "/v1/system")

    async def pools(self) -> list[Json]:
        """All disk pools."""
        return _items(await self._ask("GET", "/v1/pools"), "pools")

    async def pool(self, name: str) -> dict[str, Json]:
        """One disk pool."""
        return await self._ask("GET", f"/v1/pools/{quote(name, safe='')}")

    async def guests(self) -> list[Json]:
        """All userids, each in an object."""
        return _items(await self._ask("GET", "/v1/guests"), "guests")

    async def guest(self, userid: str) -> dict[str, Json]:
        """One guest."""
        return await self._ask("GET", f"/v1/guests/{quote(userid, safe='')}")

    async def console(self, userid: str, kilobytes: int = 100) -> str:
        """The end of the guest's console log."""
        answer = await self._ask("GET", f"/v1/guests/{quote(userid, safe='')}/console", params={"kb": kilobytes})
        return str(answer["text"])

    async def adapters(self, userid: str) -> list[Json]:
        """Network adapters of a running guest."""
        return _items(await self._ask("GET", f"/v1/guests/{quote(userid, safe='')}/adapters"), "adapters")

    async def vswitches(self) -> list[Json]:
        """All VSWITCHes."""
        return _items(await self._ask("GET", "/v1/vswitches"), "vswitches")

    async def vswitch(self, name: str) -> dict[str, Json]:
        """One VSWITCH."""
        return await self._ask("GET", f"/v1/vswitches/{quote(name, safe='')}")

    async def command(self, userid: str, command: str) -> tuple[int, str]:
        """Run a command in a guest: (return code, output)."""
        path = f"/v1/guests/{quote(userid, safe='')}/command"
        answer = await self._ask("POST", path, json={"command": command})
        rc = answer["rc"]
        return rc if isinstance(rc, int) else 1, str(answer["output"])

    async def _ask(self, method: str, path: str, **arguments: Any) -> dict[str, Json]:
        try:
            answer = await self._client.request(method, path, **arguments)
        except httpx.TransportError as error:
            detail = f"the agent at {self._client.base_url} does not answer: {error or type(error).__name__}"
            raise ZhcpError(Problem(503, "agent-unreachable", detail, retryable=True)) from error
        try:
            document = answer.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise ZhcpError(Problem(502, "agent-answer", f"HTTP {answer.status_code} without a JSON object"))
        if not answer.is_success:
            raise ZhcpError(parse_problem(document))
        return document


def _items(document: dict[str, Json], name: str) -> list[Json]:
    found = document.get(name)
    return found if isinstance(found, list) else []
