"""From a framed request to return code, reason code and reply data.

Order of the checks: the function exists (900/12), credentials (120/0), authorization (100/16), parameters (24/ppdd,
8/3002 ...), then the function's own. The function runs in a transaction, which is on disk before the reply goes out.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zvmcloud.directory import DirectoryError
from zvmcloud.simulator import shutdown
from zvmcloud.simulator.directory_manager import STATEMENT_REFUSED
from zvmcloud.simulator.errors import CpRefused, Refused
from zvmcloud.simulator.events import Sink, Subscriber
from zvmcloud.simulator.journal import Journal
from zvmcloud.simulator.smapi import (  # noqa: F401 (the modules register their handlers)
    abend_dumps,
    adapters,
    channel_connections,
    configuration,
    definitions,
    directory,
    disk_copies,
    disks,
    image_definitions,
    images,
    interfaces,
    lans,
    lists,
    metadata,
    notifications,
    performance,
    profiles,
    prototypes,
    queries,
    real_disks,
    relocations,
    resource_manager,
    scsi_characteristics,
    segments,
    service,
    statistics,
    switch_queries,
    switch_settings,
    switches,
    volumes,
    work_units,
)
from zvmcloud.simulator.smapi.access import Access
from zvmcloud.simulator.smapi.registry import HANDLERS, Call, Done, Registered
from zvmcloud.simulator.system import System
from zvmcloud.smapi.connection import ReplyFrame, RequestFrame, decode_request
from zvmcloud.smapi.declare import Answering, Function, Request
from zvmcloud.smapi.errors import ParameterError, WireError
from zvmcloud.smapi.registry import REGISTRY
from zvmcloud.smapi.spelling import ENCODING

log = logging.getLogger(__name__)

UNKNOWN_FUNCTION = (900, 12)
BAD_CREDENTIALS = (120, 0)
NOT_AUTHORIZED = (100, 16)
BAD_MATCH_KEY = (8, 13)
#: Replies that are kept for Response_Recovery, and the most bytes of one that is kept.
KEPT_REPLIES = 256
KEPT_BYTES = 1 << 20
#: Functions that are sent in the standard form and, by zthin, in the legacy form.
LEGACY_TOO = frozenset({"SYSTEM_INFO_QUERY"})
#: Functions that need no authorization record.
FREE_FUNCTIONS = frozenset({"CHECK_AUTHENTICATION"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes into the reply."""

    rc: int
    rs: int
    data: bytes = b""
    pending: Callable[[Callable[[Answer], None]], None] | None = None
    """Set when the answer comes later: takes whom to give it to."""


def refusal(function: Function, rc: int, rs: int, text: Sequence[str]) -> Answer:
    """A refusal with its text, where the function has any. What the text quotes of a request may have characters that
    the wire lacks once they are upper case; they are shown as a question mark."""
    shown = [line.replace("\0", "?").encode(ENCODING, "replace").decode(ENCODING) for line in text]
    return Answer(rc, rs, function.encode_error(rc, rs, shown))


class Dispatcher:
    """All requests of one system go through here, whatever connection they come from."""

    def __init__(self, system: System, journal: Journal) -> None:
        self._system = system
        self._journal = journal
        self._access = Access(system)
        self._request_ids = itertools.count(int(system.now()) & 0x3FFFFFFF)
        self._recent: OrderedDict[int, tuple[str, bytes]] = OrderedDict()

    def next_request_id(self) -> int:
        """An id for a request: not zero, growing, different after a restart."""
        return next(self._request_ids) & 0x7FFFFFFF or next(self._request_ids)

    def end_lost_operations(self) -> None:
        """After a restart: asynchronous work that was still waiting has not happened, and never will."""
        with self._system.transaction():
            for key, operation in self._system.operations.items():
                if operation.state == "running":
                    self._system.operations.put(key, replace(operation, state="failed", rc=500, rs=0))

    def delay(self, frame: RequestFrame) -> float:
        """Seconds that this request takes on the simulated system before its work is done."""
        timing = self._system.timing
        registered = HANDLERS.get(frame.function.upper())
        return timing.smapi + (timing.directory if registered is not None and registered.changes_directory else 0.0)

    def note_fault(self, frame: RequestFrame, fault: str) -> None:
        """Write a request that a fault rule kept from running into the journal."""
        self._journal.write(
            "smapi", frame.userid.upper(), frame.function, (frame.target or "").upper(), -1, -1, fault=fault
        )

    def refuse(self, frame: RequestFrame, rc: int, rs: int, text: str) -> Answer:
        """What a fault rule answers instead of the function."""
        function = REGISTRY.get(frame.function)
        self._journal.write(
            "smapi", frame.userid.upper(), frame.function, (frame.target or "").upper(), rc, rs, fault="refuse"
        )
        return Answer(rc, rs, function.encode_error(rc, rs, (text,) if text else ()) if function is not None else b"")

    @property
    def is_down(self) -> bool:
        """Whether the system has been shut down and takes no connections."""
        return shutdown.is_down(self._system)

    def answer(self, frame: RequestFrame, request_id: int, *, fault: str = "", trusted: bool = False) -> Answer:
        """Run a request. What it changed is on disk when this returns. `trusted`: its userid needs no password."""
        started = time.perf_counter()
        answer = self._checked(frame, request_id, trusted)
        pending = answer.pending
        if pending is None:
            self._note(frame, request_id, answer, started, fault)
            return answer

        def then(reply: Callable[[Answer], None]) -> None:
            def ended(final: Answer) -> None:
                self._note(frame, request_id, final, started, fault)
                reply(final)

            pending(ended)

        return replace(answer, pending=then)

    def _note(self, frame: RequestFrame, request_id: int, answer: Answer, started: float, fault: str) -> None:
        """Write a request that has been answered into the journal, and keep the reply for Response_Recovery."""
        milliseconds = (time.perf_counter() - started) * 1000
        self._journal.write(
            "smapi",
            frame.userid.upper(),
            frame.function,
            (frame.target or "").upper(),
            answer.rc,
            answer.rs,
            milliseconds,
            fault=fault,
        )
        if len(answer.data) <= KEPT_BYTES:
            reply = ReplyFrame(request_id, answer.rc, answer.rs, answer.data).encode()
            self._recent[request_id] = (frame.userid.upper(), reply)
            if len(self._recent) > KEPT_REPLIES:
                self._recent.popitem(last=False)

    def subscribe(self, frame: RequestFrame, sink: Sink, close: Callable[[], None]) -> Subscriber:
        """Make the connection of an Event_Subscribe request that was accepted a receiver of events."""
        function = REGISTRY[frame.function]
        request, _ = decode_request(function, frame)
        match = tuple(str(getattr(request, "match_key", "")).upper().split())
        subscriber = Subscriber(frame.userid.upper(), sink, close, match)
        self._system.events.subscribe(subscriber)
        return subscriber

    def forget(self, subscriber: Subscriber) -> None:
        """A receiver of events has gone."""
        self._system.events.forget(subscriber)

    def _checked(self, frame: RequestFrame, request_id: int, trusted: bool) -> Answer:
        function = REGISTRY.get(frame.function)
        registered = HANDLERS.get(frame.function.upper())
        if function is None or registered is None or function.level > self._system.facts.level:
            return Answer(*UNKNOWN_FUNCTION)
        userid = frame.userid.upper()
        if not trusted and not self._access.authenticate(userid, frame.password):
            return Answer(*BAD_CREDENTIALS)
        name = function.name.upper()
        if name not in FREE_FUNCTIONS and not self._access.allows(userid, function.name, (frame.target or "").upper()):
            return Answer(*NOT_AUTHORIZED)
        if frame.legacy and name in LEGACY_TOO:
            frame = replace(frame, legacy=False)
        try:
            request, _ = decode_request(function, frame)
            function.check(request)
        except ParameterError as error:
            if function.answering is Answering.EVENTS and error.rc == 24:
                return Answer(*BAD_MATCH_KEY)
            return refusal(function, error.rc, error.rs, error.text)
        except WireError as error:
            return Answer(error.rc, error.rs)
        call = Call(self._system, userid, self._recent, request_id)
        try:
            return self._run(call, function, registered, request)
        except Refused as refused:
            return refusal(function, refused.rc, refused.rs, refused.text)
        except DirectoryError as error:
            return refusal(function, *STATEMENT_REFUSED, (str(error),))
        except CpRefused as refused:
            return refusal(function, 396, refused.number, (refused.line,))
        except Exception:
            log.exception("%s failed inside the simulator; nothing was changed", function.name)
            return Answer(396, 0)

    def _run(self, call: Call, function: Function, registered: Registered, request: Request[Any]) -> Answer:
        if registered.changes_directory and self._system.asynchronous:
            done, text = work_units.begin(call, function, registered, request)
            if text:
                return Answer(done.rc, done.rs, function.encode_error(done.rc, done.rs, text))
            return _encoded(function, request, done)
        with self._system.transaction():
            # Encoded inside: a reply that cannot be sent takes its changes back.
            return _encoded(function, request, work_units.run(call, function, registered, request))


def _encoded(function: Function, request: Request[Any], done: Done) -> Answer:
    if done.pending is not None:
        pending = done.pending

        def then(reply: Callable[[Answer], None]) -> None:
            def ended(end: Done | Refused) -> None:
                if isinstance(end, Refused):
                    reply(Answer(end.rc, end.rs, function.encode_error(end.rc, end.rs, end.text)))
                else:
                    reply(_encoded(function, request, end))

            pending.then(ended)

        return Answer(done.rc, done.rs, pending=then)
    data = function.encode_reply(done.reply, request, done.shape) if done.reply is not None else b""
    return Answer(done.rc, done.rs, data)
