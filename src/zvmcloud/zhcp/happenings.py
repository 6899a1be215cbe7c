"""What z/VM tells by itself: its event stream, kept for a while, so that managers hear of it at once.

    z/VM --Event_Subscribe--> Happenings --GET /v1/events?after=number&wait=seconds--> managers

The stream is asked for when a manager first asks, and given up when none has asked for ten minutes. It is cut now and
then (a restart of SMAPI, an Event_Unsubscribe of the same userid): it is asked for again, and because nobody knows
what was missed, a ``gap`` is told. Numbers begin with each start of the agent under another ``stream``; who asks with
another one, or for a number that is kept no longer, is told that something is ``lost``.

    logon, logoff            *VMEVENT class 0, types 0 and 1
    entry                    SMAPI event 1; ``word`` is ADD, PURGE, REPLACE ...
    moved                    *VMEVENT classes 0 and 1, relocation; ``word`` is the other system
    cluster                  *VMEVENT classes 2 and 3: mode or member of the SSI cluster
    network                  *VMEVENT class 4 (no source says what each type means)
    gap                      the stream was away

Other events say nothing about what a system has. Source: protocol.md, section 7.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections import deque
from dataclasses import dataclass

from zvmcloud.smapi.connection import EventFrame
from zvmcloud.smapi.errors import SmapiFault, WireError
from zvmcloud.smapi.events import VMEVENT, DirectoryChanged, UnknownEvent, VmEvent, decode_smapi_event, decode_vmevents
from zvmcloud.zhcp.errors import FieldError, Json
from zvmcloud.zhcp.smapi_port import SmapiPort

log = logging.getLogger(__name__)

KEPT = 2000
LONGEST_WAIT = 60.0
_UNWANTED = 600.0
"""Seconds without a question after which the stream is given up."""
_PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0)
"""Seconds before the stream is asked for again; the last one from then on."""
_LOGON, _LOGOFF = 0, 1
_MOVES = range(9, 15)
_CLUSTER = (2, 3)
_NETWORK = 4
_GUESTS = (0, 1)


@dataclass(frozen=True, slots=True)
class Happening:
    """``at``: when the agent heard of it, in seconds since 1970. ``userid``: whom it is about, or ""."""

    number: int
    at: float
    kind: str
    userid: str = ""
    word: str = ""

    def to_json(self) -> dict[str, Json]:
        return {
            "number": self.number,
            "at": round(self.at, 3),
            "kind": self.kind,
            "userid": self.userid,
            "word": self.word,
        }


class Happenings:
    """The last events of the system, for any number of managers."""

    def __init__(self, smapi: SmapiPort) -> None:
        self._smapi = smapi
        self._stream = secrets.token_hex(8)
        self._number = 0
        self._kept: deque[Happening] = deque(maxlen=KEPT)
        self._news = asyncio.Event()
        self._asked = 0.0
        self._waiting = 0
        self._leaving = False
        self._task: asyncio.Task[None] | None = None
        self._trouble = "the stream has not been asked for yet"

    async def after(self, stream: str, number: int, wait: float) -> dict[str, Json]:
        """GET /v1/events: what came behind ``number`` of ``stream``, if need be after waiting for it. FieldError.

        ``listening`` says whether z/VM tells events now; if not, ``trouble`` says why.
        """
        if number < 0:
            raise FieldError("after", number, "`last` of the answer before")
        self._listen()
        self._waiting += 1
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    while stream == self._stream and number >= self._number and not self._leaving:
                        await self._news.wait()
        finally:
            self._waiting -= 1
            self._asked = time.monotonic()
        oldest = self._kept[0].number if self._kept else self._number + 1
        lost = stream != self._stream or number > self._number or number + 1 < oldest
        found = [] if lost else [item for item in self._kept if item.number > number]
        return {
            "stream": self._stream,
            "last": self._number,
            "lost": lost,
            "listening": not self._trouble,
            "trouble": self._trouble,
            "events": [item.to_json() for item in found],
        }

    def leave(self) -> None:
        """Answer all who wait, now and from now on."""
        self._leaving = True
        self._wake()

    async def close(self) -> None:
        """Give the stream up."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def _listen(self) -> None:
        self._asked = time.monotonic()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow(), name="events of z/VM")

    async def _follow(self) -> None:
        failures = 0
        while self._waiting or time.monotonic() - self._asked < _UNWANTED:
            began = self._number
            try:
                await self._read()
                self._trouble = "z/VM has ended the stream"
            except (SmapiFault, WireError) as problem:
                self._trouble = str(problem)
            except Exception as problem:
                log.exception("the events of z/VM cannot be followed")
                self._trouble = type(problem).__name__
            failures = 0 if self._number > began else failures + 1
            log.info("no events of z/VM: %s", self._trouble)
            await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])

    async def _read(self) -> None:
        async with contextlib.aclosing(self._smapi.events(self._accepted)) as frames:
            async for frame in frames:
                self._take(frame)

    def _accepted(self) -> None:
        self._trouble = ""
        self._add("gap")

    def _take(self, frame: EventFrame) -> None:
        if frame.data_type != VMEVENT:
            event = decode_smapi_event(frame.data)
            if isinstance(event, DirectoryChanged):
                self._add("entry", event.userid, event.word)
            return
        told: set[tuple[str, str, str]] = set()
        for item in decode_vmevents(frame.data):
            found = _meaning(item)
            if found is not None and found not in told:  # of a bundle each thing once
                told.add(found)
                self._add(*found)

    def _add(self, kind: str, userid: str = "", word: str = "") -> None:
        self._number += 1
        self._kept.append(Happening(self._number, time.time(), kind, userid, word))
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


def _meaning(item: VmEvent | UnknownEvent) -> tuple[str, str, str] | None:
    """Kind, userid and word; None for what changes nothing that an inventory shows."""
    if isinstance(item, UnknownEvent):
        return ("gap", "", "")
    if item.event_class in _GUESTS:
        userid = item.userid or ""
        if item.event_type in _MOVES:
            other = item.fields[1] if len(item.fields) > 1 and isinstance(item.fields[1], str) else ""
            return ("moved", userid, other)
        if item.event_class == 0 and item.event_type in {_LOGON, _LOGOFF}:
            return ("logon" if item.event_type == _LOGON else "logoff", userid, "")
        return None
    return ("cluster", "", "") if item.event_class in _CLUSTER else ("network", "", "")
