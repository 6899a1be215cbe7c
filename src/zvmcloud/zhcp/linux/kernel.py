"""Files below a root folder, and programs: what the classes of this package touch of Linux, and nothing beside.

Reading and writing happens in threads: a write to `online` returns only when the device has answered.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from zvmcloud.zhcp.errors import AgentError

_PAUSES = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)
_PROGRAM_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended."""

    rc: int
    output: bytes
    errors: str


class Kernel:
    """The Linux that the agent runs on, or a folder that looks like one."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def path(self, name: str) -> Path:
        """A path such as "/sys/bus/ccw" below the root."""
        return self.root / name.lstrip("/")

    async def exists(self, name: str) -> bool:
        """Whether there is such a file or folder."""
        return await asyncio.to_thread(self.path(name).exists)

    async def names(self, folder: str) -> tuple[str, ...]:
        """What is in a folder, sorted; nothing when there is no such folder."""
        try:
            return tuple(sorted(await asyncio.to_thread(lambda: [item.name for item in self.path(folder).iterdir()])))
        except OSError:
            return ()

    async def read(self, name: str) -> str:
        """An attribute without its line end. AgentError 502 `linux-refused` when it cannot be read."""
        try:
            return (await asyncio.to_thread(self.path(name).read_text)).strip()
        except OSError as problem:
            raise refused("read", name, problem) from problem

    async def write(self, name: str, text: str) -> None:
        """Write an attribute, in one write as sysfs wants it. AgentError 502 `linux-refused`."""
        try:
            await asyncio.to_thread(self._write, name, text)
        except OSError as problem:
            raise refused(f"write {text!r} to", name, problem) from problem

    def _write(self, name: str, text: str) -> None:
        """Raises OSError; attributes are never created."""
        with self.path(name).open("r+") as file:
            file.write(text)

    async def until(self, check: Callable[[], Awaitable[bool]], what: str, seconds: float = 30.0) -> None:
        """Wait for the kernel or udev. AgentError 502 `device-missing`, retryable, when `what` did not come in time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        pauses = iter(_PAUSES)
        while True:
            if await check():
                return
            if loop.time() >= deadline:
                raise AgentError(
                    502, "device-missing", f"{what} has not come up within {seconds:g} s", retryable=True,
                    remedy="see dmesg and lscss on the agent's Linux",
                )  # fmt: skip
            await asyncio.sleep(next(pauses, _PAUSES[-1]))

    async def run(self, words: Sequence[str], data: bytes = b"", seconds: float = _PROGRAM_SECONDS) -> Ended:
        """Run a program, without a shell. AgentError 501 `tool-missing`, 504 `tool-timeout`."""
        try:
            running = await asyncio.create_subprocess_exec(
                *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
        except OSError as problem:
            raise AgentError(
                501, "tool-missing", f"{words[0]} cannot be run: {problem.strerror}",
                remedy="install s390-tools (s390utils) on the agent's Linux",
            ) from problem  # fmt: skip
        try:
            output, errors = await asyncio.wait_for(running.communicate(data), seconds)
        except TimeoutError as problem:
            raise AgentError(504, "tool-timeout", f"{words[0]} has not ended within {seconds:g} s") from problem
        finally:
            if running.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    running.kill()
                await running.wait()
        return Ended(running.returncode or 0, output, errors.decode("utf-8", "replace").strip())

    async def must(self, words: Sequence[str], data: bytes = b"", seconds: float = _PROGRAM_SECONDS) -> bytes:
        """Run a program that must end with 0; its output. AgentError 502 `tool-failed`, as `run` besides."""
        ended = await self.run(words, data, seconds)
        if ended.rc:
            said = ended.errors or ended.output.decode("utf-8", "replace").strip()
            raise AgentError(502, "tool-failed", f"{' '.join(words)} ended with {ended.rc}: {said[-300:]}")
        return ended.output


def refused(what: str, name: str, problem: OSError) -> AgentError:
    """The problem for a file that the kernel did not let us use."""
    return AgentError(
        502, "linux-refused", f"cannot {what} {name}: {problem.strerror or problem}",
        remedy="run the agent as root on a Linux guest of z/VM; see dmesg",
    )  # fmt: skip
