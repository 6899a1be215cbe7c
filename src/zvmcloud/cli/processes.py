"""Child processes of `zvm up`: started in order, watched, and stopped in reverse order.

They never outlive their parent: Linux sends them SIGTERM should it be killed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE = 60.0
"""Seconds that a program may take to be ready."""
GRACE = 15.0
"""Seconds that a program may take to shut down before it is killed."""


STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What asks a program to stop in good order."""
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _end_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def program(*words: str) -> list[str]:
    """The command line of `zvm WORDS` as a process of its own."""
    return [sys.executable, "-c", "from zvmcloud.cli.main import main; main()", *words]


class StartError(Exception):
    """A program did not come up; the text says which, why, and where its log is."""


@dataclass(slots=True)
class Child:
    """One running program; its output is in `log`."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    begin: int
    """Where this run begins in the log, which earlier runs wrote too."""

    def tail(self, lines: int = 12) -> str:
        """The last lines that this run logged."""
        try:
            return "\n".join(self.log.read_bytes()[self.begin :].decode(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""


@dataclass(slots=True)
class Family:
    """Programs that live and die together."""

    logs: Path
    children: list[Child] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(
        self, name: str, words: Sequence[str], ready: Callable[[], bool], environment: Mapping[str, str] | None = None
    ) -> Child:
        """Start `zvm WORDS` and wait until `ready`. StartError when it ends first or takes too long."""
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{name}.log"
        with log.open("ab") as output:
            begin = output.tell()
            process = subprocess.Popen(  # noqa: S603 (our own program)
                program(*words),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 (no other thread runs yet)
            )
        child = Child(name, process, log, begin)
        self.children.append(child)
        deadline = time.monotonic() + PATIENCE
        while not ready():
            if process.poll() is not None:
                raise StartError(f"the {name} ended with exit code {process.returncode}:\n{child.tail()}\n(log: {log})")
            if time.monotonic() > deadline:
                raise StartError(f"the {name} is not ready after {PATIENCE:g} s:\n{child.tail()}\n(log: {log})")
            time.sleep(0.05)
        return child

    def ended(self) -> Child | None:
        """A child that has ended although nobody stopped it."""
        return next((child for child in self.children if child.process.poll() is not None), None)

    def stop(self) -> None:
        """Stop all, the last started first."""
        while self.children:
            child = self.children.pop()
            if child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
                try:
                    child.process.wait(GRACE)
                except subprocess.TimeoutExpired:
                    child.process.kill()
                    child.process.wait()
