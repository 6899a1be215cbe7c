"""What one running operation has: the two seams, the calls it made, its progress, and how to undo what it did."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from zvmcloud.cp import answers, commands
from zvmcloud.smapi.client import is_query
from zvmcloud.smapi.declare import Answer, Reply, Request
from zvmcloud.zhcp.errors import AgentError, Call, Json, from_cp
from zvmcloud.zhcp.image_cache import ImageCache
from zvmcloud.zhcp.links import Links
from zvmcloud.zhcp.machine import CpAnswer, GuestAnswer, GuestUnreachableError, Machine
from zvmcloud.zhcp.seams import Leftovers, Notes, Smapi
from zvmcloud.zhcp.settings import Settings

R = TypeVar("R", bound=Reply)
Undo = Callable[[], Awaitable[object]]
log = logging.getLogger(__name__)

OBSERVE_PAUSES: tuple[float, ...] = (0, 2, 5, 8)
"""Seconds before each look at whether a call whose answer was lost was done."""
_OVERLAP = 0.1
"""Seconds that a call which is ready waits for the disk with its turn and its connection (judgement). Others want the
turn, and a server may cut a connection that brings nothing: then it is not known whether the call was done."""
_LONGEST_LOOK = 120.0
"""Seconds that such a look may take; a server that takes questions and says nothing would hold it for hours."""


class _SlowDiskError(Exception):
    """Nothing was sent: the disk takes longer than OVERLAP."""


class Context:
    """Of one operation (or query): what it can do, and what it did."""

    rehearsing = False
    """Whether nothing may be changed, so that disks have no device to open (zhcp/rehearsal)."""

    def __init__(
        self,
        settings: Settings,
        smapi: Smapi,
        machine: Machine,
        journal: Notes,
        links: Links,
        recovery: Leftovers,
        images: ImageCache,
        key: str = "",
        notes: dict[str, str] | None = None,
    ) -> None:
        self.settings = settings
        self.smapi = smapi
        self.machine = machine
        self.journal = journal
        self.links = links
        self.images = images
        self.recovery = recovery
        self.key = key
        self.again = notes is not None
        """Whether a crash ended an earlier run of this operation."""
        self.begun = bool(notes)
        """Whether that run had noted something, and so may have changed z/VM: what it did, only a run to the end knows.
        """
        self._notes = notes or {}
        self._saved: asyncio.Future[None] | None = None
        """When done, the newest notes of what it is about to make are on the disk, and so are the older ones."""
        self.calls: list[Call] = []
        self.progress = 0.0
        self.detail = ""
        self._undo: list[tuple[str, Undo]] = []
        self._under_way = False
        self.called_off = False
        """Whether it is cancelled before its next change of z/VM, which is at work on one now."""
        self.too_late = False
        """Whether it goes to its end although it is cancelled."""
        self.doubted: set[str] = set()
        """Entries that z/VM may yet lock for it: the answer is missing, and there is no lock so far."""
        self._writing: set[str] = set()
        self._held = AsyncExitStack()

    # -- what is done on z/VM -------------------------------------------------------------------------------------

    def record(self, call: Call) -> None:
        """Add a call to the report. Queries that are repeated while waiting are reported once, with the last answer."""
        last = self.calls[-1] if self.calls else None
        same = last is not None and (last.kind, last.name, last.parameters) == (call.kind, call.name, call.parameters)
        if same and "query" in call.name.lower():
            self.calls[-1] = call
        else:
            self.calls.append(call)

    async def call(self, request: Request[R], *, allow: Sequence[tuple[int, int]] = ()) -> Answer[R]:
        """Call a SMAPI function. AgentError when it is refused with other codes than those allowed."""
        if is_query(request.spec.name):
            return await self.smapi.call(request, self.record, allow=allow)
        return await self._change(request, allow)

    async def _change(self, request: Request[R], allow: Sequence[tuple[int, int]]) -> Answer[R]:
        while True:
            try:
                return await self.smapi.call(request, self._answered, allow=allow, sending=self._sending)
            except _SlowDiskError:
                if self._saved is not None:
                    await asyncio.wait([self._saved])

    def call_off(self, cancel: Callable[[], object]) -> None:
        """Cancel the work: now, or when z/VM has answered what it is changing. Undone before that, it would be done all
        the same and stay."""
        if self.too_late:
            return
        if self._under_way:
            self.called_off = True
            self.detail = f"{self.detail}; called off, waits for z/VM to answer"
        else:
            cancel()

    def past_return(self) -> None:
        """What follows cannot be undone: a cancel comes too late from here on."""
        self.go_on()
        self.too_late = True

    async def _sending(self) -> None:
        """Nothing is sent before the notes are on the disk. OSError of the disk, _SlowDiskError."""
        if self._saved is not None:
            if not self._saved.done():
                await asyncio.wait([self._saved], timeout=_OVERLAP)
            if not self._saved.done():
                raise _SlowDiskError
            self._saved.result()
        self.go_on()
        self._under_way = True

    def _answered(self, call: Call) -> None:
        self._under_way = False
        self.record(call)

    def go_on(self) -> None:
        """Go on, unless the operation was cancelled while z/VM was at work."""
        if self.called_off:
            raise asyncio.CancelledError

    @asynccontextmanager
    async def writing(self, userid: str) -> AsyncIterator[None]:
        """Be the one operation that changes this entry: beyond the block, until the operation is over and undone.

        What another operation changed between a failure and its undo would be lost otherwise.
        """
        if userid not in self._writing:
            await self._held.enter_async_context(self.smapi.turn(userid))
            self._writing.add(userid)
        yield

    async def close(self) -> None:
        """The operation is over, its undo included: others may change the entries it changed."""
        self._writing.clear()
        await self._held.aclose()

    async def make(
        self,
        request: Request[R],
        what: str,
        undo: Undo,
        *,
        allow: Sequence[tuple[int, int]] = (),
        done: Callable[[], Awaitable[bool]] | None = None,
        unsure: Undo | None = None,
        rerun: bool = False,
        noting: Sequence[str] = (),
    ) -> Answer[R]:
        """Call a function that makes something, and remember how to undo it.

        When z/VM refused, be it with codes of those allowed, nothing was made and nothing will be undone: it may be
        another's. When the answer is missing, it may have been made: `done` looks whether it was. If so, that is the
        answer (rc 0, without data); if not, the call is sent once more, and `done` looks again if that is refused.
        Without `done` it fails, and will be undone. `unsure`: the undo without z/VM's word, where it is another one.
        `rerun`: a run that a crash ended may have sent the call, and z/VM may still be at work on it, so `done` looks
        after a refusal too. `noting`: intentions that are on the disk before it is sent; the request and its connection
        are made meanwhile.
        """
        if new := self._new(noting):
            self._saved = await self.journal.noting(self.key, *new)
            self._notes.update(dict.fromkeys(new, ""))
        guess = (what, unsure or undo)

        def missing() -> None:
            if guess not in self._undo:
                self._undo.append(guess)

        try:
            answer = await self._settle(request, done, allow, missing)
        except AgentError as error:
            if not rerun or done is None or error.undecided:
                raise
            if unsure is not None:
                missing()
            if not await self._looked(done):
                raise
            answer = Answer(0, 0)
        else:
            sent_before = rerun or guess in self._undo
            if (answer.rc, answer.rs) in allow and sent_before and done is not None and await self._looked(done):
                answer = Answer(0, 0)
        if guess in self._undo:
            self._undo.remove(guess)
        if (answer.rc, answer.rs) not in allow:
            self.on_undo(what, undo)
        self.go_on()
        return answer

    async def settle(
        self, request: Request[R], done: Callable[[], Awaitable[bool]], *, allow: Sequence[tuple[int, int]] = ()
    ) -> Answer[R]:
        """Call a function that changes something. When its answer is missing, look whether it was `done`: then that
        is the answer (rc 0, without data). If it was not, the call is sent once more. A cancel meanwhile counts at the
        next change. AgentError as `call`."""
        return await self._settle(request, done, allow, lambda: None)

    async def _settle(
        self,
        request: Request[R],
        done: Callable[[], Awaitable[bool]] | None,
        allow: Sequence[tuple[int, int]],
        missing: Callable[[], object],
    ) -> Answer[R]:
        """`missing` is called when the answer is."""
        lost = False
        while True:
            try:
                return await self._change(request, allow)
            except AgentError as error:
                again = not lost
                if error.undecided:
                    lost = True
                    missing()
                if not lost or done is None:
                    raise
                if await self._looked(done):
                    return Answer(0, 0)
                if not again:
                    error.undecided = True  # the first of the two calls is
                    raise

    async def _looked(self, done: Callable[[], Awaitable[bool]]) -> bool:
        """Whether what a lost call was to make is there, now or a little later: its work may still go on, and a cancel
        waits for it."""
        self._under_way = True
        try:
            for pause in OBSERVE_PAUSES:
                await asyncio.sleep(pause)
                try:
                    async with asyncio.timeout(_LONGEST_LOOK):
                        if await done():
                            return True
                except (AgentError, TimeoutError) as problem:
                    log.warning("cannot look whether a lost call was done: %s", problem or "no answer")
        finally:
            self._under_way = False
        return False

    async def cp(self, command: str, *, allow: Sequence[int] = ()) -> CpAnswer:
        """Run a CP command. AgentError when CP refuses with another number than those allowed."""
        started = time.monotonic()
        answer = await self.machine.cp(command)
        took = (time.monotonic() - started) * 1000
        self.record(Call("cp", command, {}, answer.rc, None, answer.lines, took))
        if answer.rc and answer.rc not in allow:
            raise from_cp(command, answer.rc, answer.lines)
        return answer

    async def guest(self, userid: str, command: str) -> GuestAnswer | None:
        """Run a command through the guest's agent; None when the guest cannot be reached."""
        started = time.monotonic()
        try:
            answer = await self.machine.guest(userid, command)
        except GuestUnreachableError as problem:
            self.record(Call("guest", command, {"userid": userid}, None, None, (str(problem),)))
            return None
        took = (time.monotonic() - started) * 1000
        self.record(Call("guest", command, {"userid": userid}, answer.rc, None, (answer.output[:200],), took))
        return answer

    def did(self, kind: str, name: str, milliseconds: float = 0.0, **parameters: Json) -> None:
        """Report something done without SMAPI or CP, such as writing a disk."""
        self.record(Call(kind, name, dict(parameters), 0, None, (), milliseconds))

    async def power(self, userid: str) -> answers.PowerState:
        """What CP knows of the guest."""
        answer = await self.cp(commands.query_user(userid), allow=(3, 45, 53, 361))
        return answers.query_user(userid, answer.rc, answer.lines)

    # -- progress, intentions, undo -------------------------------------------------------------------------------

    def report(self, progress: float, detail: str) -> None:
        """Tell how far the operation is (0 to 1) and what it does."""
        self.progress = min(max(progress, self.progress), 1.0)
        self.detail = detail

    async def intend(self, *names: str, sync: bool = True) -> None:
        """Record that the operation is about to do something, before it does it. Without `sync` a loss of power
        right behind it may take the record with it."""
        if new := self._new(names):
            await self.journal.note(self.key, *new, sync=sync)
            self._notes.update(dict.fromkeys(new, ""))

    def _new(self, names: Sequence[str]) -> list[str]:
        """Those that are not noted yet."""
        return [name for name in names if name not in self._notes]

    def intended(self, name: str) -> bool:
        """Whether this operation, in this run or one a crash ended, was about to do it."""
        return name in self._notes

    def recall(self, name: str) -> str | None:
        """A value that this operation recorded, in this run or one a crash ended; None when it did not."""
        return next(iter(self.recalled(name)), None)

    def recalled(self, name: str) -> tuple[str, ...]:
        """All values that this operation recorded so, in this run or one a crash ended."""
        prefix = f"{name} "
        return tuple(note.removeprefix(prefix) for note in self._notes if note.startswith(prefix))

    def others_noted(self, start: str) -> frozenset[str]:
        """The values that other operations, which are not over, remember under names that begin so."""
        return self.journal.noted(start, but=self.key)

    async def remember(self, name: str, value: str) -> str:
        """Record a value of before the operation; in a run after a crash, the value that the first run recorded."""
        known = self.recall(name)
        if known is None:
            await self.intend(f"{name} {value}")
        return value if known is None else known

    def on_undo(self, what: str, action: Undo) -> None:
        """Remember how to undo what was just done."""
        self._undo.append((what, action))

    async def undo(self) -> tuple[str, ...]:
        """Undo everything, last first; returns what could not be undone. Nothing that an action raises ends it."""
        left: list[str] = []
        self.called_off = False  # the undo is not
        self._saved = None  # nor does it depend on a disk that failed
        while self._undo:
            what, action = self._undo.pop()
            try:
                await action()
            except AgentError as problem:
                left.append(f"{what}: {problem}")
                log.error("cannot undo %s: %s", what, problem)  # noqa: TRY400 (the problem says it all)
            except Exception as problem:
                left.append(f"{what}: {type(problem).__name__}: {problem}")
                log.exception("cannot undo %s", what)
        return tuple(left)
