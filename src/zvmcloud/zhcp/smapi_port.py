"""The seam to SMAPI: every call is throttled, recorded without secrets, and its failure made a problem.

SMAPI has few worker servers, so short calls and long ones (asynchronous directory work) have limits of their own; at
most half of the short ones change the directory, and an entry has one writer at a time. A locked entry, a busy
directory manager and a server that restarts are tried again after 1, 3, 5 and 8 seconds, as other clients do; the
client below repeats connects and queries (smapi/client.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import fields as dataclass_fields
from typing import TypeVar

from zvmcloud.directory.statements import DirectoryError, split
from zvmcloud.smapi.client import Client, Patience, Sending, Tls, is_query
from zvmcloud.smapi.connection import EventFrame
from zvmcloud.smapi.declare import Answer, Function, Reply, Request
from zvmcloud.smapi.errors import SmapiError, SmapiFault, TransportError
from zvmcloud.zhcp.errors import Call, Json, from_smapi
from zvmcloud.zhcp.health import Health
from zvmcloud.zhcp.linux import iucv
from zvmcloud.zhcp.seams import Record, Smapi
from zvmcloud.zhcp.settings import Settings

R = TypeVar("R", bound=Reply)

LOCKED = frozenset({(400, 12), (404, 12), (408, 12), (596, 1185), (596, 6312)})
BUSY = frozenset({(204, 12), (500, 4), (500, 8), (900, 8), (900, 40), (900, 68), (900, 99)})
"""A device, the directory manager or a server is busy or starts again (meanings: smapi/codes.py)."""
_POLL_SECONDS = 0.5
"""Pause between two looks at directory work that goes on in the background."""
BUSY_PAUSES: tuple[float, ...] = (1, 3, 5, 8)
_GATHER = 0.05
"""Seconds for which events gather once one has come: while guests are made there are several for each, and each would
wake the agent in the middle of its work."""
_IUCV_PROGRAM = "DMSRSRQU"
LONG = frozenset(
    {"Image_Create_DM", "Image_Delete_DM", "Image_Disk_Create_DM", "Image_Disk_Delete_DM", "Image_Disk_Copy_DM"}
)


_UNLIMITED = nullcontext()


class SmapiPort(Smapi):
    """Calls SMAPI functions for the operations."""

    def __init__(self, client: Client, *, short_calls: int = 8, long_calls: int = 2) -> None:
        self._client = client
        self._short = asyncio.Semaphore(short_calls)
        self._long = asyncio.Semaphore(long_calls)
        self._updates = asyncio.Semaphore(max(short_calls // 2, 1))
        self._turns: dict[str, asyncio.Lock] = {}
        self.health = Health()

    @classmethod
    def of(cls, settings: Settings, patience: Patience | None = None) -> SmapiPort:
        """The port these settings describe; `patience` in place of what the agent has."""
        smapi = settings.smapi
        tls = Tls(settings.path(smapi.ca) if smapi.ca else None, smapi.verify, smapi.verify) if smapi.tls else None
        client = Client(
            smapi.host,
            smapi.port,
            userid="" if smapi.transport == "iucv" else smapi.userid,
            password="" if smapi.transport == "iucv" else settings.password(smapi),
            tls=tls,
            patience=patience or Patience(reply_timeout=float(smapi.timeout), poll_interval=_POLL_SECONDS),
            opener=iucv.opener(smapi.server, _IUCV_PROGRAM) if smapi.transport == "iucv" else None,
        )
        return cls(client, short_calls=smapi.short_calls, long_calls=smapi.long_calls)

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        """See Smapi."""
        async with self._turns.setdefault(name, asyncio.Lock()):
            yield

    async def call(
        self,
        request: Request[R],
        record: Record,
        *,
        allow: Sequence[tuple[int, int]] = (),
        sending: Sending | None = None,
    ) -> Answer[R]:
        """See Smapi."""
        for pause in (*BUSY_PAUSES, None):
            try:
                return await self._once(request, record, allow, sending)
            except SmapiError as error:
                if pause is None or error.undecided or (error.rc, error.rs) not in LOCKED | BUSY:
                    raise from_smapi(error) from error
                await asyncio.sleep(pause)
            except SmapiFault as error:
                raise from_smapi(error) from error
        raise AssertionError

    def events(self, accepted: Callable[[], None]) -> AsyncGenerator[EventFrame, None]:
        """The event stream (see `Client.events`). It has a connection and a server of its own, so it takes no turn.

        SmapiFault when it is refused or breaks.
        """
        return self._client.events(accepted=accepted, gather=_GATHER)

    async def _once(
        self,
        request: Request[R],
        record: Record,
        allow: Sequence[tuple[int, int]],
        sending: Sending | None,
    ) -> Answer[R]:
        name = request.spec.name
        limit = self._long if name in LONG else self._short
        async with self._updates if _is_update(request.spec) else _UNLIMITED, limit:
            started = time.monotonic()
            rc: int | None = None
            rs: int | None = None
            said: tuple[str, ...] = ()
            shown: list[dict[str, Json]] = []
            # Made while the disk or z/VM is waited for.
            early = asyncio.get_running_loop().call_soon(lambda: shown.append(parameters(request)))
            sent = False

            async def going() -> None:
                nonlocal started, sent
                if sending is not None:
                    before = time.monotonic()
                    await sending()
                    started += time.monotonic() - before
                sent = True

            try:
                answer = await self._client.call(request, allow=allow, sending=going)
                rc, rs, said = answer.rc, answer.rs, answer.text
            except SmapiError as error:
                rc, rs, said = error.rc, error.rs, error.text or (error.meaning,)
                self.health.answer()
                raise
            except TransportError as error:
                said = (str(error),)
                self.health.failure()
                raise
            except SmapiFault as error:
                said = (str(error),)
                raise
            else:
                self.health.answer()
                return answer
            finally:
                took = (time.monotonic() - started) * 1000
                early.cancel()
                if sent or said:  # otherwise z/VM has heard nothing, and nothing is known to be wrong with it
                    record(Call("smapi", name, shown[0] if shown else parameters(request), rc, rs, said, took))


def _is_update(function: Function) -> bool:
    """Whether it is a short call that changes the directory."""
    return function.directory_manager and function.name not in LONG and not is_query(function.name)


def parameters(request: Request[R]) -> dict[str, Json]:
    """What a call is reported with: given parameters only, passwords masked."""
    shown: dict[str, Json] = {"target": request.target} if request.target else {}
    for item in dataclass_fields(request):
        value = getattr(request, item.name)
        if item.name == "target" or value in (None, "", ()):
            continue
        if "password" in item.name:
            shown[item.name] = "********"
        elif item.name == "image_record_array":
            shown[item.name] = list(masked(value))
        elif isinstance(value, bool | int | float | str):
            shown[item.name] = value
        elif isinstance(value, tuple):
            shown[item.name] = [item if isinstance(item, str | int) else repr(item) for item in value]
        else:
            shown[item.name] = repr(value)
    return shown


def masked(records: Sequence[str]) -> tuple[str, ...]:
    """Directory records with passwords hidden, those of statements that cannot be read too."""
    try:
        return tuple(" ".join(item.masked()) for item in split([record.rstrip() for record in records]))
    except DirectoryError:
        shown = []
        for record in records:
            words = record.split()
            first = words[0].upper() if words else ""
            if first in ("USER", "IDENTITY") and len(words) > 2:
                words[2] = "********"
            elif first == "MDISK":
                words[7:] = ["********"] * len(words[7:])
            shown.append(" ".join(words))
        return tuple(shown)
