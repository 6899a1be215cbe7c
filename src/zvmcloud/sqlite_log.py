"""SQLite's write-ahead log of a file that is open: how much of it is used, and room in it that was written before.

    |  in the file  |  not yet in the file  |  zeros, or what was there before it began anew  |
                    `- checkpointed         `- used                                            `- end

A flush of a file that has grown is two: of the data, and of the file system's own journal. Where there is something to
overwrite it is one, so this log is made longer before SQLite needs it, and is kept when it begins anew. SQLite reads a
log up to the first frame whose salt and checksum are wrong, which zeros are; how much is used stands in the index
(sqlite.org, "WAL-mode File Format": mxFrame and nBackfill).

Imports nothing of ours, so that every room may import it.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from pathlib import Path

_HEAD, _FRAME_HEAD = 32, 24
"""Bytes before the first frame, and before the page of each."""
_MX_FRAME, _N_BACKFILL = 16, 96
_NUMBER = struct.Struct("=I")


class SqliteLog:
    """The log of a file that a connection of this process holds open."""

    def __init__(self, file: Path, database: sqlite3.Connection) -> None:
        """Blocking. The file is in WAL mode."""
        (page,) = database.execute("PRAGMA page_size").fetchone()
        self._file = file
        self._frame = _FRAME_HEAD + int(page)
        self._log = os.open(f"{file}-wal", os.O_RDWR)
        self._index = os.open(f"{file}-shm", os.O_RDONLY)

    @property
    def used(self) -> int:
        """Bytes from its beginning to the end of what is committed."""
        return _HEAD + self._frame * self._number(_MX_FRAME)

    @property
    def unsaved(self) -> int:
        """Bytes of it that are not in the file."""
        return self._frame * (self._number(_MX_FRAME) - self._number(_N_BACKFILL))

    def _number(self, at: int) -> int:
        return int(_NUMBER.unpack(os.pread(self._index, _NUMBER.size, at))[0])

    def lengthen(self, step: int) -> None:
        """Write zeros behind it when less than half a step is left. To be called inside a transaction that writes, so
        that nobody else does. OSError."""
        used = self.used
        end = os.fstat(self._log).st_size
        if end < used + step // 2:
            os.pwrite(self._log, bytes(step), max(end, used))

    def flush(self) -> None:
        """Wait until what is committed is on the disk. Blocking. OSError."""
        os.fdatasync(self._log)

    def save_most(self) -> None:
        """Bring into the file what is committed by now, while others read and write. Blocking; from any thread.
        sqlite3.Error."""
        self._checkpoint("PASSIVE")

    def save(self) -> None:
        """Bring it into the file; the next transaction writes from its beginning, unless somebody reads for longer than
        a tenth of a second what that would overwrite. Blocking; from any thread. Nobody may write meanwhile.
        sqlite3.Error."""
        self._checkpoint("RESTART")

    def _checkpoint(self, how: str) -> None:
        connection = sqlite3.connect(self._file, timeout=0.1)
        try:
            connection.execute(f"PRAGMA wal_checkpoint({how})")
        finally:
            connection.close()

    def close(self) -> None:
        """After the connection that holds the file open: closing the index here takes away every lock that this process
        has on it (close(2), POSIX record locks), those of SQLite too."""
        os.close(self._log)
        os.close(self._index)
