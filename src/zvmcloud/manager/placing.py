"""Files that must be whole and must not replace others: images under their digest, and exported copies."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""What link() says on file systems that know no second name."""


def into_place(incoming: Path, target: Path, size: int, *, keep: bool = False) -> None:
    """Give a received file its place by digest; it is on the disk before it has that name. With ``keep`` it has its
    old name too, so that it can be placed again (not on file systems where a file has one name).

    A file that is there already is believed only when it has ``size`` bytes; another one (cut short by a crash of the
    machine) is replaced. ``incoming`` may be gone when the file is in its place. Blocking; OSError.
    """
    with contextlib.suppress(FileNotFoundError):
        if target.stat().st_size == size:
            return
    if not target.parent.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _sync(target.parent.parent)
    _sync(incoming)
    if keep:
        incoming = _second_name(incoming, target.with_name(f".{uuid.uuid4()}.part"))
    incoming.replace(target)
    _sync(target.parent)


def _second_name(path: Path, other: Path) -> Path:
    try:
        os.link(path, other)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return path
    return other


def copy_new(source: Path, root: Path, target: Path) -> None:
    """Copy ``source`` to ``target`` below ``root``, which must not exist; missing folders are made.

    Each folder below ``root`` is opened by its name in the one above, and symbolic links are not followed, so nobody
    can lead the copy elsewhere meanwhile. The copy has a temporary name until it is whole; it is readable by its owner
    only. Blocking. FileExistsError when there is something at ``target``, other OSErrors as they come.
    """
    *folders, name = target.relative_to(root).parts
    with _folder(root, folders) as descriptor, source.open("rb") as reader:
        part = f".{uuid.uuid4()}.part"
        with os.fdopen(os.open(part, _NEW, 0o600, dir_fd=descriptor), "wb") as writer:
            try:
                shutil.copyfileobj(reader, writer, 1 << 20)
                writer.flush()
                os.fsync(writer.fileno())
                _name(part, name, descriptor)
                os.fsync(descriptor)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(part, dir_fd=descriptor)


@contextlib.contextmanager
def _folder(root: Path, names: list[str]) -> Iterator[int]:
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(root, _FOLDER)
    try:
        for name in names:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=descriptor)
            below = os.open(name, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def _name(part: str, name: str, folder: int) -> None:
    """Rename without replacing. Where no second name is possible an empty file of ours takes the name first."""
    try:
        os.link(part, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.close(os.open(name, _NEW, 0o600, dir_fd=folder))
        os.replace(part, name, src_dir_fd=folder, dst_dir_fd=folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
