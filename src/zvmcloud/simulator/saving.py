"""A whole system as one file: a tar of the model and of the files of disks and spool.

    zvm-simulator.json     {"format": 1}
    system.sqlite ...      every database of the state folder, each as one consistent copy
    disks/, luns/, spool/  files; those with holes as sparse entries (GNU format 1.0, which GNU tar and Python read)

What belongs to one run only (journal, device links, locks) stays out. Saving is not concurrent with changes: the
caller's event loop stands still meanwhile.
"""

from __future__ import annotations

import io
import json
import lzma
import os
import shutil
import sqlite3
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from zvmcloud.simulator.errors import ModelError

FORMAT = 1
_LABEL = "zvm-simulator.json"
_WRITTEN = "ZVMCLOUD.mtime_ns"
"""When a file was written, to the nanosecond: what a guest keeps on its disk is forgotten when that changes."""
_BLOCK = 512
_DAMAGED = (tarfile.TarError, EOFError, ValueError, OverflowError, zlib.error, lzma.LZMAError)
"""What reading a file raises that is no tar, or not a whole one."""
#: Folders of a state, at any depth, that are not saved.
_LEFT_OUT = frozenset({"devices"})


def save(state: Path, target: Path) -> int:
    """Write the system in a state folder to a tar file; gives its bytes. OSError when it cannot be written."""
    partial = target.with_name(target.name + ".part")
    try:
        with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as archive:
            _add_bytes(archive, _LABEL, json.dumps({"format": FORMAT}).encode())
            for path in _files(state):
                name = path.relative_to(state).as_posix()
                if path.suffix == ".sqlite":
                    _add_database(archive, name, path)
                else:
                    _add_file(archive, name, path)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return target.stat().st_size


def _files(state: Path) -> Iterator[Path]:
    for path in sorted(state.rglob("*")):
        parts = path.relative_to(state).parts
        if any(part in _LEFT_OUT for part in parts) or path.is_symlink() or not path.is_file():
            continue
        if path.suffix == ".sqlite" or (len(parts) >= 2 and parts[-2] in ("disks", "luns", "spool")):
            yield path


def _add_bytes(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o600
    archive.addfile(entry, io.BytesIO(data))


def _add_database(archive: tarfile.TarFile, name: str, path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.sqlite"
        source, target = sqlite3.connect(path), sqlite3.connect(copy)
        try:
            source.backup(target)
        finally:
            source.close()
            target.close()
        with copy.open("rb") as file:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = copy.stat().st_size, 0o600
            archive.addfile(entry, file)


def _add_file(archive: tarfile.TarFile, name: str, path: Path) -> None:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        size = status.st_size
        pieces = _pieces(file.fileno(), size)
        entry = tarfile.TarInfo(name)
        entry.mode, entry.mtime = 0o600, int(status.st_mtime)
        entry.pax_headers = {_WRITTEN: str(status.st_mtime_ns)}
        if pieces == [(0, size)]:
            entry.size = size
            archive.addfile(entry, file)
            return
        if not pieces or pieces[-1][0] + pieces[-1][1] < size:
            pieces.append((size, 0))
        numbers = [len(pieces)] + [number for piece in pieces for number in piece]
        table = "".join(f"{number}\n" for number in numbers).encode()
        table += bytes(-len(table) % _BLOCK)
        entry.size = len(table) + sum(length for _, length in pieces)
        entry.pax_headers |= {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": name,
            "GNU.sparse.realsize": str(size),
        }
        archive.addfile(entry, _Pieces(file, table, pieces))


def _pieces(descriptor: int, size: int) -> list[tuple[int, int]]:
    """Where the data of a file are, as offset and length."""
    pieces: list[tuple[int, int]] = []
    position = 0
    while position < size:
        try:
            begin = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError:
            break
        position = os.lseek(descriptor, begin, os.SEEK_HOLE)
        pieces.append((begin, position - begin))
    os.lseek(descriptor, 0, os.SEEK_SET)
    return pieces


class _Pieces:
    """A readable made of a table and pieces of a file."""

    def __init__(self, file: io.BufferedReader, table: bytes, pieces: list[tuple[int, int]]) -> None:
        self._parts = self._read(file, table, pieces)
        self._rest = b""

    @staticmethod
    def _read(file: io.BufferedReader, table: bytes, pieces: list[tuple[int, int]]) -> Iterator[bytes]:
        yield table
        for begin, length in pieces:
            file.seek(begin)
            left = length
            while left:
                data = file.read(min(left, 1 << 20))
                if not data:
                    raise OSError("a disk file shrank while it was saved")
                left -= len(data)
                yield data

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._rest) < size:
            part = next(self._parts, b"")
            if not part:
                break
            self._rest += part
        if size < 0:
            size = len(self._rest)
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def load(source: Path, state: Path) -> None:
    """Make a state folder from a saved system. ModelError when the folder is not empty or the file is none of ours."""
    if state.exists() and any(state.iterdir()):
        raise ModelError("state", f"{state} is not empty")
    made = not state.exists()
    state.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(source, "r") as archive:
            _check(archive)
            if hasattr(tarfile, "data_filter"):  # Python 3.11.2 has none; what it would refuse is refused below
                archive.extraction_filter = tarfile.data_filter
            for entry in archive:
                path = PurePosixPath(entry.name)
                if entry.name == _LABEL:
                    continue
                if not entry.isfile() or path.is_absolute() or ".." in path.parts:
                    raise ModelError("file", f"{source} holds {entry.name!r}, which no saved system does")
                entry.mode, entry.uid, entry.gid, entry.uname, entry.gname = 0o600, os.getuid(), os.getgid(), "", ""
                archive.extract(entry, state)
                written = entry.pax_headers.get(_WRITTEN, "")
                if written.isdecimal():
                    os.utime(state / entry.name, ns=(int(written), int(written)))
    except BaseException as error:
        for left in state.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        if made:
            state.rmdir()
        if isinstance(error, _DAMAGED):
            # The reasons of each form of compression that was tried are of no interest.
            why = str(error).partition("\n")[0].rstrip(":")
            raise ModelError("file", f"{source} is not a saved system: {why}") from error
        raise


def _check(archive: tarfile.TarFile) -> None:
    first = archive.next()
    content = archive.extractfile(first) if first is not None and first.name == _LABEL else None
    try:
        data = json.loads(content.read(4096)) if content is not None else {}
    except ValueError:
        data = {}
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ModelError("file", f"it does not begin with a {_LABEL} of format {FORMAT}")
