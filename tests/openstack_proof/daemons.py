"""Programs that run as long as the cloud does: started in sessions of their own, stopped with all they started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

STOP_SECONDS = 20.0


class DaemonEnded(Exception):
    """A program that should run has ended; its last words are in the message."""


class Daemon:
    """A program, from `start` to `stop`, again and again."""

    def __init__(
        self, name: str, command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = log
        self._command = [str(word) for word in command]
        self._environment = {**os.environ, **(environment or {})}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def check(self) -> None:
        """Raises DaemonEnded when it does not run."""
        if not self.runs:
            raise DaemonEnded(f"{self.name} has ended:\n{self.tail()}")

    def tail(self, size: int = 3000) -> str:
        return self.log.read_bytes()[-size:].decode(errors="replace") if self.log.exists() else ""

    def send(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it, and what is left of its session."""
        if self.process is None:
            return
        session = self.process.pid
        self.send(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(session, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def memory(self) -> int:
        """KiB that its processes hold, shared pages counted once (PSS)."""
        if self.process is None:
            return 0
        return sum(_pss(pid) for pid in _session(self.process.pid))


def _session(leader: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ProcessLookupError):
                if os.getsid(int(entry.name)) == leader:
                    found.append(int(entry.name))
    return found


def _pss(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


class Daemons:
    """All of them; stopped in the opposite order of their start."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self._all: list[Daemon] = []

    def add(self, name: str, command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Daemon:
        """Make and start one."""
        daemon = Daemon(name, command, self.logs / f"{name}.log", environment)
        daemon.start()
        self._all.append(daemon)
        return daemon

    def __getitem__(self, name: str) -> Daemon:
        return next(daemon for daemon in self._all if daemon.name == name)

    def check(self) -> None:
        for daemon in self._all:
            daemon.check()

    def stop(self) -> None:
        for daemon in reversed(self._all):
            daemon.send(signal.SIGTERM)
        for daemon in reversed(self._all):
            daemon.stop()
        self._all.clear()

    def memory(self) -> dict[str, int]:
        """MiB of each."""
        return {daemon.name: daemon.memory() // 1024 for daemon in self._all}


def wait_until(true: object, what: str, seconds: float, daemons: Daemons | None = None) -> None:
    """Ask until it is true. Raises TimeoutError, and DaemonEnded as soon as one of the programs has ended."""
    assert callable(true)
    deadline = time.monotonic() + seconds
    while not true():
        if daemons is not None:
            daemons.check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.5)
