"""A client of the agent's HTTP door: typed operations in, outcomes and documents out.

>>> async with ZhcpClient("http://127.0.0.1:8091") as agent:
...     outcome = await agent.run(job="j1", step="create", epoch=1, operation=CreateGuest(...))

Addresses: `http://`, `https://` (with `ca`, and `certificate` and `key` for mutual TLS) or `unix:/path`.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

from zvmcloud.zhcp.errors import Json, Problem
from zvmcloud.zhcp.http import Door, HttpDoor, LostError
from zvmcloud.zhcp.kinds import Operation
from zvmcloud.zhcp.messages import OperationOutcome, operation_json, parse_outcome, parse_problem

Progress = Callable[[OperationOutcome], None]
LONG_POLL = 60.0
"""Seconds that the end of an operation is waited for in one request."""
PROGRESS_POLL = 0.5
"""The same, when somebody wants to see how far it is."""


class ZhcpError(Exception):
    """The agent refused, failed, or cannot be reached (code `agent-unreachable`)."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.detail} ({problem.code})")
        self.problem = problem


class ZhcpUnreachable(ZhcpError):
    """The agent cannot be reached. `sent` is False when the request certainly never reached it."""

    def __init__(self, problem: Problem, *, sent: bool) -> None:
        super().__init__(problem)
        self.sent = sent


class ZhcpClient:
    """One agent. May be used by many tasks of one event loop."""

    def __init__(
        self,
        address: str,
        *,
        ca: str = "",
        certificate: str = "",
        key: str = "",
        fingerprint: str = "",
        door: Door | None = None,
    ) -> None:
        """``fingerprint``: see HttpDoor; ``door`` is a seam for tests."""
        self.address = address
        context = _context(ca, certificate, key) if address.startswith("https:") else None
        self._door = door or HttpDoor(address, context, fingerprint)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._door.close()

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
        wait = PROGRESS_POLL if progress else LONG_POLL
        parameters = operation_json(operation)
        deadline = time.monotonic() + patience
        while True:
            try:
                outcome = await self.submit(
                    job=job, step=step, epoch=epoch, kind=operation.kind, parameters=parameters, wait=wait
                )
            except ZhcpUnreachable:
                if time.monotonic() > deadline:
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

    async def submit(
        self, *, job: str, step: str, epoch: int, kind: str, parameters: Mapping[str, object], wait: float = 0.0
    ) -> OperationOutcome:
        """Send an operation, or the same one again, and wait at most `wait` seconds for its end. How it stands then.

        Always send it again to learn of its end: an agent that was restarted goes on with an operation only then.
        """
        body = {"epoch": epoch, "kind": kind, "parameters": dict(parameters)}
        return parse_outcome(await self.ask("PUT", _operation(job, step), params={"wait": wait}, body=body))

    async def cancel(self, job: str, step: str, *, epoch: int) -> OperationOutcome:
        """Cancel an operation and undo it; one that the agent does not know will never begin. How it stands then: after
        a minute its undo may still go on. `epoch`: of the manager that asks; an older one is refused."""
        params = {"epoch": epoch, "wait": LONG_POLL}
        return parse_outcome(await self.ask("DELETE", _operation(job, step), params=params))

    async def health(self) -> dict[str, Json]:
        """Who the agent is."""
        return await self.ask("GET", "/v1/health")

    async def system(self) -> dict[str, Json]:
        """Facts of the z/VM system."""
        return await self.ask("GET", "/v1/system")

    async def pools(self) -> list[Json]:
        """All disk pools."""
        return _items(await self.ask("GET", "/v1/pools"), "pools")

    async def pool(self, name: str) -> dict[str, Json]:
        """One disk pool."""
        return await self.ask("GET", f"/v1/pools/{quote(name, safe='')}")

    async def guests(self) -> list[Json]:
        """All userids, each in an object."""
        return _items(await self.ask("GET", "/v1/guests"), "guests")

    async def guest(self, userid: str) -> dict[str, Json]:
        """One guest."""
        return await self.ask("GET", f"/v1/guests/{quote(userid, safe='')}")

    async def console(self, userid: str, kilobytes: int = 100) -> str:
        """The end of the guest's console log."""
        answer = await self.ask("GET", f"/v1/guests/{quote(userid, safe='')}/console", params={"kb": kilobytes})
        return str(answer["text"])

    async def adapters(self, userid: str) -> list[Json]:
        """Network adapters of a running guest."""
        return _items(await self.ask("GET", f"/v1/guests/{quote(userid, safe='')}/adapters"), "adapters")

    async def vswitches(self) -> list[Json]:
        """All VSWITCHes."""
        return _items(await self.ask("GET", "/v1/vswitches"), "vswitches")

    async def vswitch(self, name: str) -> dict[str, Json]:
        """One VSWITCH."""
        return await self.ask("GET", f"/v1/vswitches/{quote(name, safe='')}")

    async def command(self, userid: str, command: str, *, epoch: int) -> tuple[int, str]:
        """Run a command in a guest: (return code, output). `epoch`: of the manager that asks; an older is refused."""
        path = f"/v1/guests/{quote(userid, safe='')}/command"
        answer = await self.ask("POST", path, body={"command": command, "epoch": epoch})
        rc = answer["rc"]
        return rc if isinstance(rc, int) else 1, str(answer["output"])

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | float] | None = None,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Json]:
        """One request. ZhcpError for every answer that is not a success, ZhcpUnreachable when there is none."""
        target = f"{path}?{urlencode(params)}" if params else path
        wire = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        try:
            answer = await self._door.exchange(method, target, wire, headers or {}, LONG_POLL + 30)
        except LostError as error:
            detail = f"the agent at {self.address} does not answer: {error}"
            problem = Problem(503, "agent-unreachable", detail, retryable=True)
            raise ZhcpUnreachable(problem, sent=error.sent) from error
        try:
            document = json.loads(answer.body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise ZhcpError(Problem(502, "agent-answer", f"HTTP {answer.status} without a JSON object"))
        if not 200 <= answer.status < 300:
            raise ZhcpError(parse_problem(document))
        return document


def _operation(job: str, step: str) -> str:
    return f"/v1/operations/{quote(job, safe='')}/{quote(step, safe='')}"


def _context(ca: str, certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca or None)
    if certificate:
        context.load_cert_chain(certificate, key or None)
    return context


def _items(document: dict[str, Json], name: str) -> list[Json]:
    found = document.get(name)
    return found if isinstance(found, list) else []
