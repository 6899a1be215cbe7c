"""The request server: TCP connections with one request each.

The 4-byte request id is a write of its own, before any work: clients read exactly four bytes first, and take a close
after it for "ask again later". A client that is slow with its request, or sends half of one, is cut off.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import replace
from typing import cast

from zvmcloud.simulator.events import Subscriber
from zvmcloud.simulator.faults import NOTHING, Faults, Strike
from zvmcloud.simulator.smapi.dispatch import Answer, Dispatcher
from zvmcloud.simulator.smapi.doorway import Doorway
from zvmcloud.smapi.connection import RequestFrame, ServerConnection
from zvmcloud.smapi.declare import Answering
from zvmcloud.smapi.errors import WireError
from zvmcloud.smapi.registry import REGISTRY

log = logging.getLogger(__name__)

#: Seconds within which a client must have sent its whole request, and within which it must take the reply.
REQUEST_TIMEOUT = 30.0
#: The most connections that are open at one time; more are closed at once.
MAX_CONNECTIONS = 1000
#: Bytes of requests that are not whole yet, of all clients together; who would pass it is cut off.
MAX_HELD = 128 << 20
#: Bytes of events that may wait for a subscriber who does not read.
EVENT_BACKLOG = 4 << 20


class RequestServer:
    """Listens for SMAPI requests of one system."""

    def __init__(
        self, dispatcher: Dispatcher, *, request_timeout: float = REQUEST_TIMEOUT, faults: Faults | None = None
    ) -> None:
        self.dispatcher = dispatcher
        self.faults = faults or Faults()
        self.request_timeout = request_timeout
        self.connections: set[Connection] = set()
        self.held = 0
        self._servers: list[asyncio.Server | Doorway] = []

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None, *, trusted: str = "") -> int:
        """Listen; gives the port. May be called for several ports.

        `trusted`: the peer's userid is known to be this one, as over IUCV; a request without credentials, also one in
        the legacy form, is this userid's. Credentials that are given count as they do anywhere.
        """

        def connection() -> Connection:
            return Connection(self, trusted.upper())

        if tls is None:
            doorway = Doorway(host, port, connection)
            self._servers.append(doorway)
            return doorway.port
        made = await asyncio.get_running_loop().create_server(connection, host, port, ssl=tls, backlog=512)
        self._servers.append(made)
        return int(made.sockets[0].getsockname()[1])

    async def close(self) -> None:
        for made in self._servers:
            made.close()
        self._servers.clear()
        for connection in list(self.connections):
            connection.abort()


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, server: RequestServer, trusted: str = "") -> None:
        self._server = server
        self._trusted = trusted
        self._known = False
        self._wire = ServerConnection()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.Handle | None = None
        self._busy = False
        self._held = 0
        self._subscriber: Subscriber | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if len(self._server.connections) >= MAX_CONNECTIONS or self._server.dispatcher.is_down:
            self._transport.abort()
            return
        self._server.connections.add(self)
        self._timer = asyncio.get_running_loop().call_soon(self._wait)

    def _wait(self) -> None:
        """Its request has not come with the connection."""
        self._timer = asyncio.get_running_loop().call_later(self._server.request_timeout, self.abort)

    def data_received(self, data: bytes) -> None:
        if self._busy or self._transport is None:
            return
        self._hold(len(data))
        if self._server.held > MAX_HELD:
            log.warning("requests in the making hold %d bytes; a client is cut off", self._server.held)
            self.abort()
            return
        try:
            self._wire.receive_data(data)
            frame = next(self._wire.frames(), None)
        except WireError as error:
            self._busy = True
            request_id = self._server.dispatcher.next_request_id()
            self._transport.write(self._wire.accepted(request_id))
            self._reply(request_id, error.rc, error.rs, b"")
            return
        if frame is not None:
            self._begin(frame)

    def _hold(self, count: int) -> None:
        self._held += count
        self._server.held += count

    def _begin(self, frame: RequestFrame) -> None:
        assert self._transport is not None  # noqa: S101
        self._busy = True
        self._hold(-self._held)
        if self._timer is not None:
            self._timer.cancel()
        if self._trusted and not frame.userid and not frame.password:
            frame = replace(frame, userid=self._trusted)
            self._known = True
        dispatcher = self._server.dispatcher
        strike = self._server.faults.strike(frame.function, frame.target or "", frame.userid)
        if strike.action == "drop-before-id":
            dispatcher.note_fault(frame, strike.action)
            self.abort()
            return
        request_id = dispatcher.next_request_id()
        self._transport.write(self._wire.accepted(request_id))
        delay = dispatcher.delay(frame) + strike.delay
        if delay:
            asyncio.get_running_loop().call_later(delay, self._work, frame, request_id, strike)
        else:
            self._work(frame, request_id, strike)

    def _work(self, frame: RequestFrame, request_id: int, strike: Strike = NOTHING) -> None:
        if strike.rule is not None and self._struck(frame, request_id, strike):
            return
        answer = self._server.dispatcher.answer(frame, request_id, fault=strike.action, trusted=self._known)
        if strike.action == "drop-after-work":
            self._close()
            return
        if strike.rule is not None and strike.action == "partial":
            self._reply_part(request_id, answer, strike.rule.bytes)
            return
        if answer.pending is not None:
            answer.pending(lambda final: self._reply(request_id, final.rc, final.rs, final.data))
            return
        function = REGISTRY.get(frame.function)
        answering = function.answering if function is not None else Answering.REPLY
        if answering is Answering.EVENTS and answer.rc == 0:
            self._subscribe(frame)
        elif answering is Answering.REQUEST_ID_ONLY:
            if self._transport is not None:
                self._transport.close()
        else:
            self._reply(request_id, answer.rc, answer.rs, answer.data)

    def _struck(self, frame: RequestFrame, request_id: int, strike: Strike) -> bool:
        """What a fault rule does instead of the function; False when the function is to run."""
        rule = strike.rule
        assert rule is not None  # noqa: S101
        dispatcher = self._server.dispatcher
        if rule.action == "refuse":
            answer = dispatcher.refuse(frame, rule.rc, rule.rs, rule.text)
            self._reply(request_id, answer.rc, answer.rs, answer.data)
            return True
        if rule.action in ("drop-after-id", "hang"):
            dispatcher.note_fault(frame, rule.action)
            if rule.action == "drop-after-id":
                self._close()
            return True
        return False

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _reply_part(self, request_id: int, answer: Answer, size: int) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._wire.reply(request_id, answer.rc, answer.rs, answer.data)[:size])
            self._transport.close()

    def _subscribe(self, frame: RequestFrame) -> None:
        """Turn the connection into a stream of events; it ends when either side closes it."""
        if self._transport is None or self._transport.is_closing():
            return
        self._subscriber = self._server.dispatcher.subscribe(frame, self._event, self._transport.close)

    def _event(self, data_type: int, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(self._wire.event(data_type, data))
        if self._transport.get_write_buffer_size() > EVENT_BACKLOG:
            log.warning("a subscriber does not read its events; the connection is cut")
            self.abort()

    def _reply(self, request_id: int, rc: int, rs: int, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(self._wire.reply(request_id, rc, rs, data))
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._timer = asyncio.get_running_loop().call_later(self._server.request_timeout, self.abort)

    def eof_received(self) -> bool:
        # A client that closed its side in the middle of a request is gone; one whose request is complete may wait.
        return self._busy and self._subscriber is None

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._hold(-self._held)
        if self._timer is not None:
            self._timer.cancel()
        if self._subscriber is not None:
            self._server.dispatcher.forget(self._subscriber)
        self._server.connections.discard(self)
        self._transport = None
