"""The asyncio client: one connection per request, as SMAPI wants it.

>>> client = Client("zvm1.example.com", userid="MAINT", password="...", tls=Tls())
>>> answer = await client.call(functions.ImageQueryDM(target="LINUX01"))
>>> answer.reply.image_record_array

What is retried, and when, follows the clients that have talked to real systems for years (protocol.md, section 10):

* not connected: the connect is tried again, at growing pauses, when it was refused or the server was busy;
* connected, but lost before the request id came: a query is sent again. A change is not, although the protocol says
  that nothing has run: the id itself may have been lost on the way, and a repeated create that answers "exists" would
  hide that it was ours. It is reported as `ConnectionLost`: observe before repeating;
* lost after the request id: the reply is asked for with Response_Recovery. If the server no longer has it, a query is
  sent again; a change is reported in the same way.

Directory work that goes on in the background (rc 592) is followed to its end unless `follow=False`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import re
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from zvmcloud.smapi import functions
from zvmcloud.smapi.connection import Accepted, ClientConnection, EventFrame, ReplyFrame, encode_request
from zvmcloud.smapi.declare import Answer, Answering, Reply, Request
from zvmcloud.smapi.errors import (
    ConnectError,
    ConnectionLost,
    InsecureError,
    ReplyTimeout,
    SmapiError,
    TransportError,
    WireError,
)
from zvmcloud.smapi.line import Line, Plain, Streams, is_address

DEFAULT_PORT = 44444

ASYNCHRONOUS = 592
_FINISHED, _RUNNING, _FAILED = 100, 104, 108
_NO_SUCH_REPLY = (4, 4)

R = TypeVar("R", bound=Reply)
Sending = Callable[[], Awaitable[object]]
"""What is awaited before a request goes out."""
Opener = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tls:
    """How TLS is spoken. Verification of chain and host name is on unless switched off by name."""

    ca_file: Path | None = None
    """Certificates to trust instead of the system's."""
    verify: bool = True
    check_hostname: bool = True

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
        if not (self.verify and self.check_hostname):
            context.check_hostname = False
        if not self.verify:
            context.verify_mode = ssl.CERT_NONE
        return context


@dataclass(frozen=True, slots=True)
class Patience:
    """Time-outs and pauses in seconds. The number of pauses is the number of attempts."""

    connect_timeout: float = 60.0
    reply_timeout: float = 240.0
    """Silence after which a reply is given up. Disk copies and directory work can take minutes."""
    connect_pauses: Sequence[float] = (0, 0, 1, 1, 2, 2, 8, 8, 16, 32)
    request_pauses: Sequence[float] = (0, 8, 16, 16, 15, 15, 15, 15)
    recovery_pauses: Sequence[float] = (2, 2, 2, 2, 2, 2, 2, 2)
    poll_interval: float = 1.0
    operation_timeout: float = 3600.0
    """How long asynchronous directory work is followed."""


IMPATIENT = Patience(connect_pauses=(0,), request_pauses=(0,), recovery_pauses=())
"""One attempt of everything: for programs that retry by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a request server is, and who asks."""

    host: str
    port: int = DEFAULT_PORT
    userid: str = ""
    password: str = field(default="", repr=False)
    tls: Tls | None = None


class Client:
    """Calls SMAPI functions of one z/VM system. Holds no connection between calls; may be used concurrently."""

    def __init__(
        self,
        host: str,
        port: int = DEFAULT_PORT,
        *,
        userid: str,
        password: str,
        tls: Tls | None = None,
        timeout: float | None = None,
        patience: Patience | None = None,
        opener: Opener | None = None,
    ) -> None:
        """`timeout` is short for a Patience with that `reply_timeout`; `opener` replaces TCP (IUCV, in-process)."""
        self.endpoint = Endpoint(host=host, port=port, userid=userid, password=password, tls=tls)
        self._patience = patience or (Patience(reply_timeout=timeout) if timeout is not None else Patience())
        self._context = tls.context() if tls else None
        self._opener = opener
        self._bare = tls is None and opener is None and is_address(host)

    async def call(
        self,
        request: Request[R],
        *,
        allow: Sequence[tuple[int, int]] = (),
        follow: bool = True,
        sending: Sending | None = None,
    ) -> Answer[R]:
        """Send a request and wait for its answer.

        ``sending`` is awaited whenever the connection is there, right before the request goes out; what it raises ends
        the call, and nothing is sent.

        Return codes other than 0 raise SmapiError unless the pair (rc, rs) is in `allow`. rc 592 is followed to the
        end of the work (the answer then has rc 0) or, without `follow`, returned as it is.
        Raises ParameterError before anything is sent when a value breaks its limit; TransportError when no answer
        was had; WireError when the answer made no sense.
        """
        request.spec.check(request)
        answer = await self._exchange_repeatedly(request, sending)
        if answer.rc == ASYNCHRONOUS:
            return await self.follow(request, answer) if follow else answer
        if answer.rc != 0 and (answer.rc, answer.rs) not in allow:
            raise SmapiError(request.spec.name, request.target, answer.rc, answer.rs, answer.text)
        return answer

    async def events(
        self,
        match_key: str = "",
        target: str = "",
        *,
        accepted: Callable[[], None] | None = None,
        gather: float = 0.0,
    ) -> AsyncGenerator[EventFrame, None]:
        """Subscribe to the event stream; ends when the server closes it (Event_Unsubscribe).

        What comes within ``gather`` seconds after something has come is taken together.

        Silence between events is normal and has no time-out; a server that is gone without a word is noticed by TCP's
        keep-alive. ``accepted`` is called when the server has taken the subscription. SmapiError when it is refused,
        TransportError when the connection breaks or the server does not accept it in time.
        """
        request = functions.EventSubscribe(target=target, match_key=match_key)
        line = await self._open()
        connection = ClientConnection(request.spec)
        line.keep_alive()
        try:
            await line.send(encode_request(request, self.endpoint.userid, self.endpoint.password))
            while True:
                if connection.request_id is None:
                    async with asyncio.timeout(self._patience.reply_timeout):
                        data = await line.receive()
                else:
                    data = await line.receive()
                if not data:
                    break
                connection.receive_data(data)
                for event in connection.events():
                    if isinstance(event, ReplyFrame):
                        raise SmapiError(request.spec.name, target, event.rc, event.rs)
                    if isinstance(event, Accepted) and accepted is not None:
                        accepted()
                    if isinstance(event, EventFrame):
                        yield event
                if gather:
                    await line.rest(gather)
            connection.receive_eof()
        except TimeoutError:
            message = f"the subscription was not accepted within {self._patience.reply_timeout:g} s"
            raise ReplyTimeout(message) from None
        except WireError as error:
            raise ConnectionLost(str(error), request_id=connection.request_id) from None
        except OSError as error:
            raise ConnectionLost(f"the connection broke: {error}", request_id=connection.request_id) from None
        finally:
            await line.close()

    # -- one request, however many connections it takes ---------------------------------------------------------

    async def _exchange_repeatedly(self, request: Request[R], sending: Sending | None = None) -> Answer[R]:
        last: TransportError | None = None
        for pause in self._patience.request_pauses:
            if pause:
                await asyncio.sleep(pause)
            try:
                return await self._exchange(request, sending)
            except ConnectionLost as lost:
                log.warning("%s for %s: %s", request.spec.name, request.target, lost)
                last = lost
                if lost.request_id is None:
                    if not is_query(request.spec.name):
                        raise
                    continue
                recovered = await self._recover(request, lost.request_id)
                if recovered is not None:
                    return recovered
                if not is_query(request.spec.name):
                    raise
        assert last is not None  # noqa: S101 (there is at least one attempt)
        raise last

    async def _recover(self, request: Request[R], request_id: int) -> Answer[R] | None:
        """The lost reply, or None when the server no longer has it."""
        recovery = functions.ResponseRecovery(target="MAINT", failed_request_id=request_id)
        for pause in self._patience.recovery_pauses:
            await asyncio.sleep(pause)
            try:
                answer = await self._exchange(recovery)
            except TransportError as error:
                log.warning("the reply to request %d is still lost: %s", request_id, error)
                continue
            if (answer.rc, answer.rs) == _NO_SUCH_REPLY:
                return None
            if answer.rc == 0:
                return _recovered(request, request_id, answer.data.response_data if answer.data else b"")
        return None

    async def _exchange(self, request: Request[R], sending: Sending | None = None) -> Answer[R]:
        wire = encode_request(request, self.endpoint.userid, self.endpoint.password)
        line = await self._open()
        try:
            if sending is not None:
                await sending()
            return await self._answer(line, wire, request)
        finally:
            await line.close()

    async def _answer(self, line: Line, wire: bytes, request: Request[R]) -> Answer[R]:
        """Send it on this connection, and wait."""
        connection = ClientConnection(request.spec)
        try:
            loop, silence = asyncio.get_running_loop(), self._patience.reply_timeout
            async with asyncio.timeout(silence) as patience:
                await line.send(wire)
                while data := await line.receive():
                    connection.receive_data(data)
                    for event in connection.events():
                        if isinstance(event, ReplyFrame):
                            return request.spec.decode_answer(event.rc, event.rs, event.data, request, event.request_id)
                        if isinstance(event, Accepted) and request.spec.answering is Answering.REQUEST_ID_ONLY:
                            return Answer(0, 0, None, (), event.request_id)
                    patience.reschedule(loop.time() + silence)
            raise ConnectionLost(
                "the server closed the connection before its reply was complete", request_id=connection.request_id
            )
        except TimeoutError:
            message = f"no reply within {self._patience.reply_timeout:g} s"
            raise ReplyTimeout(message, request_id=connection.request_id) from None
        except OSError as error:
            raise ConnectionLost(f"the connection broke: {error}", request_id=connection.request_id) from None

    async def _open(self) -> Line:
        where = f"{self.endpoint.host}:{self.endpoint.port}"
        last = ""
        for pause in self._patience.connect_pauses:
            if pause:
                await asyncio.sleep(pause)
            try:
                return await self._connect()
            except TimeoutError:
                raise ConnectError(f"{where}: no connection within {self._patience.connect_timeout:g} s") from None
            except ssl.SSLError as error:
                raise InsecureError(f"{where}: TLS failed: {error.reason or error}") from None
            except OSError as error:
                last = error.strerror or str(error)
                if not _worth_another_try(error):
                    break
        raise ConnectError(f"{where}: cannot connect: {last}")

    async def _connect(self) -> Line:
        host, port, patience = self.endpoint.host, self.endpoint.port, self._patience.connect_timeout
        if self._bare:
            return await Plain.connect(host, port, patience)
        async with asyncio.timeout(patience):
            opened = self._opener() if self._opener else asyncio.open_connection(host, port, ssl=self._context)
            return Streams(*await opened)

    # -- asynchronous directory work ------------------------------------------------------------------------------

    async def follow(self, request: Request[R], answer: Answer[R]) -> Answer[R]:
        """Wait for the end of the work that an answer 592 announces; the answer is then 0/0 with the same data.

        A question that is refused because somebody is busy is asked again. SmapiError (592/108) when the work failed,
        one that is ``undecided`` when the question was refused, ReplyTimeout when it takes longer than the client's
        patience.
        """
        operations = operation_ids(answer)
        if not operations:
            raise WireError(f"{request.spec.name} answered rc 592 without an operation id")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience.operation_timeout
        for operation in operations:
            query = functions.QueryAsynchronousOperationDM(target=request.target, operation_id=operation)
            while True:
                try:
                    state = await self._exchange_repeatedly(query)
                except ConnectError as error:
                    # Nobody can be asked any more, but the work had been accepted.
                    raise ConnectionLost(str(error), request_id=answer.request_id) from error
                late = loop.time() > deadline
                if state.rc != 0:
                    refusal = SmapiError(query.spec.name, request.target, state.rc, state.rs, state.text)
                    refusal.undecided = True
                    if late or not refusal.retryable:
                        raise refusal
                elif state.rs == _FAILED:
                    raise SmapiError(request.spec.name, request.target, ASYNCHRONOUS, _FAILED, answer.text)
                elif state.rs != _RUNNING:
                    break
                elif late:
                    message = f"operation {operation} still runs after {self._patience.operation_timeout:g} s"
                    raise ReplyTimeout(message, request_id=answer.request_id)
                await asyncio.sleep(self._patience.poll_interval)
        return Answer(0, 0, answer.data, answer.text, answer.request_id)


def operation_ids(answer: Answer[R]) -> list[int]:
    """Which background work a reply with rc 592 announces: in its data, in its text, or as its reason code."""
    if answer.text:
        return [int(number) for line in answer.text for number in re.findall(r"\d+", line)]
    operation = getattr(answer.data, "operation_id", None)
    if operation is None:
        return [answer.rs] if answer.rs else []
    return [operation] if operation > 0 else []


def is_query(name: str) -> bool:
    """Whether a function changes nothing, so that sending it twice does no harm."""
    return "Query" in name or name in ("Check_Authentication", "Directory_Manager_Search_DM", "IPaddr_Get")


def _recovered(request: Request[R], request_id: int, data: bytes) -> Answer[R]:
    """Response_Recovery gives back the lost reply, header included."""
    connection = ClientConnection(request.spec)
    connection.receive_data(request_id.to_bytes(4, "big") + data)
    for event in connection.events():
        if isinstance(event, ReplyFrame):
            return request.spec.decode_answer(event.rc, event.rs, event.data, request, event.request_id)
    raise ConnectionLost("the recovered reply is not complete", request_id=request_id)


def _worth_another_try(error: OSError) -> bool:
    causes = [error, *getattr(error, "exceptions", ())]
    return any(cause.errno in (errno.ECONNREFUSED, errno.EAGAIN) for cause in causes if isinstance(cause, OSError)) or (
        "Multiple exceptions" in str(error) and f"[Errno {errno.ECONNREFUSED}]" in str(error)
    )
