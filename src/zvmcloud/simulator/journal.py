"""The journal: one JSON line for every call that reached the system; no passwords, no data.

    {"time":"2026-01-02T03:04:05.678Z","kind":"smapi","who":"MAINT","function":"Image_Activate","target":"LINUX01",
     "rc":0,"rs":0,"milliseconds":1.2}

Kinds: smapi, cp, punch, receive, guest, machine. A call that a fault rule hit has "fault" as well; rc and rs are -1
when its function did not run and no answer was sent. The file is rotated once it has 16 MiB; one older file is kept.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_LIMIT = 16 << 20
#: Lines that are kept in memory for the control port.
_KEPT = 1000


@dataclass(slots=True)
class Call:
    """The outcome of a call, filled in while it runs."""

    rc: int = 0
    rs: int = 0


class Journal:
    """Appends lines; None writes nothing."""

    def __init__(self, path: Path | None, *, now: Callable[[], float] = time.time) -> None:
        self._path = path
        self._now = now
        self.recent: deque[str] = deque(maxlen=_KEPT)
        """The last lines."""
        self.listeners: set[Callable[[str], None]] = set()
        """Called with every line that is written; must not raise."""
        self._file: IO[str] | None = None
        self._size = 0
        self._second = ""
        self._second_at = 0
        self._open()

    def _open(self) -> None:
        if self._path is not None:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._file = os.fdopen(descriptor, "a", encoding="utf-8", buffering=1)
            self._size = self._path.stat().st_size

    def write(
        self,
        kind: str,
        who: str,
        function: str,
        target: str,
        rc: int,
        rs: int,
        milliseconds: float = 0.0,
        *,
        fault: str = "",
    ) -> None:
        """Add one line."""
        now = self._now()
        if int(now) != self._second_at:
            self._second_at = int(now)
            self._second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        also = f',"fault":"{fault}"' if fault else ""
        line = (
            f'{{"time":"{self._second}.{int(now * 1000) % 1000:03d}Z","kind":"{kind}","who":{json.dumps(who)},'
            f'"function":{json.dumps(function)},"target":{json.dumps(target)},"rc":{rc},"rs":{rs},'
            f'"milliseconds":{milliseconds:.2f}{also}}}\n'
        )
        self.recent.append(line)
        for listener in tuple(self.listeners):
            listener(line)
        if self._file is None:
            return
        self._file.write(line)
        self._size += len(line)
        if self._size > _LIMIT and self._path is not None:
            self._file.close()
            self._path.replace(self._path.with_suffix(".old.jsonl"))
            self._open()

    @contextmanager
    def timed(self, kind: str, who: str, function: str, target: str) -> Iterator[Call]:
        """Write a line when the body ends; a body that raises counts as rc 1 unless it said otherwise."""
        call = Call()
        started = time.perf_counter()
        try:
            yield call
        except BaseException:
            call.rc = call.rc or 1
            raise
        finally:
            self.write(kind, who, function, target, call.rc, call.rs, (time.perf_counter() - started) * 1000)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
