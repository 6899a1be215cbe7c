"""Files that clients name by path, and that no trick may lead out of the folders set aside for them.

A path is resolved (`..`, links), must then be below a folder, and is opened folder by folder from there without
following a link: whoever changes the folders between the look and the opening gets an error, not another file.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Confined:
    """A file below a folder, both without links in their paths when they were looked at."""

    root: Path
    path: Path

    def open(self) -> BinaryIO:
        """Open the file for reading. Blocking. OSError, also when a link is on the way now, or when it is no regular
        file (a pipe would never end)."""
        *folders, name = self.path.relative_to(self.root).parts
        descriptor = os.open(self.root, _FOLDER)
        try:
            for folder in folders:
                below = os.open(folder, _FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            file = os.open(name, _FILE, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise OSError(errno.EINVAL, "not a regular file", str(self.path))
        return os.fdopen(file, "rb")


def below(path: str, folders: Sequence[str | Path]) -> Confined | None:
    """The path if it is below (not itself) one of the folders. Blocking; None also for what can be no path."""
    try:
        resolved = Path(path).resolve()
        found = (Path(folder).resolve() for folder in folders)
        root = next((folder for folder in found if resolved.is_relative_to(folder) and resolved != folder), None)
    except (OSError, ValueError, RuntimeError):  # too long, a NUL, links in a circle
        return None
    return None if root is None else Confined(root, resolved)


def existing(path: str, folders: Sequence[str | Path]) -> Confined | None:
    """The same, if there is a regular file now."""
    found = below(path, folders)
    try:
        return found if found is not None and found.path.is_file() else None
    except OSError:
        return None
